/* Pictures inside of a page: data URIs. */
#ifndef BW_REPORT_PICTURE_H
#define BW_REPORT_PICTURE_H
#include "blockwise/config.h"
#include "blockwise/dataset.h"
#include "formats/json.h"

/* "data:image/png;base64,..." of 8-bit RGB; JPEG instead where `photo` and the picture is not tiny. NULL and
 * a failed status without memory, or for a size that cannot be encoded. */
BW_MUST_CHECK
bw_status bw__picture_uri(json_t **out, const bw_image *image, bool photo);
/* The same bytes as text, for numbers: -127 .. 127 as int8. */
BW_MUST_CHECK
bw_status bw__picture_base64(json_t **out, const void *bytes, size_t n);

/* What a network sees, normalised [side, side, 3], as 8-bit RGB of at most `most` pixels a side; *out starts
 * from zero bytes and is released with bw_image_clear(). */
BW_MUST_CHECK
bw_status bw__picture_of_view(bw_image *out, const float *view, int64_t side, int64_t most,
                              const bw_augment_config *augment);
#endif
