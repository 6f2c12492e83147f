/* Raw pixels as features: what kNN knows without any network. */
#ifndef BW_EVAL_PIXELS_H
#define BW_EVAL_PIXELS_H
#include "eval/image_pass.h"

typedef struct bw_pixel_set {
    float *x; /* [n, dim] */
    int *label;
    int64_t n, dim, unlabelled;
} bw_pixel_set;

/* The normalised pixels of all labelled images of two data sets, in vectors whose scalar products are those
 * of the [S, S, 3] tensors. Where every image of both is grey the vectors are a third as long: with x_c = (g
 * - mean_c) / std_c, the sum of x_c y_c over the channels is a (g - b/a)(h - b/a) + (c - b^2/a), where a =
 * sum 1/std^2, b = sum mean/std^2, c = sum mean^2/std^2: one value per pixel, and one more for all constants.
 *
 * The first `pass` is for the training images, the second for the test images. Start from zero bytes; clear
 * after success or failure. */
BW_MUST_CHECK
bw_status bw__pixel_sets_fill(bw_pixel_set *train_set, const bw_dataset *train,
                              const bw_image_pass *train_pass, bw_pixel_set *test_set, const bw_dataset *test,
                              const bw_image_pass *test_pass, bw_progress_fn progress, void *user);
void bw__pixel_set_clear(bw_pixel_set *set);

/* The size in which raw pixels are compared where no network says one: that of the images where the first of
 * both data sets are square, alike and at most 96 pixels wide; else 32. */
BW_MUST_CHECK
bw_status bw__pixel_size(int64_t *size, const bw_dataset *train, const bw_dataset *test);
#endif
