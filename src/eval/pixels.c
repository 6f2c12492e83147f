#include "eval/pixels.h"
#include "base/memory.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LARGEST_NATIVE = 96, OTHERWISE = 32 };

bw_status bw__pixel_size(int64_t *size, const bw_dataset *train, const bw_dataset *test)
{
    bw_status st = BW_OK;
    bw_image a = { 0 }, b = { 0 };
    *size = OTHERWISE;
    /* An unreadable first image only costs the native size; the pass over the images will name it. */
    st = bw_dataset_read(train, 0, &a);
    if (st == BW_OK) st = bw_dataset_read(test, 0, &b);
    if (st == BW_OK && a.height == a.width && a.width <= LARGEST_NATIVE && b.height == a.height &&
        b.width == a.width)
        *size = a.width;
    bw_image_clear(&a);
    bw_image_clear(&b);
    return st == BW_EDATA ? BW_OK : st;
}

typedef struct filling {
    bw_pixel_set *set;
    const bw_dataset *dataset;
    const bw_augment_config *augment;
    int64_t pixels; /* of an image */
    bool grey;
    bool met_colour; /* although `grey` */
} filling;

static bool is_grey(const float *rgb, int64_t pixels)
{
    /* Values are whole numbers over 255, so equal bytes are equal floats. */
    for (int64_t i = 0; i < pixels; i++)
        if (rgb[3 * i] < rgb[3 * i + 1] || rgb[3 * i] > rgb[3 * i + 1] || rgb[3 * i] < rgb[3 * i + 2] ||
            rgb[3 * i] > rgb[3 * i + 2])
            return false;
    return true;
}

static void grey_row(float *dst, const float *rgb, int64_t pixels, const double mean[3], const double std[3])
{
    double a = 0, b = 0, c = 0;
    for (int i = 0; i < 3; i++) {
        double w = 1.0 / (std[i] * std[i]);
        a += w;
        b += w * mean[i];
        c += w * mean[i] * mean[i];
    }
    for (int64_t i = 0; i < pixels; i++)
        dst[i] = (float)(sqrt(a) * ((double)rgb[3 * i] - b / a));
    /* Not below 0 but for rounding (Cauchy and Schwarz). */
    dst[pixels] = (float)sqrt(fmax(0.0, (double)pixels * (c - b * b / a)));
}

static void colour_row(float *dst, const float *rgb, int64_t pixels, const double mean[3],
                       const double std[3])
{
    for (int64_t i = 0; i < 3 * pixels; i++)
        dst[i] = (float)(((double)rgb[i] - mean[i % 3]) / std[i % 3]);
}

static bw_status take_batch(void *user, const bw_batch *batch)
{
    filling *f = user;
    bw_pixel_set *set = f->set;
    for (int64_t i = 0; i < batch->n && !f->met_colour; i++) {
        const float *rgb = batch->images + i * f->pixels * 3;
        int label = bw_dataset_label(f->dataset, batch->index[i]);
        if (label < 0) {
            set->unlabelled++;
            continue;
        }
        float *row = set->x + set->n * set->dim;
        if (!f->grey)
            colour_row(row, rgb, f->pixels, f->augment->mean, f->augment->std);
        else if (is_grey(rgb, f->pixels))
            grey_row(row, rgb, f->pixels, f->augment->mean, f->augment->std);
        else
            f->met_colour = true;
        set->label[set->n++] = label;
    }
    return f->met_colour ? BW_EINTERRUPTED : BW_OK; /* ends the pass; the caller tells it apart */
}

static bw_status fill(bool *met_colour, bw_pixel_set *set, const bw_dataset *dataset,
                      const bw_image_pass *pass, bool grey, const bw_progress *progress)
{
    bw_status st = BW_OK;
    bw_augment_config plain = *pass->augment;
    bw_image_pass p = *pass;
    int64_t room = bw__image_pass_size(pass, dataset), pixels = pass->image_size * pass->image_size;
    filling f = { .set = set, .dataset = dataset, .augment = pass->augment, .pixels = pixels, .grey = grey };

    for (int c = 0; c < 3; c++) {
        plain.mean[c] = 0;
        plain.std[c] = 1;
    }
    p.augment = &plain;
    bw__pixel_set_clear(set);
    set->dim = grey ? pixels + 1 : 3 * pixels;
    if (bw__alloc_array((void **)&set->x, room, (size_t)set->dim * sizeof *set->x) != BW_OK ||
        BW_ALLOC(&set->label, room) != BW_OK)
        return bw_fail(BW_ENOMEM, "out of memory: pixels of %" PRId64 " images, %" PRId64 " values each",
                       room, set->dim);
    st = bw__image_pass(&p, dataset, take_batch, &f, progress);
    *met_colour = f.met_colour;
    if (f.met_colour) return BW_OK;
    if (st == BW_OK && set->unlabelled > 0)
        bw_log(BW_LOG_WARN, "%" PRId64 " of %" PRId64 " images have no label and are left out",
               set->unlabelled, room);
    return st;
}

bw_status bw__pixel_sets_fill(bw_pixel_set *train_set, const bw_dataset *train,
                              const bw_image_pass *train_pass, bw_pixel_set *test_set, const bw_dataset *test,
                              const bw_image_pass *test_pass, bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    bw_progress first = { .fn = progress, .user = user, .what = "pixels of the training images" };
    bw_progress second = { .fn = progress, .user = user, .what = "pixels of the test images" };
    bool grey = true, colour = false;
    /* As grey until the first colour, which photographs show at once: then from the beginning in colour. */
    for (;;) {
        BW_TRY(fill(&colour, train_set, train, train_pass, grey, &first));
        if (!colour) BW_TRY(fill(&colour, test_set, test, test_pass, grey, &second));
        if (!colour) break;
        grey = false;
    }
out:
    return st;
}

void bw__pixel_set_clear(bw_pixel_set *set)
{
    bw__free(set->x);
    bw__free(set->label);
    *set = (bw_pixel_set){ 0 };
}
