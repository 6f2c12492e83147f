/* Small files in a fresh folder, for tests of everything that reads files. */
#ifndef BW_TESTS_TEMP_FILES_H
#define BW_TESTS_TEMP_FILES_H
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "folder/name" in one of eight buffers that take turns. */
static inline const char *in(const char *folder, const char *name)
{
    static char paths[8][4096];
    static int turn;
    char *path = paths[turn++ % 8];
    int n = snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    assert_in_range(n, 1, sizeof paths[0] - 1);
    return path;
}

/* Writes a file and the folders above it that are missing below `folder`. */
static inline void write_file(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        (void)mkdir(path, 0777);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (size) assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    write_file(folder, name, text, strlen(text));
}

static inline uint8_t *read_whole(const char *path, size_t *size)
{
    struct stat info;
    FILE *f = fopen(path, "rb");
    if (!f) fprintf(stderr, "cannot open %s\n", path);
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &info), 0);
    *size = (size_t)info.st_size;
    uint8_t *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    (void)fclose(f);
    return bytes;
}

static inline void copy_file(const char *folder, const char *name, const char *source)
{
    size_t size;
    uint8_t *bytes = read_whole(source, &size);
    write_file(folder, name, bytes, size);
    free(bytes);
}

/* Fresh folder whose path stays valid. */
static inline char *new_folder(void)
{
    const char *path = temp_folder();
    assert_non_null(path);
    char *copy = strdup(path);
    assert_non_null(copy);
    return copy;
}

static inline void remove_folder(char *folder)
{
    char command[4200];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    free(folder);
}
#endif
