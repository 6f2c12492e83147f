/* One rank with the whole batch against all ranks with a share of it each.
 *
 * Weights are compared by the way they went: what a wrong factor in a gradient changes is that way, which is
 * a small part of the weights themselves. SGD, because LARS divides every gradient by its own length: there a
 * factor would go unseen in all weights but those of one dimension. */
#include "base/memory.h"
#include "train/selftest_problem.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    IMAGES = 16, /* of a batch at least; at least: */
    IMAGES_OF_RANK = 2,
    TRIES = 3,
    SETTINGS = BW_MAX_BLOCKS + 16
};
#define WORD(end, word, ops) "loss.name=" word,
static const char *const LOSSES[] = { BW_LOSS_LIST(WORD) NULL };
#undef WORD
static const char *const ORDERS[] = { "train.order=simultaneous", "train.order=end-to-end", NULL };
/* The expansion is wide enough to be fused in every block, or in none. */
static const char *const HEADS[][3] = { { "cbe, fused", "head.pool=cbe", "head.dim=256" },
                                        { "cbe, stored", "head.pool=cbe", "head.dim=24" },
                                        { "gsp", "head.pool=gsp", "seed=0" },
                                        { "lsp", "head.pool=lsp", "head.dim=256" } };
enum { N_HEADS = sizeof HEADS / sizeof HEADS[0] };

typedef struct problem {
    bw_comm *ranks;
    bw_rank_mistake mistake;
    const char *settings[SETTINGS]; /* those of both sides, NULL at the end */
    char text[BW_MAX_BLOCKS + 3][64];
    int n;
} problem;

static void add(problem *c, const char *setting)
{
    BW_ASSERT(c->n + 1 < SETTINGS);
    c->settings[c->n++] = setting;
    c->settings[c->n] = NULL;
}

static void add_rates(problem *c, const bw_selftest_rates *r)
{
    for (int k = 0; k < r->n; k++) {
        if (r->n == 1)
            (void)snprintf(c->text[k], sizeof c->text[k], "optimizer.lr=%.9g", r->lr[k]);
        else
            (void)snprintf(c->text[k], sizeof c->text[k], "blocks[%d].optimizer.lr=%.9g", k + 1, r->lr[k]);
        add(c, c->text[k]);
    }
}

/* What every rank does alone, though all do the same: the rates are rank 0's. */
static bw_status train_alone(problem *c, bw_selftest_side *alone, bw_network **start)
{
    bw_status st = BW_OK;
    bw_selftest_rates r = { 0 };
    st = bw__comm_agree(c->ranks, bw__selftest_find_rates(&r, c->settings));
    if (st != BW_OK) return st;
    BW_TRY(bw__comm_broadcast(c->ranks, &r, sizeof r, 0));
    add_rates(c, &r);
    st = bw__selftest_make(alone, NULL, c->settings);
    if (st == BW_OK) st = bw__selftest_network(start, &alone->config);
    if (st == BW_OK) st = bw__selftest_train(alone);
    return bw__comm_agree(c->ranks, st);
out:
    return st;
}

static bw_status train_together(problem *c, bw_selftest_side *shared)
{
    bw_status st = bw__comm_agree(c->ranks, bw__selftest_make(shared, c->ranks, c->settings));
    if (st != BW_OK) return st;
    shared->trainer->wrong = c->mistake;
    return bw__selftest_train(shared);
}

static void raise_to(double *most, double value)
{
    if (isnan(value) || value > *most) *most = value; /* a NaN stays */
}

/* The largest of any rank. */
static bw_status join(bw_ranks_check *out, bw_comm *ranks)
{
    enum { NUMBERS = 3 };
    bw_status st = BW_OK;
    double own[NUMBERS] = { out->by_loss, out->by_statistics, out->by_weights }, *all = NULL;
    BW_TRY(bw__comm_agree(ranks, BW_ALLOC(&all, NUMBERS * bw_comm_size(ranks))));
    BW_TRY(bw__comm_gather(ranks, all, own, sizeof own));
    for (int r = 0; r < bw_comm_size(ranks); r++) {
        raise_to(&out->by_loss, all[NUMBERS * r]);
        raise_to(&out->by_statistics, all[NUMBERS * r + 1]);
        raise_to(&out->by_weights, all[NUMBERS * r + 2]);
    }
    BW_TRY(bw__comm_broadcast(ranks, &out->moved, sizeof out->moved, 0));
    out->passed = out->by_loss <= BW_SELFTEST_RANKS_LIMIT && out->by_statistics <= BW_SELFTEST_RANKS_LIMIT &&
                  out->by_weights <= BW_SELFTEST_RANKS_LIMIT;
out:
    bw__free(all);
    return st;
}

static bw_status try_once(problem *c, bw_ranks_check *out)
{
    bw_status st = BW_OK;
    bw_selftest_side alone = { .grid = bw__grid_alone() }, shared = { .grid = bw__grid_alone() };
    bw_network *start = NULL;
    bw_selftest_distance d;
    BW_TRY(train_alone(c, &alone, &start));
    BW_TRY(train_together(c, &shared));
    bw__selftest_compare(&d, start, &alone, &shared);
    out->by_loss = d.by_loss;
    out->by_statistics = d.by_statistics;
    out->by_weights = d.by_weights;
    out->moved = d.moved;
    BW_TRY(join(out, c->ranks));
out:
    bw_network_free(start);
    bw__selftest_drop(&alone);
    bw__selftest_drop(&shared);
    return st;
}

static int64_t batch_of(int ranks)
{
    int64_t own = (IMAGES + ranks - 1) / ranks;
    return (own < IMAGES_OF_RANK ? IMAGES_OF_RANK : own) * ranks;
}

/* ReLU's gradient jumps at 0: where rounding moves one input across, the way differs by about one part in a
 * thousand, once in some hundred problems. A mistake shows in every problem, so another one is drawn then. */
static bw_status run_check(bw_ranks_check *out, bw_comm *ranks, bw_rank_mistake mistake,
                           const char *const *words)
{
    bw_status st = BW_OK;
    char batch[64], seed[64];
    (void)snprintf(batch, sizeof batch, "train.batch=%lld", (long long)batch_of(bw_comm_size(ranks)));
    for (int i = 0; st == BW_OK && !out->passed && i < (mistake == BW_RANKS_RIGHT ? TRIES : 1); i++) {
        problem c = { .ranks = ranks, .mistake = mistake };
        for (int w = 0; words[w]; w++)
            add(&c, words[w]);
        (void)snprintf(seed, sizeof seed, "seed=%d", i);
        add(&c, batch);
        add(&c, seed);
        st = try_once(&c, out);
        out->tries = i + 1;
    }
    return st;
}

static const char *value_of(const char *setting)
{
    return strchr(setting, '=') + 1;
}

int bw__selftest_ranks_checks(void)
{
    return N_HEADS * (int)(sizeof LOSSES / sizeof LOSSES[0] - 1) *
           (int)(sizeof ORDERS / sizeof ORDERS[0] - 1);
}

bw_status bw__selftest_ranks(bool *passed, bw_comm *ranks, bw_rank_mistake mistake,
                             bw_ranks_check_fn on_check, void *user)
{
    *passed = true;
    for (int o = 0; ORDERS[o]; o++)
        for (int h = 0; h < N_HEADS; h++)
            for (int l = 0; LOSSES[l]; l++) {
                const char *const words[] = { ORDERS[o], HEADS[h][1], HEADS[h][2], LOSSES[l], NULL };
                bw_ranks_check check = { .order = value_of(ORDERS[o]),
                                         .head = HEADS[h][0],
                                         .loss = value_of(LOSSES[l]) };
                bw_status st = run_check(&check, ranks, mistake, words);
                if (st != BW_OK) return st;
                *passed = *passed && check.passed;
                if (on_check) on_check(user, &check);
            }
    return BW_OK;
}
