#include "data/color_jitter.h"
#include "data/pixel_kernels.h"

static int64_t values(const bw_planes *planes)
{
    return planes->size * planes->stride;
}

void bw__color_brightness(bw_planes *planes, float factor)
{
    for (int c = 0; c < 3; c++)
        bw__kernels()->blend(planes->rgb[c], values(planes), 0.0f, factor);
}

void bw__color_contrast(bw_planes *planes, float factor)
{
    const bw_kernels *kernels = bw__kernels();
    uint64_t sum = 0;
    for (int64_t y = 0; y < planes->size; y++) {
        const int64_t row = y * planes->stride;
        sum +=
            kernels->sum_grey(planes->rgb[0] + row, planes->rgb[1] + row, planes->rgb[2] + row, planes->size);
    }
    const double mean = (double)sum / (double)(planes->size * planes->size);
    for (int c = 0; c < 3; c++)
        kernels->blend(planes->rgb[c], values(planes), (float)(int)(mean + 0.5), factor);
}

void bw__color_saturation(bw_planes *planes, float factor)
{
    bw__kernels()->saturate(planes->rgb[0], planes->rgb[1], planes->rgb[2], values(planes), factor);
}

/* The shift becomes a byte that is added to 8-bit hues and wraps round with them. */
void bw__color_hue(bw_planes *planes, float shift)
{
    const uint8_t turn = (uint8_t)(int)((double)shift * 255.0);
    bw__kernels()->turn_hue(planes->rgb[0], planes->rgb[1], planes->rgb[2], values(planes), turn);
}

void bw__color_grey(bw_planes *planes)
{
    bw__kernels()->grey(planes->rgb[0], planes->rgb[1], planes->rgb[2], values(planes));
}

void bw__color_solarize(bw_planes *planes, int threshold)
{
    for (int c = 0; c < 3; c++)
        bw__kernels()->solarize(planes->rgb[c], values(planes), threshold);
}
