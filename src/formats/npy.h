/* NumPy's .npy, version 1.0: little-endian, C order. Written aside and renamed. */
#ifndef BW_FORMATS_NPY_H
#define BW_FORMATS_NPY_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>
typedef enum bw_npy_dtype { BW_NPY_F32, BW_NPY_F64, BW_NPY_I64, BW_NPY_U8 } bw_npy_dtype;
BW_MUST_CHECK
bw_status bw__npy_write(const char *path, bw_npy_dtype dtype, const void *data, int ndim,
                        const int64_t *shape);
/* An array of strings [n] (NumPy's <U, as wide as the longest): `text_at` writes string i, at most
 * BW_NPY_TEXT - 1 bytes, and is asked twice for each. Bytes that are not UTF-8 read as os.fsdecode() reads
 * them. BW_EIO. */
enum { BW_NPY_TEXT = 4096 };
typedef void (*bw_npy_text_fn)(const void *user, int64_t i, char *text, size_t size);
BW_MUST_CHECK
bw_status bw__npy_write_text(const char *path, bw_npy_text_fn text_at, const void *user, int64_t n);
/* Reads a file of one of the four types; *out is released with bw__free(). shape has room for 8. BW_EDATA:
 * missing, another type or order, or damaged. */
BW_MUST_CHECK
bw_status bw__npy_read(void **out, bw_npy_dtype *dtype, int *ndim, int64_t *shape, const char *path);
/* For a file already in memory, `bytes` [size]: sets where its data starts. NULL, or what is wrong with it.
 */
const char *bw__npy_parse(size_t *start, bw_npy_dtype *dtype, int *ndim, int64_t *shape, const void *bytes,
                          size_t size);
#endif
