/* 8-bit RGB to JPEG, the way PIL's save() does it by default: 4:2:0, the standard's tables scaled to a
 * quality from 1 to 100. */
#ifndef BW_DATA_ENCODE_JPEG_H
#define BW_DATA_ENCODE_JPEG_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* *out belongs to the caller, bw__free(); NULL after a failure. BW_ENOMEM; BW_EINVAL for a size JPEG cannot
 * hold. */
BW_MUST_CHECK
bw_status bw__encode_jpeg(uint8_t **out, size_t *size, const uint8_t *rgb, int64_t height, int64_t width,
                          int quality);
#endif
