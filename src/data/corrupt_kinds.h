/* One function per corruption: pixels [size, size, 3] are changed in place, `strength` is the row of the
 * table in corrupt.c. */
#ifndef BW_DATA_CORRUPT_KINDS_H
#define BW_DATA_CORRUPT_KINDS_H
#include "base/error.h"
#include "base/rng.h"
#include <math.h>

/* Of a value in [0, 1]; what is left after the product is cut off, as in the published images. */
static inline uint8_t bw__corrupted_byte(double x)
{
    return (uint8_t)(fmin(fmax(x, 0.0), 1.0) * 255.0);
}

/* Noises: strength is the standard deviation, photons of a white pixel, or share of values hit. */
BW_MUST_CHECK
bw_status bw__corrupt_gaussian_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
BW_MUST_CHECK
bw_status bw__corrupt_shot_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
BW_MUST_CHECK
bw_status bw__corrupt_impulse_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
BW_MUST_CHECK
bw_status bw__corrupt_speckle_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);

/* Strength is sigma in pixels. */
BW_MUST_CHECK
bw_status bw__corrupt_gaussian_blur(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);

/* Colours: strength is the factor of the distance from the mean; what is added to HSV's value; factor of
 * HSV's saturation and what is added to it. */
BW_MUST_CHECK
bw_status bw__corrupt_contrast(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
BW_MUST_CHECK
bw_status bw__corrupt_brightness(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
BW_MUST_CHECK
bw_status bw__corrupt_saturate(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);

/* What digital images suffer: strength is the share of the side that is kept, and JPEG's quality. */
BW_MUST_CHECK
bw_status bw__corrupt_pixelate(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
BW_MUST_CHECK
bw_status bw__corrupt_jpeg(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng);
#endif
