/* A residual unit: out = relu(bn(conv(... relu(bn(conv(in))) ...)) + shortcut(in)).
 *
 * Saved for the backward pass: the output of every convolution, and `out`. What batch norm and ReLU make of
 * them is computed again where it is needed. */
#ifndef BW_MODEL_UNIT_H
#define BW_MODEL_UNIT_H
#include "model/layer.h"
#include "nn/conv.h"

typedef struct bw_unit {
    const bw_unit_spec *spec; /* borrowed */
    bw_conv *conv[3], *downsample;
    bw_bn bn[3], downsample_bn;
    int64_t in_count, out_count; /* floats of input and output, all views */
    int64_t y_count[3];
    /* Of the running step, in the arena: */
    float *y[3], *y_downsample;
} bw_unit;

/* n: images of all views; h, w: input size, replaced by the output's. need_diff_in: false for the first unit
 * of a block, whose input's gradient nobody wants. */
BW_MUST_CHECK
bw_status bw__unit_create(bw_unit *unit, bw_exec *x, const bw_unit_spec *spec, int views, int64_t n,
                          int64_t *h, int64_t *w, bool training, bool need_diff_in);
void bw__unit_destroy(bw_unit *unit);
/* Largest of its tensors, in floats. */
int64_t bw__unit_max_count(const bw_unit *unit);
/* Floating point operations of forward, or of forward and backward. */
int64_t bw__unit_flops(const bw_unit *unit, bool backward, bool need_diff_in);

/* In training the saved tensors stay taken on the run's side of the arena. */
BW_MUST_CHECK
bw_status bw__unit_forward(bw_unit *unit, const bw_run *run, float *out, const float *in);

/* diff: gradient of out in; gradient of `in` out (nothing useful without need_diff_in). t1, t2: scratch. All
 * three have room for the largest tensor. */
BW_MUST_CHECK
bw_status bw__unit_backward(bw_unit *unit, const bw_run *run, float *diff, float *t1, float *t2,
                            const float *in, const float *out, bool need_diff_in);
#endif
