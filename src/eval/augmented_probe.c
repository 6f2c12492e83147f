#include "eval/augmented_probe.h"
#include "base/error.h"
#include "base/memory.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { BATCH = 256, EPOCHS = 100 };
static const double LR = 0.1, MOMENTUM = 0.9, WEIGHT_DECAY = 1e-6, INIT_STD = 0.01;

typedef struct probes {
    const bw_dataset *dataset;
    const bw_target_list *targets;
    bw_feature_arrays arrays; /* of one batch */
    bw_linear *linear[2 * (BW_MAX_BLOCKS + 1)];
    int *label;    /* [BATCH] */
    int64_t *rows; /* [BATCH] those that have a label */
    bool two_classes;
    int first_label; /* -1: none seen yet */
} probes;

static bw_status probes_create(probes *p, const bw_network *network, const bw_image_pass *pass,
                               const bw_probe_options *options, int threads)
{
    bw_status st = BW_OK;
    BW_TRY(bw__feature_arrays_create(&p->arrays, network, p->targets, pass, BATCH));
    BW_TRY(BW_ALLOC(&p->label, BATCH));
    BW_TRY(BW_ALLOC(&p->rows, BATCH));
    for (int t = 0; t < p->targets->n; t++) {
        bw_columns columns = bw__feature_columns(&p->arrays, p->targets->item[t]);
        bw_linear_config config = { .dim = bw__columns_dim(&columns),
                                    .classes = bw_dataset_classes(p->dataset),
                                    .batch = BATCH,
                                    .n_lr = 1,
                                    .lr = { LR },
                                    .momentum = MOMENTUM,
                                    .weight_decay = WEIGHT_DECAY,
                                    .init_std = INIT_STD,
                                    .seed = options->seed,
                                    .threads = threads };
        BW_TRY(bw__linear_create(&p->linear[t], &config));
    }
out:
    return st;
}

static void probes_clear(probes *p)
{
    for (int t = 0; t < p->targets->n; t++)
        bw__linear_free(p->linear[t]);
    bw__feature_arrays_clear(&p->arrays);
    bw__free(p->label);
    bw__free(p->rows);
}

static bw_status train_batch(probes *p, const bw_batch *batch, double lr_factor)
{
    int64_t labelled = 0;
    bw_status st = bw__feature_arrays_fill(&p->arrays, 0, batch->images, batch->n);
    if (st != BW_OK) return st;
    for (int64_t i = 0; i < batch->n; i++) {
        p->label[i] = bw_dataset_label(p->dataset, batch->index[i]);
        if (p->label[i] < 0) continue;
        p->rows[labelled++] = i;
        if (p->first_label < 0) p->first_label = p->label[i];
        if (p->label[i] != p->first_label) p->two_classes = true;
    }
    for (int t = 0; labelled > 0 && t < p->targets->n; t++) {
        bw_columns columns = bw__feature_columns(&p->arrays, p->targets->item[t]);
        bw_selection selection = { &columns, p->label, p->rows, labelled };
        bw__linear_step(p->linear[t], &selection, lr_factor);
    }
    return BW_OK;
}

static bw_status train_epochs(probes *p, const bw_image_pass *pass, const bw_dataset *dataset, int epochs,
                              const bw_progress *progress)
{
    bw_status st = BW_OK;
    bw_loader *loader = NULL;
    const bw_batch *batch = NULL;
    int64_t used = bw__image_pass_size(pass, dataset);
    bw_loader_config config = { .mode = BW_LOADER_PROBE,
                                .image_size = pass->image_size,
                                .keep_exact = pass->keep_exact,
                                .augment = pass->augment,
                                .batch = BATCH,
                                .images = used < bw_dataset_size(dataset) ? used : 0,
                                .seed = pass->seed,
                                .threads = pass->threads,
                                .max_bad = pass->max_bad };
    BW_TRY(bw__loader_create(&loader, dataset, &config));
    int64_t per_epoch = bw__loader_steps_per_epoch(loader);
    for (int epoch = 0; epoch < epochs; epoch++) {
        double lr_factor = 0.5 * (1.0 + cos(acos(-1.0) * epoch / epochs));
        for (int64_t step = 0; step < per_epoch; step++) {
            BW_TRY(bw__loader_next(loader, &batch));
            BW_TRY(train_batch(p, batch, lr_factor));
            BW_TRY(bw__progress(progress, (epoch + (double)(step + 1) / (double)per_epoch) / epochs));
        }
        if (!p->two_classes)
            BW_TRY(bw_fail(BW_EDATA,
                           "linear probe: the labelled training images are all of one class; it needs "
                           "two classes"));
    }
out:
    bw__loader_free(loader);
    return st;
}

static bw_status score(bw_probe_result *results, probes *p, const bw_feature_set *test, int64_t image_size,
                       int64_t images, int epochs)
{
    if (test->n < 1) return bw_fail(BW_EDATA, "linear probe: no labelled test image");
    for (int t = 0; t < p->targets->n; t++) {
        bw_columns columns = bw__feature_columns(&test->arrays, p->targets->item[t]);
        bw_selection all = { &columns, test->label, NULL, test->n };
        bw_status st = bw__linear_check_finite(p->linear[t], 0);
        if (st != BW_OK) return st;
        bw__linear_score(&results[t].top1, &results[t].top5, p->linear[t], &all);
        results[t].lr = LR;
        (void)snprintf(
            results[t].protocol, sizeof results[t].protocol,
            "augmented: random resized crop and flip %" PRId64 " px, SGD momentum %g, batch %d, %d epochs, "
            "cosine by epoch, lr %g, wd %g, %" PRId64 " training images, evaluation transform for the test, "
            "last epoch",
            image_size, MOMENTUM, BATCH, epochs, LR, WEIGHT_DECAY, images);
    }
    return BW_OK;
}

bw_status bw__augmented_probe(bw_probe_result *results, const bw_network *network,
                              const bw_target_list *targets, const bw_dataset *train, const bw_dataset *test,
                              const bw_probe_options *options, bw_classifier *keep, bw_progress_fn progress,
                              void *user)
{
    bw_status st = BW_OK;
    int epochs = options->epochs > 0 ? options->epochs : EPOCHS;
    bw_feature_set test_set = { 0 };
    bw_progress training = { .fn = progress, .user = user, .what = "linear probe, augmented" };
    bw_progress testing = { .fn = progress, .user = user, .what = "features of the test images" };
    bw_image_pass pass =
        bw__image_pass_of(bw_network_config(network), options->max_images, options->seed, options->threads);
    bw_image_pass test_pass = pass;
    probes p = { .dataset = train, .targets = targets, .first_label = -1 };

    test_pass.max_images = 0;
    BW_TRY(probes_create(&p, network, &pass, options, options->threads));
    BW_TRY(train_epochs(&p, &pass, train, epochs, &training));
    BW_TRY(bw__feature_set_fill(&test_set, network, test, targets, &test_pass, true, &testing));
    BW_TRY(score(results, &p, &test_set, pass.image_size, bw__image_pass_size(&pass, train), epochs));
    for (int t = 0; keep && t < targets->n; t++) {
        bw_columns columns = bw__feature_columns(&test_set.arrays, targets->item[t]);
        BW_TRY(bw__keep_classifier(&keep[t], targets->item[t], p.linear[t], &columns,
                                   bw_dataset_classes(train)));
    }
out:
    probes_clear(&p);
    bw__feature_set_clear(&test_set);
    return st;
}
