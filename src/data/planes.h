/* The picture while it is being augmented: three planes of 8-bit values, so that one loop does one thing
 * to many neighbouring values and compiles to vector instructions. */
#ifndef BW_DATA_PLANES_H
#define BW_DATA_PLANES_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BW_LANES 16 /* values handled side by side */

typedef struct bw_planes {
    uint8_t *rgb[3]; /* each [stride, stride]: the side is padded to whole vectors, both ways */
    int64_t size, stride;
} bw_planes;

static inline int64_t bw__plane_stride(int64_t width)
{
    return (width + BW_LANES - 1) / BW_LANES * BW_LANES;
}

typedef uint8_t bw_u8x16 __attribute__((vector_size(BW_LANES)));

/* Transposes 16 x 16 values: dst[x][y] = src[y][x]. Rows are dst_stride and src_stride values apart.
 * Four rounds of interleaving row i with row i + 8 are a transposition. */
static inline void bw__transpose_16x16(uint8_t *dst, int64_t dst_stride, const uint8_t *src,
                                       int64_t src_stride)
{
    bw_u8x16 a[BW_LANES], b[BW_LANES];
    for (int i = 0; i < BW_LANES; i++)
        memcpy(&a[i], src + i * src_stride, sizeof a[i]);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            b[2 * i] = __builtin_shufflevector(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6,
                                               22, 7, 23);
            b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                   29, 14, 30, 15, 31);
        }
        for (int i = 0; i < 8; i++) {
            a[2 * i] = __builtin_shufflevector(b[i], b[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6,
                                               22, 7, 23);
            a[2 * i + 1] = __builtin_shufflevector(b[i], b[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                   29, 14, 30, 15, 31);
        }
    }
    for (int i = 0; i < BW_LANES; i++)
        memcpy(dst + i * dst_stride, &a[i], sizeof a[i]);
}
#endif
