#include "eval/cached_probe.h"
#include "base/memory.h"
#include "base/rng.h"
#include <stdio.h>

/* The rates span what features of any block need once they are standardised; the widest factor between
 * neighbours costs less accuracy than the held-out tenth can tell. */
static const double rates[] = { 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0 };
enum { N_RATES = sizeof rates / sizeof *rates };
/* Fewer steps stop one to two points short of the converged classifier (8,000 Fashion-MNIST images, 128
 * features of a random network: 78.6 % after 1000 steps, 79.6 after 4000, 80.3 by L-BFGS). */
enum { BATCH = 256, EPOCHS = 30, MIN_STEPS = 3000 };
enum { SWEEP_PART = 3 }; /* the sweep runs a third of the epochs */
static const double MOMENTUM = 0.9, WEIGHT_DECAY = 1e-6;

static bw_status check_rows(const bw_selection *train)
{
    int64_t differing = 0;
    for (int64_t i = 1; i < train->n; i++)
        differing += train->label[i] != train->label[0];
    if (train->n < 2 || differing == 0)
        return bw_fail(BW_EDATA,
                       "linear probe: %lld labelled training images of one class; it needs two classes",
                       (long long)train->n);
    return BW_OK;
}

static int epochs_for(int64_t rows, int asked)
{
    if (asked > 0) return asked;
    int64_t steps = (rows + BATCH - 1) / BATCH, least = (MIN_STEPS + steps - 1) / steps;
    return (int)(least > EPOCHS ? least : EPOCHS);
}

/* Fills `rows` with all rows in order, the held-out ones (n_held of them) last. */
static void hold_out(int64_t *rows, int64_t n, int64_t n_held, uint64_t seed)
{
    int64_t kept = 0, held = n - n_held;
    for (int64_t i = 0; i < n; i++) {
        /* No epoch has this number, so the choice is independent of every epoch's order. */
        bool out = (int64_t)bw__permute(seed, UINT64_MAX, (uint64_t)i, (uint64_t)n) < n_held;
        rows[out ? held++ : kept++] = i;
    }
}

static bw_status fit(bw_linear **out, const bw_selection *train, const bw_linear_config *config, int epochs,
                     const bw_progress *progress)
{
    bw_status st = BW_OK;
    BW_TRY(bw__linear_create(out, config));
    bw__linear_standardise(*out, train);
    BW_TRY(bw__linear_fit(*out, train, epochs, progress));
out:
    return st;
}

/* The best learning rate by the held-out rows. */
static bw_status sweep(bw_cached_result *result, const bw_selection *train, bw_linear_config config,
                       const bw_progress *progress)
{
    bw_status st = BW_OK;
    bw_linear *linear = NULL;
    int64_t *rows = NULL, n_held = train->n / 10 > 0 ? train->n / 10 : 1;
    double top1[N_RATES], top5[N_RATES];
    bw_selection kept = *train, held = *train;

    BW_TRY(BW_ALLOC(&rows, train->n));
    hold_out(rows, train->n, n_held, config.seed);
    kept.rows = rows;
    kept.n = train->n - n_held;
    held.rows = rows + kept.n;
    held.n = n_held;
    config.n_lr = N_RATES;
    for (int k = 0; k < N_RATES; k++)
        config.lr[k] = rates[k];
    int epochs = (result->epochs + SWEEP_PART - 1) / SWEEP_PART;
    BW_TRY(fit(&linear, &kept, &config, epochs, progress));
    bw__linear_score(top1, top5, linear, &held);
    int best = 0;
    for (int k = 1; k < N_RATES; k++)
        if (top1[k] > top1[best]) best = k;
    result->lr = rates[best];
    result->held_out = top1[best];
    result->n_lr = N_RATES;
out:
    bw__free(rows);
    bw__linear_free(linear);
    return st;
}

bw_status bw__cached_probe_fit(bw_linear **classifier, bw_cached_result *out, const bw_selection *train,
                               const bw_cached_probe *probe, const bw_progress *progress)
{
    bw_status st = BW_OK;
    bw_linear *linear = NULL;
    bw_cached_result r = { 0 };
    bw_progress first = progress ? *progress : (bw_progress){ 0 }, second = first;
    double share = first.share > 0 ? first.share : 1.0, half = share / 2;

    *classifier = NULL;
    BW_TRY(check_rows(train));
    first.share = second.share = half;
    second.first += half;
    r.rows = train->n;
    r.epochs = epochs_for(train->n, probe->epochs);
    bw_linear_config config = { .dim = bw__columns_dim(train->columns),
                                .classes = probe->classes,
                                .batch = BATCH,
                                .n_lr = 1,
                                .momentum = MOMENTUM,
                                .weight_decay = WEIGHT_DECAY,
                                .seed = probe->seed,
                                .threads = probe->threads };
    BW_TRY(sweep(&r, train, config, &first));
    config.lr[0] = r.lr;
    BW_TRY(fit(&linear, train, &config, r.epochs, &second));
    BW_TRY(bw__linear_check_finite(linear, 0));
    *out = r;
    *classifier = linear;
    linear = NULL;
out:
    bw__linear_free(linear);
    return st;
}

bw_status bw__cached_probe(bw_linear **classifier, bw_cached_result *out, const bw_selection *train,
                           const bw_selection *test, const bw_cached_probe *probe,
                           const bw_progress *progress)
{
    bw_linear *linear = NULL;
    if (classifier) *classifier = NULL;
    if (test->n < 1) return bw_fail(BW_EDATA, "linear probe: no labelled test image");
    bw_status st = bw__cached_probe_fit(&linear, out, train, probe, progress);
    if (st == BW_OK) bw__linear_score(&out->top1, &out->top5, linear, test);
    if (st == BW_OK && classifier) {
        *classifier = linear;
        linear = NULL;
    }
    bw__linear_free(linear);
    return st;
}

void bw__cached_protocol(char *text, size_t size, const bw_cached_result *r, int64_t image_size)
{
    (void)snprintf(
        text, size,
        "cached: evaluation transform %lld px, standardised features, softmax regression, SGD momentum %g, "
        "batch %d, %d epochs, cosine, wd %g, lr %g of %d swept on a held-out tenth, %lld training images, "
        "last epoch",
        (long long)image_size, MOMENTUM, BATCH, r->epochs, WEIGHT_DECAY, r->lr, r->n_lr, (long long)r->rows);
}
