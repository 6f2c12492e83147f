#include "data/records.h"
#include "data/decode.h"
#include <stdio.h>
#include <string.h>

static const bw_record_part *part_of(const bw_records *records, int64_t index)
{
    int64_t i = 0;
    while (i + 1 < records->n_parts && index >= records->parts[i + 1].first)
        i++;
    return &records->parts[i];
}

static bw_status records_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    const bw_records *records = dataset->source;
    const bw_record_layout *layout = &records->layout;
    const bw_record_part *part = part_of(records, index);
    const uint8_t *src = part->blob.data + part->offset + (size_t)(index - part->first) * part->stride;
    bw_status st = bw_image_resize(image, layout->height, layout->width);
    if (st != BW_OK) return st;
    uint8_t *dst = image->rgb;
    for (int64_t y = 0; y < layout->height; y++)
        for (int64_t x = 0; x < layout->width; x++) {
            const uint8_t *pixel = src + (size_t)y * layout->row + (size_t)x * layout->column;
            for (size_t c = 0; c < 3; c++)
                *dst++ = pixel[c * layout->channel];
        }
    return BW_OK;
}

static void records_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    const bw_record_part *part = part_of(dataset->source, index);
    (void)snprintf(name, size, "%s[%lld]", part->name, (long long)(index - part->first));
}

static void records_close(void *source)
{
    bw_records *records = source;
    for (int64_t i = 0; i < records->n_parts; i++) {
        bw__blob_close(&records->parts[i].blob);
        bw__free(records->parts[i].name);
    }
    bw__free(records->parts);
    bw__free(records);
}

static const bw_data_store records_store = { .read = records_read,
                                             .name = records_name,
                                             .close = records_close };

bw_status bw__records_create(bw_dataset *dataset, const bw_record_layout *layout, int64_t max_parts)
{
    bw_status st = BW_OK;
    bw_records *records = NULL;
    BW_TRY(BW_ALLOC(&records, 1));
    records->layout = *layout;
    records->max_parts = max_parts;
    BW_TRY(BW_ALLOC(&records->parts, max_parts));
    dataset->source = records;
    dataset->store = &records_store;
    records = NULL;
out:
    bw__free(records);
    return st;
}

bw_status bw__records_add(bw_dataset *dataset, bw_blob *blob, const char *name, size_t offset, size_t stride,
                          int64_t count)
{
    bw_records *records = dataset->source;
    BW_ASSERT(records->n_parts < records->max_parts);
    bw_record_part *part = &records->parts[records->n_parts++];
    *part = (bw_record_part){
        .blob = *blob, .offset = offset, .stride = stride, .first = dataset->size, .count = count
    };
    *blob = (bw_blob){ 0 };
    dataset->size += count;
    return bw__strdup(&part->name, name);
}
