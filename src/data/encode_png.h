/* 8-bit RGB to PNG, without loss; grey where all pixels are. */
#ifndef BW_DATA_ENCODE_PNG_H
#define BW_DATA_ENCODE_PNG_H
#include "blockwise/dataset.h"

/* *out belongs to the caller, bw__free(). The same pixels give the same bytes with one version of zlib.
 * BW_ENOMEM; BW_EINVAL for a size that PNG cannot hold. */
BW_MUST_CHECK
bw_status bw__encode_png(uint8_t **out, size_t *size, const bw_image *image);
#endif
