#include "data/corrupt_kinds.h"
#include "base/memory.h"
#include <math.h>

/* x + scale(x) * e with e normal: scale is constant, or proportional to x. */
static bw_status add_normal(uint8_t *pixels, int64_t size, double constant, double proportional, bw_rng *rng)
{
    bw_status st = BW_OK;
    const int64_t n = size * size * 3;
    float *e = NULL;
    BW_TRY(BW_ALLOC(&e, n));
    bw__rng_normal_f32(rng, e, n);
    for (int64_t i = 0; i < n; i++) {
        const double x = pixels[i] / 255.0;
        pixels[i] = bw__corrupted_byte(x + (constant + proportional * x) * (double)e[i]);
    }
out:
    bw__free(e);
    return st;
}

bw_status bw__corrupt_gaussian_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    return add_normal(pixels, size, strength[0], 0.0, rng);
}

bw_status bw__corrupt_speckle_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    return add_normal(pixels, size, 0.0, strength[0], rng);
}

/* A Poisson number by inversion: the distribution function is summed until it passes a uniform number. No
 * more than `most`, where the caller cuts off anyway. Means here are at most 500, whose exp(-500) a double
 * still holds. */
static int64_t poisson(double mean, int64_t most, bw_rng *rng)
{
    const double u = bw__rng_uniform_f64(rng);
    double p = exp(-mean), sum = p;
    int64_t k = 0;
    while (u >= sum && k < most) {
        k++;
        p *= mean / (double)k;
        sum += p;
    }
    return k;
}

bw_status bw__corrupt_shot_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    const double photons = strength[0];
    for (int64_t i = 0; i < size * size * 3; i++)
        pixels[i] =
            bw__corrupted_byte((double)poisson(pixels[i] / 255.0 * photons, (int64_t)photons, rng) / photons);
    return BW_OK;
}

/* Each value of each channel by itself, as skimage.util.random_noise(mode='s&p') does. */
bw_status bw__corrupt_impulse_noise(uint8_t *pixels, int64_t size, const double strength[2], bw_rng *rng)
{
    for (int64_t i = 0; i < size * size * 3; i++) {
        const double u = bw__rng_uniform_f64(rng);
        if (u < strength[0]) pixels[i] = u < strength[0] / 2 ? 255 : 0;
    }
    return BW_OK;
}
