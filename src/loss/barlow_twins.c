/* Barlow Twins (Zbontar et al. 2021, eq. 1), with the factor `scale` of the authors' code on the whole.
 *
 * With A and B the two views' embeddings standardised per column over the N images (biased variance + eps, an
 * affine-free batch norm), C = A^T B / N:
 *
 *     L = scale * ( sum_i (C_ii - 1)^2 + lambda * sum_{i != j} C_ij^2 )
 *
 * Gradient: G = dL/dC, then dA = B G^T / N, dB = A G / N, then through the standardisation. Sums of L are in
 * double. One reduction: L is the loss of the whole batch, not a mean over images.
 *
 * Over ranks: N counts the images of all. The batch norm is one over all of them (nn/batch_norm.h, 64 D bytes
 * in both directions), and A^T B [D, D] is summed in its place in float, 4 D^2 bytes; every rank then has all
 * of L and G, and multiplies G by its own rows. */
#include "base/memory.h"
#include "loss/loss.h"
#include "nn/batch_norm.h"
#include "nn/matmul.h"

typedef struct barlow {
    int64_t n, d, all; /* all: N */
    double lambda, scale;
    bw_bn bn;
    bw_matmul *correlate; /* A^T B */
    bw_matmul *times_gt;  /* B G^T */
    bw_matmul *times_g;   /* A G */
} barlow;

static void barlow_destroy(void *state)
{
    barlow *b = state;
    bw__bn_destroy(&b->bn);
    bw__matmul_free(b->correlate);
    bw__matmul_free(b->times_gt);
    bw__matmul_free(b->times_g);
    bw__free(b);
}

static bw_status barlow_create(void **state, bw_exec *x, const bw_loss_config *config, int64_t n, int64_t d)
{
    bw_status st = BW_OK;
    barlow *b = NULL;
    int64_t all = n * bw__exec_ranks(x);
    if (all < 2 || d < 1)
        return bw_fail(BW_EINVAL, "Barlow Twins needs at least 2 images and 1 dimension, not %lld and %lld",
                       (long long)all, (long long)d);
    BW_TRY(BW_ALLOC(&b, 1));
    *b = (barlow){ .n = n, .d = d, .all = all, .lambda = config->lambda, .scale = config->scale };
    BW_TRY(bw__bn_create(&b->bn, BW_F32, 2, n, d));
    const bw_matmul_shape correlate = { .m = d, .n = d, .k = n, .transpose_a = true },
                          times_gt = { .m = n, .n = d, .k = d, .transpose_b = true },
                          times_g = { .m = n, .n = d, .k = d };
    BW_TRY(bw__matmul_create(&b->correlate, x, &correlate));
    BW_TRY(bw__matmul_create(&b->times_gt, x, &times_gt));
    BW_TRY(bw__matmul_create(&b->times_g, x, &times_g));
    *state = b;
    b = NULL;
out:
    if (b) barlow_destroy(b);
    return st;
}

/* c [d, d] holds A^T B; becomes G / N, and the sums are added up row by row in order. */
static void loss_and_gradient(const barlow *b, bw_exec *x, bw_loss_value *out, float *c, double *row_on,
                              double *row_off)
{
    int64_t d = b->d;
    float inv_n = 1.0f / (float)b->all;
    float g_on = (float)(2.0 * b->scale / (double)b->all),
          g_off = (float)(2.0 * b->scale * b->lambda / (double)b->all);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < d; i++) {
        float *row = c + i * d;
        float diag = row[i] * inv_n - 1.0f;
        double off = 0.0;
        row[i] = 0.0f;
        for (int64_t j = 0; j < d; j++) {
            float v = row[j] * inv_n;
            off += (double)v * (double)v;
            row[j] = g_off * v;
        }
        row[i] = g_on * diag;
        row_on[i] = (double)diag * (double)diag;
        row_off[i] = off;
    }
    double on_diag = 0.0, off_diag = 0.0;
    for (int64_t i = 0; i < d; i++) {
        on_diag += row_on[i];
        off_diag += row_off[i];
    }
    *out = (bw_loss_value){ .total = b->scale * (on_diag + b->lambda * off_diag),
                            .term = { on_diag, off_diag } };
}

static bw_status barlow_run(void *state, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                            const int *labels)
{
    (void)labels;
    bw_status st = BW_OK;
    barlow *b = state;
    int64_t nd = b->n * b->d;
    size_t mark = bw__exec_mark(x);
    float *a = bw__exec_take_f32(x, 2 * nd); /* [2, n, d] standardised */
    float *c = bw__exec_take_f32(x, b->d * b->d);
    double *rows = bw__arena_take(&x->arena, x->side, (size_t)(2 * b->d) * sizeof *rows);
    const bw_bn_params affine_free = { 0 };
    bw__bn_statistics(&b->bn, x, z, &affine_free);
    bw__bn_forward(&b->bn, x, a, z);
    BW_TRY(bw__matmul_run(b->correlate, x, c, a, a + nd));
    bw__exec_sum_f32(x, c, b->d * b->d);
    if (!bw__exec_is_dry(x)) loss_and_gradient(b, x, out, c, rows, rows + b->d);
    BW_TRY(bw__matmul_run(b->times_gt, x, diff_z, a + nd, c));
    BW_TRY(bw__matmul_run(b->times_g, x, diff_z + nd, a, c));
    bw__bn_backward(&b->bn, x, diff_z, NULL, NULL, diff_z, z, &affine_free, false);
out:
    bw__exec_release(x, mark);
    return st;
}

static int64_t barlow_flops(const void *state)
{
    const barlow *b = state;
    return 3 * bw__matmul_flops(b->correlate);
}

const bw_loss_ops bw__loss_barlow_twins = { .name = "barlow-twins",
                                            .terms = { "on_diag", "off_diag" },
                                            .create = barlow_create,
                                            .destroy = barlow_destroy,
                                            .run = barlow_run,
                                            .flops = barlow_flops };
