#include "data/files.h"
#include "data/blob.h"
#include "data/decode.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bw_status files_encoded(const bw_dataset *dataset, int64_t index, uint8_t **bytes, size_t *size)
{
    bw_status st = BW_OK;
    const bw_files *files = dataset->source;
    const char *name = files->names[index];
    char *path = NULL;
    BW_TRY(bw__path_join(&path, name[0] == '/' ? "" : files->root, name));
    BW_TRY(bw__read_file(bytes, size, path));
out:
    bw__free(path);
    return st;
}

static bw_status files_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    const bw_files *files = dataset->source;
    uint8_t *bytes = NULL;
    size_t size;
    bw_status st = files_encoded(dataset, index, &bytes, &size);
    if (st == BW_OK) st = bw__decode(image, bytes, size, files->names[index]);
    bw__free(bytes);
    return st;
}

static void files_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    const bw_files *files = dataset->source;
    (void)snprintf(name, size, "%s", files->names[index]);
}

static void files_close(void *source)
{
    bw_files *files = source;
    bw__free(files->root);
    bw__free(files->names);
    bw__free(files->pool);
    bw__free(files);
}

static const bw_data_store files_store = {
    .read = files_read, .name = files_name, .close = files_close, .encoded = files_encoded
};

bw_status bw__files_create(bw_dataset *dataset, const char *root)
{
    bw_status st = BW_OK;
    bw_files *files = NULL;
    BW_TRY(BW_ALLOC(&files, 1));
    BW_TRY(bw__strdup(&files->root, root));
    dataset->source = files;
    dataset->store = &files_store;
    files = NULL;
out:
    bw__free(files);
    return st;
}

bw_status bw__files_add(bw_dataset *dataset, const char *name, size_t length)
{
    bw_files *files = dataset->source;
    if (files->pool_capacity - files->pool_bytes < length + 1) {
        char *larger;
        size_t capacity = 2 * files->pool_capacity + length + 4096;
        bw_status st = bw__alloc((void **)&larger, capacity);
        if (st != BW_OK) return st;
        if (files->pool_bytes) memcpy(larger, files->pool, files->pool_bytes);
        bw__free(files->pool);
        files->pool = larger;
        files->pool_capacity = capacity;
    }
    memcpy(files->pool + files->pool_bytes, name, length);
    files->pool[files->pool_bytes + length] = '\0';
    files->pool_bytes += length + 1;
    files->count++;
    return BW_OK;
}

bw_status bw__files_finish(bw_dataset *dataset)
{
    bw_files *files = dataset->source;
    bw_status st = BW_ALLOC(&files->names, files->count);
    if (st != BW_OK) return st;
    char *p = files->pool;
    for (int64_t i = 0; i < files->count; i++, p += strlen(p) + 1)
        files->names[i] = p;
    dataset->size = files->count;
    return BW_OK;
}

bool bw__files_is_image_name(const char *name)
{
    static const char *const endings[] = { ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}
