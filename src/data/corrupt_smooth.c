/* Corruptions without randomness. The formulas are those of the functions the published images were made
 * with: skimage.filters.gaussian, skimage.color, Pillow's box filter, libjpeg. */
#include "data/corrupt_kinds.h"
#include "base/memory.h"
#include "data/decode.h"
#include "data/encode_jpeg.h"
#include <math.h>
#include <string.h>

/* --- blur --- */

/* skimage.filters.gaussian: the kernel ends at four sigma, pixels of the edge are repeated outside. */
#define BLUR_TRUNCATE 4.0

/* Along one axis: `n` values `stride` apart. */
static void blur_line(double *dst, const double *src, int64_t n, int64_t stride, const double *k,
                      int64_t radius)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = k[0] * src[i * stride];
        for (int64_t r = 1; r <= radius; r++) {
            const int64_t before = i - r > 0 ? i - r : 0, after = i + r < n ? i + r : n - 1;
            sum += k[r] * (src[before * stride] + src[after * stride]);
        }
        dst[i * stride] = sum;
    }
}

bw_status bw__corrupt_gaussian_blur(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    (void)rng;
    bw_status st = BW_OK;
    const double sigma = strength[0];
    const int64_t n = size * size * 3, radius = (int64_t)(BLUR_TRUNCATE * sigma + 0.5);
    double *a = NULL, *b = NULL, *k = NULL, sum = 0;
    BW_TRY(BW_ALLOC(&a, n));
    BW_TRY(BW_ALLOC(&b, n));
    BW_TRY(BW_ALLOC(&k, radius + 1));
    for (int64_t r = 0; r <= radius; r++) {
        k[r] = exp(-0.5 * (double)(r * r) / (sigma * sigma));
        sum += r == 0 ? k[r] : 2 * k[r];
    }
    for (int64_t r = 0; r <= radius; r++)
        k[r] /= sum;
    for (int64_t i = 0; i < n; i++)
        a[i] = pixels[i] / 255.0;
    for (int64_t x = 0; x < size * 3; x++)
        blur_line(b + x, a + x, size, size * 3, k, radius);
    for (int64_t y = 0; y < size; y++)
        for (int64_t c = 0; c < 3; c++)
            blur_line(a + y * size * 3 + c, b + y * size * 3 + c, size, 3, k, radius);
    for (int64_t i = 0; i < n; i++)
        pixels[i] = bw__corrupted_byte(a[i]);
out:
    bw__free(a);
    bw__free(b);
    bw__free(k);
    return st;
}

/* --- colours --- */

bw_status bw__corrupt_contrast(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    (void)rng;
    int64_t sum[3] = { 0 };
    for (int64_t i = 0; i < size * size * 3; i++)
        sum[i % 3] += pixels[i];
    for (int64_t i = 0; i < size * size * 3; i++) {
        const double mean = (double)sum[i % 3] / (double)(size * size) / 255.0;
        pixels[i] = bw__corrupted_byte((pixels[i] / 255.0 - mean) * strength[0] + mean);
    }
    return BW_OK;
}

/* Hue in turns; 0 for grey. */
static void rgb_to_hsv(double hsv[3], const uint8_t rgb[3])
{
    const double r = rgb[0] / 255.0, g = rgb[1] / 255.0, b = rgb[2] / 255.0;
    const double high = fmax(r, fmax(g, b)), delta = high - fmin(r, fmin(g, b));
    hsv[0] = hsv[1] = 0.0;
    hsv[2] = high;
    if (!(delta > 0.0)) return;
    /* Of equal channels the last counts. */
    const double sixths = b >= high   ? 4.0 + (r - g) / delta
                          : g >= high ? 2.0 + (b - r) / delta
                                      : (g - b) / delta;
    hsv[0] = sixths < 0.0 ? sixths / 6.0 + 1.0 : sixths / 6.0;
    hsv[1] = delta / high;
}

static void hsv_to_rgb(uint8_t rgb[3], const double hsv[3])
{
    const double v = hsv[2], s = hsv[1], sixths = hsv[0] * 6.0, f = sixths - floor(sixths);
    const double p = v * (1.0 - s), q = v * (1.0 - f * s), t = v * (1.0 - (1.0 - f) * s);
    const double table[6][3] = {
        { v, t, p }, { q, v, p }, { p, v, t }, { p, q, v }, { t, p, v }, { v, p, q }
    };
    const double *value = table[(int)floor(sixths) % 6];
    for (int c = 0; c < 3; c++)
        rgb[c] = bw__corrupted_byte(value[c]);
}

bw_status bw__corrupt_brightness(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    (void)rng;
    for (int64_t i = 0; i < size * size; i++) {
        double hsv[3];
        rgb_to_hsv(hsv, pixels + i * 3);
        hsv[2] = fmin(hsv[2] + strength[0], 1.0);
        hsv_to_rgb(pixels + i * 3, hsv);
    }
    return BW_OK;
}

bw_status bw__corrupt_saturate(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    (void)rng;
    for (int64_t i = 0; i < size * size; i++) {
        double hsv[3];
        rgb_to_hsv(hsv, pixels + i * 3);
        hsv[1] = fmin(hsv[1] * strength[0] + strength[1], 1.0);
        hsv_to_rgb(pixels + i * 3, hsv);
    }
    return BW_OK;
}

/* --- digital --- */

/* Pillow's box filter in one direction: `out` values from `in`, of `lines` lines. The mean of the inputs
 * whose centres lie in the box of an output, its upper end included, rounded to 8 bits. Value i of line l is
 * at [l * line + i * step]. */
typedef struct box_lines {
    int64_t lines, line, step;
} box_lines;

static void box_pass(uint8_t *dst, box_lines to, int64_t out, const uint8_t *src, box_lines from, int64_t in)
{
    const double scale = (double)in / (double)out, stretch = fmax(scale, 1.0);
    for (int64_t i = 0; i < out; i++) {
        const double center = ((double)i + 0.5) * scale;
        int64_t first = (int64_t)(center - 0.5 * stretch + 0.5),
                end = (int64_t)(center + 0.5 * stretch + 0.5);
        if (first < 0) first = 0;
        if (end > in) end = in;
        while (first < end && ((double)first - center + 0.5) / stretch <= -0.5)
            first++;
        while (end > first && ((double)(end - 1) - center + 0.5) / stretch > 0.5)
            end--;
        const int64_t n = end - first;
        BW_ASSERT(n > 0);
        for (int64_t l = 0; l < to.lines; l++) {
            int64_t sum = 0;
            for (int64_t j = first; j < end; j++)
                sum += src[l * from.line + j * from.step];
            dst[l * to.line + i * to.step] = (uint8_t)((2 * sum + n) / (2 * n));
        }
    }
}

/* Both directions, [in, in, 3] to [out, out, 3]; `middle` holds [in, out, 3]. */
static void box_resize(uint8_t *dst, int64_t out, const uint8_t *src, int64_t in, uint8_t *middle)
{
    for (int c = 0; c < 3; c++)
        box_pass(middle + c, (box_lines){ in, out * 3, 3 }, out, src + c, (box_lines){ in, in * 3, 3 }, in);
    box_pass(dst, (box_lines){ out * 3, 1, out * 3 }, out, middle, (box_lines){ out * 3, 1, out * 3 }, in);
}

bw_status bw__corrupt_pixelate(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    (void)rng;
    bw_status st = BW_OK;
    uint8_t *less = NULL, *middle = NULL;
    int64_t side = (int64_t)((double)size * strength[0]);
    if (side < 1) side = 1;
    BW_TRY(BW_ALLOC(&less, side * side * 3));
    BW_TRY(BW_ALLOC(&middle, size * size * 3));
    box_resize(less, side, pixels, size, middle);
    box_resize(pixels, size, less, side, middle);
out:
    bw__free(less);
    bw__free(middle);
    return st;
}

bw_status bw__corrupt_jpeg(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    (void)rng;
    bw_status st = BW_OK;
    uint8_t *bytes = NULL;
    size_t n = 0;
    int orientation;
    bw_image image = { 0 };
    BW_TRY(bw__encode_jpeg(&bytes, &n, pixels, size, size, (int)strength[0]));
    BW_TRY(bw__decode_jpeg(&image, &orientation, bytes, n));
    memcpy(pixels, image.rgb, (size_t)(size * size * 3));
out:
    bw__free(bytes);
    bw_image_clear(&image);
    return st;
}
