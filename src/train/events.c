#include "train/events.h"
#include "base/memory.h"
#include "formats/tfevents.h"
#include <math.h>
#include <stdio.h>

struct bw_events {
    bw_tfevents *file;
    int64_t every, total;
};

bw_status bw__events_open(bw_events **out, const char *folder, int64_t first, int64_t total)
{
    bw_status st = BW_OK;
    bw_events *e = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&e, 1));
    e->total = total;
    e->every = (total - 1) / BW_EVENTS_POINTS + 1;
    BW_TRY(bw__tfevents_open(&e->file, folder, first + 1));
    *out = e;
    e = NULL;
out:
    bw__events_close(e);
    return st;
}

void bw__events_close(bw_events *e)
{
    if (!e) return;
    bw__tfevents_close(e->file);
    bw__free(e);
}

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

bw_status bw__events_step(bw_events *e, const bw_step *s)
{
    bool wanted = s->step % e->every == 0 || s->has_health || s->has_probe_test || s->step == e->total;
    if (!wanted) return BW_OK;
    bw_status st = add_step(e->file, s);
    return st == BW_OK ? bw__tfevents_write(e->file, s->step) : st;
}
