#include "data/color_jitter.h"

/* ITU-R 601 luma in PIL's fixed point. */
static inline uint32_t luma(uint8_t r, uint8_t g, uint8_t b)
{
    return (19595u * r + 38470u * g + 7471u * b + 0x8000u) >> 16;
}

/* From `base` towards (factor < 1) or past (factor > 1) the value, cut off towards zero as PIL's blend. */
static inline uint8_t blend(float base, uint8_t value, float factor)
{
    float v = base + factor * ((float)value - base);
    v = v < 0.0f ? 0.0f : v;
    v = v > 255.0f ? 255.0f : v;
    return (uint8_t)(int)v;
}

BW_CLONES static void blend_all(uint8_t *p, int64_t n, float base, float factor)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = blend(base, p[i], factor);
}

void bw__color_brightness(bw_planes *planes, float factor)
{
    for (int c = 0; c < 3; c++)
        blend_all(planes->rgb[c], planes->size * planes->stride, 0.0f, factor);
}

BW_CLONES static uint32_t sum_luma(const uint8_t *r, const uint8_t *g, const uint8_t *b, int64_t n)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += luma(r[i], g[i], b[i]);
    return sum;
}

void bw__color_contrast(bw_planes *planes, float factor)
{
    uint64_t sum = 0;
    for (int64_t y = 0; y < planes->size; y++) {
        const int64_t row = y * planes->stride;
        sum += sum_luma(planes->rgb[0] + row, planes->rgb[1] + row, planes->rgb[2] + row, planes->size);
    }
    const double mean = (double)sum / (double)(planes->size * planes->size);
    for (int c = 0; c < 3; c++)
        blend_all(planes->rgb[c], planes->size * planes->stride, (float)(int)(mean + 0.5), factor);
}

BW_CLONES static void saturate(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n,
                               float factor)
{
    for (int64_t i = 0; i < n; i++) {
        const float grey = (float)(int)luma(r[i], g[i], b[i]);
        r[i] = blend(grey, r[i], factor);
        g[i] = blend(grey, g[i], factor);
        b[i] = blend(grey, b[i], factor);
    }
}

void bw__color_saturation(bw_planes *planes, float factor)
{
    saturate(planes->rgb[0], planes->rgb[1], planes->rgb[2], planes->size * planes->stride, factor);
}

/* RGB to PIL's 8-bit HSV: the value is the largest of the three, and so needs no array of its own.
 * The mixture of float and double is PIL's; it decides which side of a whole number a hue falls on. */
BW_CLONES static void hue_and_saturation(uint8_t *restrict hue, uint8_t *restrict saturation,
                                         const uint8_t *restrict r, const uint8_t *restrict g,
                                         const uint8_t *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int red = r[i], green = g[i], blue = b[i];
        int most = red > green ? red : green, least = red < green ? red : green;
        most = most > blue ? most : blue;
        least = least < blue ? least : blue;
        const int spread = most - least;
        const float divisor = (float)(spread > 0 ? spread : 1);
        /* Distance of the next and the one after it, from the largest colour round the circle. */
        const int plus = red == most ? most - blue : green == most ? most - red : most - green;
        const int minus = red == most ? most - green : green == most ? most - blue : most - red;
        const double sector = red == most ? 0.0 : green == most ? 2.0 : 4.0;
        const float sixths =
            (float)(sector + (double)((float)plus / divisor) - (double)((float)minus / divisor));
        double turns = (double)sixths / 6.0 + 1.0;
        turns = turns >= 1.0 ? turns - 1.0 : turns;
        const float strength = (float)spread / (float)(most > 0 ? most : 1);
        hue[i] = spread > 0 ? (uint8_t)(int)((double)(float)turns * 255.0) : 0;
        saturation[i] = (uint8_t)(int)((double)strength * 255.0);
    }
}

/* HSV back to RGB; r, g and b still hold the colours whose largest is the value. */
BW_CLONES static void hsv_to_rgb(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b,
                                 const uint8_t *restrict hue, const uint8_t *restrict saturation, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int red = r[i], green = g[i], blue = b[i];
        int v = red > green ? red : green;
        v = v > blue ? v : blue;
        const double sixths = (double)(float)hue[i] * 6.0 / 255.0;
        const int sector = (int)sixths;
        const float part = (float)(sixths - (double)(float)sector);
        const float strength = (float)((double)(float)saturation[i] / 255.0);
        const float along = strength * part;
        const double value = (double)v;
        const int p = (int)(value * (1.0 - (double)strength) + 0.5);
        const int q = (int)(value * (1.0 - (double)along) + 0.5);
        const int t = (int)(value * (1.0 - (double)strength * (1.0 - (double)part)) + 0.5);
        r[i] = (uint8_t)(sector == 1 ? q : sector == 4 ? t : sector == 2 || sector == 3 ? p : v);
        g[i] = (uint8_t)(sector == 0 || sector == 6 ? t : sector == 3 ? q : sector < 3 ? v : p);
        b[i] = (uint8_t)(sector == 2 ? t : sector == 5 ? q : sector == 3 || sector == 4 ? v : p);
    }
}

void bw__color_hue(bw_planes *planes, float shift)
{
    enum { PART = 256 };
    uint8_t hue[PART], saturation[PART];
    const uint8_t turn = (uint8_t)(int)((double)shift * 255.0);
    const int64_t n = planes->size * planes->stride;
    for (int64_t i = 0; i < n; i += PART) {
        uint8_t *r = planes->rgb[0] + i, *g = planes->rgb[1] + i, *b = planes->rgb[2] + i;
        const int64_t part = n - i < PART ? n - i : PART;
        hue_and_saturation(hue, saturation, r, g, b, part);
        for (int64_t j = 0; j < part; j++)
            hue[j] = (uint8_t)(hue[j] + turn); /* round the circle */
        hsv_to_rgb(r, g, b, hue, saturation, part);
    }
}

BW_CLONES static void grey_all(uint8_t *restrict r, uint8_t *restrict g, uint8_t *restrict b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        r[i] = g[i] = b[i] = (uint8_t)luma(r[i], g[i], b[i]);
}

void bw__color_grey(bw_planes *planes)
{
    grey_all(planes->rgb[0], planes->rgb[1], planes->rgb[2], planes->size * planes->stride);
}

BW_CLONES static void solarize_all(uint8_t *p, int64_t n, int threshold)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = p[i] >= threshold ? (uint8_t)(255 - p[i]) : p[i];
}

void bw__color_solarize(bw_planes *planes, int threshold)
{
    for (int c = 0; c < 3; c++)
        solarize_all(planes->rgb[c], planes->size * planes->stride, threshold);
}
