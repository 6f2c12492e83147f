#include "data/blur.h"
#include "data/pixel_kernels.h"
#include <math.h>

#define PASSES 3

/* Length of the extended box whose PASSES-fold use has the variance sigma^2: formulas 7, 11 and 14 of the
 * paper, in the single precision Pillow computes them in. */
static bw_box box_of_sigma(float sigma)
{
    const float variance = sigma * sigma / PASSES;
    const float length = (float)sqrt(12.0 * (double)variance + 1.0);
    const float whole = (float)floor(((double)length - 1.0) / 2.0);
    float part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
    part /= 6 * (variance - (whole + 1) * (whole + 1));
    const float radius = whole + part;
    bw_box b = { .radius = (int64_t)radius };
    b.weight = (uint32_t)((float)(1 << BW_BOX_BITS) / (radius * 2 + 1));
    b.edge = ((1u << BW_BOX_BITS) - (uint32_t)(b.radius * 2 + 1) * b.weight) / 2;
    return b;
}

size_t bw__blur_work_bytes(int64_t size)
{
    return 2 * (size_t)(bw__plane_stride(size) * BW_LANES);
}

/* First all passes along the rows, 16 rows at a time brought side by side, then all along the columns. */
void bw__blur(bw_planes *planes, float sigma, void *work)
{
    const int64_t size = planes->size, stride = planes->stride;
    const bw_kernels *kernels = bw__kernels();
    const bw_box b = box_of_sigma(sigma);
    uint8_t *one = work, *two = one + stride * BW_LANES;
    for (int c = 0; c < 3; c++) {
        for (int64_t y = 0; y < size; y += BW_LANES) {
            uint8_t *rows = planes->rgb[c] + y * stride;
            for (int64_t x = 0; x < stride; x += BW_LANES)
                bw__transpose_16x16(one + x * BW_LANES, BW_LANES, rows + x, stride);
            kernels->box_pass(two, BW_LANES, one, BW_LANES, size, &b);
            kernels->box_pass(one, BW_LANES, two, BW_LANES, size, &b);
            kernels->box_pass(two, BW_LANES, one, BW_LANES, size, &b);
            for (int64_t x = 0; x < stride; x += BW_LANES)
                bw__transpose_16x16(rows + x, stride, two + x * BW_LANES, BW_LANES);
        }
        for (int64_t x = 0; x < stride; x += BW_LANES) {
            uint8_t *columns = planes->rgb[c] + x;
            kernels->box_pass(one, BW_LANES, columns, stride, size, &b);
            kernels->box_pass(two, BW_LANES, one, BW_LANES, size, &b);
            kernels->box_pass(columns, stride, two, BW_LANES, size, &b);
        }
    }
}
