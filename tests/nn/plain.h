/* Plain-C twins of the kernels, in double: what "right" means. */
#ifndef BW_TESTS_NN_PLAIN_H
#define BW_TESTS_NN_PLAIN_H
#include "nn/conv.h"
#include "nn/matmul.h"
#include <math.h>
#include <stdlib.h>

/* Which of the three the innermost multiply-add feeds. */
typedef enum plain_pass { PLAIN_FORWARD, PLAIN_DATA, PLAIN_WEIGHTS } plain_pass;

/* The convolution's only formula: dst += src * weights, diff_src += diff_dst * weights or
 * diff_weights += src * diff_dst over all index pairs. */
static inline void plain_conv(const bw_conv_shape *s, plain_pass pass, double *src, double *weights,
                              double *dst)
{
    int64_t oh = bw__conv_out(s->h, s->kernel, s->stride, s->pad),
            ow = bw__conv_out(s->w, s->kernel, s->stride, s->pad);
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t y = 0; y < oh; y++)
            for (int64_t x = 0; x < ow; x++)
                for (int64_t o = 0; o < s->oc; o++)
                    for (int64_t i = 0; i < s->ic; i++)
                        for (int ky = 0; ky < s->kernel; ky++)
                            for (int kx = 0; kx < s->kernel; kx++) {
                                int64_t iy = y * s->stride - s->pad + ky, ix = x * s->stride - s->pad + kx;
                                if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w) continue;
                                double *a = &src[((n * s->h + iy) * s->w + ix) * s->ic + i];
                                double *w = &weights[((o * s->ic + i) * s->kernel + ky) * s->kernel + kx];
                                double *d = &dst[((n * oh + y) * ow + x) * s->oc + o];
                                if (pass == PLAIN_FORWARD) *d += *a * *w;
                                if (pass == PLAIN_DATA) *a += *d * *w;
                                if (pass == PLAIN_WEIGHTS) *w += *a * *d;
                            }
}

/* relu(bn(y)) of one view, biased variance; weight and bias may be NULL. */
static inline void plain_bn_relu(double *dst, const double *y, const double *weight, const double *bias,
                                 int64_t rows, int64_t c, double eps, int with_relu)
{
    for (int64_t i = 0; i < c; i++) {
        double m = 0, v = 0;
        for (int64_t r = 0; r < rows; r++)
            m += y[r * c + i] / (double)rows;
        for (int64_t r = 0; r < rows; r++)
            v += (y[r * c + i] - m) * (y[r * c + i] - m) / (double)rows;
        for (int64_t r = 0; r < rows; r++) {
            double z = (y[r * c + i] - m) / sqrt(v + eps);
            z = (weight ? weight[i] : 1.0) * z + (bias ? bias[i] : 0.0);
            dst[r * c + i] = with_relu && z < 0 ? 0 : z;
        }
    }
}

/* Small integers, so that f32 sums are exact. */
/* dst += op(a) op(b), every index through its own leading dimension. */
static inline void plain_matmul(const bw_matmul_shape *s, double *dst, const double *a, const double *b)
{
    int64_t lda = s->lda ? s->lda : s->transpose_a ? s->m : s->k;
    int64_t ldb = s->ldb ? s->ldb : s->transpose_b ? s->k : s->n;
    int64_t ldc = s->ldc ? s->ldc : s->n;
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++)
            for (int64_t k = 0; k < s->k; k++)
                dst[i * ldc + j] += a[s->transpose_a ? k * lda + i : i * lda + k] *
                                    b[s->transpose_b ? j * ldb + k : k * ldb + j];
}

static inline void fill_integers(float *f, double *d, int64_t n, unsigned seed)
{
    for (int64_t i = 0; i < n; i++) {
        unsigned h = (unsigned)i * 2654435761u + seed * 40503u;
        h ^= h >> 15;
        d[i] = (double)(int)(h % 7u) - 3.0;
        f[i] = (float)d[i];
    }
}

static inline void fill_random(float *f, double *d, int64_t n, unsigned seed)
{
    for (int64_t i = 0; i < n; i++) {
        unsigned h = (unsigned)i * 2654435761u + seed * 2246822519u;
        h ^= h >> 16;
        h *= 0x85ebca6bu;
        h ^= h >> 13;
        h *= 0xc2b2ae35u;
        h ^= h >> 16;
        f[i] = (float)(h / 4294967296.0 * 2.0 - 1.0);
        d[i] = (double)f[i];
    }
}
#endif
