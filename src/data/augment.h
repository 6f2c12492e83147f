/* The augmentations of the paper, as torchvision 0.14 over PIL computes them: parameters are drawn from a
 * counter-based stream, then applied, so that the same drawn parameters can be compared with PIL. */
#ifndef BW_DATA_AUGMENT_H
#define BW_DATA_AUGMENT_H
#include "base/rng.h"
#include "blockwise/config.h"
#include "blockwise/dataset.h"

typedef struct bw_augment_params {
    int64_t crop_x, crop_y, crop_w, crop_h; /* of the source image, pixels */
    bool flip;
    bool jitter;
    int order[4];                                /* of brightness 0, contrast 1, saturation 2, hue 3 */
    float brightness, contrast, saturation, hue; /* factors; hue is a shift in turns */
    bool grey;
    float blur_sigma; /* 0: no blur */
    bool solarize;
} bw_augment_params;

void bw__augment_draw(bw_augment_params *params, const bw_view_config *view, int64_t height, int64_t width,
                      bw_rng *rng);

/* dst [size, size, 3] u8. Per-thread scratch grows in *work (release with bw__augment_work_clear). */
typedef struct bw_augment_work {
    void *mem;
    size_t bytes;
} bw_augment_work;
void bw__augment_work_clear(bw_augment_work *work);

BW_MUST_CHECK
bw_status bw__augment_apply(uint8_t *dst, int64_t size, const bw_image *image,
                            const bw_augment_params *params, const bw_view_config *view,
                            bw_augment_work *work);

/* Evaluation transform: shorter side to round(size * 256 / 224), bilinear with antialias, centre crop; with
 * `keep_exact` an image already size x size is taken as it is. dst [size, size, 3] u8. */
BW_MUST_CHECK
bw_status bw__eval_transform(uint8_t *dst, int64_t size, const bw_image *image, bool keep_exact,
                             bw_augment_work *work);

/* dst[i] = (src[i] / 255 - mean[c]) / std[c] for `pixels` RGB pixels. */
void bw__normalise(float *dst, const uint8_t *src, int64_t pixels, const double mean[3], const double std[3]);
#endif
