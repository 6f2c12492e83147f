/* Initial weights (method.md): trunk convolutions He normal with fan-out; head convolutions and projector
 * linears, biases too, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default (LARS depends on norms); batch
 * norm 1/0, but 0/0 where a residual branch starts at zero; running mean 0, variance 1. Every tensor draws
 * from a stream named by the seed and its own name, so adding or cutting blocks changes no other tensor. */
#ifndef BW_MODEL_INIT_H
#define BW_MODEL_INIT_H
#include "model/params.h"
void bw__init_params(bw_params *params, uint64_t seed);
#endif
