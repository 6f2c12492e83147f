#include "train/relay.h"
#include "base/memory.h"
#include "dist/channel.h"
#include "model/network_internal.h"
#include <inttypes.h>
#include <string.h>

struct bw_relay {
    bw_channel *inlet, *outlet; /* NULL in the first row, in the last */
    bool held;                  /* a message of the inlet is in use */
    int *labels;                /* [batch], of the running step, from the row before */
};

/*     header | labels [images of a part] | activations [views, images, h, w, c]     each 64-byte aligned */
typedef struct header {
    int64_t step, part;
    int32_t has_labels, looking, note;
} header;

static int64_t images_of_part(const bw_trainer *t)
{
    return t->batch / t->network->config.train.split;
}

static size_t labels_at(void)
{
    return bw__round_up(sizeof(header));
}

static size_t activations_at(const bw_trainer *t)
{
    return labels_at() + bw__round_up((size_t)images_of_part(t) * sizeof(int));
}

static size_t input_bytes(const bw_trainer *t)
{
    return activations_at(t) + (size_t)bw__trainer_input_count(t) * bw__type_size(t->exec.type);
}

static size_t output_bytes(const bw_trainer *t)
{
    return activations_at(t) +
           (size_t)t->blocks[t->created - 1].block.out_count * bw__type_size(t->exec.type);
}

static bool has_row_before(const bw_trainer *t)
{
    return t->grid->row > 0;
}

static bool has_row_behind(const bw_trainer *t)
{
    return t->grid->row < t->grid->rows - 1;
}

int64_t bw__relay_bytes(const bw_trainer *t)
{
    size_t bytes = 0;
    if (has_row_before(t)) bytes += BW_RELAY_DEPTH * input_bytes(t);
    if (has_row_behind(t)) bytes += BW_RELAY_DEPTH * output_bytes(t);
    return (int64_t)bytes;
}

bw_status bw__relay_create(bw_relay **out, const bw_trainer *t)
{
    bw_status st = BW_OK;
    bw_relay *r = NULL;
    bw_comm *world = t->grid->world;
    const int rank = bw_comm_rank(world), data = t->grid->data, place = t->grid->place;
    *out = NULL;
    if (t->grid->rows == 1 || !world || t->network->outline) return BW_OK;
    BW_TRY(BW_ALLOC(&r, 1));
    BW_TRY(BW_ALLOC(&r->labels, t->batch));
    if (has_row_before(t))
        BW_TRY(bw__channel_open_from(&r->inlet, world, rank - data, place, BW_RELAY_DEPTH, input_bytes(t)));
    if (has_row_behind(t))
        BW_TRY(bw__channel_open_to(&r->outlet, world, rank + data, place, BW_RELAY_DEPTH, output_bytes(t)));
    *out = r;
    r = NULL;
out:
    bw__relay_free(r, st);
    return st;
}

void bw__relay_free(bw_relay *r, bw_status why)
{
    if (!r) return;
    bw__channel_close(r->inlet, why);
    bw__channel_close(r->outlet, why);
    bw__channel_free(r->inlet);
    bw__channel_free(r->outlet);
    bw__free(r->labels);
    bw__free(r);
}

/* Messages are never lost or swapped; a row that counts otherwise must not train on them. */
static bw_status check(const bw_trainer *t, const header *h)
{
    if (h->step == t->steps_done && h->part == t->part && h->looking == t->looking) return BW_OK;
    return bw_fail(BW_EREMOTE,
                   "row %d of the grid is at step %" PRId64 ", part %" PRId64
                   ", and the row before sent step "
                   "%" PRId64 ", part %" PRId64,
                   t->grid->row + 1, t->steps_done + 1, t->part + 1, h->step + 1, h->part + 1);
}

bw_status bw__relay_receive(bw_trainer *t, const void **in)
{
    bw_relay *r = t->relay;
    const void *message = NULL;
    *in = bw__untouchable();
    if (bw__exec_is_dry(&t->exec)) return BW_OK;
    double begin = bw__profile_begin_apart(&t->exec);
    bw_status st = bw__channel_get(r->inlet, &message, true);
    bw__profile_end_apart(&t->exec, begin, "ranks", "wait for input");
    if (st != BW_OK) return st;
    r->held = true;
    const header *h = message;
    st = check(t, h);
    if (st != BW_OK) return st;
    const int64_t images = images_of_part(t);
    memcpy(r->labels + t->part * images, (const char *)message + labels_at(), (size_t)images * sizeof(int));
    t->labels = h->has_labels ? r->labels : NULL;
    t->note = h->note;
    *in = (const char *)message + activations_at(t);
    return BW_OK;
}

void bw__relay_release(bw_trainer *t)
{
    bw_relay *r = t->relay;
    if (!r || !r->held) return;
    r->held = false;
    bw__channel_release(r->inlet);
}

bw_status bw__relay_pass_on(bw_trainer *t, const void *out)
{
    bw_relay *r = t->relay;
    void *message = NULL;
    if (!r || !r->outlet || bw__exec_is_dry(&t->exec)) return BW_OK;
    double begin = bw__profile_begin_apart(&t->exec);
    bw_status st = bw__channel_room(r->outlet, &message);
    bw__profile_end_apart(&t->exec, begin, "ranks", "wait for the next row");
    if (st != BW_OK) return st;
    const int64_t images = images_of_part(t);
    *(header *)message = (header){ .step = t->steps_done,
                                   .part = t->part,
                                   .has_labels = t->labels != NULL,
                                   .looking = t->looking,
                                   .note = t->note };
    if (t->labels)
        memcpy((char *)message + labels_at(), t->labels + t->part * images, (size_t)images * sizeof(int));
    memcpy((char *)message + activations_at(t), out, output_bytes(t) - activations_at(t));
    bw__channel_put(r->outlet);
    return BW_OK;
}
