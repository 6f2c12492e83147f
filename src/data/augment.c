#include "data/augment.h"
#include "base/memory.h"
#include "data/blur.h"
#include "data/color_jitter.h"
#include "data/pixel_kernels.h"
#include "data/resample.h"
#include <math.h>

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, OPERATIONS };
#define CROP_ATTEMPTS 10

static double uniform(bw_rng *rng, double low, double high)
{
    return low + (high - low) * bw__rng_uniform_f64(rng);
}

static bool happens(bw_rng *rng, double probability)
{
    return bw__rng_uniform_f64(rng) < probability;
}

/* The whole image, or its largest central part whose ratio width / height is allowed. */
static void crop_center(bw_augment_params *p, const bw_view_config *view, int64_t height, int64_t width)
{
    const double ratio = (double)width / (double)height;
    p->crop_w = width;
    p->crop_h = height;
    if (ratio < view->crop_ratio[0])
        p->crop_h = (int64_t)fmin(fmax(nearbyint((double)width / view->crop_ratio[0]), 1.0), (double)height);
    else if (ratio > view->crop_ratio[1])
        p->crop_w = (int64_t)fmin(fmax(nearbyint((double)height * view->crop_ratio[1]), 1.0), (double)width);
    p->crop_y = (height - p->crop_h) / 2;
    p->crop_x = (width - p->crop_w) / 2;
}

/* A box of a drawn area and ratio, where one fits. */
static void draw_crop(bw_augment_params *p, const bw_view_config *view, int64_t height, int64_t width,
                      bw_rng *rng)
{
    const double area = (double)height * (double)width;
    for (int attempt = 0; attempt < CROP_ATTEMPTS; attempt++) {
        const double target = area * uniform(rng, view->crop_scale[0], view->crop_scale[1]);
        const double ratio = exp(uniform(rng, log(view->crop_ratio[0]), log(view->crop_ratio[1])));
        const double w = nearbyint(sqrt(target * ratio)), h = nearbyint(sqrt(target / ratio));
        if (w >= 1.0 && w <= (double)width && h >= 1.0 && h <= (double)height) {
            p->crop_w = (int64_t)w;
            p->crop_h = (int64_t)h;
            p->crop_y = (int64_t)bw__rng_below(rng, (uint64_t)(height - p->crop_h + 1));
            p->crop_x = (int64_t)bw__rng_below(rng, (uint64_t)(width - p->crop_w + 1));
            return;
        }
    }
    crop_center(p, view, height, width);
}

static float draw_factor(bw_rng *rng, double strength)
{
    return (float)uniform(rng, fmax(0.0, 1.0 - strength), 1.0 + strength);
}

void bw__augment_draw(bw_augment_params *params, const bw_view_config *view, int64_t height, int64_t width,
                      bw_rng *rng)
{
    bw_augment_params p = { .order = { BRIGHTNESS, CONTRAST, SATURATION, HUE } };
    draw_crop(&p, view, height, width, rng);
    p.flip = happens(rng, view->flip_prob);
    p.jitter = happens(rng, view->jitter_prob);
    for (int i = OPERATIONS - 1; i > 0; i--) {
        const int j = (int)bw__rng_below(rng, (uint64_t)i + 1), swap = p.order[i];
        p.order[i] = p.order[j];
        p.order[j] = swap;
    }
    p.brightness = draw_factor(rng, view->brightness);
    p.contrast = draw_factor(rng, view->contrast);
    p.saturation = draw_factor(rng, view->saturation);
    p.hue = (float)uniform(rng, -view->hue, view->hue);
    p.grey = happens(rng, view->grey_prob);
    const bool blur = happens(rng, view->blur_prob);
    const double sigma = uniform(rng, view->blur_sigma[0], view->blur_sigma[1]);
    p.blur_sigma = blur ? (float)sigma : 0.0f;
    p.solarize = happens(rng, view->solarize_prob);
    *params = p;
}

void bw__augment_work_clear(bw_augment_work *work)
{
    bw__free(work->mem);
    *work = (bw_augment_work){ 0 };
}

/* Places the planes at the start of the scratch; *rest is what follows them. */
static bw_status work_planes(bw_planes *planes, char **rest, bw_augment_work *work, int64_t size,
                             size_t rest_bytes)
{
    const int64_t stride = bw__plane_stride(size);
    const size_t plane = bw__round_up((size_t)(stride * stride));
    if (work->bytes < 3 * plane + rest_bytes) {
        void *mem = NULL;
        bw_status st = bw__alloc(&mem, 3 * plane + rest_bytes);
        if (st != BW_OK) return st;
        bw__augment_work_clear(work);
        *work = (bw_augment_work){ .mem = mem, .bytes = 3 * plane + rest_bytes };
    }
    *planes = (bw_planes){ .size = size, .stride = stride };
    for (size_t c = 0; c < 3; c++)
        planes->rgb[c] = (uint8_t *)work->mem + c * plane;
    *rest = (char *)work->mem + 3 * plane;
    return BW_OK;
}

static void write_pixels(uint8_t *dst, const bw_planes *planes)
{
    for (int64_t y = 0; y < planes->size; y++) {
        const int64_t row = y * planes->stride;
        bw__kernels()->interleave(dst + y * planes->size * 3, planes->rgb[0] + row, planes->rgb[1] + row,
                                  planes->rgb[2] + row, planes->size);
    }
}

static bw_status check_image(const bw_image *image, int64_t size)
{
    if (size < 1) return bw_fail(BW_EINVAL, "image size %lld: must be at least 1", (long long)size);
    if (!image->rgb || image->height < 1 || image->width < 1)
        return bw_fail(BW_EINVAL, "no image to transform: %lld x %lld pixels", (long long)image->width,
                       (long long)image->height);
    return BW_OK;
}

/* An operation of strength 0 is left out, as torchvision does: a hue turned by 0 would still pass through
 * 8-bit HSV and change the image a little. */
static void jitter(bw_planes *planes, const bw_augment_params *p, const bw_view_config *view)
{
    for (int i = 0; i < OPERATIONS; i++) {
        if (p->order[i] == BRIGHTNESS && view->brightness > 0)
            bw__color_brightness(planes, p->brightness);
        else if (p->order[i] == CONTRAST && view->contrast > 0)
            bw__color_contrast(planes, p->contrast);
        else if (p->order[i] == SATURATION && view->saturation > 0)
            bw__color_saturation(planes, p->saturation);
        else if (p->order[i] == HUE && view->hue > 0)
            bw__color_hue(planes, p->hue);
    }
}

bw_status bw__augment_apply(uint8_t *dst, int64_t size, const bw_image *image,
                            const bw_augment_params *params, const bw_view_config *view,
                            bw_augment_work *work)
{
    const bw_augment_params *p = params;
    bw_status st = check_image(image, size);
    if (st != BW_OK) return st;
    if (p->crop_x < 0 || p->crop_y < 0 || p->crop_w < 1 || p->crop_h < 1 ||
        p->crop_w > image->width - p->crop_x || p->crop_h > image->height - p->crop_y)
        return bw_fail(BW_EINVAL, "crop %lld x %lld at (%lld, %lld) reaches out of an image of %lld x %lld",
                       (long long)p->crop_w, (long long)p->crop_h, (long long)p->crop_x, (long long)p->crop_y,
                       (long long)image->width, (long long)image->height);
    const bw_resample job = { .image = image,
                              .x = p->crop_x,
                              .y = p->crop_y,
                              .w = p->crop_w,
                              .h = p->crop_h,
                              .out_w = size,
                              .out_h = size,
                              .interpolation = view->interpolation,
                              .flip = p->flip };
    const size_t resample = bw__resample_work_bytes(&job, size), blur = bw__blur_work_bytes(size);
    bw_planes planes;
    char *rest;
    st = work_planes(&planes, &rest, work, size, resample > blur ? resample : blur);
    if (st != BW_OK) return st;

    bw__resample(&planes, &job, rest);
    if (p->jitter) jitter(&planes, p, view);
    if (p->grey) bw__color_grey(&planes);
    if (p->blur_sigma > 0) bw__blur(&planes, p->blur_sigma, rest);
    if (p->solarize) bw__color_solarize(&planes, view->solarize_threshold);
    write_pixels(dst, &planes);
    return BW_OK;
}

bw_status bw__eval_transform(uint8_t *dst, int64_t size, const bw_image *image, bool keep_exact,
                             bw_augment_work *work)
{
    bw_status st = check_image(image, size);
    if (st != BW_OK) return st;
    if (keep_exact && image->height == size && image->width == size) {
        memcpy(dst, image->rgb, (size_t)(size * size * 3));
        return BW_OK;
    }
    const int64_t w = image->width, h = image->height, shorter = w < h ? w : h;
    const int64_t target = (int64_t)nearbyint((double)size * 256.0 / 224.0);
    /* The longer side is cut off to whole pixels, the corner of the crop rounded to even halves. */
    bw_resample job = { .image = image, .w = w, .h = h, .interpolation = BW_INTERPOLATION_BILINEAR };
    job.out_w = w == shorter ? target : (int64_t)((double)(target * w) / (double)shorter);
    job.out_h = h == shorter ? target : (int64_t)((double)(target * h) / (double)shorter);
    job.window_x = (int64_t)nearbyint((double)(job.out_w - size) / 2.0);
    job.window_y = (int64_t)nearbyint((double)(job.out_h - size) / 2.0);
    bw_planes planes;
    char *rest;
    st = work_planes(&planes, &rest, work, size, bw__resample_work_bytes(&job, size));
    if (st != BW_OK) return st;
    bw__resample(&planes, &job, rest);
    write_pixels(dst, &planes);
    return BW_OK;
}

/* The kernel takes the factors of 16 pixels at a time. */
void bw__normalise(float *dst, const uint8_t *src, int64_t pixels, const double mean[3], const double std[3])
{
    float scale[48], shift[48];
    for (int j = 0; j < 48; j++) {
        scale[j] = (float)(1.0 / (255.0 * std[j % 3]));
        shift[j] = (float)(-mean[j % 3] / std[j % 3]);
    }
    bw__kernels()->scale_and_shift(dst, src, pixels * 3, scale, shift);
}
