/* Update rules over one block's parameters. w: value, g: gradient, m: momentum buffer.
 *
 * lars  (You et al. 2017, as in Barlow Twins' code) for every tensor that is not 1-d:
 *           g' = g + weight_decay w;  if |w| > 0 and |g'| > 0:  g' *= eta |w| / |g'|
 *       1-d tensors (batch norm) have neither decay nor adaptation: g' = g. Then
 *           m = momentum m + g';  w = w - lr m
 *       clip_lr: the factor is min(eta |w| / (lr |g'|), 1), so that a tensor's rate eta |w| / |g'| counts
 *       itself where it is below lr, and lr where it is above (clip_lars_lr of solo-learn's lars.py). There
 *       the norm is |g| + weight_decay |w| + 1e-8 in place of |g + weight_decay w|, and a tensor without
 *       gradient has no decay.
 * sgd   (as torch.optim.SGD): g' = g + weight_decay w for every tensor;  m = momentum m + g';  w = w - lr m
 * adamw (Loshchilov & Hutter 2019, as torch.optim.AdamW) for every tensor, with v the mean of squares, beta1
 *       the setting `momentum`, t the block's own steps, this one included:
 *           w = (1 - lr weight_decay) w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
 *           w = w - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *
 * Norms are summed in double over fixed pieces in order: the same bits for any number of threads. */
#ifndef BW_TRAIN_OPTIMIZER_H
#define BW_TRAIN_OPTIMIZER_H
#include "blockwise/config.h"
#include "model/params.h"

/* step: this one's number among those in which the block learns, from 1. params->momenta must be there, and
 * params->squares with adamw. */
void bw__optimizer_update(bw_params *params, const float *grads, double lr, int64_t step,
                          const bw_optimizer_config *config, int threads);
/* The same with a learning rate of its own for each part: lr * rate[part], by bw_part; rate NULL: all 1. A
 * part of rate 0 keeps its weights, while momenta and squares move on. */
void bw__optimizer_update_parts(bw_params *params, const float *grads, double lr, const double *rate,
                                int64_t step, const bw_optimizer_config *config, int threads);
/* Euclidean norm of v [n]. */
double bw__norm(const float *v, int64_t n, int threads);
#endif
