#include "train/online_probe.h"
#include "base/memory.h"
#include "nn/loops.h"
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
static const float MOMENTUM = 0.9f;
static const double LEARNING_RATE = 0.1; /* the usual one of online classifiers on such features */

static bw_status create_classifier(bw_online_probe *p, bw_exec *x, int k, bool outline)
{
    bw_status st = BW_OK;
    bw_online_classifier *c = &p->block[k];
    int64_t rows = BW_VIEWS * p->images;
    const bw_loss_config loss = { .name = BW_LOSS_CROSS_ENTROPY, .scale = 1.0 };
    const bw_matmul_shape forward = { .m = rows, .n = p->classes, .k = c->dim, .transpose_b = true },
                          gradient = { .m = p->classes, .n = c->dim, .k = rows, .transpose_a = true };
    c->count = p->classes * (c->dim + 1);
    if (outline) {
        c->values = c->momenta = bw__untouchable();
    } else {
        BW_TRY(BW_ALLOC(&c->values, c->count));
        BW_TRY(BW_ALLOC(&c->momenta, c->count));
    }
    BW_TRY(bw__matmul_create(&c->forward, x, &forward));
    BW_TRY(bw__matmul_create(&c->gradient, x, &gradient));
    BW_TRY(bw__loss_create(&c->loss, x, &loss, p->images, p->classes));
out:
    return st;
}

bw_status bw__online_probe_create(bw_online_probe **out, bw_exec *x, const bw_network *network,
                                  const bool *learns, int64_t images)
{
    bw_status st = BW_OK;
    bw_online_probe *p = NULL;
    int64_t classes = network->config.loss.classes;
    *out = NULL;
    if (classes < 2)
        return bw_fail(BW_EINVAL, "probe.every: the online probe needs loss.classes, the number of classes "
                                  "of the data, and at least 2 of them");
    BW_TRY(BW_ALLOC(&p, 1));
    p->classes = (int)classes;
    p->blocks = network->blocks;
    p->images = images;
    p->threads = x->threads;
    for (int k = 0; k < network->blocks; k++) {
        if (!learns[k]) continue;
        p->block[k].dim = network->spec[k].head_dim;
        BW_TRY(create_classifier(p, x, k, network->outline));
    }
    *out = p;
    p = NULL;
out:
    bw__online_probe_free(p);
    return st;
}

void bw__online_probe_free(bw_online_probe *p)
{
    if (!p) return;
    for (int k = 0; k < p->blocks; k++) {
        bw_online_classifier *c = &p->block[k];
        bool outline = c->values == bw__untouchable();
        bw__matmul_free(c->forward);
        bw__matmul_free(c->gradient);
        bw__loss_free(c->loss);
        if (outline) continue;
        bw__free(c->values);
        bw__free(c->momenta);
    }
    bw__free(p);
}

int64_t bw__online_probe_bytes(const bw_online_probe *p)
{
    int64_t count = 0;
    for (int k = 0; k < p->blocks; k++)
        count += 2 * p->block[k].count;
    return count * (int64_t)sizeof(float);
}

static void add_biases(const bw_online_probe *p, const bw_online_classifier *c, float *logits, int64_t rows)
{
    const float *bias = c->values + p->classes * c->dim;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < p->classes; j++)
            logits[i * p->classes + j] += bias[j];
}

bool bw__online_probe_is_right(const bw_online_probe *p, const float *logits, int label)
{
    for (int j = 0; j < p->classes; j++)
        if (j != label && !(logits[j] < logits[label])) return false;
    return true;
}

/* Class 0 stands for no label until its rows are taken out of the gradient. Returns how many images of all
 * ranks have one. */
static double known_labels(int *known, bw_exec *x, const int *labels, int64_t n)
{
    double labelled = 0.0;
    for (int64_t i = 0; i < n; i++) {
        known[i] = labels[i] < 0 ? 0 : labels[i];
        labelled += labels[i] >= 0;
    }
    bw__exec_sum_f64(x, &labelled, 1);
    return labelled;
}

/* Makes the gradient of the mean over all rows of all ranks that of the mean over the labelled ones. */
static void leave_out_unlabelled(float *diff, const bw_online_probe *p, int ranks, const int *labels,
                                 double labelled)
{
    double images = (double)(p->images * ranks);
    float factor = (float)(images / labelled);
    if (labelled == images) return;
    for (int64_t i = 0; i < BW_VIEWS * p->images; i++)
        for (int64_t j = 0; j < p->classes; j++)
            diff[i * p->classes + j] *= labels[i % p->images] < 0 ? 0.0f : factor;
}

static double score(const bw_online_probe *p, bw_exec *x, const float *logits, const int *labels,
                    double labelled)
{
    double right = 0.0;
    for (int64_t i = 0; i < BW_VIEWS * p->images; i++) {
        int label = labels[i % p->images];
        right += label >= 0 && bw__online_probe_is_right(p, logits + i * p->classes, label);
    }
    bw__exec_sum_f64(x, &right, 1);
    return 100.0 * right / (BW_VIEWS * labelled);
}

/* grads: those of this rank's weights; the biases' are added here. */
static void update(bw_online_classifier *c, bw_exec *x, float *grads, const bw_online_probe *p,
                   const float *diff, double done)
{
    float *bias = grads + p->classes * c->dim;
    const bw_sgd_rule rule = { .trust = 1.0f,
                               .momentum = MOMENTUM,
                               .lr = (float)(LEARNING_RATE * 0.5 * (1.0 + cos(PI * done))) };
    for (int64_t j = 0; j < p->classes; j++) {
        double sum = 0.0;
        for (int64_t i = 0; i < BW_VIEWS * p->images; i++)
            sum += (double)diff[i * p->classes + j];
        bias[j] = (float)sum;
    }
    bw__exec_sum_f32(x, grads, c->count);
    bw__loops()->sgd(c->values, c->momenta, grads, &rule, c->count);
}

static void begin_again(bw_online_classifier *c)
{
    memset(c->values, 0, (size_t)c->count * sizeof *c->values);
    memset(c->momenta, 0, (size_t)c->count * sizeof *c->momenta);
}

bw_status bw__online_probe_learn(bw_online_probe *p, bw_exec *x, double *top1, int k, const float *h,
                                 const int *labels, double done)
{
    bw_status st = BW_OK;
    bw_online_classifier *c = &p->block[k];
    bw_loss_value loss = { 0 };
    int64_t rows = BW_VIEWS * p->images;
    double labelled = 0.0;
    bool dry = bw__exec_is_dry(x);
    size_t mark = bw__exec_mark(x);
    double begin = bw__profile_begin(x);
    float *logits = bw__exec_take_f32(x, rows * p->classes), *diff = bw__exec_take_f32(x, rows * p->classes),
          *grads = bw__exec_take_f32(x, c->count);
    int *known = bw__arena_take(&x->arena, x->side, (size_t)p->images * sizeof *known);
    *top1 = (double)NAN;
    if (!dry && !labels) BW_TRY(bw_fail(BW_EINVAL, "the online probe (probe.every) needs labels"));
    if (!dry) labelled = known_labels(known, x, labels, p->images);
    if (!dry && labelled == 0.0) goto out;
    BW_TRY(bw__matmul_run(c->forward, x, logits, h, c->values));
    if (!dry) add_biases(p, c, logits, rows);
    st = bw__loss_run(c->loss, x, &loss, diff, logits, known);
    if (st == BW_ENONFINITE) {
        begin_again(c);
        st = BW_OK;
        goto out;
    }
    if (st != BW_OK) goto out;
    if (!dry) leave_out_unlabelled(diff, p, bw__exec_ranks(x), labels, labelled);
    BW_TRY(bw__matmul_run(c->gradient, x, grads, diff, h));
    if (dry) goto out;
    *top1 = score(p, x, logits, labels, labelled);
    update(c, x, grads, p, diff, done);
out:
    bw__profile_end(x, begin, "online probe", "", 0);
    bw__exec_release(x, mark);
    return st;
}

bw_status bw__online_probe_logits(const bw_online_probe *p, int k, float *logits, const float *h, int64_t n)
{
    const bw_online_classifier *c = &p->block[k];
    const int before = bw__exec_swap_threads(p->threads);
    bw_status st = bw__sgemm(false, true, n, p->classes, c->dim, h, c->dim, c->values, c->dim, false, logits,
                             p->classes);
    (void)bw__exec_swap_threads(before);
    if (st == BW_OK) add_biases(p, c, logits, n);
    return st;
}

bool bw__online_probe_has_learnt(const bw_online_probe *p, int k)
{
    for (int64_t i = 0; i < p->block[k].count; i++)
        if (p->block[k].values[i] != 0.0f) return true;
    return false;
}
