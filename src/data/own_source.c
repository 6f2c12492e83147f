/* Images that a program gives by functions of its own. */
#include "data/dataset_internal.h"
#include "data/decode.h"
#include <stdio.h>
#include <string.h>

typedef struct own_source {
    bw_image_source source;
    bw_data_format format; /* its name is `name` */
    char name[64];
} own_source;

static bw_status own_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    const own_source *s = dataset->source;
    (void)bw_fail(BW_OK, "%s", ""); /* what failed before was not this image */
    image->height = image->width = 0;
    bw_status st = s->source.read(s->source.user, index, image);
    if (st != BW_OK) {
        const bool silent = bw_last_error()[0] == '\0';
        st = bw__fail_of_program(st);
        return silent ? bw_fail_prefix(st, "the source cannot read it") : st;
    }
    if (image->height < 1 || image->width < 1 || image->height > BW_MAX_PIXELS / image->width ||
        (size_t)(image->height * image->width) * 3 > image->capacity)
        return bw_fail(BW_EDATA,
                       "the source gave %lld x %lld pixels in %zu bytes; make room with bw_image_resize()",
                       (long long)image->height, (long long)image->width, image->capacity);
    return BW_OK;
}

static void own_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    const own_source *s = dataset->source;
    if (s->source.image_name)
        s->source.image_name(s->source.user, index, name, size);
    else
        (void)snprintf(name, size, "%s/%lld", s->name, (long long)index);
}

static void own_close(void *source)
{
    own_source *s = source;
    if (s->source.close) s->source.close(s->source.user);
    bw__free(s);
}

static const bw_data_store own_store = { .read = own_read, .name = own_name, .close = own_close };

static bw_status check(const bw_image_source *source)
{
    if (!source->name || !source->name[0] || strlen(source->name) >= sizeof((own_source *)0)->name)
        return bw_fail(BW_EINVAL, "an image source needs a name of 1 to 63 bytes");
    if (!source->read) return bw_fail(BW_EINVAL, "image source %s: it has no function to read", source->name);
    if (source->images < 1)
        return bw_fail(BW_EINVAL, "image source %s: %lld images; it needs at least one", source->name,
                       (long long)source->images);
    if (source->classes < 0 || (source->classes > 0) != (source->label != NULL))
        return bw_fail(BW_EINVAL,
                       "image source %s: %d classes %s a function for labels; give both or neither",
                       source->name, source->classes, source->label ? "and" : "without");
    return BW_OK;
}

static bw_status take_labels(bw_dataset *dataset, const bw_image_source *source)
{
    bw_status st = BW_OK;
    if (!source->label) return BW_OK;
    BW_TRY(bw__dataset_set_classes(dataset, source->class_names, source->classes));
    BW_TRY(BW_ALLOC(&dataset->labels, source->images));
    for (int64_t i = 0; i < source->images; i++) {
        const int label = source->label(source->user, i);
        if (label < -1 || label >= source->classes)
            return bw_fail(BW_EINVAL,
                           "image source %s: image %lld has label %d, and there are %d classes; -1 is none",
                           source->name, (long long)i, label, source->classes);
        dataset->labels[i] = label;
    }
out:
    return st;
}

bw_status bw_dataset_from_source(bw_dataset **out, const bw_image_source *source)
{
    bw_status st = BW_OK;
    bw_dataset *dataset = NULL;
    own_source *s = NULL;
    *out = NULL;
    BW_TRY(check(source));
    BW_TRY(BW_ALLOC(&dataset, 1));
    BW_TRY(take_labels(dataset, source));
    BW_TRY(BW_ALLOC(&s, 1));
    s->source = *source;
    (void)snprintf(s->name, sizeof s->name, "%s", source->name);
    s->source.name = s->format.name = s->name;
    s->format.help = "";
    dataset->format = &s->format;
    dataset->store = &own_store;
    dataset->source = s;
    dataset->size = source->images;
    *out = dataset;
    dataset = NULL;
out:
    bw_dataset_free(dataset);
    return st;
}
