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
 * dL/dz_i = (dL/du_i - u_i (u_i . dL/du_i)) / |z_i|. Each row's largest s is taken off before exp.
 *
 * Over ranks: N counts the images of all, and a rank has the rows of u of all, but compares its own 2n alone
 * with them: [2n, 2N]. Column i of G, which it needs for its own rows of G^T, follows from s_ij = s_ji, and
 * the largest s and the sum of row i. So ranks gather u and those, 2n (4 D + 24) bytes from each, and no
 * gradient. */
#include "base/memory.h"
#include "loss/loss.h"
#include "nn/matmul.h"
#include <math.h>

typedef struct simclr {
    int64_t n, d, rows, all_rows; /* rows: 2n, all_rows: 2N */
    double temperature, scale;
    bw_matmul *compare; /* u u^T, for own rows */
    bw_matmul *spread;  /* (G + G^T) u, for own rows */
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
    int64_t all = n * bw__exec_ranks(x);
    if (all < 2)
        return bw_fail(BW_EINVAL,
                       "SimCLR tells an image from the others of its batch, so it needs at least 2 images, "
                       "not %lld",
                       (long long)all);
    if (d < 1) return bw_fail(BW_EINVAL, "SimCLR needs at least 1 dimension, not %lld", (long long)d);
    BW_TRY(BW_ALLOC(&s, 1));
    *s = (simclr){ .n = n,
                   .d = d,
                   .rows = 2 * n,
                   .all_rows = 2 * all,
                   .temperature = config->temperature,
                   .scale = config->scale };
    const bw_matmul_shape compare = { .m = s->rows, .n = s->all_rows, .k = d, .transpose_b = true },
                          spread = { .m = s->rows, .n = d, .k = s->all_rows };
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
    for (int64_t i = 0; i < s->rows; i++) {
        double squares = 0.0;
        for (int64_t j = 0; j < d; j++)
            squares += (double)z[i * d + j] * (double)z[i * d + j];
        inverse[i] = squares == 0.0 ? 0.0 : 1.0 / sqrt(squares);
        for (int64_t j = 0; j < d; j++)
            u[i * d + j] = (float)((double)z[i * d + j] * inverse[i]);
    }
}

/* What is known of a row. Gathered from all ranks, so without gaps. */
typedef struct anchor {
    double loss, sum; /* sum of exp(s - shift / temperature) */
    float shift;      /* largest u_i . u_j */
    int32_t found;    /* the positive is nearer than every other row */
} anchor;

/* Its loss and sum are still to come. */
static anchor look_along(const simclr *s, const float *row, int64_t self, int64_t positive)
{
    float largest_other = -INFINITY, own = row[positive];
    for (int64_t j = 0; j < s->all_rows; j++)
        if (j != self && j != positive && row[j] > largest_other) largest_other = row[j];
    return (anchor){ .shift = own > largest_other ? own : largest_other, .found = own > largest_other };
}

static double loss_of(const simclr *s, const anchor *a, float own)
{
    float to_s = (float)(1.0 / s->temperature);
    return log(a->sum) - (double)(own - a->shift) * (double)to_s;
}

/* row [2N] holds u_i . u_j and becomes row i of G. */
static anchor contrast_row(const simclr *s, float *row, int64_t i)
{
    int64_t rows = s->rows, positive = i < s->n ? i + s->n : i - s->n;
    float to_s = (float)(1.0 / s->temperature), own = row[positive];
    anchor a = look_along(s, row, i, positive);
    for (int64_t j = 0; j < rows; j++) {
        row[j] = j == i ? 0.0f : expf((row[j] - a.shift) * to_s);
        a.sum += (double)row[j];
    }
    float to_g = (float)(s->scale / ((double)rows * s->temperature * a.sum));
    for (int64_t j = 0; j < rows; j++)
        row[j] *= to_g;
    row[positive] -= (float)(s->scale / ((double)rows * s->temperature));
    a.loss = loss_of(s, &a, own);
    return a;
}

/* g = g + g^T. */
static void add_transposed(bw_exec *x, float *g, int64_t rows)
{
#pragma omp parallel for schedule(dynamic, 16) num_threads(x->threads)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i; j < rows; j++)
            g[i * rows + j] = g[j * rows + i] = g[i * rows + j] + g[j * rows + i];
}

/* g [2N, 2N] holds u u^T and becomes G + G^T. */
static void contrast_alone(const simclr *s, bw_exec *x, float *g, anchor *anchors)
{
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < s->rows; i++)
        anchors[i] = contrast_row(s, g + i * s->rows, i);
    add_transposed(x, g, s->rows);
}

/* The same for own rows [2n, 2N]; anchors [2N] of all ranks from own [2n]. Rows of a rank lie together. */
static bw_status contrast_ranks(const simclr *s, bw_exec *x, float *g, anchor *anchors, anchor *own)
{
    int64_t first = bw_comm_rank(x->comm) * s->rows;
    float to_s = (float)(1.0 / s->temperature);
    double weight = s->scale / ((double)s->all_rows * s->temperature);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < s->rows; i++) {
        const float *row = g + i * s->all_rows;
        int64_t positive = first + (i < s->n ? i + s->n : i - s->n);
        anchor a = look_along(s, row, first + i, positive);
        for (int64_t j = 0; j < s->all_rows; j++)
            a.sum += j == first + i ? 0.0 : (double)expf((row[j] - a.shift) * to_s);
        a.loss = loss_of(s, &a, row[positive]);
        own[i] = a;
    }
    bw_status st = bw__comm_gather(x->comm, anchors, own, (size_t)s->rows * sizeof *own);
    if (st != BW_OK) return st;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < s->rows; i++) {
        float *row = g + i * s->all_rows;
        for (int64_t j = 0; j < s->all_rows; j++) {
            double here = (double)expf((row[j] - own[i].shift) * to_s) / own[i].sum,
                   there = (double)expf((row[j] - anchors[j].shift) * to_s) / anchors[j].sum;
            row[j] = (float)(weight * (here + there));
        }
        row[first + i] = 0.0f;
        row[first + (i < s->n ? i + s->n : i - s->n)] -= (float)(2.0 * weight);
    }
    return BW_OK;
}

/* diff_z holds dL/du and becomes dL/dz. */
static void through_length(const simclr *s, bw_exec *x, float *diff_z, const float *u, const double *inverse)
{
    int64_t d = s->d;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < s->rows; i++) {
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
    int64_t found = 0;
    double sum = 0.0;
    bool dry = bw__exec_is_dry(x), alone = s->rows == s->all_rows;
    size_t mark = bw__exec_mark(x), anchor_bytes = (size_t)s->all_rows * sizeof(anchor);
    float *u = bw__exec_take_f32(x, s->rows * s->d);
    float *g = bw__exec_take_f32(x, s->rows * s->all_rows);
    double *inverse = bw__arena_take(&x->arena, x->side, (size_t)s->rows * sizeof *inverse);
    anchor *anchors = bw__arena_take(&x->arena, x->side, anchor_bytes), *own = NULL;
    float *all_u = u; /* of all ranks */
    if (!alone) {
        all_u = bw__exec_take_f32(x, s->all_rows * s->d);
        own = bw__arena_take(&x->arena, x->side, (size_t)s->rows * sizeof *own);
    }
    if (!dry) normalise(s, x, u, inverse, z);
    if (!dry && !alone) BW_TRY(bw__comm_gather(x->comm, all_u, u, (size_t)(s->rows * s->d) * sizeof *u));
    BW_TRY(bw__matmul_run(s->compare, x, g, u, all_u));
    if (!dry && alone) contrast_alone(s, x, g, anchors);
    if (!dry && !alone) BW_TRY(contrast_ranks(s, x, g, anchors, own));
    BW_TRY(bw__matmul_run(s->spread, x, diff_z, g, all_u));
    if (dry) goto out;
    through_length(s, x, diff_z, u, inverse);
    for (int64_t i = 0; i < s->all_rows; i++) {
        sum += anchors[i].loss;
        found += anchors[i].found;
    }
    *out = (bw_loss_value){ .total = s->scale * sum / (double)s->all_rows,
                            .term = { 100.0 * (double)found / (double)s->all_rows } };
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
