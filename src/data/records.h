/* Store of raw 8-bit pixels at a fixed distance in a few files: IDX, CIFAR, STL-10. */
#ifndef BW_DATA_RECORDS_H
#define BW_DATA_RECORDS_H
#include "data/blob.h"
#include "data/dataset_internal.h"

/* Where the byte of row y, column x, channel c lies in a record: y * row + x * column + c * channel.
 * Grey has channel 0, which replicates it. */
typedef struct bw_record_layout {
    int64_t height, width;
    size_t row, column, channel;
} bw_record_layout;

typedef struct bw_record_part {
    bw_blob blob;
    char *name;            /* for messages, relative to the path the user gave */
    size_t offset, stride; /* bytes: of the first record's pixels, and between records */
    int64_t first, count;  /* images of the data set that lie here */
} bw_record_part;

typedef struct bw_records {
    bw_record_layout layout;
    bw_record_part *parts;
    int64_t n_parts, max_parts;
} bw_records;

/* Gives `dataset` this store, with room for `max_parts` files. */
BW_MUST_CHECK
bw_status bw__records_create(bw_dataset *dataset, const bw_record_layout *layout, int64_t max_parts);

/* Adds a file with `count` records, whose sizes the caller has checked. Takes over *blob, also when it
 * fails. Labels of the data set are the caller's: it has grown by `count`. */
BW_MUST_CHECK
bw_status bw__records_add(bw_dataset *dataset, bw_blob *blob, const char *name, size_t offset, size_t stride,
                          int64_t count);
#endif
