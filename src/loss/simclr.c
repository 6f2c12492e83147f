/* SimCLR's contrastive loss, NT-Xent (Chen et al. 2020, eq. 1). With u the 2N rows of both views divided by
 * their lengths, s_ij = u_i . u_j / temperature, and p(i) the row of the same image in the other view:
 *
 *     L = scale * mean over all 2N rows i of [ log sum_{j != i} exp(s_ij) - s_i,p(i) ]
 *
 * Some implementations sum where this is a mean, or leave the positive out of the denominator; not here. A
 * row of length 0 has no direction: it counts as u = 0 and gets no gradient.
 *
 * Gradient: with P_ij = exp(s_ij) / sum_k exp(s_ik) (0 for i = j) and Y_i,p(i) = 1,
 * G = scale (P - Y) / (2N temperature), dL/du = (G + G^T) u, and through the division by the length
 * dL/dz_i = (dL/du_i - u_i (u_i . dL/du_i)) / |z_i|. Each row's largest s is taken off before exp. */
#include "base/memory.h"
#include "loss/loss.h"
#include "nn/matmul.h"
#include <math.h>

typedef struct simclr {
    int64_t n, d;
    double temperature, scale;
    bw_matmul *compare; /* u u^T */
    bw_matmul *spread;  /* (G + G^T) u */
} simclr;

static void simclr_destroy(void *state)
{
    simclr *s = state;
    bw__matmul_free(s->compare);
    bw__matmul_free(s->spread);
    bw__free(s);
}

static bw_status simclr_create(void **state, bw_exec *x, const bw_loss_config *config, int64_t n, int64_t d)
{
    bw_status st = BW_OK;
    simclr *s = NULL;
    if (n < 2)
        return bw_fail(BW_EINVAL,
                       "SimCLR tells an image from the others of its batch, so it needs at least 2 images, "
                       "not %lld",
                       (long long)n);
    if (d < 1) return bw_fail(BW_EINVAL, "SimCLR needs at least 1 dimension, not %lld", (long long)d);
    BW_TRY(BW_ALLOC(&s, 1));
    *s = (simclr){ .n = n, .d = d, .temperature = config->temperature, .scale = config->scale };
    const bw_matmul_shape compare = { .m = 2 * n, .n = 2 * n, .k = d, .transpose_b = true },
                          spread = { .m = 2 * n, .n = d, .k = 2 * n };
    BW_TRY(bw__matmul_create(&s->compare, x, &compare));
    BW_TRY(bw__matmul_create(&s->spread, x, &spread));
    *state = s;
    s = NULL;
out:
    if (s) simclr_destroy(s);
    return st;
}

/* u = z / |z|, or 0; inverse [2n] of the lengths. */
static void normalise(const simclr *s, bw_exec *x, float *u, double *inverse, const float *z)
{
    int64_t d = s->d;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < 2 * s->n; i++) {
        double squares = 0.0;
        for (int64_t j = 0; j < d; j++)
            squares += (double)z[i * d + j] * (double)z[i * d + j];
        inverse[i] = squares == 0.0 ? 0.0 : 1.0 / sqrt(squares);
        for (int64_t j = 0; j < d; j++)
            u[i * d + j] = (float)((double)z[i * d + j] * inverse[i]);
    }
}

typedef struct anchor {
    double loss;
    bool found; /* the positive is nearer than every other row */
} anchor;

/* row [2n] holds u_i . u_j and becomes row i of G. */
static anchor contrast_row(const simclr *s, float *row, int64_t i)
{
    int64_t rows = 2 * s->n, positive = i < s->n ? i + s->n : i - s->n;
    float largest_other = -INFINITY, to_s = (float)(1.0 / s->temperature);
    double sum = 0.0;
    for (int64_t j = 0; j < rows; j++)
        if (j != i && j != positive && row[j] > largest_other) largest_other = row[j];
    float own = row[positive], shift = own > largest_other ? own : largest_other;
    for (int64_t j = 0; j < rows; j++) {
        row[j] = j == i ? 0.0f : expf((row[j] - shift) * to_s);
        sum += (double)row[j];
    }
    float to_g = (float)(s->scale / ((double)rows * s->temperature * sum));
    for (int64_t j = 0; j < rows; j++)
        row[j] *= to_g;
    row[positive] -= (float)(s->scale / ((double)rows * s->temperature));
    return (anchor){ .loss = log(sum) - (double)(own - shift) * (double)to_s, .found = own > largest_other };
}

/* g = g + g^T. */
static void add_transposed(bw_exec *x, float *g, int64_t rows)
{
#pragma omp parallel for schedule(dynamic, 16) num_threads(x->threads)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i; j < rows; j++)
            g[i * rows + j] = g[j * rows + i] = g[i * rows + j] + g[j * rows + i];
}

/* diff_z holds dL/du and becomes dL/dz. */
static void through_length(const simclr *s, bw_exec *x, float *diff_z, const float *u, const double *inverse)
{
    int64_t d = s->d;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < 2 * s->n; i++) {
        double along = 0.0;
        for (int64_t j = i * d; j < (i + 1) * d; j++)
            along += (double)u[j] * (double)diff_z[j];
        for (int64_t j = i * d; j < (i + 1) * d; j++)
            diff_z[j] = (float)(((double)diff_z[j] - (double)u[j] * along) * inverse[i]);
    }
}

static bw_status simclr_run(void *state, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                            const int *labels)
{
    (void)labels;
    bw_status st = BW_OK;
    simclr *s = state;
    int64_t rows = 2 * s->n, found = 0;
    double sum = 0.0;
    size_t mark = bw__exec_mark(x);
    float *u = bw__exec_take_f32(x, rows * s->d);
    float *g = bw__exec_take_f32(x, rows * rows);
    double *inverse = bw__arena_take(&x->arena, x->side, (size_t)rows * sizeof *inverse);
    anchor *anchors = bw__arena_take(&x->arena, x->side, (size_t)rows * sizeof *anchors);
    bool dry = bw__exec_is_dry(x);
    if (!dry) normalise(s, x, u, inverse, z);
    BW_TRY(bw__matmul_run(s->compare, x, g, u, u));
    if (!dry) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < rows; i++)
            anchors[i] = contrast_row(s, g + i * rows, i);
        add_transposed(x, g, rows);
    }
    BW_TRY(bw__matmul_run(s->spread, x, diff_z, g, u));
    if (dry) goto out;
    through_length(s, x, diff_z, u, inverse);
    for (int64_t i = 0; i < rows; i++) {
        sum += anchors[i].loss;
        found += anchors[i].found;
    }
    *out = (bw_loss_value){ .total = s->scale * sum / (double)rows,
                            .term = { 100.0 * (double)found / (double)rows } };
out:
    bw__exec_release(x, mark);
    return st;
}

static int64_t simclr_flops(const void *state)
{
    const simclr *s = state;
    return bw__matmul_flops(s->compare) + bw__matmul_flops(s->spread);
}

const bw_loss_ops bw__loss_simclr = { .name = "simclr",
                                      .terms = { "contrast_top1" },
                                      .create = simclr_create,
                                      .destroy = simclr_destroy,
                                      .run = simclr_run,
                                      .flops = simclr_flops };
