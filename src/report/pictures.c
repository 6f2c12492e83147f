#include "report/pictures.h"
#include "base/folder.h"
#include "base/memory.h"
#include "base/rng.h"
#include "blockwise/evaluate.h"
#include "data/subset.h"
#include "model/network_internal.h"
#include "report/gallery.h"
#include "report/picture.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_DIMENSIONS = 64, FILTER_WIDTH = 320 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* --- opening --- */

/* Adds to what the page says of what is missing. */
static void say(bw_gallery *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(bw_gallery *g, const char *fmt, ...)
{
    char text[1024];
    const char *before = json_string_value(json_object_get(g->out, "problem"));
    int n = snprintf(text, sizeof text, "%s%s", before ? before : "", before ? " " : "");
    va_list ap;
    va_start(ap, fmt);
    if (n >= 0 && n < (int)sizeof text) (void)vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    (void)json_object_set_new(g->out, "problem", bw__json_text(text));
}

/* Of a run under way, its newest checkpoint; g->network stays NULL where there is none. */
static bw_status open_checkpoint(bw_gallery *g, const char *run, const bw_config *config)
{
    bw_status st = BW_OK;
    char *folder = NULL;
    bw_checkpoint *checkpoint = NULL;
    BW_TRY(bw__folder_file(&folder, run, BW_RUN_CHECKPOINTS));
    BW_TRY(bw__checkpoint_open_newest(&checkpoint, folder));
    if (!checkpoint) goto out;
    BW_TRY(bw_network_create(&g->restored, config));
    BW_TRY(bw__checkpoint_weights(g->restored, checkpoint));
    BW_TRY(bw__network_view(&g->network, g->restored));
    g->step = bw__checkpoint_step(checkpoint);
    say(g,
        "The run has not finished: filters, neighbours, map, correlation and kNN are of its checkpoint of "
        "step %" PRId64 ".",
        g->step);
out:
    bw__checkpoint_close(checkpoint);
    bw__free(folder);
    return st;
}

/* The network as the run ended, or as far as it is, and the one it began with. */
static bw_status open_networks(bw_gallery *g, const char *run)
{
    bw_status st = BW_OK;
    bw_config config = g->facts->config;
    config.threads = g->options->threads;
    g->step = g->facts->steps;
    if (g->facts->finished)
        BW_TRY(bw_network_load(&g->network, run));
    else
        BW_TRY(open_checkpoint(g, run, &config));
    if (!g->network) goto out;
    BW_TRY(bw_network_create(&g->random, &config));
    BW_TRY(bw__network_view(&g->random_view, g->random));
    g->feature = bw_network_has_heads(g->network) ? BW_FEATURE_HEAD : BW_FEATURE_TRUNK;
    (void)json_object_set_new(g->out, "feature",
                              json_string(g->feature == BW_FEATURE_HEAD ? "head" : "trunk"));
out:
    return st;
}

static const char *remembered(const bw_gallery *g, const char *key)
{
    return json_string_value(json_object_get(g->facts->environment, key));
}

/* g->train stays NULL where there is nothing to open, which the page then says. */
static bw_status open_data(bw_gallery *g)
{
    bw_status st = BW_OK;
    const bw_pictures_options *o = g->options;
    const char *path = o->data ? o->data : remembered(g, "data");
    const char *format = o->data ? o->format : remembered(g, "data_format");
    if (!path || (!o->data && access(path, R_OK) != 0)) {
        say(g,
            "Neighbours, map, correlation and kNN need the images of the run (%s), which are not there: "
            "make the page again with --data PATH.",
            path ? path : "its environment.json does not say where they were");
        return BW_OK;
    }
    BW_TRY(bw_dataset_open(&g->train, path, BW_SPLIT_TRAIN, format));
    st = bw_dataset_open(&g->test, path, BW_SPLIT_TEST, format);
    if (st == BW_EDATA) say(g, "The test images cannot be used: %s.", bw_last_error());
    if (st == BW_EDATA || st == BW_ENOSPLIT) st = BW_OK; /* all is made of the training images then */
    (void)json_object_set_new(g->out, "data", bw__json_text(path));
out:
    return st;
}

/* Images [first, first + n) of a keyed permutation. */
static bw_status take_sample(bw_dataset **out, const bw_dataset *from, int64_t first, int64_t n,
                             uint64_t seed)
{
    bw_status st = BW_OK;
    int64_t *index = NULL, size = bw_dataset_size(from);
    BW_TRY(BW_ALLOC(&index, n));
    for (int64_t i = 0; i < n; i++)
        index[i] = (int64_t)bw__permute(seed, 0, (uint64_t)(first + i), (uint64_t)size);
    BW_TRY(bw__dataset_subset(out, from, index, n));
out:
    bw__free(index);
    return st;
}

/* Some images to ask about, others to find among: of both splits, or of one without meeting. */
static bw_status take_samples(bw_gallery *g)
{
    bw_status st = BW_OK;
    int64_t size = bw_dataset_size(g->train), bank = least(g->options->images, size), asked;
    const bw_dataset *from = g->test ? g->test : g->train;
    uint64_t seed = g->options->seed;
    asked = least((g->options->images + 1) / 2, bw_dataset_size(from));
    if (!g->test) {
        asked = least(asked, size / 3);
        bank = least(bank, size - asked);
    }
    if (bank < 2 || asked < 2) return bw_fail(BW_EDATA, "%" PRId64 " images are too few to compare", size);
    BW_TRY(take_sample(&g->bank.images, g->train, 0, bank, seed));
    BW_TRY(take_sample(&g->asked.images, from, g->test ? 0 : bank, asked, seed));
    g->has_labels = bw_dataset_classes(g->train) > 1 && (!g->test || bw_dataset_classes(g->test) > 0);
    (void)json_object_set_new(g->out, "split", json_string(g->test ? "test" : "training"));
out:
    return st;
}

bw_status bw__gallery_see(bw_feature_set *set, const bw_gallery *g, const bw_dataset *images,
                          const bw_network *network, const char *what)
{
    const bw_pictures_options *o = g->options;
    bw_target_list targets;
    bool head = g->feature == BW_FEATURE_HEAD;
    bw_image_pass pass = bw__image_pass_of(bw_network_config(g->network), 0, 0, o->threads);
    bw_progress p = { .fn = o->progress, .user = o->user, .what = what };
    bw_status st = bw__targets(&targets, network, -1, head, !head, false);
    return st == BW_OK ? bw__feature_set_fill(set, network, images, &targets, &pass, false, &p) : st;
}

static bw_status see_all(bw_gallery *g)
{
    bw_status st = BW_OK;
    bw_sample *bank = &g->bank, *asked = &g->asked;
    BW_TRY(bw__gallery_see(&bank->features, g, bank->images, g->network, "features"));
    BW_TRY(
        bw__gallery_see(&bank->random, g, bank->images, g->random_view, "features at random initialisation"));
    BW_TRY(bw__gallery_see(&asked->features, g, asked->images, g->network,
                           "features of the images to ask about"));
    BW_TRY(
        bw__gallery_see(&asked->random, g, asked->images, g->random_view, "those at random initialisation"));
out:
    return st;
}

/* --- what is drawn --- */

static json_t *map_json(const float *xy, const double *share, const bw_feature_set *set)
{
    json_t *o = json_object(), *x = json_array(), *y = json_array(), *label = json_array(),
           *shares = json_array();
    double most = 0.0;
    for (int64_t i = 0; i < 2 * set->n; i++)
        most = fmax(most, fabs((double)xy[i]));
    for (int64_t i = 0; i < set->n; i++) { /* the unit says nothing: four digits of -1 .. 1 */
        (void)json_array_append_new(x, bw__json_real(round((double)xy[2 * i] / most * 1e4) / 1e4));
        (void)json_array_append_new(y, bw__json_real(round((double)xy[2 * i + 1] / most * 1e4) / 1e4));
        (void)json_array_append_new(label, json_integer(set->label[i]));
    }
    for (int i = 0; i < 2; i++)
        (void)json_array_append_new(shares, bw__json_real(share[i]));
    (void)json_object_set_new(o, "x", x);
    (void)json_object_set_new(o, "y", y);
    (void)json_object_set_new(o, "label", label);
    (void)json_object_set_new(o, "share", shares);
    return o;
}

/* The last block's features, which are all the same in a network that has collapsed: no map then. */
static bw_status add_map(bw_gallery *g, const char *key, const bw_feature_set *set)
{
    float *xy = NULL;
    double share[2];
    int last = bw_network_blocks(g->network) - 1;
    bw_status st = BW_ALLOC(&xy, 2 * set->n);
    if (st == BW_OK)
        st = bw_feature_map(xy, share, bw__gallery_features(set, g, last), set->n,
                            bw_network_feature_dim(g->network, last, g->feature));
    if (st == BW_OK) (void)json_object_set_new(g->out, key, map_json(xy, share, set));
    bw__free(xy);
    return st == BW_EINVAL ? BW_OK : st;
}

/* -1 .. 1 as -127 .. 127. */
static bw_status matrix_json(json_t **out, const bw_correlation_result *r)
{
    int8_t *bytes = NULL;
    int64_t n = (int64_t)r->shown * r->shown;
    bw_status st = BW_ALLOC(&bytes, n);
    for (int64_t i = 0; st == BW_OK && i < n; i++)
        bytes[i] = (int8_t)lrint(127.0 * fmax(-1.0, fmin(1.0, (double)r->matrix[i])));
    if (st == BW_OK) st = bw__picture_base64(out, bytes, (size_t)n);
    bw__free(bytes);
    return st;
}

static bw_status add_correlation(bw_gallery *g)
{
    bw_status st = BW_OK;
    bw_correlation_result *results = NULL;
    int n = 0;
    const bw_pictures_options *o = g->options;
    bw_correlation_options options = bw_correlation_options_default();
    json_t *value = json_object(), *blocks = json_array();
    (void)json_object_set_new(value, "blocks", blocks);
    if (!bw_network_has_heads(g->network)) {
        say(g, "The correlation of embeddings needs %s, which is not in the run's folder.", BW_RUN_HEADS);
        goto out;
    }
    if (g->facts->config.loss.name == BW_LOSS_CROSS_ENTROPY) goto out; /* scores of classes, not embeddings */
    options.images = least(options.images, o->images);
    options.shown = SHOWN_DIMENSIONS;
    options.seed = o->seed;
    options.threads = o->threads;
    BW_TRY(bw_correlation(&results, &n, g->network, g->train, &options, o->progress, o->user));
    for (int i = 0; i < n; i++) {
        const bw_correlation_result *r = &results[i];
        json_t *entry = json_object(), *values = NULL;
        (void)json_array_append_new(blocks, entry);
        BW_TRY(matrix_json(&values, r));
        (void)json_object_set_new(entry, "block", json_integer(r->block + 1));
        (void)json_object_set_new(entry, "dim", json_integer(r->dim));
        (void)json_object_set_new(entry, "shown", json_integer(r->shown));
        (void)json_object_set_new(entry, "on_diagonal", bw__json_real(r->on_diagonal));
        (void)json_object_set_new(entry, "off_diagonal", bw__json_real(r->off_diagonal));
        (void)json_object_set_new(entry, "values", values);
    }
    if (n == 0) goto out;
    (void)json_object_set_new(value, "images", json_integer(results[0].images));
    (void)json_object_set_new(value, "noise", bw__json_real(1.0 / sqrt((double)results[0].images)));
    (void)json_object_set(g->out, "correlation", value);
out:
    bw_free(results);
    json_decref(value);
    return st;
}

/* Filters [count, 3, size, size] in a sheet, a pixel a weight, white between them. */
static bw_status filter_sheet(json_t **out, const float *weights, int64_t count, int64_t size,
                              int64_t columns)
{
    bw_image image = { 0 };
    int64_t cell = size + 1, rows = (count + columns - 1) / columns, area = size * size;
    image.width = columns * cell + 1;
    image.height = rows * cell + 1;
    bw_status st = BW_ALLOC(&image.rgb, image.width * image.height * 3);
    if (st != BW_OK) return st;
    memset(image.rgb, 255, (size_t)(image.width * image.height * 3));
    for (int64_t f = 0; f < count; f++) {
        const float *w = weights + f * 3 * area;
        double most = 1e-30;
        for (int64_t i = 0; i < 3 * area; i++)
            most = fmax(most, fabs((double)w[i]));
        for (int64_t i = 0; i < area; i++)
            for (int64_t c = 0; c < 3; c++) {
                int64_t y = f / columns * cell + 1 + i / size, x = f % columns * cell + 1 + i % size;
                image.rgb[(y * image.width + x) * 3 + c] =
                    (uint8_t)lrint(127.5 + 127.5 * (double)w[c * area + i] / most);
            }
    }
    st = bw__picture_uri(out, &image, false);
    bw__free(image.rgb);
    return st;
}

static bw_status add_filters(bw_gallery *g)
{
    bw_status st = BW_OK;
    const bw_network *networks[2] = { g->network, g->random_view };
    static const char *const KEYS[2] = { "trained", "random" };
    json_t *o = json_object();
    for (int i = 0; i < 2; i++) {
        json_t *uri = NULL;
        const bw_params *params = &networks[i]->params[0];
        const bw_param *p = bw__params_find(params, "conv1.weight");
        if (!p || p->dim[1] != 3) goto out;
        int64_t size = p->dim[2], columns = 8 * (p->dim[0] > 32 ? 2 : 1);
        int64_t width = least(columns, p->dim[0]) * (size + 1) + 1;
        BW_TRY(filter_sheet(&uri, params->values + p->offset, p->dim[0], size, least(columns, p->dim[0])));
        (void)json_object_set_new(o, KEYS[i], uri);
        (void)json_object_set_new(o, "count", json_integer(p->dim[0]));
        (void)json_object_set_new(o, "size", json_integer(size));
        (void)json_object_set_new(o, "width", json_integer(width));
        (void)json_object_set_new(o, "height",
                                  json_integer((p->dim[0] + columns - 1) / columns * (size + 1) + 1));
        (void)json_object_set_new(o, "zoom", json_integer(width < FILTER_WIDTH ? FILTER_WIDTH / width : 1));
    }
    (void)json_object_set(g->out, "filters", o);
out:
    json_decref(o);
    return st;
}

/* --- all of it --- */

static bw_status of_images(bw_gallery *g, const char *run)
{
    bw_status st = BW_OK;
    json_t *classes = json_array();
    (void)json_object_set_new(g->out, "classes", classes);
    BW_TRY(take_samples(g));
    BW_TRY(see_all(g));
    if (g->bank.features.n < 2 || g->asked.features.n < 2)
        BW_TRY(bw_fail(BW_EDATA, "fewer than two images can be read"));
    for (int c = 0; g->has_labels && c < bw_dataset_classes(g->train); c++)
        (void)json_array_append_new(classes, bw__json_text(bw_dataset_class_name(g->train, c)));
    (void)json_object_set_new(g->out, "bank", json_integer(g->bank.features.n));
    (void)json_object_set_new(g->out, "queries", json_integer(g->asked.features.n));
    BW_TRY(bw__gallery_knn(g, run));
    BW_TRY(bw__gallery_neighbours(g));
    BW_TRY(add_map(g, "map", &g->asked.features));
    BW_TRY(add_map(g, "random_map", &g->asked.random));
    BW_TRY(add_correlation(g));
out:
    return st;
}

static void close_gallery(bw_gallery *g)
{
    bw_sample *samples[2] = { &g->bank, &g->asked };
    for (int i = 0; i < 2; i++) {
        bw__feature_set_clear(&samples[i]->features);
        bw__feature_set_clear(&samples[i]->random);
        bw_dataset_free(samples[i]->images);
    }
    bw_network_free(g->network);
    bw_network_free(g->restored);
    bw_network_free(g->random_view);
    bw_network_free(g->random);
    bw_dataset_free(g->train);
    bw_dataset_free(g->test);
    json_decref(g->out);
}

bw_status bw__pictures(json_t **out, const char *run, const bw_run_facts *facts,
                       const bw_pictures_options *options)
{
    bw_status st = BW_OK;
    bw_gallery g = { .options = options, .facts = facts, .out = json_object(), .images = json_array() };
    *out = NULL;
    (void)json_object_set_new(g.out, "images", g.images);
    BW_TRY(open_networks(&g, run));
    if (!g.network) {
        say(&g,
            "Neighbours, map, correlation, kNN and filters are made of the weights of a run: this one has "
            "neither finished nor a checkpoint yet.");
        goto done;
    }
    BW_TRY(add_filters(&g));
    if (options->images == 0) {
        say(&g, "Neighbours, map, correlation and kNN were not asked for (--images 0).");
        goto done;
    }
    st = open_data(&g);
    if (st == BW_OK && g.train) st = of_images(&g, run);
    /* Images that were not asked for by name and cannot be used any more spoil only their part of the page.
     */
    if ((st == BW_EDATA || st == BW_ENOSPLIT) && !options->data) {
        say(&g, "Neighbours, map, correlation and kNN could not be made: %s.", bw_last_error());
        st = BW_OK;
    }
    if (st != BW_OK) goto out;
done:
    *out = g.out;
    g.out = NULL;
out:
    close_gallery(&g);
    return st;
}
