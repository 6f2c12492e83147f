/* Tar archives made byte by byte, so that tests can damage them where they like. */
#ifndef BW_TESTS_TAR_FILES_H
#define BW_TESTS_TAR_FILES_H
#include "temp_files.h"

typedef struct tar_bytes {
    uint8_t *at;
    size_t n;
} tar_bytes;

static inline uint8_t *tar_grow(tar_bytes *t, size_t n)
{
    t->at = realloc(t->at, t->n + n);
    assert_non_null(t->at);
    memset(t->at + t->n, 0, n);
    t->n += n;
    return t->at + t->n - n;
}

/* Writes the sum of a header's bytes into it. */
static inline void tar_sum(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += header[i];
    (void)snprintf((char *)header + 148, 8, "%06o", sum & 0777777u);
}

/* One entry of `type` ('0': a file) whose name may lie in two parts, as ustar's prefix does. */
static inline void tar_entry(tar_bytes *t, char type, const char *prefix, const char *name, const void *bytes,
                             size_t size)
{
    uint8_t *h = tar_grow(t, 512 + (size + 511) / 512 * 512);
    assert_in_range(strlen(name), 0, 100);
    memcpy(h, name, strlen(name));
    memcpy(h + 100, "0000644", 7);
    memcpy(h + 108, "0000000", 7);
    memcpy(h + 116, "0000000", 7);
    (void)snprintf((char *)h + 124, 12, "%011zo", size);
    memcpy(h + 136, "00000000000", 11);
    h[156] = (uint8_t)type;
    memcpy(h + 257, "ustar\00000", 8);
    memcpy(h + 345, prefix, strlen(prefix));
    if (size) memcpy(h + 512, bytes, size);
    tar_sum(h);
}

static inline void tar_add(tar_bytes *t, const char *name, const void *bytes, size_t size)
{
    tar_entry(t, '0', "", name, bytes, size);
}

static inline void tar_text(tar_bytes *t, const char *name, const char *text)
{
    tar_add(t, name, text, strlen(text));
}

/* An image of one pixel, or of 11 x 6, as a fixture has it. */
static inline void tar_image(tar_bytes *t, const char *name, int which)
{
    size_t size;
    uint8_t *bytes = read_whole(fixture_path(which ? "images/exif_6.png" : "images/one_pixel.png"), &size);
    tar_add(t, name, bytes, size);
    free(bytes);
}

static inline void tar_end(tar_bytes *t)
{
    (void)tar_grow(t, 1024);
}

/* Writes it and empties it. */
static inline void tar_save(tar_bytes *t, const char *folder, const char *name)
{
    write_file(folder, name, t->at, t->n);
    free(t->at);
    *t = (tar_bytes){ 0 };
}
#endif
