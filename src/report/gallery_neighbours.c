/* The images nearest to some, by every block, and thumbs of all of them. */
#include "base/memory.h"
#include "data/subset.h"
#include "report/gallery.h"
#include "report/picture.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS = 6, ASKED = 8, THUMB = 64 };

/* Image i of a sample joins the page's images; json_integer of its number there. */
typedef struct thumbs {
    const bw_gallery *g;
    const bw_dataset *images; /* the sample's */
    const int64_t *wanted;    /* [n] numbers in the sample, ascending, each once */
    int64_t *place;           /* [n] numbers among the page's images, -1 */
    int64_t n;
} thumbs;

static bw_status take_thumbs(void *user, const bw_batch *batch)
{
    thumbs *t = user;
    bw_status st = BW_OK;
    bw_image image = { 0 };
    const bw_config *c = bw_network_config(t->g->network);
    int64_t side = c->data.image_size;
    for (int64_t i = 0; i < batch->n; i++) {
        json_t *uri = NULL, *entry;
        BW_TRY(bw__picture_of_view(&image, batch->images + i * side * side * 3, side, THUMB, &c->augment));
        BW_TRY(bw__picture_uri(&uri, &image, true));
        entry = json_object();
        (void)json_object_set_new(entry, "picture", uri);
        (void)json_object_set_new(entry, "label", json_integer(batch->labels[i]));
        t->place[batch->index[i]] = (int64_t)json_array_size(t->g->images);
        (void)json_array_append_new(t->g->images, entry);
    }
out:
    bw_image_clear(&image);
    return st;
}

static bw_status make_thumbs(thumbs *t)
{
    bw_status st = BW_OK;
    bw_dataset *some = NULL;
    bw_image_pass pass = bw__image_pass_of(bw_network_config(t->g->network), 0, 0, t->g->options->threads);
    for (int64_t i = 0; i < t->n; i++)
        t->place[i] = -1;
    BW_TRY(bw__dataset_subset(&some, t->images, t->wanted, t->n));
    BW_TRY(bw__image_pass(&pass, some, take_thumbs, t, NULL));
out:
    bw_dataset_free(some);
    return st;
}

static int64_t place_of(const thumbs *t, int64_t image)
{
    for (int64_t i = 0; i < t->n; i++)
        if (t->wanted[i] == image) return t->place[i];
    return -1;
}

/* Rows of `asked` to show: one of each class in turn, in the sample's order; the first ones without labels.
 */
static int choose_rows(int64_t rows[ASKED], const bw_feature_set *asked)
{
    int n = 0;
    for (int round = 0; n < ASKED && round < ASKED; round++)
        for (int64_t i = 0; n < ASKED && i < asked->n; i++) {
            int seen = 0;
            bool taken = false;
            for (int j = 0; j < n; j++) {
                taken = taken || rows[j] == i;
                seen += asked->label[rows[j]] == asked->label[i];
            }
            if (!taken && (asked->label[i] < 0 || seen <= round)) rows[n++] = i;
        }
    return n;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t sort_once(int64_t *list, int64_t n)
{
    int64_t kept = 0;
    qsort(list, (size_t)n, sizeof *list, ascending);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || list[i] != list[i - 1]) list[kept++] = list[i];
    return kept;
}

/* Nearest rows of the bank to `n` rows of the sample asked about, for every block: row, cosine [blocks, n,
 * k]. */
static bw_status find_neighbours(int64_t *row, float *cosine, const bw_gallery *g, const int64_t *rows, int n,
                                 int k)
{
    bw_status st = BW_OK;
    float *query = NULL;
    for (int b = 0; b < bw_network_blocks(g->network); b++) {
        int64_t dim = bw_network_feature_dim(g->network, b, g->feature);
        BW_TRY(BW_ALLOC(&query, n * dim));
        for (int i = 0; i < n; i++)
            memcpy(query + i * dim, bw__gallery_features(&g->asked.features, g, b) + rows[i] * dim,
                   (size_t)dim * sizeof *query);
        BW_TRY(bw_nearest(row + b * n * k, cosine + b * n * k, query, n,
                          bw__gallery_features(&g->bank.features, g, b), g->bank.features.n, dim, k,
                          g->options->threads));
        bw__free(query);
        query = NULL;
    }
out:
    bw__free(query);
    return st;
}

static json_t *neighbour_row_json(const bw_gallery *g, const thumbs *t, const int64_t *row,
                                  const float *cosine, int k)
{
    json_t *list = json_array();
    for (int j = 0; j < k; j++) {
        json_t *entry = json_object();
        (void)json_object_set_new(entry, "image", json_integer(place_of(t, g->bank.features.index[row[j]])));
        (void)json_object_set_new(entry, "cosine", bw__json_real(round((double)cosine[j] * 1e3) / 1e3));
        (void)json_array_append_new(list, entry);
    }
    return list;
}

bw_status bw__gallery_neighbours(bw_gallery *g)
{
    bw_status st = BW_OK;
    int64_t rows[ASKED], wanted[ASKED], *row = NULL, *found = NULL, place[ASKED];
    float *cosine = NULL;
    int blocks = bw_network_blocks(g->network), n = choose_rows(rows, &g->asked.features);
    int k = (int)(g->bank.features.n < NEIGHBOURS ? g->bank.features.n : NEIGHBOURS), cells = blocks * n * k;
    thumbs asked = { .g = g, .images = g->asked.images, .wanted = wanted, .place = place, .n = n };
    thumbs bank = { .g = g, .images = g->bank.images };
    json_t *items = json_array(), *o = json_object();
    (void)json_object_set_new(o, "items", items);
    BW_TRY(BW_ALLOC(&row, cells));
    BW_TRY(BW_ALLOC(&found, cells));
    BW_TRY(BW_ALLOC(&cosine, cells));
    BW_TRY(BW_ALLOC(&bank.place, cells));
    BW_TRY(find_neighbours(row, cosine, g, rows, n, k));
    for (int i = 0; i < n; i++)
        wanted[i] = g->asked.features.index[rows[i]];
    asked.n = sort_once(wanted, n);
    for (int i = 0; i < cells; i++)
        found[i] = g->bank.features.index[row[i]];
    bank.n = sort_once(found, cells);
    bank.wanted = found;
    BW_TRY(make_thumbs(&asked));
    BW_TRY(make_thumbs(&bank));
    for (int i = 0; i < n; i++) {
        json_t *item = json_object(), *list = json_array();
        for (int b = 0; b < blocks; b++) {
            int at = (b * n + i) * k;
            (void)json_array_append_new(list, neighbour_row_json(g, &bank, row + at, cosine + at, k));
        }
        (void)json_object_set_new(item, "query",
                                  json_integer(place_of(&asked, g->asked.features.index[rows[i]])));
        (void)json_object_set_new(item, "blocks", list);
        (void)json_array_append_new(items, item);
    }
    (void)json_object_set(g->out, "neighbours", o);
out:
    bw__free(row);
    bw__free(found);
    bw__free(cosine);
    bw__free(bank.place);
    json_decref(o);
    return st;
}
