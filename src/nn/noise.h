/* Noise on a block's output, in training only (method.md; Siddiqui et al. 2024, released code, model.py):
 *
 *     dst = src + sigma * s(src) * eps,   eps ~ N(0, 1)
 *
 * s is the unbiased standard deviation of one group of values of one view: `all` the whole tensor, `hw` one
 * sample and channel over its positions, `c` one sample and position over its channels. It is not detached:
 *
 *     diff_src = diff_dst + sigma * (sum over the group of diff_dst * eps) * (src - mean) / ((n - 1) s)
 *
 * Where ranks share the batch (x->comm) the tensor of kind `all` is that of all of them, in one message of 3
 * views doubles for each direction; `n` counts samples of this rank, for eps too.
 *
 * Where the group has one value or s = 0, noise and its gradient are 0. The authors' code takes kind `c` over
 * H; this is the stated meaning, channels. */
#ifndef BW_NN_NOISE_H
#define BW_NN_NOISE_H
#include "blockwise/config.h"
#include "nn/exec.h"
#include "nn/type.h"

/* Writes eps [count] of sample `n` (counted through both views) from a source that gives the same numbers at
 * every call; called from several threads. */
typedef void (*bw_eps_fn)(const void *user, float *eps, int64_t n, int64_t count);

typedef struct bw_noise {
    bw_noise_kind kind;
    double sigma;
    int views;
    int64_t n, positions, c; /* n: samples in one view */
    bw_eps_fn eps;
    const void *user;
    bw_type type; /* of dst, src, diff */
} bw_noise;

/* dst, src: [views, n, positions, c]; must not overlap. */
void bw__noise_forward(const bw_noise *noise, bw_exec *x, void *dst, const void *src);
/* diff in place: gradient of dst in, gradient of src out. */
void bw__noise_backward(const bw_noise *noise, bw_exec *x, void *diff, const void *src);
#endif
