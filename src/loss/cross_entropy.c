/* Cross-entropy of a classifier, for supervised training block by block or end to end. z are the logits of
 * both views, [2N, D] with D classes, and y the label of each image:
 *
 *     L = scale * mean over all 2N rows i of [ log sum_j exp(z_ij) - z_i,y(i) ]
 *
 * Gradient: scale * (softmax(z_i) - onehot(y(i))) / (2N). Each row's largest logit is taken off before exp;
 * sums are in double. Term top1: per cent of rows whose label's logit is larger than every other. */
#include "base/memory.h"
#include "loss/loss.h"
#include <math.h>

typedef struct cross_entropy {
    int64_t n, d;
    double scale;
} cross_entropy;

static void cross_entropy_destroy(void *state)
{
    bw__free(state);
}

static bw_status cross_entropy_create(void **state, bw_exec *x, const bw_loss_config *config, int64_t n,
                                      int64_t d)
{
    (void)x;
    cross_entropy *c = NULL;
    if (n < 1 || d < 2)
        return bw_fail(BW_EINVAL, "cross-entropy needs at least 1 image and 2 classes, not %lld and %lld",
                       (long long)n, (long long)d);
    bw_status st = BW_ALLOC(&c, 1);
    if (st != BW_OK) return st;
    *c = (cross_entropy){ .n = n, .d = d, .scale = config->scale };
    *state = c;
    return BW_OK;
}

static bw_status check_labels(const cross_entropy *c, const int *labels)
{
    if (!labels) return bw_fail(BW_EINVAL, "the cross-entropy loss needs labels, and there are none");
    for (int64_t i = 0; i < c->n; i++)
        if (labels[i] < 0 || labels[i] >= c->d)
            return bw_fail(
                BW_EDATA,
                "image %lld of the batch has label %d%s; the cross-entropy loss needs labels from 0 "
                "to %lld (loss.classes %lld)",
                (long long)i + 1, labels[i], labels[i] == -1 ? " (none)" : "", (long long)c->d - 1,
                (long long)c->d);
    return BW_OK;
}

typedef struct row_value {
    double loss;
    bool right;
} row_value;

static row_value learn_row(const cross_entropy *c, float *diff, const float *z, int label)
{
    double share = c->scale / (2.0 * (double)c->n), sum = 0.0;
    float largest_other = -INFINITY, own = z[label];
    for (int64_t j = 0; j < c->d; j++)
        if (j != label && z[j] > largest_other) largest_other = z[j];
    float shift = own > largest_other ? own : largest_other;
    for (int64_t j = 0; j < c->d; j++) {
        diff[j] = expf(z[j] - shift);
        sum += (double)diff[j];
    }
    float to_diff = (float)(share / sum);
    for (int64_t j = 0; j < c->d; j++)
        diff[j] *= to_diff;
    diff[label] -= (float)share;
    return (row_value){ .loss = log(sum) - (double)(own - shift), .right = own > largest_other };
}

static bw_status cross_entropy_run(void *state, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                                   const int *labels)
{
    const cross_entropy *c = state;
    int64_t rows = 2 * c->n, right = 0;
    double sum = 0.0;
    size_t mark = bw__exec_mark(x);
    row_value *values = bw__arena_take(&x->arena, x->side, (size_t)rows * sizeof *values);
    bw_status st = bw__exec_is_dry(x) ? BW_OK : check_labels(c, labels);
    if (st != BW_OK || bw__exec_is_dry(x)) goto out;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < rows; i++)
        values[i] = learn_row(c, diff_z + i * c->d, z + i * c->d, labels[i % c->n]);
    for (int64_t i = 0; i < rows; i++) {
        sum += values[i].loss;
        right += values[i].right;
    }
    *out = (bw_loss_value){ .total = c->scale * sum / (double)rows,
                            .term = { 100.0 * (double)right / (double)rows } };
out:
    bw__exec_release(x, mark);
    return st;
}

static int64_t cross_entropy_flops(const void *state)
{
    (void)state;
    return 0; /* no matrix product */
}

const bw_loss_ops bw__loss_cross_entropy = { .name = "cross-entropy",
                                             .terms = { "top1" },
                                             .needs_labels = true,
                                             .create = cross_entropy_create,
                                             .destroy = cross_entropy_destroy,
                                             .run = cross_entropy_run,
                                             .flops = cross_entropy_flops };
