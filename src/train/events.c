#include "train/events.h"
#include "base/memory.h"
#include "data/encode_png.h"
#include "formats/tfevents.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct bw_events {
    bw_tfevents *file; /* NULL: given up */
    int64_t every, first, total;
    int64_t images, size; /* images: of a picture */
    float mean[3], std[3];
};

/* --- beginning, ending, giving up --- */

static bw_status begin(bw_events **out, const char *folder, const bw_config *c, int64_t first, int64_t total)
{
    bw_status st = BW_OK;
    bw_events *e = NULL;
    BW_TRY(BW_ALLOC(&e, 1));
    *e = (bw_events){ .every = c->events.every > 0 ? c->events.every : (total - 1) / BW_EVENTS_POINTS + 1,
                      .first = first,
                      .total = total,
                      .images = c->events.images,
                      .size = c->data.image_size };
    for (int i = 0; i < 3; i++) {
        e->mean[i] = (float)c->augment.mean[i];
        e->std[i] = (float)c->augment.std[i];
    }
    BW_TRY(bw__tfevents_open(&e->file, folder, first + 1));
    *out = e;
    e = NULL;
out:
    bw__events_close(e);
    return st;
}

bw_events *bw__events_open(const char *folder, const bw_config *config, int64_t first, int64_t total)
{
    bw_events *e = NULL;
    if (config->events.every != 0 && begin(&e, folder, config, first, total) != BW_OK)
        bw_log(BW_LOG_WARN, "nothing of this run for TensorBoard: %s; metrics.jsonl has all numbers",
               bw_last_error());
    return e;
}

void bw__events_close(bw_events *e)
{
    if (!e) return;
    bw__tfevents_close(e->file);
    bw__free(e);
}

/* A file that ends within a record must not go on. */
static void give_up(bw_events *e, int64_t step)
{
    bw_log(BW_LOG_WARN, "nothing more for TensorBoard from step %" PRId64 " on: %s; metrics.jsonl goes on",
           step, bw_last_error());
    bw__tfevents_close(e->file);
    e->file = NULL;
}

/* --- numbers --- */

/* A value of every block that has one, "group/block 1". */
static bw_status add_blocks(bw_tfevents *file, const char *group, const double *values, int blocks)
{
    char tag[64];
    bw_status st = BW_OK;
    for (int k = 0; k < blocks && st == BW_OK; k++) {
        (void)snprintf(tag, sizeof tag, "%s/block %d", group, k + 1);
        st = bw__tfevents_add(file, tag, values[k]);
    }
    return st;
}

static bw_status add_health(bw_tfevents *file, const bw_step *s)
{
    bw_status st = BW_OK;
    BW_TRY(add_blocks(file, "embedding_std", s->embedding_std, s->blocks));
    BW_TRY(add_blocks(file, "effective_rank", s->effective_rank, s->blocks));
    BW_TRY(add_blocks(file, "dead_channels", s->dead_channels, s->blocks));
out:
    return st;
}

static bw_status add_step(bw_tfevents *file, const bw_step *s)
{
    bw_status st = BW_OK;
    BW_TRY(add_blocks(file, "loss", s->loss, s->blocks));
    for (int i = 0; i < s->terms; i++)
        BW_TRY(add_blocks(file, s->term_name[i], s->term[i], s->blocks));
    BW_TRY(add_blocks(file, "grad_norm", s->grad_norm, s->blocks));
    if (s->has_health) BW_TRY(add_health(file, s));
    if (s->has_probe) BW_TRY(add_blocks(file, "probe_top1_train", s->probe_top1_train, s->blocks));
    if (s->has_probe_test) BW_TRY(add_blocks(file, "probe_top1", s->probe_top1, s->blocks));
    BW_TRY(bw__tfevents_add(file, "run/lr", s->lr));
    BW_TRY(bw__tfevents_add(file, "run/epoch", (double)s->epoch));
    BW_TRY(bw__tfevents_add(file, "run/samples_per_s", s->samples_per_s));
    BW_TRY(bw__tfevents_add(file, "run/peak_rss_mb", s->peak_rss_mb));
out:
    return st;
}

void bw__events_step(bw_events *e, const bw_step *s)
{
    if (!e || !e->file) return;
    if (s->step % e->every != 0 && !s->has_health && !s->has_probe_test && s->step != e->total) return;
    bw_status st = add_step(e->file, s);
    if (st == BW_OK) st = bw__tfevents_write(e->file, s->step);
    if (st != BW_OK) give_up(e, s->step);
}

/* --- pictures --- */

enum { GAP = 2, WHITE = 255, RGB = 3 };

static uint8_t byte_of(const bw_events *e, float value, int channel)
{
    float v = 255.0f * (value * e->std[channel] + e->mean[channel]);
    return (uint8_t)(v < 0.0f ? 0.0f : v > 255.0f ? 255.0f : v + 0.5f);
}

/* A view at column x, row y of the picture. */
static void draw(const bw_events *e, bw_image *picture, int64_t x, int64_t y, const float *view)
{
    for (int64_t row = 0; row < e->size; row++) {
        uint8_t *to = picture->rgb + RGB * ((y + row) * picture->width + x);
        const float *from = view + RGB * row * e->size;
        for (int64_t i = 0; i < RGB * e->size; i++)
            to[i] = byte_of(e, from[i], (int)(i % RGB));
    }
}

static bw_status write_views(bw_events *e, int64_t step, const float *views, int64_t n)
{
    bw_status st = BW_OK;
    const int64_t columns = n < e->images ? n : e->images, pitch = e->size + GAP;
    bw_image picture = { .height = BW_VIEWS * pitch - GAP, .width = columns * pitch - GAP };
    const size_t bytes = (size_t)(picture.height * picture.width * RGB);
    uint8_t *png = NULL;
    size_t png_bytes = 0;
    BW_TRY(bw__alloc((void **)&picture.rgb, bytes));
    memset(picture.rgb, WHITE, bytes);
    for (int64_t v = 0; v < BW_VIEWS; v++)
        for (int64_t i = 0; i < columns; i++)
            draw(e, &picture, i * pitch, v * pitch, views + (v * n + i) * e->size * e->size * RGB);
    BW_TRY(bw__encode_png(&png, &png_bytes, &picture));
    BW_TRY(bw__tfevents_add_png(e->file, "views", png, png_bytes, (int)picture.height, (int)picture.width));
    BW_TRY(bw__tfevents_write(e->file, step));
out:
    bw__free(picture.rgb);
    bw__free(png);
    return st;
}

void bw__events_views(bw_events *e, int64_t step, const float *views, int64_t n)
{
    if (!e || !e->file || e->images == 0) return;
    const int64_t every = (e->total - 1) / BW_EVENTS_PICTURES + 1;
    if (step != e->first + 1 && step % every != 0) return;
    if (write_views(e, step, views, n) != BW_OK) give_up(e, step);
}
