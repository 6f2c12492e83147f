/* Batch normalisation of tensors seen as [views][rows][c], statistics per view and channel, with the ReLU
 * and the residual addition that follow it (Ioffe & Szegedy 2015).
 *
 *     mean, var (biased) over the rows of one view;  rstd = 1 / sqrt(var + BW_BN_EPS)
 *     bn(y) = weight * (y - mean) * rstd + bias  =  a * y + b
 *
 * As in PyTorch, running statistics move by BW_BN_MOMENTUM towards the new ones, once per view in order, and
 * take the unbiased variance (rows - 1). Sums are taken over fixed pieces of rows and added in order in
 * double: results do not depend on the number of threads. The variance is summed about the view's first row,
 * so that a mean far larger than the standard deviation does not cancel.
 *
 * Where ranks share the batch (x->comm) means, variances and the sums of the backward pass are over the rows
 * of all of them: one message of 2 views c doubles for each direction, and running statistics are the same
 * everywhere. Gradients of weight and bias are of this rank's rows alone, to be summed over ranks with those
 * of every other parameter. */
#ifndef BW_NN_BATCH_NORM_H
#define BW_NN_BATCH_NORM_H
#include "nn/exec.h"
#include "nn/type.h"

#define BW_BN_EPS      1e-5
#define BW_BN_MOMENTUM 0.1

typedef struct bw_bn {
    bw_type type; /* of y, dst and their gradients */
    int views;
    int64_t rows, c;
    float *mean, *rstd, *a, *b; /* [views, c], one allocation at mean; valid from statistics to backward */
} bw_bn;

BW_MUST_CHECK
bw_status bw__bn_create(bw_bn *out, bw_type type, int views, int64_t rows, int64_t c);
void bw__bn_destroy(bw_bn *bn);

/* Parameters of one batch norm; all NULL for the affine-free one (weight 1, bias 0, nothing kept). */
typedef struct bw_bn_params {
    const float *weight, *bias;        /* [c] */
    float *running_mean, *running_var; /* [c], updated in training */
} bw_bn_params;

/* Training: statistics of y [views, rows, c], coefficients, running statistics. */
void bw__bn_statistics(bw_bn *bn, bw_exec *x, const void *y, const bw_bn_params *p);
/* Evaluation: coefficients from the running statistics. */
void bw__bn_use_running(bw_bn *bn, bw_exec *x, const bw_bn_params *p);

/* dst = a y + b; may be in place. */
void bw__bn_forward(const bw_bn *bn, bw_exec *x, void *dst, const void *y);
/* dst = relu(a y + b); may be in place. */
void bw__bn_relu_forward(const bw_bn *bn, bw_exec *x, void *dst, const void *y);
/* dst = relu(bn(y) + s), s = shortcut, or shortcut_bn(shortcut) where that is not NULL. dst may be y or
 * shortcut. */
void bw__bn_add_relu_forward(const bw_bn *bn, bw_exec *x, void *dst, const void *y, const void *shortcut,
                             const bw_bn *shortcut_bn);

/* Sets diff to 0 where dst <= 0, in place: the backward of a ReLU whose output is kept. */
void bw__relu_backward(const bw_bn *bn, bw_exec *x, void *diff, const void *dst);

/* Gradient of bn, or of relu(bn) with `relu` (its sign is taken from a y + b again).
 * diff_y may be diff_dst or y. diff_weight, diff_bias [c] are overwritten (sum over views); both NULL for the
 * affine-free one. */
void bw__bn_backward(const bw_bn *bn, bw_exec *x, void *diff_y, float *diff_weight, float *diff_bias,
                     const void *diff_dst, const void *y, const bw_bn_params *p, bool relu);

/* For kernels that find the sums themselves (fused_head.c). moments [2, views, c]: mean and biased variance
 * over the rows of all ranks; sets coefficients and moves the running statistics. */
void bw__bn_set_statistics(bw_bn *bn, const bw_exec *x, const double *moments, const bw_bn_params *p);
/* From this rank's sums [2, views, c] of g and of g (y - mean), which become those of all ranks, with
 * xhat = (y - mean) rstd:
 *     diff_y = weight rstd (g - mean(g) - xhat mean(g xhat)) = by_diff g + by_y (y - mean) + offset
 * coef [3, views, c]: by_diff, by_y, offset. diff_weight and diff_bias [c] are overwritten with the sums over
 * views, this rank's; both may be NULL. */
void bw__bn_backward_coefficients(const bw_bn *bn, bw_exec *x, double *sums, const bw_bn_params *p,
                                  float *coef, float *diff_weight, float *diff_bias);

/* The conv-based expansion's tail: h [views * n, c] = mean over the positions of one image of relu(a y + b);
 * rows = n * positions. */
void bw__bn_relu_pool_forward(const bw_bn *bn, bw_exec *x, float *h, const void *y, int64_t positions);
/* Its gradient: diff_y may be y. */
void bw__bn_relu_pool_backward(const bw_bn *bn, bw_exec *x, void *diff_y, float *diff_weight,
                               float *diff_bias, const float *diff_h, const void *y, const bw_bn_params *p,
                               int64_t positions);
#endif
