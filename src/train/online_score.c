#include "train/online_score.h"
#include "base/memory.h"
#include "data/loader.h"
#include <math.h>

/* Images a network sees at once: few, so that a score adds little to what training keeps. */
enum { MOST_IMAGES = 10000, SMALL_IMAGE = 64, SMALL_BATCH = 64, LARGE_BATCH = 16 };

bw_status bw__online_test_open(bw_dataset **out, const bw_dataset *train, const char *path,
                               const char *format)
{
    bw_status st = bw_dataset_open(out, path, BW_SPLIT_TEST, format);
    const char *why = NULL;
    if (st == BW_EDATA)
        why = bw_last_error();
    else if (st != BW_OK)
        return st;
    else if (bw_dataset_classes(*out) == 0)
        why = "the test images have no labels";
    else if (bw_dataset_match_classes(*out, train) != BW_OK)
        why = bw_last_error();
    if (!why) return BW_OK;
    bw_log(BW_LOG_INFO, "online probe: there will be no probe_top1, only probe_top1_train: %s", why);
    bw_dataset_free(*out);
    *out = NULL;
    return BW_OK;
}

static int64_t batch_of(const bw_config *c)
{
    int64_t batch = c->data.image_size <= SMALL_IMAGE ? SMALL_BATCH : LARGE_BATCH;
    return c->train.batch < batch ? c->train.batch : batch;
}

bw_status bw__online_score_bytes(int64_t *out, const bw_network *network)
{
    const bw_config *c = &network->config;
    bw_config one_view = *c;
    int64_t batch = batch_of(c);
    bw_status st = bw__extractor_bytes(out, network, batch, c->data.image_size);
    one_view.train.batch = (batch + 1) / BW_VIEWS; /* the loader counts two */
    *out += bw__loader_bytes(&one_view);
    return st;
}

typedef struct scoring {
    const bw_online_probe *probe;
    bw_extractor *extractor;
    bw_loader *loader;
    float *h[BW_MAX_BLOCKS], *logits; /* of a batch; NULL where there is nothing to score */
    int64_t right[BW_MAX_BLOCKS], seen;
} scoring;

static bw_status score_batch(scoring *s, const bw_batch *batch)
{
    bw_status st = BW_OK;
    const bw_online_probe *p = s->probe;
    BW_TRY(bw_extractor_run(s->extractor, s->h, NULL, batch->images, batch->n));
    for (int64_t i = 0; i < batch->n; i++)
        s->seen += batch->labels[i] >= 0;
    for (int k = 0; k < p->blocks; k++) {
        if (!s->h[k]) continue;
        BW_TRY(bw__online_probe_logits(p, k, s->logits, s->h[k], batch->n));
        for (int64_t i = 0; i < batch->n; i++)
            s->right[k] += batch->labels[i] >= 0 &&
                           bw__online_probe_is_right(p, s->logits + i * p->classes, batch->labels[i]);
    }
out:
    return st;
}

static bw_status prepare(scoring *s, const bw_network *network, const bw_dataset *test)
{
    bw_status st = BW_OK;
    const bw_config *c = &network->config;
    int64_t batch = batch_of(c);
    const bw_loader_config config = { .mode = BW_LOADER_CENTER,
                                      .image_size = c->data.image_size,
                                      .keep_exact = c->model.stem == BW_STEM_CIFAR,
                                      .augment = &c->augment,
                                      .batch = batch,
                                      .images = bw_dataset_size(test) > MOST_IMAGES ? MOST_IMAGES : 0,
                                      .seed = c->seed,
                                      .threads = c->data.threads,
                                      .max_bad = c->data.max_bad };
    BW_TRY(BW_ALLOC(&s->logits, batch * s->probe->classes));
    for (int k = 0; k < s->probe->blocks; k++)
        if (bw__online_probe_has_learnt(s->probe, k))
            BW_TRY(BW_ALLOC(&s->h[k], batch * s->probe->block[k].dim));
    BW_TRY(bw_extractor_create(&s->extractor, network, batch, c->data.image_size));
    BW_TRY(bw__loader_create(&s->loader, test, &config));
out:
    return st;
}

bw_status bw__online_score(double *top1, const bw_online_probe *probe, const bw_network *network,
                           const bw_dataset *test, bool (*stop)(void *user), void *user)
{
    bw_status st = BW_OK;
    const bw_batch *batch = NULL;
    scoring s = { .probe = probe };

    BW_TRY(prepare(&s, network, test));
    for (;;) {
        BW_TRY(bw__loader_next(s.loader, &batch));
        if (!batch) break;
        BW_TRY(score_batch(&s, batch));
        if (stop(user)) BW_TRY(bw_fail(BW_EINTERRUPTED, "stopped while the online probe was scored"));
    }
    for (int k = 0; k < probe->blocks; k++)
        top1[k] = s.h[k] && s.seen > 0 ? 100.0 * (double)s.right[k] / (double)s.seen : (double)NAN;
out:
    bw__loader_free(s.loader);
    bw_extractor_free(s.extractor);
    bw__free(s.logits);
    for (int k = 0; k < probe->blocks; k++)
        bw__free(s.h[k]);
    return st;
}
