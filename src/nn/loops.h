/* The inner loops of nn/ and of the optimiser, compiled once for each instruction set from loops_body.h. All
 * give the same bits. They run on one thread; pieces and threads are their callers' affair.
 *
 * Activations are `void *` of the given type; arithmetic is f32 whatever the type, rounded to nearest even
 * when stored. Coefficients are f32 [c]. Destinations may be the same array as an input of the same kind, but
 * must not overlap it otherwise. */
#ifndef BW_NN_LOOPS_H
#define BW_NN_LOOPS_H
#include "base/isa.h"
#include "nn/type.h"
#include <stdbool.h>

/* Batch norm of one view as the backward loops need it:
 *     diff_y = by_diff * g + by_y * (y - mean) + offset,  g = diff, or 0 where relu and a y + b <= 0 */
typedef struct bw_bn_slopes {
    const float *mean, *a, *b, *by_diff, *by_y, *offset;
} bw_bn_slopes;

typedef struct bw_sgd_rule {
    float trust, decay, momentum, lr;
} bw_sgd_rule;

typedef struct bw_adamw_rule {
    float keep, beta1, rest1, beta2, rest2; /* rest: what is left to 1 */
    float step, root, eps;                  /* with the bias corrections */
} bw_adamw_rule;

typedef struct bw_loops {
    /* sum [c] += y - shift, squares [c] += (y - shift)^2 over rows. */
    void (*moments)(bw_type type, double *sum, double *squares, const void *y, const float *shift,
                    int64_t rows, int64_t c);
    /* sum [c] += g, products [c] += g * (y - mean) over rows. */
    void (*products)(bw_type type, double *sum, double *products, const void *diff, const void *y,
                     const bw_bn_slopes *k, int64_t rows, int64_t c, bool relu);
    /* dst = a y + b, or relu of it. A NaN stays one. */
    void (*affine)(bw_type type, void *dst, const void *y, const float *a, const float *b, int64_t rows,
                   int64_t c, bool relu);
    /* dst = relu(a y + b + s), or relu(a y + b + (as s + bs)) where as is not NULL. */
    void (*affine_add_relu)(bw_type type, void *dst, const void *y, const float *a, const float *b,
                            const void *s, const float *as, const float *bs, int64_t rows, int64_t c);
    void (*bn_backward)(bw_type type, void *diff_y, const void *diff, const void *y, const bw_bn_slopes *k,
                        int64_t rows, int64_t c, bool relu);
    /* diff = 0 where dst <= 0. */
    void (*relu_backward)(bw_type type, void *diff, const void *dst, int64_t n);
    /* dst = p + q. */
    void (*add)(bw_type type, void *dst, const void *p, const void *q, int64_t n);

    /* One image whose positions are averaged: h [c] = mean of relu(a y + b); the number of positive positions
     * and the sum of y - mean over them; and the gradient, where g [c] is that of each position. */
    void (*relu_pool)(bw_type type, float *h, const void *y, const float *a, const float *b,
                      int64_t positions, int64_t c);
    void (*relu_pool_sums)(bw_type type, float *count, float *sum, const void *y, const bw_bn_slopes *k,
                           int64_t positions, int64_t c);
    void (*relu_pool_backward)(bw_type type, void *diff_y, const float *g, const void *y,
                               const bw_bn_slopes *k, int64_t positions, int64_t c);
    /* h [c] = mean over positions of src, and diff_src [positions, c] = g / positions. */
    void (*mean_rows)(bw_type type, float *h, const void *src, int64_t positions, int64_t c);
    void (*spread_rows)(bw_type type, void *diff_src, const float *g, int64_t positions, int64_t c);

    /* dst [c] = the largest, or a NaN, of the n >= 1 rows src; where [c] = its tap, the first of equals. */
    void (*max_window)(bw_type type, void *dst, uint8_t *where, const void *const *src, const uint8_t *tap,
                       int n, int64_t c);
    /* diff [c] = sum over n rows, in order, of from[i] where won[i] is tap[i]. */
    void (*max_gather)(bw_type type, void *diff, const void *const *from, const uint8_t *const *won,
                       const uint8_t *tap, int n, int64_t c);

    /* Of an expansion's tile (fused_head.c), rows `ld` apart, at most 32 of them: y f32, z = a y + b;
     * h += relu(z), count += [z > 0], sum += y [z > 0], bit r of signs [c] = [z > 0] in row r. count NULL: h
     * alone. */
    void (*relu_sums)(float *h, float *count, float *sum, uint32_t *signs, const float *y, int64_t ld,
                      const float *a, const float *b, int64_t rows, int64_t c);
    /* dst [rows, c] = slope [c] where its bit is set, or 0. */
    void (*expand_signs)(bw_type type, void *dst, int64_t ld, const uint32_t *signs, const float *slope,
                         int64_t rows, int64_t c);
    /* dst [rows, c], ld apart = src [rows, c] - row; and dst [rows, c] = src [rows, c], ld apart, f32 + row.
     */
    void (*subtract_row)(bw_type type, void *dst, int64_t ld, const void *src, const float *row, int64_t rows,
                         int64_t c);
    void (*add_row)(bw_type type, void *dst, const float *src, int64_t ld, const float *row, int64_t rows,
                    int64_t c);

    void (*to_f32)(bw_type type, float *dst, const void *src, int64_t n);
    void (*from_f32)(bw_type type, void *dst, const float *src, int64_t n);

    /* Sum of (a + factor b)^2; b NULL for a alone. */
    double (*square_sum)(const float *a, const float *b, float factor, int64_t n);
    /* m = momentum m + trust (g + decay w); w -= lr m. None may overlap another. */
    void (*sgd)(float *w, float *m, const float *g, const bw_sgd_rule *rule, int64_t n);
    /* m = beta1 m + rest1 g; v = beta2 v + rest2 g^2; w = keep w - step m / (sqrt(v) root + eps). As above.
     */
    void (*adamw)(float *w, float *m, float *v, const float *g, const bw_adamw_rule *rule, int64_t n);
} bw_loops;

extern const bw_loops bw__loops_plain, bw__loops_avx2, bw__loops_avx512;

/* Those of one instruction set; NULL where this processor cannot run them. */
const bw_loops *bw__loops_for(bw_isa isa);
/* The ones to use (bw__isa()). */
const bw_loops *bw__loops(void);
#endif
