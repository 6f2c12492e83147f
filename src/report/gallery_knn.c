/* Nearest neighbours as a measure: what they say at the end, at random initialisation, and in between. */
#include "base/folder.h"
#include "base/memory.h"
#include "blockwise/evaluate.h"
#include "eval/neighbours.h"
#include "model/network_internal.h"
#include "report/gallery.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KNN = 20, MOST_CHECKPOINTS = 8 };

/* Rows with a label, of length 1. x and label come from bw__alloc(). */
static bw_status labelled_rows(bw_labelled_rows *out, float **x, int **label, const bw_feature_set *set,
                               const float *from, int64_t dim, int threads)
{
    bw_status st = BW_OK;
    int64_t n = 0;
    BW_TRY(BW_ALLOC(x, set->n * dim));
    BW_TRY(BW_ALLOC(label, set->n));
    for (int64_t i = 0; i < set->n; i++) {
        if (set->label[i] < 0) continue;
        memcpy(*x + n * dim, from + i * dim, (size_t)dim * sizeof(float));
        (*label)[n++] = set->label[i];
    }
    bw__l2_normalise(*x, n, dim, threads);
    *out = (bw_labelled_rows){ *x, *label, n };
out:
    return st;
}

/* Per cent of the asked images of which the nearest of the bank say the right class, by one block. */
static bw_status knn(double *top1, const bw_gallery *g, const bw_feature_set *bank,
                     const bw_feature_set *asked, int block)
{
    bw_status st = BW_OK;
    float *x[2] = { NULL };
    int *label[2] = { NULL };
    bw_labelled_rows rows[2];
    double top5;
    const int k = KNN;
    int threads = g->options->threads;
    int64_t dim = bw_network_feature_dim(g->network, block, g->feature);
    BW_TRY(
        labelled_rows(&rows[0], &x[0], &label[0], bank, bw__gallery_features(bank, g, block), dim, threads));
    BW_TRY(labelled_rows(&rows[1], &x[1], &label[1], asked, bw__gallery_features(asked, g, block), dim,
                         threads));
    const bw_knn_query query = { .dim = dim,
                                 .classes = bw_dataset_classes(g->train),
                                 .n_k = 1,
                                 .k = &k,
                                 .temperature = bw_knn_options_default().temperature,
                                 .threads = threads };
    BW_TRY(bw__knn_classify(top1, &top5, &rows[0], &rows[1], &query, NULL));
out:
    for (int i = 0; i < 2; i++) {
        bw__free(x[i]);
        bw__free(label[i]);
    }
    return st;
}

static bw_status add_ends(bw_gallery *g)
{
    bw_status st = BW_OK;
    char protocol[512];
    json_t *o = json_object(), *blocks = json_array();
    for (int b = 0; b < bw_network_blocks(g->network); b++) {
        double top1, random;
        BW_TRY(knn(&top1, g, &g->bank.features, &g->asked.features, b));
        BW_TRY(knn(&random, g, &g->bank.random, &g->asked.random, b));
        json_t *entry = json_object();
        (void)json_object_set_new(entry, "block", json_integer(b + 1));
        (void)json_object_set_new(entry, "top1", bw__json_real(top1));
        (void)json_object_set_new(entry, "random_top1", bw__json_real(random));
        (void)json_array_append_new(blocks, entry);
    }
    (void)snprintf(
        protocol, sizeof protocol,
        "kNN of this page: %s feature, k %d, weights exp(cos/%g), %" PRId64 " %s images by their neighbours "
        "among %" PRId64 " training images; the network of random weights has the run's seed. "
        "blockwise knn takes all images.",
        g->feature == BW_FEATURE_HEAD ? "head" : "trunk", KNN, bw_knn_options_default().temperature,
        g->asked.features.n, g->test ? "test" : "training", g->bank.features.n);
    (void)json_object_set_new(o, "protocol", bw__json_text(protocol));
    (void)json_object_set(o, "blocks", blocks);
    (void)json_object_set(g->out, "knn", o);
out:
    json_decref(blocks);
    json_decref(o);
    return st;
}

/* --- over time --- */

/* "knn_over_time": {"step": [...], "block": [{"knn_top1": [...]}, ...]}, as curves are. */
typedef struct over_time {
    json_t *step, *block;
} over_time;

static void add_value(const over_time *t, int block, double top1)
{
    json_t *values = json_object_get(json_array_get(t->block, (size_t)block), "knn_top1");
    (void)json_array_append_new(values, bw__json_real(top1));
}

static bw_status add_point(const over_time *t, const bw_gallery *g, int64_t step, const bw_feature_set *bank,
                           const bw_feature_set *asked)
{
    (void)json_array_append_new(t->step, json_integer(step));
    for (int b = 0; b < bw_network_blocks(g->network); b++) {
        double top1;
        bw_status st = knn(&top1, g, bank, asked, b);
        if (st != BW_OK) return st;
        add_value(t, b, top1);
    }
    return BW_OK;
}

/* The point of one checkpoint. `network`, and `view` of it, are written over. */
static bw_status add_checkpoint(const over_time *t, const bw_gallery *g, const char *folder, int64_t step,
                                bw_network *network, const bw_network *view)
{
    bw_status st = BW_OK;
    bw_checkpoint *checkpoint = NULL;
    bw_feature_set bank = { 0 }, asked = { 0 };
    char what[64];
    (void)snprintf(what, sizeof what, "features at step %" PRId64, step);
    st = bw__checkpoint_open(&checkpoint, folder, step);
    if (st == BW_EDATA || st == BW_EIO) { /* damaged, or removed meanwhile: a point less */
        st = BW_OK;
        goto out;
    }
    if (st != BW_OK) goto out;
    BW_TRY(bw__checkpoint_weights(network, checkpoint));
    BW_TRY(bw__gallery_see(&bank, g, g->bank.images, view, what));
    BW_TRY(bw__gallery_see(&asked, g, g->asked.images, view, what));
    BW_TRY(add_point(t, g, step, &bank, &asked));
out:
    bw__checkpoint_close(checkpoint);
    bw__feature_set_clear(&bank);
    bw__feature_set_clear(&asked);
    return st;
}

/* Some of those that are kept before g->step, evenly, oldest first. */
static bw_status add_checkpoints(const over_time *t, const bw_gallery *g, const char *run)
{
    bw_status st = BW_OK;
    char *folder = NULL;
    int64_t *steps = NULL, n = 0, first = 0;
    bw_network *network = NULL, *view = NULL;
    bw_config config = g->facts->config;
    config.threads = g->options->threads;
    BW_TRY(bw__folder_file(&folder, run, BW_RUN_CHECKPOINTS));
    BW_TRY(bw__checkpoint_list(&steps, &n, folder));
    while (first < n && steps[first] >= g->step)
        first++;
    int64_t there = n - first, taken = there < MOST_CHECKPOINTS ? there : MOST_CHECKPOINTS;
    if (taken == 0) goto out;
    BW_TRY(bw_network_create(&network, &config));
    BW_TRY(bw__network_view(&view, network));
    for (int64_t i = taken - 1; i >= 0; i--)
        BW_TRY(add_checkpoint(t, g, folder, steps[first + i * there / taken], network, view));
out:
    bw_network_free(view);
    bw_network_free(network);
    bw__free(steps);
    bw__free(folder);
    return st;
}

static bw_status add_over_time(bw_gallery *g, const char *run)
{
    bw_status st = BW_OK;
    over_time t = { .step = json_array(), .block = json_array() };
    json_t *o = json_object();
    (void)json_object_set_new(o, "step", t.step);
    (void)json_object_set_new(o, "block", t.block);
    for (int b = 0; b < bw_network_blocks(g->network); b++) {
        json_t *values = json_object();
        (void)json_object_set_new(values, "knn_top1", json_array());
        (void)json_array_append_new(t.block, values);
    }
    BW_TRY(add_point(&t, g, 0, &g->bank.random, &g->asked.random));
    BW_TRY(add_checkpoints(&t, g, run));
    if (g->step > 0) BW_TRY(add_point(&t, g, g->step, &g->bank.features, &g->asked.features));
    (void)json_object_set(g->out, "knn_over_time", o);
out:
    json_decref(o);
    return st;
}

bw_status bw__gallery_knn(bw_gallery *g, const char *run)
{
    if (!g->has_labels) return BW_OK;
    bw_status st = add_ends(g);
    return st == BW_OK ? add_over_time(g, run) : st;
}
