#include "data/blur.h"
#include "base/memory.h"
#include <math.h>

#define PASSES        3
#define FRACTION_BITS 24 /* of Pillow's weights */

typedef struct box {
    int64_t radius;        /* whole values on either side of the centre */
    uint32_t weight, edge; /* of each of them, and of the two beyond */
} box;

/* Length of the extended box whose PASSES-fold use has the variance sigma^2: formulas 7, 11 and 14 of the
 * paper, in the single precision Pillow computes them in. */
static box box_of_sigma(float sigma)
{
    const float variance = sigma * sigma / PASSES;
    const float length = (float)sqrt(12.0 * (double)variance + 1.0);
    const float whole = (float)floor(((double)length - 1.0) / 2.0);
    float part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
    part /= 6 * (variance - (whole + 1) * (whole + 1));
    const float radius = whole + part;
    box b = { .radius = (int64_t)radius };
    b.weight = (uint32_t)((float)(1 << FRACTION_BITS) / (radius * 2 + 1));
    b.edge = ((1u << FRACTION_BITS) - (uint32_t)(b.radius * 2 + 1) * b.weight) / 2;
    return b;
}

static inline int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* One box blur along n values, for 16 neighbours at once; values are dst_stride and src_stride apart.
 * Outside, the first and the last value go on. */
BW_CLONES static void box_pass(uint8_t *restrict dst, int64_t dst_stride, const uint8_t *restrict src,
                               int64_t src_stride, int64_t n, const box *restrict b)
{
    uint32_t sum[BW_LANES] = { 0 };
    for (int64_t i = -b->radius - 1; i < b->radius; i++)
        for (int l = 0; l < BW_LANES; l++)
            sum[l] += src[clamp(i, n) * src_stride + l];
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *leaves = src + clamp(i - b->radius - 1, n) * src_stride;
        const uint8_t *enters = src + clamp(i + b->radius, n) * src_stride;
        const uint8_t *beyond = src + clamp(i + b->radius + 1, n) * src_stride;
        for (int l = 0; l < BW_LANES; l++) {
            sum[l] += (uint32_t)enters[l] - leaves[l];
            uint32_t v = sum[l] * b->weight + ((uint32_t)leaves[l] + beyond[l]) * b->edge;
            dst[i * dst_stride + l] = (uint8_t)((v + (1u << (FRACTION_BITS - 1))) >> FRACTION_BITS);
        }
    }
}

size_t bw__blur_work_bytes(int64_t size)
{
    return 2 * (size_t)(bw__plane_stride(size) * BW_LANES);
}

/* First all passes along the rows, 16 rows at a time brought side by side, then all along the columns. */
void bw__blur(bw_planes *planes, float sigma, void *work)
{
    const int64_t size = planes->size, stride = planes->stride;
    const box b = box_of_sigma(sigma);
    uint8_t *one = work, *two = one + stride * BW_LANES;
    for (int c = 0; c < 3; c++) {
        for (int64_t y = 0; y < size; y += BW_LANES) {
            uint8_t *rows = planes->rgb[c] + y * stride;
            for (int64_t x = 0; x < stride; x += BW_LANES)
                bw__transpose_16x16(one + x * BW_LANES, BW_LANES, rows + x, stride);
            box_pass(two, BW_LANES, one, BW_LANES, size, &b);
            box_pass(one, BW_LANES, two, BW_LANES, size, &b);
            box_pass(two, BW_LANES, one, BW_LANES, size, &b);
            for (int64_t x = 0; x < stride; x += BW_LANES)
                bw__transpose_16x16(rows + x, stride, two + x * BW_LANES, BW_LANES);
        }
        for (int64_t x = 0; x < stride; x += BW_LANES) {
            uint8_t *columns = planes->rgb[c] + x;
            box_pass(one, BW_LANES, columns, stride, size, &b);
            box_pass(two, BW_LANES, one, BW_LANES, size, &b);
            box_pass(columns, stride, two, BW_LANES, size, &b);
        }
    }
}
