/* Conv-based expansion, batch norm, ReLU and global average pooling as one kernel that never stores the
 * expansion (1x1 only). Per view, over its M positions, with x centred on its mean:
 *
 *     y = W x             [positions, d]     made in tiles that stay in cache
 *     S = sum x x^T       [c, c]             var(y) = rowsum((W S) * W) / M,  mean(y) = W mean(x)
 *     z = a (y - mean) + bias,  a = weight / std
 *     h = mean over an image's positions of relu(z)
 *
 * For the backward pass one bit for each element of z is kept, and for each image and channel the number of
 * positive z and the sum of y - mean over them. With g = diff_h / positions, batch norm's two sums follow
 * from those, and with diff_y = a g [z > 0] + by_y (y - mean) + offset:
 *
 *     dW       = (a g [z > 0])^T x + diag(by_y) W S
 *     diff_x   = (a g [z > 0]) W + x (W^T diag(by_y) W) + W^T offset
 *
 * Where ranks share the batch M, both means, the variance and batch norm's two sums are of all of them. Then
 * x is centred on the mean of all ranks' positions, but S stays this rank's sum, about that mean: since var
 * is linear in S, only diag(W S W^T) travels, in one message of views (c + d) doubles, and 2 views d in the
 * backward pass. dW as above is this rank's part of a sum, exact only when added up: the term
 * offset (sum x)^T, which is 0 over all ranks and not over one, is left out. So is it with a batch norm whose
 * gradients are this rank's.
 *
 * Products are of the activations' type with f32 sums; S, its products and all statistics are f32 or double.
 * Since x is centred first, a mean far above the standard deviation does not cancel. (Formulas: this
 * project; batch norm's gradient as in Ioffe & Szegedy 2015.) */
#ifndef BW_NN_FUSED_HEAD_H
#define BW_NN_FUSED_HEAD_H
#include "nn/batch_norm.h"

typedef struct bw_fused_head_shape {
    int views;
    int64_t images, positions; /* images: of all views */
    int64_t c, d;              /* channels of the input and of the expansion */
    bw_type type;              /* of the input and its gradient */
    bool training;             /* with a backward pass */
} bw_fused_head_shape;

typedef struct bw_fused_head bw_fused_head;

/* Whether it costs no more than storing the expansion: S and W^T diag W are 2 c / 3 d of the step's products,
 * and what they save is seven passes over the expansion. */
static inline bool bw__fused_head_pays(int64_t c, int64_t d)
{
    return 4 * c <= d;
}

/* BW_EKERNEL, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__fused_head_create(bw_fused_head **out, bw_exec *x, const bw_fused_head_shape *shape);
void bw__fused_head_free(bw_fused_head *head);

/* bn: of `d` channels and the shape's rows; takes the statistics and moves the running ones when `training`,
 * otherwise holds those to use (bw__bn_use_running). in [images, positions, c], weights [d, c],
 * h [images, d]. What the backward pass needs stays taken in the arena when training. */
BW_MUST_CHECK
bw_status bw__fused_head_forward(bw_fused_head *head, bw_exec *x, bw_bn *bn, const bw_bn_params *p, float *h,
                                 const void *in, const float *weights);
/* diff_in like in; diff_weights [d, c], diff_bn_weight and diff_bn_bias [d] are overwritten. */
BW_MUST_CHECK
bw_status bw__fused_head_backward(bw_fused_head *head, bw_exec *x, const bw_bn *bn, const bw_bn_params *p,
                                  void *diff_in, float *diff_weights, float *diff_bn_weight,
                                  float *diff_bn_bias, const float *diff_h, const void *in,
                                  const float *weights);
#endif
