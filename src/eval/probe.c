#include "base/machine.h"
#include "base/memory.h"
#include "eval/augmented_probe.h"
#include "eval/cached_probe.h"
#include "eval/features.h"
#include "eval/keep_classifier.h"
#include "data/splits.h"
#include "formats/atomic_file.h"
#include <stdio.h>

bw_probe_options bw_probe_options_default(void)
{
    return (bw_probe_options){ .block = -1, .head = true, .protocol = BW_PROTOCOL_CACHED };
}

/* The fits of all targets, several at once: they share nothing but the images' features. */
typedef struct cached_fits {
    const bw_target_list *targets;
    const bw_feature_set *train, *test;
    const bw_probe_options *options;
    int classes;
    int64_t image_size;
    bw_probe_result *results;
    bw_classifier *keep; /* [targets->n], or NULL */
    /* The rest is touched inside `omp critical` only. */
    bw_progress_fn progress;
    void *user;
    double done[2 * (BW_MAX_BLOCKS + 1)]; /* share of each target */
    bool stop;
    bw_status status; /* of the first fit that failed, and its message, kept by the thread that met it */
    char message[512];
} cached_fits;

typedef struct one_fit {
    cached_fits *all;
    int target;
} one_fit;

static int collect_progress(void *user, const char *what, double done)
{
    one_fit *fit = user;
    cached_fits *all = fit->all;
    int stop;
#pragma omp critical(bw_probe_progress)
    {
        double sum = 0;
        all->done[fit->target] = done;
        for (int t = 0; t < all->targets->n; t++)
            sum += all->done[t];
        if (!all->stop && all->progress)
            all->stop = all->progress(all->user, what, sum / all->targets->n) != 0;
        stop = all->stop;
    }
    return stop;
}

static void fit_target(cached_fits *all, int t)
{
    one_fit fit = { all, t };
    bw_progress p = { .fn = collect_progress, .user = &fit, .what = "linear probe" };
    bw_cached_probe probe = { all->classes, all->options->epochs, all->options->seed, all->options->threads };
    bw_columns a = bw__feature_columns(&all->train->arrays, all->targets->item[t]);
    bw_columns b = bw__feature_columns(&all->test->arrays, all->targets->item[t]);
    bw_selection train = { &a, all->train->label, NULL, all->train->n };
    bw_selection test = { &b, all->test->label, NULL, all->test->n };
    bw_probe_result *result = &all->results[t];
    bw_cached_result r = { 0 };
    bw_linear *linear = NULL;
    bw_status st = bw__cached_probe(&linear, &r, &train, &test, &probe, &p);
    if (st == BW_OK && all->keep)
        st = bw__keep_classifier(&all->keep[t], all->targets->item[t], linear, &a, all->classes);
    bw__linear_free(linear);
    if (st == BW_OK) {
        result->top1 = r.top1;
        result->top5 = r.top5;
        result->lr = r.lr;
        bw__cached_protocol(result->protocol, sizeof result->protocol, &r, all->image_size);
        return;
    }
#pragma omp critical(bw_probe_progress)
    {
        if (all->status == BW_OK) {
            all->status = st;
            (void)snprintf(all->message, sizeof all->message, "%s", bw_last_error());
        }
        all->stop = true;
    }
}

static bw_status fit_all(cached_fits *all)
{
    int n = all->targets->n, threads = all->options->threads;
    /* Fits side by side never wait for each other; threads inside a fit meet at every step, which pays only
     * where many of them would find nothing to do otherwise. The results are the same bits either way. */
    bool side_by_side = n > 1 && threads <= 2 * n;
    if (threads > n) threads = n;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (side_by_side)
    for (int t = 0; t < n; t++)
        fit_target(all, t);
    return all->status == BW_OK ? BW_OK : bw_fail(all->status, "%s", all->message);
}

static bw_status cached(bw_probe_result *results, const bw_network *network, const bw_target_list *targets,
                        const bw_dataset *train, const bw_dataset *test, const bw_probe_options *o,
                        bw_classifier *keep, bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    bw_feature_set train_set = { 0 }, test_set = { 0 };
    bw_progress p = { .fn = progress, .user = user, .what = "features of the training images" };
    bw_image_pass pass = bw__image_pass_of(bw_network_config(network), o->max_images, o->seed, o->threads);
    bw_image_pass test_pass = pass;
    cached_fits fits = { .targets = targets,
                         .train = &train_set,
                         .test = &test_set,
                         .options = o,
                         .classes = bw_dataset_classes(train),
                         .image_size = pass.image_size,
                         .results = results,
                         .keep = keep,
                         .progress = progress,
                         .user = user };

    test_pass.max_images = 0;
    BW_TRY(bw__feature_set_fill(&train_set, network, train, targets, &pass, true, &p));
    p.what = "features of the test images";
    BW_TRY(bw__feature_set_fill(&test_set, network, test, targets, &test_pass, true, &p));
    BW_TRY(fit_all(&fits));
out:
    bw__feature_set_clear(&train_set);
    bw__feature_set_clear(&test_set);
    return st;
}

/* What was kept, all but the concatenations, which have no place in a network. */
static bw_status write_classifiers(const char *path, const bw_network *network, const bw_dataset *train,
                                   const bw_target_list *targets, bw_classifier *keep)
{
    int n = 0;
    for (int t = 0; t < targets->n; t++)
        if (targets->item[t].block >= 0) keep[n++] = keep[t]; /* none is kept of a concatenation */
    for (int t = n; t < targets->n; t++)
        keep[t] = (bw_classifier){ 0 };
    return bw__probe_file_write(path, network, train, keep, n);
}

bw_status bw_probe(bw_probe_result **out, int *out_n, const bw_network *network, const bw_dataset *train,
                   const bw_dataset *test, const bw_probe_options *options, bw_progress_fn progress,
                   void *user)
{
    bw_status st = BW_OK;
    bw_target_list targets;
    bw_probe_result *results = NULL;
    bw_probe_options o = *options;
    bw_classifier *keep = NULL;

    *out = NULL;
    *out_n = 0;
    if (o.threads < 1) o.threads = bw__usable_cores();
    if (o.epochs < 0) BW_TRY(bw_fail(BW_EINVAL, "linear probe: %d epochs; give 1 or more", o.epochs));
    if (o.protocol != BW_PROTOCOL_CACHED && o.protocol != BW_PROTOCOL_AUGMENTED)
        BW_TRY(bw_fail(BW_EINVAL, "linear probe: %d is no protocol", (int)o.protocol));
    BW_TRY(bw__check_splits(train, test, "linear probe"));
    BW_TRY(bw__targets(&targets, network, o.block, o.head, o.trunk, o.concat));
    if (o.save) {
        BW_TRY(bw__atomic_try(o.save));
        BW_TRY(BW_ALLOC(&keep, targets.n));
    }
    BW_TRY(BW_ALLOC(&results, targets.n));
    for (int t = 0; t < targets.n; t++) {
        results[t].block = targets.item[t].block;
        results[t].feature = targets.item[t].feature;
    }
    if (o.protocol == BW_PROTOCOL_AUGMENTED)
        BW_TRY(bw__augmented_probe(results, network, &targets, train, test, &o, keep, progress, user));
    else
        BW_TRY(cached(results, network, &targets, train, test, &o, keep, progress, user));
    if (keep) BW_TRY(write_classifiers(o.save, network, train, &targets, keep));
    *out = results;
    *out_n = targets.n;
    results = NULL;
out:
    for (int t = 0; keep && t < targets.n; t++)
        bw__classifier_clear(&keep[t]);
    bw__free(keep);
    bw__free(results);
    return st;
}
