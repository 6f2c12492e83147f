#include "train/online_score.h"
#include "base/memory.h"
#include "data/loader.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Images a network sees at once: few, so that a score adds little to what training keeps. */
enum { MOST_IMAGES = 10000, SMALL_IMAGE = 64, SMALL_BATCH = 64, LARGE_BATCH = 16 };

bw_status bw__online_test_open(bw_dataset **out, const bw_dataset *train, const char *path,
                               const char *format)
{
    bw_status st = bw_dataset_open(out, path, BW_SPLIT_TEST, format);
    const bool unlabelled = st == BW_OK && bw_dataset_classes(*out) == 0;
    if (st == BW_OK && !unlabelled) st = bw_dataset_match_classes(*out, train);
    if (st == BW_OK && !unlabelled) return BW_OK;
    bw_dataset_free(*out);
    *out = NULL;
    if (st != BW_OK && st != BW_ENOSPLIT && st != BW_EDATA) return st;
    /* Damage is worth more than a remark, but training does not need these images. */
    bw_log(st == BW_EDATA ? BW_LOG_WARN : BW_LOG_INFO,
           "online probe: there will be no probe_top1, only probe_top1_train: %s",
           unlabelled ? "the test images have no labels" : bw_last_error());
    return BW_OK;
}

bw_status bw__online_test_check(const bw_dataset *test, const bw_dataset *train)
{
    const int classes = bw_dataset_classes(test);
    bool same = classes > 0 && classes == bw_dataset_classes(train);
    for (int c = 0; same && c < classes; c++)
        same = strcmp(bw_dataset_class_name(test, c), bw_dataset_class_name(train, c)) == 0;
    if (same) return BW_OK;
    return bw_fail(
        BW_EDATA,
        "the test images have not the classes of the training images; bw_dataset_match_classes() gives "
        "them the same numbers");
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
    bw_comm *comm;
    bw_extractor *extractor;
    bw_loader *loader;                /* NULL: no batch is left for this rank */
    float *h[BW_MAX_BLOCKS], *logits; /* of a batch; NULL where there is nothing to score */
    int64_t right[BW_MAX_BLOCKS], seen;
    int64_t rounds; /* batches of the rank with the most */
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

/* Whole batches are dealt to ranks, so that each is computed as one rank would. */
static bw_status prepare(scoring *s, const bw_network *network, const bw_dataset *test)
{
    bw_status st = BW_OK;
    const bw_config *c = &network->config;
    int64_t batch = batch_of(c), size = bw_dataset_size(test), used = size > MOST_IMAGES ? MOST_IMAGES : size,
            batches = (used + batch - 1) / batch;
    int ranks = bw_comm_size(s->comm), rank = bw_comm_rank(s->comm);
    const bw_loader_config config = { .mode = BW_LOADER_CENTER,
                                      .image_size = c->data.image_size,
                                      .keep_exact = c->model.stem == BW_STEM_CIFAR,
                                      .augment = &c->augment,
                                      .batch = batch,
                                      .images = used < size ? used : 0,
                                      .seed = c->seed,
                                      .threads = c->data.threads,
                                      .max_bad = c->data.max_bad,
                                      .start_step = batches * rank / ranks,
                                      .end_step = batches * (rank + 1) / ranks };
    s->rounds = (batches + ranks - 1) / ranks;
    BW_TRY(BW_ALLOC(&s->logits, batch * s->probe->classes));
    for (int k = 0; k < s->probe->blocks; k++)
        if (bw__online_probe_has_learnt(s->probe, k))
            BW_TRY(BW_ALLOC(&s->h[k], batch * s->probe->block[k].dim));
    BW_TRY(bw_extractor_create(&s->extractor, network, batch, c->data.image_size));
    if (config.start_step < config.end_step) BW_TRY(bw__loader_create(&s->loader, test, &config));
out:
    return st;
}

static bw_status score_next(scoring *s)
{
    const bw_batch *batch = NULL;
    bw_status st = s->loader ? bw__loader_next(s->loader, &batch) : BW_OK;
    return st == BW_OK && batch ? score_batch(s, batch) : st;
}

/* Images that cannot be read spoil the scores, not the run: every rank gets the message. `failed`: of the
 * lowest rank that met them, R - rank. */
static bw_status give_up(const scoring *s, int64_t failed)
{
    char message[512];
    (void)snprintf(message, sizeof message, "%s", bw_last_error());
    bw_status st = BW_OK;
    if (bw_comm_size(s->comm) > 1)
        st = bw__comm_broadcast(s->comm, message, sizeof message, bw_comm_size(s->comm) - (int)failed);
    return st == BW_OK ? bw_fail(BW_EDATA, "%s", message) : st;
}

static bw_status score_all(scoring *s, bool (*stop)(void *user), void *user)
{
    enum { STOP, FAILED, N };
    for (int64_t i = 0; i < s->rounds; i++) {
        bw_status st = score_next(s);
        int64_t most[N] = { [STOP] = stop(user) };
        if (st == BW_EDATA) most[FAILED] = bw_comm_size(s->comm) - bw_comm_rank(s->comm);
        st = bw__comm_agree_on(s->comm, st == BW_EDATA ? BW_OK : st, most, N);
        if (st != BW_OK) return st;
        if (most[FAILED]) return give_up(s, most[FAILED]);
        if (most[STOP]) return bw_fail(BW_EINTERRUPTED, "stopped while the online probe was scored");
    }
    return BW_OK;
}

static bw_status add_up(scoring *s)
{
    int64_t sums[BW_MAX_BLOCKS + 2], bad = s->loader ? bw__loader_bad(s->loader) : 0,
                                     most = s->loader ? bw__loader_bad_limit(s->loader) : 0;
    bw_status st = BW_OK;
    if (bw_comm_size(s->comm) == 1) return BW_OK;
    memcpy(sums, s->right, sizeof s->right);
    sums[BW_MAX_BLOCKS] = s->seen;
    sums[BW_MAX_BLOCKS + 1] = bad;
    BW_TRY(bw__comm_sum_i64(s->comm, sums, BW_MAX_BLOCKS + 2));
    BW_TRY(bw__comm_max_i64(s->comm, &most, 1));
    memcpy(s->right, sums, sizeof s->right);
    s->seen = sums[BW_MAX_BLOCKS];
    if (sums[BW_MAX_BLOCKS + 1] > most)
        return bw_fail(BW_EDATA, "%lld test images cannot be read, more than data.max_bad allows",
                       (long long)sums[BW_MAX_BLOCKS + 1]);
out:
    return st;
}

bw_status bw__online_score(double *top1, const bw_online_probe *probe, const bw_network *network,
                           const bw_dataset *test, bw_comm *comm, bool (*stop)(void *user), void *user)
{
    bw_status st = BW_OK;
    scoring s = { .probe = probe, .comm = comm };

    BW_TRY(bw__comm_agree(comm, prepare(&s, network, test)));
    BW_TRY(score_all(&s, stop, user));
    BW_TRY(add_up(&s));
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
