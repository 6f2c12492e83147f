/* The inner loops of augmentation, once for any processor and once for those with AVX2; both give the same
 * bytes. Lengths of planes are multiples of BW_LANES. */
#ifndef BW_DATA_PIXEL_KERNELS_H
#define BW_DATA_PIXEL_KERNELS_H
#include "data/planes.h"

/* Fraction bits of resampling coefficients and of blur weights. */
#define BW_TAP_BITS 22
#define BW_BOX_BITS 24

/* Coefficients of one axis: output i is the sum over j < count[i] of k[i * width + j] * in[first[i] + j]. */
typedef struct bw_taps {
    int64_t n, width;
    int64_t *first, *count;
    int32_t *k;
} bw_taps;

/* A box blur whose length need not be a whole number. */
typedef struct bw_box {
    int64_t radius;        /* whole values on either side of the centre */
    uint32_t weight, edge; /* of each of them, and of the two beyond */
} bw_box;

typedef struct bw_kernels {
    /* Horizontal resampling of 16 rows: src[(pixel * 3 + c) * 16 + row] to dst[c * plane + x * 16 + row]. */
    void (*resample_rows)(uint8_t *dst, int64_t plane, const uint8_t *src, const bw_taps *taps);
    /* One row of vertical resampling, `stride` values wide; src is the row of the first coefficient. */
    void (*resample_column)(uint8_t *dst, const uint8_t *src, int64_t stride, const int32_t *k,
                            int64_t count);
    /* Box blur along n values for 16 neighbours at once; values are dst_stride and src_stride apart, and the
     * first and the last go on outside. */
    void (*box_pass)(uint8_t *dst, int64_t dst_stride, const uint8_t *src, int64_t src_stride, int64_t n,
                     const bw_box *box);
    /* From `base` towards (factor < 1) or past (factor > 1) each value, cut off to whole values. */
    void (*blend)(uint8_t *p, int64_t n, float base, float factor);
    uint32_t (*sum_grey)(const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n);
    void (*saturate)(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, float factor);
    /* To 8-bit HSV, `turn` added to the hue, and back. */
    void (*turn_hue)(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n, uint8_t turn);
    void (*grey)(uint8_t *r, uint8_t *g, uint8_t *b, int64_t n);
    void (*solarize)(uint8_t *p, int64_t n, int threshold);
    void (*interleave)(uint8_t *dst, const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n);
    /* dst[i] = src[i] * scale[i % 48] + shift[i % 48]: 16 pixels of three colours. */
    void (*scale_and_shift)(float *dst, const uint8_t *src, int64_t n, const float *scale,
                            const float *shift);
} bw_kernels;

extern const bw_kernels bw__kernels_base, bw__kernels_avx2;

/* NULL where this processor cannot run them. */
const bw_kernels *bw__kernels_for_avx2(void);
/* The ones to use (bw__isa()). */
const bw_kernels *bw__kernels(void);
#endif
