/* Update rules over one block's parameters. w: value, g: gradient, m: momentum buffer.
 *
 * lars  (You et al. 2017, as in Barlow Twins' code) for every tensor that is not 1-d:
 *           g' = g + weight_decay w;  if |w| > 0 and |g'| > 0:  g' *= eta |w| / |g'|
 *       1-d tensors (batch norm) have neither decay nor adaptation: g' = g. Then
 *           m = momentum m + g';  w = w - lr m
 * sgd   (as torch.optim.SGD): g' = g + weight_decay w for every tensor;  m = momentum m + g';  w = w - lr m
 *
 * Norms are summed in double over fixed pieces in order: the same bits for any number of threads. */
#ifndef BW_TRAIN_OPTIMIZER_H
#define BW_TRAIN_OPTIMIZER_H
#include "blockwise/config.h"
#include "model/params.h"

/* params->momenta must be there. */
void bw__optimizer_update(bw_params *params, const float *grads, double lr, const bw_optimizer_config *config,
                          int threads);
/* Euclidean norm of v [n]. */
double bw__norm(const float *v, int64_t n, int threads);
#endif
