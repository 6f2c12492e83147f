#include "eval/linear_classifier.h"
#include "base/linalg.h"
#include "base/memory.h"
#include "base/place.h"
#include "base/rng.h"
#include <float.h>
#include <math.h>
#include <string.h>

/* Work is shared out in slices of fixed size, so that neither the shape of a product nor the order of a sum
 * depends on the number of threads. */
enum { ROW_SLICE = 64, DIM_SLICE = 64 };
enum { STEPS_PER_REPORT = 64 };
/* Steps of fewer multiplications than this (some tenths of a millisecond) run in one thread: meeting at the
 * end of each half would cost more than sharing gains, many times more on a busy machine. */
enum { LEAST_SHARED_WORK = 1 << 23, LEAST_SHARED_ROWS = 1 << 13 };

/* A column of ones stands beside the features, so that the biases are the last row of the weights. The
 * classifiers of all learning rates lie side by side: one product serves them all.
 *
 *      x [batch, dim + 1]  *  w [dim + 1, n_lr * classes]  =  p [batch, n_lr * classes] */
struct bw_linear {
    bw_linear_config config;
    int64_t width, outputs; /* dim + 1, n_lr * classes */
    int step_threads;
    float *w, *v, *g;    /* [width, outputs]: weights, velocity, gradient */
    float *x, *p;        /* one batch */
    float *mean, *scale; /* [dim] */
};

int64_t bw__columns_dim(const bw_columns *columns)
{
    int64_t dim = 0;
    for (int p = 0; p < columns->parts; p++)
        dim += columns->dim[p];
    return dim;
}

static void init_weights(bw_linear *l)
{
    const bw_linear_config *c = &l->config;
    for (int64_t d = 0; d < c->dim; d++) {
        float *row = l->w + d * l->outputs;
        bw_rng rng = bw__rng(c->seed, BW_RNG_PROBE, (uint64_t)d, 0, 0);
        bw__rng_normal_f32(&rng, row, c->classes);
        for (int j = 0; j < c->classes; j++)
            row[j] *= (float)c->init_std;
        for (int k = 1; k < c->n_lr; k++)
            memcpy(row + k * c->classes, row, (size_t)c->classes * sizeof *row);
    }
}

bw_status bw__linear_create(bw_linear **out, const bw_linear_config *config)
{
    bw_status st = BW_OK;
    bw_linear *l = NULL;

    *out = NULL;
    if (config->dim < 1 || config->classes < 2 || config->batch < 1 || config->n_lr < 1 ||
        config->n_lr > BW_LINEAR_MAX_LR)
        return bw_fail(BW_EINVAL,
                       "linear classifier: %lld features, %d classes, batch %lld, %d learning rates",
                       (long long)config->dim, config->classes, (long long)config->batch, config->n_lr);
    BW_TRY(BW_ALLOC(&l, 1));
    l->config = *config;
    if (l->config.threads < 1) l->config.threads = 1;
    l->width = config->dim + 1;
    l->outputs = (int64_t)config->n_lr * config->classes;
    l->step_threads = config->batch * l->width * l->outputs < LEAST_SHARED_WORK ? 1 : l->config.threads;
    BW_TRY(BW_ALLOC(&l->w, l->width * l->outputs));
    BW_TRY(BW_ALLOC(&l->v, l->width * l->outputs));
    BW_TRY(BW_ALLOC(&l->g, l->width * l->outputs));
    BW_TRY(BW_ALLOC(&l->x, config->batch * l->width));
    BW_TRY(BW_ALLOC(&l->p, config->batch * l->outputs));
    BW_TRY(BW_ALLOC(&l->mean, config->dim));
    BW_TRY(BW_ALLOC(&l->scale, config->dim));
    for (int64_t d = 0; d < config->dim; d++)
        l->scale[d] = 1.0f;
    if (config->init_std > 0) init_weights(l);
    *out = l;
    l = NULL;
out:
    bw__linear_free(l);
    return st;
}

void bw__linear_free(bw_linear *l)
{
    if (!l) return;
    bw__free(l->w);
    bw__free(l->v);
    bw__free(l->g);
    bw__free(l->x);
    bw__free(l->p);
    bw__free(l->mean);
    bw__free(l->scale);
    bw__free(l);
}

static int64_t source_row(const bw_selection *s, int64_t i)
{
    return s->rows ? s->rows[i] : i;
}

/* Mean and variance of features [first, first + n) of one array, n <= DIM_SLICE, in two passes. */
static void slice_statistics(float *mean, float *scale, const float *x, int64_t dim, int64_t first, int64_t n,
                             const bw_selection *s)
{
    double sum[DIM_SLICE] = { 0 }, square[DIM_SLICE] = { 0 };
    for (int64_t i = 0; i < s->n; i++) {
        const float *row = x + source_row(s, i) * dim + first;
        for (int64_t d = 0; d < n; d++)
            sum[d] += (double)row[d];
    }
    for (int64_t d = 0; d < n; d++)
        sum[d] /= (double)s->n;
    for (int64_t i = 0; i < s->n; i++) {
        const float *row = x + source_row(s, i) * dim + first;
        for (int64_t d = 0; d < n; d++) {
            double c = (double)row[d] - sum[d];
            square[d] += c * c;
        }
    }
    for (int64_t d = 0; d < n; d++) {
        double std = sqrt(square[d] / (double)s->n);
        mean[first + d] = (float)sum[d];
        scale[first + d] = std > 8.0 * (double)FLT_EPSILON * fabs(sum[d]) ? (float)(1.0 / std) : 0.0f;
    }
}

void bw__linear_standardise(bw_linear *l, const bw_selection *s)
{
    int64_t offset = 0;
    for (int p = 0; p < s->columns->parts; p++) {
        int64_t dim = s->columns->dim[p];
#pragma omp parallel for num_threads(l->config.threads) schedule(static)
        for (int64_t first = 0; first < dim; first += DIM_SLICE)
            slice_statistics(l->mean + offset, l->scale + offset, s->columns->x[p], dim, first,
                             dim - first < DIM_SLICE ? dim - first : DIM_SLICE, s);
        offset += dim;
    }
}

/* Standardised features, and the one beside them, of rows [base + first, base + end) of the selection, into
 * rows [first, end) of the batch; then their logits. */
static void forward(bw_linear *l, const bw_selection *s, int64_t base, int64_t first, int64_t end)
{
    for (int64_t i = first; i < end; i++) {
        float *dst = l->x + i * l->width;
        const float *mean = l->mean, *scale = l->scale;
        for (int p = 0; p < s->columns->parts; p++) {
            int64_t dim = s->columns->dim[p];
            const float *src = s->columns->x[p] + source_row(s, base + i) * dim;
            for (int64_t d = 0; d < dim; d++)
                dst[d] = (src[d] - mean[d]) * scale[d];
            dst += dim;
            mean += dim;
            scale += dim;
        }
        *dst = 1.0f;
    }
    bw_matrix x = { l->x + first * l->width, l->width, false }, w = { l->w, l->outputs, false };
    bw__gemm_f32(l->p + first * l->outputs, l->outputs, x, w, end - first, l->outputs, l->width, 1.0f, 0.0f);
}

/* Overwrites the logits of one row and one classifier with softmax - onehot(label), the gradient of the
 * row's cross-entropy by its logits. */
static void softmax_gradient(float *p, int classes, int label)
{
    float top = p[0], sum = 0;
    for (int j = 1; j < classes; j++)
        if (p[j] > top) top = p[j];
    for (int j = 0; j < classes; j++) {
        p[j] = expf(p[j] - top);
        sum += p[j];
    }
    for (int j = 0; j < classes; j++)
        p[j] /= sum;
    p[label] -= 1.0f;
}

/* Gradient and update of the weights of features [first, end). */
static void update(bw_linear *l, int64_t n, int64_t first, int64_t end, double lr_factor)
{
    const bw_linear_config *c = &l->config;
    bw_matrix xt = { l->x + first, l->width, true }, p = { l->p, l->outputs, false };
    float *g = l->g + first * l->outputs;
    float momentum = (float)c->momentum, decay = (float)c->weight_decay;
    bw__gemm_f32(g, l->outputs, xt, p, end - first, l->outputs, n, 1.0f / (float)n, 0.0f);
    for (int64_t d = first; d < end; d++)
        for (int k = 0; k < c->n_lr; k++) {
            int64_t at = d * l->outputs + (int64_t)k * c->classes;
            float lr = (float)(c->lr[k] * lr_factor);
            for (int64_t j = at; j < at + c->classes; j++) {
                l->v[j] = momentum * l->v[j] + (l->g[j] + decay * l->w[j]);
                l->w[j] -= lr * l->v[j];
            }
        }
}

void bw__linear_step(bw_linear *l, const bw_selection *batch, double lr_factor)
{
    const bw_linear_config *c = &l->config;
    BW_ASSERT(batch->n >= 1 && batch->n <= c->batch && bw__columns_dim(batch->columns) == c->dim);
#pragma omp parallel num_threads(l->step_threads)
    {
#pragma omp for schedule(static)
        for (int64_t first = 0; first < batch->n; first += ROW_SLICE) {
            int64_t end = first + ROW_SLICE < batch->n ? first + ROW_SLICE : batch->n;
            forward(l, batch, 0, first, end);
            for (int64_t i = first; i < end; i++)
                for (int k = 0; k < c->n_lr; k++)
                    softmax_gradient(l->p + i * l->outputs + (int64_t)k * c->classes, c->classes,
                                     batch->label[source_row(batch, i)]);
        }
#pragma omp for schedule(static)
        for (int64_t first = 0; first < l->width; first += DIM_SLICE)
            update(l, batch->n, first, first + DIM_SLICE < l->width ? first + DIM_SLICE : l->width,
                   lr_factor);
    }
}

bw_status bw__linear_fit(bw_linear *l, const bw_selection *train, int epochs, const bw_progress *progress)
{
    bw_status st = BW_OK;
    const bw_linear_config *c = &l->config;
    int64_t *order = NULL, step = 0, steps = epochs * ((train->n + c->batch - 1) / c->batch);

    BW_TRY(BW_ALLOC(&order, train->n));
    for (int epoch = 0; epoch < epochs; epoch++) {
#pragma omp parallel for num_threads(c->threads) schedule(static) if (train->n >= LEAST_SHARED_ROWS)
        for (int64_t i = 0; i < train->n; i++) {
            uint64_t j = bw__permute(c->seed, (uint64_t)epoch, (uint64_t)i, (uint64_t)train->n);
            order[i] = source_row(train, (int64_t)j);
        }
        for (int64_t first = 0; first < train->n; first += c->batch, step++) {
            bw_selection batch = *train;
            batch.rows = order + first;
            batch.n = train->n - first < c->batch ? train->n - first : c->batch;
            bw__linear_step(l, &batch, 0.5 * (1.0 + cos(acos(-1.0) * (double)step / (double)steps)));
            if (step % STEPS_PER_REPORT == 0) BW_TRY(bw__progress(progress, (double)step / (double)steps));
        }
    }
    st = bw__progress(progress, 1.0);
out:
    bw__free(order);
    return st;
}

/* hits[2 * k] counts first places for learning rate k, hits[2 * k + 1] places among the first five. */
static void count_hits(int64_t *hits, bw_linear *l, const bw_selection *s, int64_t base, int64_t first,
                       int64_t end)
{
    const bw_linear_config *c = &l->config;
    forward(l, s, base, first, end);
    for (int64_t i = first; i < end; i++)
        for (int k = 0; k < c->n_lr; k++) {
            const float *z = l->p + i * l->outputs + (int64_t)k * c->classes;
            int place = bw__place_of(z, c->classes, s->label[source_row(s, base + i)]);
            hits[2 * k] += place == 0;
            hits[2 * k + 1] += place < 5 && place < c->classes;
        }
}

void bw__linear_score(double *top1, double *top5, bw_linear *l, const bw_selection *test)
{
    const bw_linear_config *c = &l->config;
    int64_t hits[2 * BW_LINEAR_MAX_LR] = { 0 };
    for (int64_t base = 0; base < test->n; base += c->batch) {
        int64_t n = test->n - base < c->batch ? test->n - base : c->batch;
#pragma omp parallel for num_threads(l->step_threads) schedule(static) reduction(+ : hits)
        for (int64_t first = 0; first < n; first += ROW_SLICE)
            count_hits(hits, l, test, base, first, first + ROW_SLICE < n ? first + ROW_SLICE : n);
    }
    for (int k = 0; k < c->n_lr; k++) {
        top1[k] = 100.0 * (double)hits[2 * k] / (double)test->n;
        top5[k] = 100.0 * (double)hits[2 * k + 1] / (double)test->n;
    }
}

bw_status bw__linear_check_finite(const bw_linear *l, int lr)
{
    for (int64_t d = 0; d < l->width; d++)
        for (int64_t j = (int64_t)lr * l->config.classes; j < (int64_t)(lr + 1) * l->config.classes; j++)
            if (!isfinite(l->w[d * l->outputs + j]))
                return bw_fail(BW_ENONFINITE,
                               "linear probe: a weight became infinite or NaN at learning rate %g",
                               l->config.lr[lr]);
    return BW_OK;
}

void bw__linear_weights(float *weights, const bw_linear *l, int lr)
{
    size_t bytes = (size_t)l->config.classes * sizeof *weights;
    for (int64_t d = 0; d < l->width; d++)
        memcpy(weights + d * l->config.classes, l->w + d * l->outputs + (int64_t)lr * l->config.classes,
               bytes);
}

void bw__linear_fold(float *weight, float *bias, const bw_linear *l, int lr)
{
    const bw_linear_config *c = &l->config;
    for (int j = 0; j < c->classes; j++) {
        const float *w = l->w + (int64_t)lr * c->classes + j;
        double b = (double)w[c->dim * l->outputs];
        for (int64_t d = 0; d < c->dim; d++) {
            double v = (double)w[d * l->outputs] * (double)l->scale[d];
            weight[j * c->dim + d] = (float)v;
            b -= v * (double)l->mean[d];
        }
        bias[j] = (float)b;
    }
}
