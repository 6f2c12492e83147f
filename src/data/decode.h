/* Encoded images to 8-bit RGB, the way PIL's convert('RGB') does it. */
#ifndef BW_DATA_DECODE_H
#define BW_DATA_DECODE_H
#include "base/memory.h"
#include "blockwise/dataset.h"

/* The same limit as PIL's (twice its MAX_IMAGE_PIXELS): larger is taken for an attack. */
#define BW_MAX_PIXELS ((int64_t)178956970)

/* Decodes a JPEG, PNG or WebP image, known by its first bytes; EXIF orientation is applied, alpha dropped,
 * grey replicated. `name`, or NULL, only makes the message for an unknown kind of file more exact.
 * Any bytes are safe. BW_OK; BW_EDATA with what is wrong and no name; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__decode(bw_image *image, const uint8_t *bytes, size_t size, const char *name);

/* One decoder each: writes the image as it is stored, and its EXIF orientation (1 to 8). */
BW_MUST_CHECK
bw_status bw__decode_jpeg(bw_image *image, int *orientation, const uint8_t *bytes, size_t size);
BW_MUST_CHECK
bw_status bw__decode_png(bw_image *image, int *orientation, const uint8_t *bytes, size_t size);
BW_MUST_CHECK
bw_status bw__decode_webp(bw_image *image, int *orientation, const uint8_t *bytes, size_t size);

/* Orientation found in an EXIF block (from its TIFF header on); 1 where there is none or it is damaged. */
int bw__exif_orientation(const uint8_t *bytes, size_t size);
#endif
