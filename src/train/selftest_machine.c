/* What one machine can find out alone: kernels against plain loops, gradients against the slope of their
 * loss, all threads against one. */
#include "base/memory.h"
#include "train/optimizer.h"
#include "train/selftest_problem.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WORD(end, word, ops) word,
static const char *const LOSSES[] = { BW_LOSS_LIST(WORD) NULL };
#undef WORD
/* The third derivative and rounding of the loss leave this much. */
static const double SLOPE_LIMIT = 0.01;
static const double THREADS_LIMIT = 1e-4; /* as ranks, which differ by the same: orders of sums */
/* By how much the loss is to change along the way whose slope is taken, as a share of it. */
static const double CHANGE = 0.002;

typedef struct report {
    bw_machine_check_fn on_check;
    void *user;
    bool *passed;
} report;

static void tell(const report *r, const char *what, const char *which, double difference, double limit)
{
    bw_machine_check c = { .difference = difference, .limit = limit, .passed = difference <= limit };
    (void)snprintf(c.what, sizeof c.what, "%s, %s", what, which);
    *r->passed = *r->passed && c.passed;
    if (r->on_check) r->on_check(r->user, &c);
}

/* --- slopes --- */

static void keep_gradient(void *user, int block, const float *grads)
{
    const bw_selftest_side *s = user;
    (void)block; /* end to end there is one */
    memcpy(s->network->params[0].momenta, grads, (size_t)s->network->params[0].trained * sizeof *grads);
}

static bw_status loss_at(double *out, bw_selftest_side *s)
{
    bw_step done;
    bw__trainer_set_steps_done(s->trainer, 0);
    bw_status st = bw__selftest_step(s, &done, 0);
    *out = done.loss[0];
    return st;
}

/* values = start + far * (the gradient, each tensor as long as its values are). */
static double go(bw_params *p, const float *start, double far)
{
    double slope = 0.0;
    for (int i = 0; i < p->n; i++) {
        const bw_param *t = &p->items[i];
        if (!bw__param_is_trained(t)) continue;
        const float *grad = p->momenta + t->offset;
        double length = bw__norm(grad, t->count, 1), size = bw__norm(start + t->offset, t->count, 1);
        double factor = length > 0.0 ? size / length : 0.0;
        for (int64_t j = t->offset; j < t->offset + t->count; j++)
            p->values[j] = (float)((double)start[j] + far * factor * (double)p->momenta[j]);
        slope += length * size;
    }
    return slope;
}

/* The loss's slope along its gradient, by a step to either side, against what the gradient says. */
static bw_status check_slope(const report *r, const char *loss, int threads)
{
    bw_status st = BW_OK;
    bw_selftest_side s = { .grid = bw__grid_alone() };
    float *start = NULL;
    double here, ahead, behind;
    char name[64], threads_text[32];
    (void)snprintf(name, sizeof name, "loss.name=%s", loss);
    (void)snprintf(threads_text, sizeof threads_text, "threads=%d", threads);
    const char *const settings[] = {
        "train.order=end-to-end", "head.pool=cbe", "head.dim=256", "train.batch=16", name, threads_text, NULL
    };
    BW_TRY(bw__selftest_make(&s, NULL, settings));
    s.trainer->no_update = true;
    s.trainer->on_grads = keep_gradient;
    s.trainer->user = &s;
    bw_params *p = &s.network->params[0];
    BW_TRY(BW_ALLOC(&start, p->total));
    memcpy(start, p->values, (size_t)p->total * sizeof *start);
    BW_TRY(loss_at(&here, &s));
    s.trainer->on_grads = NULL;
    double slope = go(p, start, 0.0), far = CHANGE * fabs(here) / slope;
    (void)go(p, start, far);
    BW_TRY(loss_at(&ahead, &s));
    (void)go(p, start, -far);
    BW_TRY(loss_at(&behind, &s));
    tell(r, "gradient against slope", loss, fabs((ahead - behind) / (2.0 * far * slope) - 1.0), SLOPE_LIMIT);
out:
    bw__free(start);
    bw__selftest_drop(&s);
    return st;
}

/* --- threads --- */

/* The largest difference on the problem of a seed. */
static bw_status compare_threads(double *out, const char *loss, int threads, int seed)
{
    bw_status st = BW_OK;
    bw_selftest_side one = { .grid = bw__grid_alone() }, all = { .grid = bw__grid_alone() };
    bw_network *start = NULL;
    bw_selftest_rates rates;
    bw_selftest_distance d;
    char name[64], threads_text[32], seed_text[32], lr[64];
    (void)snprintf(name, sizeof name, "loss.name=%s", loss);
    (void)snprintf(seed_text, sizeof seed_text, "seed=%d", seed);
    (void)snprintf(threads_text, sizeof threads_text, "threads=%d", threads);
    const char *settings[] = { "train.order=end-to-end",
                               "head.pool=cbe",
                               "head.dim=24",
                               "train.batch=16",
                               name,
                               seed_text,
                               NULL,
                               NULL,
                               NULL };
    enum { RATE = 6, THREADS };
    BW_TRY(bw__selftest_find_rates(&rates, settings));
    (void)snprintf(lr, sizeof lr, "optimizer.lr=%.9g", rates.lr[0]);
    settings[RATE] = lr;
    BW_TRY(bw__selftest_make(&one, NULL, settings));
    BW_TRY(bw__selftest_train(&one));
    settings[THREADS] = threads_text;
    BW_TRY(bw__selftest_make(&all, NULL, settings));
    BW_TRY(bw__selftest_train(&all));
    BW_TRY(bw__selftest_network(&start, &one.config));
    bw__selftest_compare(&d, start, &one, &all);
    *out = fmax(d.by_loss, fmax(d.by_statistics, d.by_weights));
    if (isnan(d.by_loss + d.by_statistics + d.by_weights)) *out = (double)NAN;
out:
    bw_network_free(start);
    bw__selftest_drop(&one);
    bw__selftest_drop(&all);
    return st;
}

/* As with ranks, on one of three problems: rounding may move the input of a ReLU across 0. */
static bw_status check_threads(const report *r, const char *loss, int threads)
{
    enum { TRIES = 3 };
    double difference = HUGE_VAL;
    for (int i = 0; i < TRIES && !(difference <= THREADS_LIMIT); i++) {
        bw_status st = compare_threads(&difference, loss, threads, i);
        if (st != BW_OK) return st;
    }
    tell(r, "all threads against one", loss, difference, THREADS_LIMIT);
    return BW_OK;
}

bw_status bw__selftest_machine(bool *passed, int threads, bw_machine_check_fn on_check, void *user)
{
    const report r = { .on_check = on_check, .user = user, .passed = passed };
    *passed = true;
    bw_status st = bw__selftest_kernels(passed, threads, on_check, user);
    for (int l = 0; st == BW_OK && LOSSES[l]; l++)
        st = check_slope(&r, LOSSES[l], threads);
    for (int l = 0; st == BW_OK && threads > 1 && LOSSES[l]; l++)
        st = check_threads(&r, LOSSES[l], threads);
    return st;
}
