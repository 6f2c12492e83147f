#include "base/machine.h"
#include "base/memory.h"
#include "eval/features.h"
#include "eval/neighbours.h"
#include "eval/pixels.h"
#include "data/splits.h"
#include <inttypes.h>
#include <stdio.h>

enum { MAX_K = sizeof((bw_knn_options *)0)->k / sizeof((bw_knn_options *)0)->k[0] };

bw_knn_options bw_knn_options_default(void)
{
    /* k and temperature of Wu et al. (2018); 20 is what later work adds for small data sets. */
    return (bw_knn_options){ .n_k = 2, .k = { 20, 200 }, .temperature = 0.07, .block = -1, .head = true };
}

/* Everything both kinds of features need. */
typedef struct task {
    const bw_knn_options *options;
    bw_knn_result *results; /* room for all; [n] are done */
    int n;
    int threads, classes;
    int64_t image_size;
    bw_progress progress;
} task;

static void protocol_line(bw_knn_result *r, const task *t, int64_t train_rows)
{
    (void)snprintf(r->protocol, sizeof r->protocol,
                   "kNN: %s, evaluation transform %" PRId64 " px, cosine, weights exp(cos/%g), k %d, %" PRId64
                   " training images",
                   t->options->raw                 ? "normalised raw pixels"
                   : r->feature == BW_FEATURE_HEAD ? "head feature"
                                                   : "trunk feature",
                   t->image_size, t->options->temperature, r->k, train_rows);
}

/* Normalises both arrays in place and adds one result for each k. */
static bw_status classify(task *t, bw_target target, float *train_x, const int *train_label, int64_t train_n,
                          float *test_x, const int *test_label, int64_t test_n, int64_t dim)
{
    const bw_knn_options *o = t->options;
    double top1[MAX_K], top5[MAX_K];
    if (train_n < 1 || test_n < 1)
        return bw_fail(BW_EDATA, "nearest neighbours: no labelled %s image",
                       train_n < 1 ? "training" : "test");
    bw_labelled_rows train = { train_x, train_label, train_n }, test = { test_x, test_label, test_n };
    bw_knn_query query = { dim, t->classes, o->n_k, o->k, o->temperature, t->threads };
    bw__l2_normalise(train_x, train_n, dim, t->threads);
    bw__l2_normalise(test_x, test_n, dim, t->threads);
    bw_status st = bw__knn_classify(top1, top5, &train, &test, &query, &t->progress);
    for (int i = 0; st == BW_OK && i < o->n_k; i++) {
        bw_knn_result *r = &t->results[t->n++];
        r->block = target.block;
        r->feature = target.feature;
        r->k = o->k[i];
        r->top1 = top1[i];
        r->top5 = top5[i];
        protocol_line(r, t, train_n);
    }
    return st;
}

static bw_status raw_pixels(task *t, const bw_network *network, const bw_dataset *train,
                            const bw_dataset *test)
{
    bw_status st = BW_OK;
    const bw_knn_options *o = t->options;
    bw_pixel_set train_set = { 0 }, test_set = { 0 };
    bw_config standard = bw_config_default();
    bw_image_pass pass = bw__image_pass_of(network ? bw_network_config(network) : &standard, o->max_images,
                                           o->seed, t->threads);
    if (!network) {
        pass.keep_exact = true;
        BW_TRY(bw__pixel_size(&pass.image_size, train, test));
    }
    bw_image_pass test_pass = pass;
    test_pass.max_images = 0;
    t->image_size = pass.image_size;
    BW_TRY(bw__pixel_sets_fill(&train_set, train, &pass, &test_set, test, &test_pass, t->progress.fn,
                               t->progress.user));
    BW_TRY(classify(t, (bw_target){ -1, BW_FEATURE_TRUNK }, train_set.x, train_set.label, train_set.n,
                    test_set.x, test_set.label, test_set.n, train_set.dim));
out:
    bw__pixel_set_clear(&train_set);
    bw__pixel_set_clear(&test_set);
    return st;
}

static bw_status network_features(task *t, const bw_target_list *targets, const bw_network *network,
                                  const bw_dataset *train, const bw_dataset *test)
{
    bw_status st = BW_OK;
    const bw_knn_options *o = t->options;
    bw_feature_set train_set = { 0 }, test_set = { 0 };
    bw_progress p = t->progress;
    bw_image_pass pass = bw__image_pass_of(bw_network_config(network), o->max_images, o->seed, t->threads);
    bw_image_pass test_pass = pass;

    test_pass.max_images = 0;
    t->image_size = pass.image_size;
    p.what = "features of the training images";
    BW_TRY(bw__feature_set_fill(&train_set, network, train, targets, &pass, true, &p));
    p.what = "features of the test images";
    BW_TRY(bw__feature_set_fill(&test_set, network, test, targets, &test_pass, true, &p));
    for (int i = 0; i < targets->n; i++) {
        bw_target target = targets->item[i];
        t->progress.first = (double)i / targets->n;
        t->progress.share = 1.0 / targets->n;
        BW_TRY(classify(t, target, train_set.arrays.x[target.feature][target.block], train_set.label,
                        train_set.n, test_set.arrays.x[target.feature][target.block], test_set.label,
                        test_set.n, bw_network_feature_dim(network, target.block, target.feature)));
    }
out:
    bw__feature_set_clear(&train_set);
    bw__feature_set_clear(&test_set);
    return st;
}

static bw_status check_options(const bw_network *network, const bw_knn_options *o)
{
    if (!network && !o->raw)
        return bw_fail(BW_EINVAL, "nearest neighbours: a network is needed for anything but raw pixels");
    if (o->n_k < 1 || o->n_k > MAX_K)
        return bw_fail(BW_EINVAL, "nearest neighbours: %d values of k; give 1 to %d", o->n_k, MAX_K);
    for (int i = 0; i < o->n_k; i++)
        if (o->k[i] < 1) return bw_fail(BW_EINVAL, "k is %d; it must be 1 or more", o->k[i]);
    if (!(o->temperature > 0))
        return bw_fail(BW_EINVAL, "temperature is %g; it must be above 0", o->temperature);
    return BW_OK;
}

bw_status bw_knn(bw_knn_result **out, int *out_n, const bw_network *network, const bw_dataset *train,
                 const bw_dataset *test, const bw_knn_options *options, bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    bw_target_list targets = { .n = 1 };
    task t = { .options = options,
               .threads = options->threads > 0 ? options->threads : bw__usable_cores(),
               .classes = bw_dataset_classes(train),
               .progress = { .fn = progress, .user = user, .what = "nearest neighbours" } };

    *out = NULL;
    *out_n = 0;
    /* Everything that can be refused is refused before the first image is read. */
    BW_TRY(check_options(network, options));
    BW_TRY(bw__check_splits(train, test, "nearest neighbours"));
    if (!options->raw)
        BW_TRY(bw__targets(&targets, network, options->block, options->head, options->trunk, false));
    BW_TRY(BW_ALLOC(&t.results, targets.n * options->n_k));
    if (options->raw)
        BW_TRY(raw_pixels(&t, network, train, test));
    else
        BW_TRY(network_features(&t, &targets, network, train, test));
    *out = t.results;
    *out_n = t.n;
    t.results = NULL;
out:
    bw__free(t.results);
    return st;
}
