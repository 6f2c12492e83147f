#include "train/step_records.h"
#include "base/memory.h"
#include "dist/channel.h"
#include "loss/loss.h"
#include <math.h>
#include <string.h>

enum {
    TAG = 999,       /* of the channels; those of the relay count from 0 */
    STEPS_A_ROW = 2, /* that rank 0 waits for each row behind the first */
    FIELDS = 7 + BW_LOSS_TERMS
};

/*     part | double [blocks of the row][FIELDS] */
typedef struct part {
    int64_t step;
    int32_t request, has_health, has_probe;
    double peak_rss_mb;
    double values[];
} part;

struct bw_step_records {
    const bw_grid *grid;
    const bw_network *network;
    const char *const *terms[BW_MAX_BLOCKS]; /* of each block's loss, as it was when the run began */
    bw_channel *outlet;                      /* of other rows */
    bw_channel *inlet[BW_MAX_BLOCKS];        /* of rank 0, by row */
    bw_step *step;                           /* [room] of rank 0: its own parts, step s at s % room */
    int64_t room, oldest, n;                 /* oldest: step number; n: kept */
};

static int lag(const bw_grid *grid)
{
    return STEPS_A_ROW * (grid->rows - 1);
}

static size_t part_bytes(const bw_grid *grid, int row)
{
    return sizeof(part) + (size_t)(grid->begin[row + 1] - grid->begin[row]) * FIELDS * sizeof(double);
}

static bw_status open_channels(bw_step_records *r)
{
    bw_status st = BW_OK;
    const bw_grid *g = r->grid;
    const int depth = lag(g) + 2;
    if (g->row > 0) return bw__channel_open_to(&r->outlet, g->world, 0, TAG, depth, part_bytes(g, g->row));
    for (int row = 1; row < g->rows; row++)
        BW_TRY(
            bw__channel_open_from(&r->inlet[row], g->world, row * g->data, TAG, depth, part_bytes(g, row)));
out:
    return st;
}

bw_status bw__step_records_open(bw_step_records **out, const bw_grid *grid, const bw_network *network)
{
    bw_status st = BW_OK;
    bw_step_records *r = NULL;
    *out = NULL;
    if (grid->place > 0) return BW_OK;
    BW_TRY(BW_ALLOC(&r, 1));
    *r = (bw_step_records){ .grid = grid, .network = network, .room = lag(grid) + 2 };
    for (int k = 0; k < network->blocks; k++) {
        const bw_loss_config loss = bw_config_block(&network->config, k).loss;
        r->terms[k] = bw__loss_terms(&loss);
    }
    if (grid->row == 0) BW_TRY(BW_ALLOC(&r->step, r->room));
    if (grid->rows > 1) BW_TRY(open_channels(r));
    *out = r;
    r = NULL;
out:
    bw__step_records_free(r, st);
    return st;
}

void bw__step_records_free(bw_step_records *r, bw_status why)
{
    if (!r) return;
    bw__channel_close(r->outlet, why);
    for (int row = 1; row < r->grid->rows; row++)
        bw__channel_close(r->inlet[row], why);
    bw__channel_free(r->outlet);
    for (int row = 1; row < r->grid->rows; row++)
        bw__channel_free(r->inlet[row]);
    bw__free(r->step);
    bw__free(r);
}

/* The row of a term in a step, by name; -1 where it is not there. */
static int row_of_term(const bw_step *step, const char *name)
{
    for (int i = 0; i < step->terms; i++)
        if (strcmp(step->term_name[i], name) == 0) return i;
    return -1;
}

static void pack_block(double *v, const bw_step_records *r, const bw_step *s, int k)
{
    const double values[] = { s->loss[k],
                              s->grad_norm[k],
                              s->embedding_std[k],
                              s->effective_rank[k],
                              s->effective_rank_max[k],
                              s->dead_channels[k],
                              s->probe_top1_train[k] };
    const int n = (int)(sizeof values / sizeof values[0]);
    const char *const *name = r->terms[k];
    memcpy(v, values, sizeof values);
    for (int i = 0; name[i]; i++) {
        int row = row_of_term(s, name[i]);
        v[n + i] = row < 0 ? (double)NAN : s->term[row][k];
    }
}

static void unpack_block(bw_step *s, const bw_step_records *r, const double *v, int k)
{
    double *const to[] = { &s->loss[k],
                           &s->grad_norm[k],
                           &s->embedding_std[k],
                           &s->effective_rank[k],
                           &s->effective_rank_max[k],
                           &s->dead_channels[k],
                           &s->probe_top1_train[k] };
    const int n = (int)(sizeof to / sizeof to[0]);
    const char *const *name = r->terms[k];
    for (int i = 0; i < n; i++)
        *to[i] = v[i];
    for (int i = 0; name[i] && !isnan(s->loss[k]); i++) {
        int row = row_of_term(s, name[i]);
        if (row < 0) {
            row = s->terms++;
            BW_ASSERT(row < BW_MAX_TERMS);
            s->term_name[row] = name[i];
            for (int j = 0; j < s->blocks; j++)
                s->term[row][j] = (double)NAN;
        }
        s->term[row][k] = v[n + i];
    }
}

static bw_status send(bw_step_records *r, const bw_step *step, bw_request request)
{
    const int first = bw__grid_first(r->grid), end = bw__grid_end(r->grid);
    void *slot = NULL;
    bw_status st = bw__channel_room(r->outlet, &slot);
    if (st != BW_OK) return st;
    part *p = slot;
    *p = (part){ .step = step->step,
                 .request = (int32_t)request,
                 .has_health = step->has_health,
                 .has_probe = step->has_probe,
                 .peak_rss_mb = step->peak_rss_mb };
    for (int k = first; k < end; k++)
        pack_block(p->values + (k - first) * FIELDS, r, step, k);
    bw__channel_put(r->outlet);
    return BW_OK;
}

bw_status bw__step_records_put(bw_step_records *r, const bw_step *step, bw_request request)
{
    if (!r) return BW_OK;
    if (r->outlet) return send(r, step, request);
    BW_ASSERT(r->n < r->room);
    if (r->n == 0) r->oldest = step->step;
    r->step[step->step % r->room] = *step;
    r->n++;
    return BW_OK;
}

static bw_status add_row(bw_step_records *r, bw_step *out, bw_request *request, int row)
{
    const void *message = NULL;
    const int first = r->grid->begin[row], end = r->grid->begin[row + 1];
    bw_status st = bw__channel_get(r->inlet[row], &message, true);
    if (st != BW_OK) return st;
    const part *p = message;
    BW_ASSERT(p->step == out->step);
    for (int k = first; k < end; k++)
        unpack_block(out, r, p->values + (k - first) * FIELDS, k);
    if ((bw_request)p->request > *request) *request = (bw_request)p->request;
    if (p->peak_rss_mb > out->peak_rss_mb) out->peak_rss_mb = p->peak_rss_mb;
    out->has_health = out->has_health || p->has_health;
    out->has_probe = out->has_probe || p->has_probe;
    bw__channel_release(r->inlet[row]);
    return BW_OK;
}

bw_status bw__step_records_take(bw_step_records *r, bw_step *out, bool *there, bw_request *request, bool all)
{
    *request = BW_GO_ON;
    *there = r->n > 0 && (all || r->n > lag(r->grid));
    if (!*there) return BW_OK;
    *out = r->step[r->oldest % r->room];
    for (int row = 1; row < r->grid->rows; row++) {
        bw_status st = add_row(r, out, request, row);
        if (st != BW_OK) return st;
    }
    r->oldest++;
    r->n--;
    return BW_OK;
}
