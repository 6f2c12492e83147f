/* What is done to every element of an activation by itself. */
#ifndef BW_NN_ELEMENTWISE_H
#define BW_NN_ELEMENTWISE_H
#include "nn/exec.h"
#include "nn/type.h"

/* dst = p + q; dst may be p or q. */
void bw__add(bw_exec *x, bw_type type, void *dst, const void *p, const void *q, int64_t n);
/* From and to f32; bf16 is rounded to nearest even. */
void bw__to_f32(bw_exec *x, bw_type type, float *dst, const void *src, int64_t n);
void bw__from_f32(bw_exec *x, bw_type type, void *dst, const float *src, int64_t n);

/* Copies in scratch of x: src as f32; f32 values rounded to what `type` holds. */
const float *bw__f32_copy(bw_exec *x, bw_type type, const void *src, int64_t n);
const float *bw__rounded_copy(bw_exec *x, bw_type type, const float *src, int64_t n);
#endif
