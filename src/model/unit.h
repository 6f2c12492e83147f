/* A residual unit: out = relu(bn(conv(... relu(bn(conv(in))) ...)) + shortcut(in)).
 *
 * Saved for the backward pass: the output y[i] of every convolution, but for two that are computed again: the
 * shortcut's, and a 1x1 convolution at the end of a unit that has one. Such a unit is the first of its stage;
 * when its backward pass comes, the memory of the others is free. What batch norm and ReLU make of y[i] is
 * computed again too. A gradient takes the place of the tensor it belongs to: d y[i] that of y[i], which
 * nothing needs any more when d y[i] is known.
 *
 * With run->recompute nothing is saved: the backward pass begins with the convolutions of the forward pass
 * once more. */
#ifndef BW_MODEL_UNIT_H
#define BW_MODEL_UNIT_H
#include "model/layer.h"
#include "nn/conv.h"

typedef struct bw_unit {
    const bw_unit_spec *spec; /* borrowed */
    bw_conv *conv[3], *downsample;
    bw_bn bn[3], downsample_bn;
    int64_t in_count, out_count; /* elements of input and output, all views */
    int64_t y_count[3];          /* of the convolutions' outputs; y_count[last] is out_count */
    int64_t inner_count;         /* the most of y_count without the last */
    int kept;                    /* y[0] .. y[kept - 1] are saved without recompute */
    void *y[3];                  /* of the running step, in the arena */
} bw_unit;

/* n: images of all views; h, w: input size, replaced by the output's. need_diff_in: false for the first unit
 * of a block, whose input's gradient nobody wants. */
BW_MUST_CHECK
bw_status bw__unit_create(bw_unit *unit, bw_exec *x, const bw_unit_spec *spec, int views, int64_t n,
                          int64_t *h, int64_t *w, bool training, bool need_diff_in);
void bw__unit_destroy(bw_unit *unit);
/* Floating point operations of forward, or of forward and backward. */
int64_t bw__unit_flops(const bw_unit *unit, bool backward, bool need_diff_in);

/* In training without recompute the saved tensors stay taken on the run's side of the arena. */
BW_MUST_CHECK
bw_status bw__unit_forward(bw_unit *unit, const bw_run *run, void *out, const void *in);

/* Sets diff to 0 where `out` is 0: the first part of the backward pass and the only one that needs `out`. */
void bw__unit_mask(const bw_unit *unit, const bw_run *run, void *diff, const void *out);
/* The rest. diff: masked gradient of out in; with need_diff_in the gradient of `in` out, otherwise its
 * content is lost. It has room for both. */
BW_MUST_CHECK
bw_status bw__unit_backward(bw_unit *unit, const bw_run *run, void *diff, const void *in, bool need_diff_in);
#endif
