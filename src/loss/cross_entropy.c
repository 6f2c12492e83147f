/* Cross-entropy of a classifier, for supervised training block by block or end to end. z are the logits of
 * both views, [2N, D] with D classes, and y the label of each image:
 *
 *     L = scale * mean over all 2N rows i of [ log sum_j exp(z_ij) - z_i,y(i) ]
 *
 * Gradient: scale * (softmax(z_i) - onehot(y(i))) / (2N). Each row's largest logit is taken off before exp;
 * sums are in double. Term top1: per cent of rows whose label's logit is larger than every other.
 *
 * Over ranks: N counts the images of all. Summed: L, the rows that are right, and whether a rank's labels are
 * wrong, so that all of them return: 24 bytes. */
#include "base/memory.h"
#include "loss/loss.h"
#include <math.h>

typedef struct cross_entropy {
    int64_t n, d, all_rows; /* all_rows: 2N */
    double scale;
} cross_entropy;

static void cross_entropy_destroy(void *state)
{
    bw__free(state);
}

static bw_status cross_entropy_create(void **state, bw_exec *x, const bw_loss_config *config, int64_t n,
                                      int64_t d)
{
    cross_entropy *c = NULL;
    if (n < 1 || d < 2)
        return bw_fail(BW_EINVAL, "cross-entropy needs at least 1 image and 2 classes, not %lld and %lld",
                       (long long)n, (long long)d);
    bw_status st = BW_ALLOC(&c, 1);
    if (st != BW_OK) return st;
    *c = (cross_entropy){ .n = n, .d = d, .all_rows = 2 * n * bw__exec_ranks(x), .scale = config->scale };
    *state = c;
    return BW_OK;
}

static bw_status check_labels(const cross_entropy *c, const bw_exec *x, const int *labels)
{
    if (!labels) return bw_fail(BW_EINVAL, "the cross-entropy loss needs labels, and there are none");
    for (int64_t i = 0; i < c->n; i++)
        if (labels[i] < 0 || labels[i] >= c->d)
            return bw_fail(
                BW_EDATA,
                "image %lld of %s batch has label %d%s; the cross-entropy loss needs labels from 0 "
                "to %lld (loss.classes %lld)",
                (long long)i + 1, bw__exec_ranks(x) == 1 ? "the" : "this rank's", labels[i],
                labels[i] == -1 ? " (none)" : "", (long long)c->d - 1, (long long)c->d);
    return BW_OK;
}

typedef struct row_value {
    double loss;
    bool right;
} row_value;

static row_value learn_row(const cross_entropy *c, float *diff, const float *z, int label)
{
    double share = c->scale / (double)c->all_rows, sum = 0.0;
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

/* What ranks sum. */
enum { LOSS, RIGHT, WITHOUT_LABELS, SUMS };

static void learn_rows(const cross_entropy *c, bw_exec *x, double *sums, float *diff_z, const float *z,
                       const int *labels, row_value *values)
{
    int64_t rows = 2 * c->n;
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < rows; i++)
        values[i] = learn_row(c, diff_z + i * c->d, z + i * c->d, labels[i % c->n]);
    for (int64_t i = 0; i < rows; i++) {
        sums[LOSS] += values[i].loss;
        sums[RIGHT] += values[i].right;
    }
}

static bw_status cross_entropy_run(void *state, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                                   const int *labels)
{
    const cross_entropy *c = state;
    bw_status st = BW_OK;
    double sums[SUMS] = { 0.0 };
    size_t mark = bw__exec_mark(x);
    row_value *values = bw__arena_take(&x->arena, x->side, (size_t)(2 * c->n) * sizeof *values);
    if (bw__exec_is_dry(x)) goto out;
    st = check_labels(c, x, labels);
    if (st == BW_OK)
        learn_rows(c, x, sums, diff_z, z, labels, values);
    else
        sums[WITHOUT_LABELS] = 1.0;
    bw__exec_sum_f64(x, sums, SUMS);
    if (st == BW_OK && sums[WITHOUT_LABELS] > 0.0)
        st =
            bw_fail(BW_EREMOTE, "the labels of another rank are not for the cross-entropy loss; it says why");
    *out = (bw_loss_value){ .total = c->scale * sums[LOSS] / (double)c->all_rows,
                            .term = { 100.0 * sums[RIGHT] / (double)c->all_rows } };
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
