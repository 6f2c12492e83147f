#include "base/clock.h"
#include "base/error.h"
#include "eval/augmented_probe.h"
#include "eval/cached_probe.h"
#include "eval/features.h"
#include "eval/splits.h"
#include <stdlib.h>

bw_probe_options bw_probe_options_default(void)
{
    return (bw_probe_options){ .block = -1, .head = true, .protocol = BW_PROTOCOL_CACHED };
}

static bw_status cached(bw_probe_result *results, const bw_network *network, const bw_target_list *targets,
                        const bw_dataset *train, const bw_dataset *test, const bw_probe_options *o,
                        bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    bw_feature_set train_set = { 0 }, test_set = { 0 };
    bw_progress p = { .fn = progress, .user = user, .what = "features of the training images" };
    bw_image_pass pass = bw__image_pass_of(bw_network_config(network), o->max_images, o->seed, o->threads);
    bw_image_pass test_pass = pass;
    bw_cached_probe probe = { bw_dataset_classes(train), o->epochs, o->seed, o->threads };

    test_pass.max_images = 0;
    BW_TRY(bw__feature_set_fill(&train_set, network, train, targets, &pass, true, &p));
    p.what = "features of the test images";
    BW_TRY(bw__feature_set_fill(&test_set, network, test, targets, &test_pass, true, &p));
    p.what = "linear probe";
    p.share = 1.0 / targets->n;
    for (int t = 0; t < targets->n; t++) {
        bw_columns a = bw__feature_columns(&train_set.arrays, targets->item[t]);
        bw_columns b = bw__feature_columns(&test_set.arrays, targets->item[t]);
        bw_selection of_train = { &a, train_set.label, NULL, train_set.n };
        bw_selection of_test = { &b, test_set.label, NULL, test_set.n };
        bw_cached_result r;
        p.first = (double)t / targets->n;
        BW_TRY(bw__cached_probe(&r, &of_train, &of_test, &probe, &p));
        results[t].top1 = r.top1;
        results[t].top5 = r.top5;
        results[t].lr = r.lr;
        bw__cached_protocol(results[t].protocol, sizeof results[t].protocol, &r, pass.image_size);
    }
out:
    bw__feature_set_clear(&train_set);
    bw__feature_set_clear(&test_set);
    return st;
}

bw_status bw_probe(bw_probe_result **out, int *out_n, const bw_network *network, const bw_dataset *train,
                   const bw_dataset *test, const bw_probe_options *options, bw_progress_fn progress,
                   void *user)
{
    bw_status st = BW_OK;
    bw_target_list targets;
    bw_probe_result *results = NULL;
    bw_probe_options o = *options;

    *out = NULL;
    *out_n = 0;
    if (o.threads < 1) o.threads = bw__usable_cores();
    if (o.epochs < 0) BW_TRY(bw_fail(BW_EINVAL, "linear probe: %d epochs; give 1 or more", o.epochs));
    BW_TRY(bw__check_splits(train, test, "linear probe"));
    BW_TRY(bw__targets(&targets, network, o.block, o.head, o.trunk, o.concat));
    results = calloc((size_t)targets.n, sizeof *results);
    if (!results) BW_TRY(bw_fail(BW_ENOMEM, "out of memory: results"));
    for (int t = 0; t < targets.n; t++) {
        results[t].block = targets.item[t].block;
        results[t].feature = targets.item[t].feature;
    }
    if (o.protocol == BW_PROTOCOL_AUGMENTED)
        BW_TRY(bw__augmented_probe(results, network, &targets, train, test, &o, progress, user));
    else
        BW_TRY(cached(results, network, &targets, train, test, &o, progress, user));
    *out = results;
    *out_n = targets.n;
    results = NULL;
out:
    free(results);
    return st;
}
