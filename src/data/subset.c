#include "data/subset.h"
#include "base/rng.h"
#include "data/dataset_internal.h"
#include <math.h>
#include <string.h>

/* --- the view --- */

typedef struct subset {
    const bw_dataset *parent; /* borrowed */
    int64_t *index;
} subset;

static bw_status subset_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    const subset *s = dataset->source;
    return bw_dataset_read(s->parent, s->index[index], image);
}

static void subset_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    const subset *s = dataset->source;
    bw_dataset_name(s->parent, s->index[index], name, size);
}

static void subset_close(void *source)
{
    subset *s = source;
    bw__free(s->index);
    bw__free(s);
}

static bw_status subset_encoded(const bw_dataset *dataset, int64_t index, uint8_t **bytes, size_t *size)
{
    const subset *s = dataset->source;
    return bw__dataset_encoded(s->parent, s->index[index], bytes, size);
}

static const bw_data_store subset_store = {
    .read = subset_read, .name = subset_name, .close = subset_close, .encoded = subset_encoded
};

bw_status bw__dataset_subset(bw_dataset **out, const bw_dataset *parent, const int64_t *index, int64_t n)
{
    bw_status st = BW_OK;
    bw_dataset *dataset = NULL;
    subset *s = NULL;
    *out = NULL;
    BW_ASSERT(n >= 1);
    BW_TRY(BW_ALLOC(&dataset, 1));
    BW_TRY(BW_ALLOC(&s, 1));
    s->parent = parent;
    dataset->format = parent->format;
    dataset->store = &subset_store;
    dataset->source = s;
    dataset->size = n;
    BW_TRY(BW_ALLOC(&s->index, n));
    memcpy(s->index, index, (size_t)n * sizeof *index);
    if (bw__dataset_has_labels(parent)) {
        BW_TRY(BW_ALLOC(&dataset->labels, n));
        for (int64_t i = 0; i < n; i++)
            dataset->labels[i] = bw_dataset_label(parent, index[i]);
        BW_TRY(bw__dataset_set_classes(dataset, (const char *const *)parent->class_names, parent->classes));
    }
    *out = dataset;
    dataset = NULL;
out:
    bw_dataset_free(dataset);
    return st;
}

void bw__image_list_clear(bw_image_list *list)
{
    bw__free(list->index);
    *list = (bw_image_list){ 0 };
}

/* --- shares --- */

/* Orders with these numbers and below pick images of a class; no epoch comes this far, and the one above them
 * picks images of all classes (data/sampler.c). */
#define CLASS_ORDER (UINT64_MAX - 1)

bw_status bw__label_fraction(bw_image_list *out, const bw_dataset *dataset, double fraction, uint64_t seed)
{
    bw_status st = BW_OK;
    int64_t *size = NULL, *place = NULL, size_of_set = bw_dataset_size(dataset);
    const int classes = bw_dataset_classes(dataset);
    *out = (bw_image_list){ 0 };
    if (!(fraction > 0.0 && fraction <= 1.0))
        return bw_fail(BW_EINVAL, "a share of the labels is above 0 and at most 1, not %g", fraction);
    BW_TRY(BW_ALLOC(&size, classes + 1));
    BW_TRY(BW_ALLOC(&place, classes + 1));
    BW_TRY(BW_ALLOC(&out->index, size_of_set));
    for (int64_t i = 0; i < size_of_set; i++)
        if (bw_dataset_label(dataset, i) >= 0) size[bw_dataset_label(dataset, i)]++;
    for (int64_t i = 0; i < size_of_set; i++) {
        const int c = bw_dataset_label(dataset, i);
        if (c < 0) continue;
        const int64_t share = (int64_t)nearbyint(fraction * (double)size[c]), wanted = share > 0 ? share : 1;
        const uint64_t at =
            bw__permute(seed, CLASS_ORDER - (uint64_t)c, (uint64_t)place[c]++, (uint64_t)size[c]);
        if ((int64_t)at < wanted) out->index[out->n++] = i;
    }
    if (out->n == 0) st = bw_fail(BW_EDATA, "no image has a label; give data with classes");
out:
    if (st != BW_OK) bw__image_list_clear(out);
    bw__free(size);
    bw__free(place);
    return st;
}
