/* A data set in memory: images painted by a function of their number, with labels of any kind. */
#ifndef BW_TESTS_MEMORY_DATASET_H
#define BW_TESTS_MEMORY_DATASET_H
#include "check.h"
#include "base/error.h"
#include "base/rng.h"
#include "data/dataset_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory_images {
    int64_t height, width;
    /* Colour of a pixel; rgb is 3 values. `rng` is the image's own. */
    void (*paint)(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x,
                  bw_rng *rng);
    int64_t unreadable; /* this image's number, or -1 */
    uint64_t stream;    /* another number makes other images of the same kind */
} memory_images;

static inline bw_status memory_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    const memory_images *m = dataset->source;
    size_t bytes = (size_t)(m->height * m->width * 3);
    if (index == m->unreadable) return bw_fail(BW_EDATA, "not an image");
    if (image->capacity < bytes) {
        void *mem = NULL;
        bw_image_clear(image);
        bw_status st = bw__alloc(&mem, bytes);
        if (st != BW_OK) return st;
        image->rgb = mem;
        image->capacity = bytes;
    }
    image->height = m->height;
    image->width = m->width;
    bw_rng rng = bw__rng(11, BW_RNG_SYNTHETIC, m->stream, (uint64_t)index, 0);
    for (int64_t y = 0; y < m->height; y++)
        for (int64_t x = 0; x < m->width; x++)
            m->paint(image->rgb + (y * m->width + x) * 3, dataset, index, y, x, &rng);
    return BW_OK;
}

static inline void memory_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    (void)dataset;
    (void)snprintf(name, size, "picture-%02lld", (long long)index);
}

static inline void memory_close(void *source)
{
    (void)source;
}

static const bw_data_store memory_store = { .read = memory_read, .name = memory_name, .close = memory_close };
static const bw_data_format memory_format = { "memory", "", NULL, NULL };

/* `n` images with labels 0, 1, .. classes - 1, 0, .. named by `names` (NULL: by their numbers); classes 0
 * means no labels. Freed with memory_dataset_free(). */
static inline bw_dataset memory_dataset(memory_images *images, int64_t n, int classes,
                                        const char *const *names)
{
    bw_dataset d = { .format = &memory_format, .store = &memory_store, .source = images, .size = n };
    if (classes > 0) {
        CHECK_OK(bw__dataset_set_classes(&d, names, classes));
        CHECK_OK(BW_ALLOC(&d.labels, n));
        for (int64_t i = 0; i < n; i++)
            d.labels[i] = (int32_t)(i % classes);
    }
    return d;
}

static inline void memory_dataset_free(bw_dataset *d)
{
    bw__dataset_close(d);
}
#endif
