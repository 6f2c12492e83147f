/* safetensors: 8-byte little-endian header length, JSON header, row-major little-endian data. */
#ifndef BW_FORMATS_SAFETENSORS_H
#define BW_FORMATS_SAFETENSORS_H
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bw_st_dtype {
    BW_ST_F32,
    BW_ST_F64,
    BW_ST_F16,
    BW_ST_BF16,
    BW_ST_I64,
    BW_ST_I32,
    BW_ST_U8,
    BW_ST_OTHER /* known to the format, not used here; can be listed, not converted or written */
} bw_st_dtype;

typedef struct bw_st_tensor {
    const char *name; /* borrowed from file or caller */
    bw_st_dtype dtype;
    int ndim; /* 0..8; 0 is a scalar */
    int64_t shape[8];
    const void *data; /* when read: inside the mapping, possibly unaligned; use bw__st_to_f32 */
    size_t bytes;
} bw_st_tensor;

typedef struct bw_st_file bw_st_file;
typedef struct bw_st_pair {
    const char *key, *value;
} bw_st_pair;

/* Opens and checks everything: header length against the file, offsets inside, without overlap or holes,
 * bytes = shape x dtype. BW_EDATA names file and what is wrong (missing files included). Memory-mapped: the
 * file must not be cut short while it is open. Tensors are counted in the order of their data. */
BW_MUST_CHECK
bw_status bw__st_open(bw_st_file **out, const char *path);
/* The same for a file in memory, which is borrowed until bw__st_close(); `origin` names it in messages. */
BW_MUST_CHECK
bw_status bw__st_open_memory(bw_st_file **out, const void *data, size_t bytes, const char *origin);
/* A file that is none: tensors in memory, found by name. The array is copied; names and data are borrowed
 * until bw__st_close(). `pair` is copied as its only metadata; NULL: none. */
BW_MUST_CHECK
bw_status bw__st_wrap(bw_st_file **out, const bw_st_tensor *tensors, int64_t n, const bw_st_pair *pair);
void bw__st_close(bw_st_file *file);
int64_t bw__st_count(const bw_st_file *file);
const bw_st_tensor *bw__st_at(const bw_st_file *file, int64_t i);
const bw_st_tensor *bw__st_find(const bw_st_file *file, const char *name); /* NULL if not there */
const char *bw__st_metadata(const bw_st_file *file, const char *key);      /* NULL if not there */
/* Entry number `i` of the metadata in the file's order, borrowed; false past the last. */
bool bw__st_metadata_at(bw_st_pair *out, const bw_st_file *file, int64_t i);
/* Gives back the memory of a mapped tensor whose bytes have been used; they are read again where they are
 * wanted again. A checkpoint is as large as the weights, and would stand beside them otherwise. */
void bw__st_drop(const bw_st_file *file, const bw_st_tensor *tensor);
/* Converts F32, F64, F16 or BF16 to dst [count]; BW_EDATA for another type. */
BW_MUST_CHECK
bw_status bw__st_to_f32(float *dst, const bw_st_tensor *tensor);

/* Writes tensors in the order given (little-endian header, keys in the order given: same input, same bytes),
 * aside, fsynced, renamed over `path`. BW_EIO leaves nothing under `path` that was not there before;
 * BW_EINVAL: two equal names, a name that is not UTF-8, bytes that do not fit the shape. */
BW_MUST_CHECK
bw_status bw__st_write(const char *path, const bw_st_tensor *tensors, int64_t n, const bw_st_pair *metadata,
                       int64_t n_metadata);
#endif
