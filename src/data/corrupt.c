#include "data/corrupt.h"
#include "base/error.h"
#include "data/corrupt_kinds.h"
#include <string.h>

/* Severities of github.com/hendrycks/robustness, ImageNet-C/create_c/make_cifar_c.py and make_imagenet_c.py.
 * The place of an entry keys its random numbers: new ones belong at the end. */
static const bw_corruption TABLE[] = {
    { "gaussian_noise",
      "normal noise",
      bw__corrupt_gaussian_noise,
      { { 0.04 }, { 0.06 }, { 0.08 }, { 0.09 }, { 0.10 } },
      { { 0.08 }, { 0.12 }, { 0.18 }, { 0.26 }, { 0.38 } } },
    { "shot_noise",
      "Poisson noise of counted photons",
      bw__corrupt_shot_noise,
      { { 500 }, { 250 }, { 100 }, { 75 }, { 50 } },
      { { 60 }, { 25 }, { 12 }, { 5 }, { 3 } } },
    { "impulse_noise",
      "values set to black or white",
      bw__corrupt_impulse_noise,
      { { 0.01 }, { 0.02 }, { 0.03 }, { 0.05 }, { 0.07 } },
      { { 0.03 }, { 0.06 }, { 0.09 }, { 0.17 }, { 0.27 } } },
    { "speckle_noise",
      "normal noise in proportion to the value",
      bw__corrupt_speckle_noise,
      { { 0.06 }, { 0.1 }, { 0.12 }, { 0.16 }, { 0.2 } },
      { { 0.15 }, { 0.2 }, { 0.35 }, { 0.45 }, { 0.6 } } },
    { "gaussian_blur",
      "Gaussian blur",
      bw__corrupt_gaussian_blur,
      { { 0.4 }, { 0.6 }, { 0.7 }, { 0.8 }, { 1.0 } },
      { { 1.0 }, { 2.0 }, { 3.0 }, { 4.0 }, { 6.0 } } },
    { "contrast",
      "colours drawn to the image's mean",
      bw__corrupt_contrast,
      { { 0.75 }, { 0.5 }, { 0.4 }, { 0.3 }, { 0.15 } },
      { { 0.4 }, { 0.3 }, { 0.2 }, { 0.1 }, { 0.05 } } },
    { "brightness",
      "value of HSV raised",
      bw__corrupt_brightness,
      { { 0.05 }, { 0.1 }, { 0.15 }, { 0.2 }, { 0.3 } },
      { { 0.1 }, { 0.2 }, { 0.3 }, { 0.4 }, { 0.5 } } },
    { "saturate",
      "saturation of HSV lowered or raised",
      bw__corrupt_saturate,
      { { 0.3, 0 }, { 0.1, 0 }, { 1.5, 0 }, { 2.0, 0.1 }, { 2.5, 0.2 } },
      { { 0.3, 0 }, { 0.1, 0 }, { 2.0, 0 }, { 5.0, 0.1 }, { 20.0, 0.2 } } },
    { "pixelate",
      "made smaller and larger again by a box filter",
      bw__corrupt_pixelate,
      { { 0.95 }, { 0.9 }, { 0.85 }, { 0.75 }, { 0.65 } },
      { { 0.6 }, { 0.5 }, { 0.4 }, { 0.3 }, { 0.25 } } },
    { "jpeg_compression",
      "JPEG of low quality",
      bw__corrupt_jpeg,
      { { 80 }, { 65 }, { 58 }, { 50 }, { 40 } },
      { { 25 }, { 18 }, { 15 }, { 10 }, { 7 } } },
};
enum { ENTRIES = sizeof TABLE / sizeof *TABLE };

const bw_corruption *bw__corruption_named(const char *name)
{
    for (int i = 0; i < ENTRIES; i++)
        if (strcmp(TABLE[i].name, name) == 0) return &TABLE[i];
    return NULL;
}

const bw_corruption *bw__corruption_at(int index)
{
    return index >= 0 && index < ENTRIES ? &TABLE[index] : NULL;
}

int bw_corruption_at(const char **name, const char **help, int index)
{
    const bw_corruption *found = bw__corruption_at(index);
    if (!found) return 0;
    *name = found->name;
    *help = found->help;
    return 1;
}

bw_status bw__corrupt(uint8_t *pixels, int64_t size, const bw_corruption *corruption, int severity,
                      uint64_t seed, int64_t image)
{
    if (size < 1 || severity < 1 || severity > BW_SEVERITIES)
        return bw_fail(BW_EINVAL, "%s: severity %d of an image of %lld pixels a side; 1 to %d are known",
                       corruption->name, severity, (long long)size, BW_SEVERITIES);
    const double *strength =
        size <= BW_CORRUPT_SMALL_IMAGE ? corruption->small[severity - 1] : corruption->large[severity - 1];
    bw_rng rng =
        bw__rng(seed, BW_RNG_CORRUPT, (uint64_t)(corruption - TABLE), (uint64_t)image, (uint32_t)severity);
    return corruption->apply(pixels, size, strength, &rng);
}
