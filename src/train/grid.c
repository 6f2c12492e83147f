#include "train/grid.h"
#include "base/error.h"
#include "formats/architecture.h"
#include "train/balance.h"
#include "train/order.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bw_grid bw__grid_alone(void)
{
    return (bw_grid){ .data = 1, .rows = 1 };
}

static bw_status check_ranks(const bw_grid *g, int ranks)
{
    if (g->data * g->rows != ranks)
        return bw_fail(BW_EINVAL,
                       "parallel.data %d x parallel.block %d needs %d ranks, there %s %d; start as many with "
                       "mpirun -np, or set parallel.data and parallel.block so that their product is %d",
                       g->data, g->rows, g->data * g->rows, ranks == 1 ? "is" : "are", ranks, ranks);
    return BW_OK;
}

static bw_status check_batch(const bw_grid *g, const bw_config *c)
{
    if (c->train.batch % ((int64_t)g->data * c->train.split) != 0)
        return bw_fail(BW_EINVAL,
                       "train.batch %" PRId64 " cannot be dealt evenly to %d ranks%s; take a multiple of "
                       "%" PRId64,
                       c->train.batch, g->data, c->train.split > 1 ? " in the parts of train.split" : "",
                       (int64_t)g->data * c->train.split);
    return BW_OK;
}

/* Blocks behind the last one that learns are not run. */
static int blocks_that_are_run(const bw_config *c)
{
    bw_phases phases;
    bw__phases(&phases, c, bw__config_blocks(c), 1);
    return phases.at[phases.n - 1].last + 1;
}

/* Row by row as many blocks as go into it. */
static void share_evenly(bw_grid *g, const bw_config *c)
{
    for (int r = 0; r <= g->rows; r++)
        g->begin[r] = r * blocks_that_are_run(c) / g->rows;
}

static bw_status check_rows(const bw_grid *g, const bw_config *c)
{
    const int blocks = blocks_that_are_run(c);
    if (g->rows == 1) return BW_OK;
    if (c->train.order == BW_ORDER_SEQUENTIAL)
        return bw_fail(BW_EINVAL,
                       "parallel.block %d: with train.order sequential one block learns at a time; use "
                       "parallel.data alone, or train.order simultaneous",
                       g->rows);
    if (g->rows > blocks)
        return bw_fail(
            BW_EINVAL,
            "parallel.block %d: there %s only %d block%s to share; take at most that, or "
            "cut the network into more with model.cuts (blocks behind the last one of train.blocks "
            "are not run)",
            g->rows, blocks == 1 ? "is" : "are", blocks, blocks == 1 ? "" : "s");
    return BW_OK;
}

bw_status bw__grid_outline(bw_grid *out, const bw_config *config)
{
    bw_grid g = { .rows = config->parallel.block,
                  .data = config->parallel.data > 0 ? config->parallel.data : 1 };
    bw_status st = check_batch(&g, config);
    if (st == BW_OK) st = check_rows(&g, config);
    if (st == BW_OK) share_evenly(&g, config);
    *out = st == BW_OK ? g : bw__grid_alone();
    return st;
}

bw_status bw__grid_set_rows(bw_grid *g, const int *begin)
{
    bool fits = begin[0] == 0 && begin[g->rows] == g->begin[g->rows];
    for (int r = 0; r < g->rows && fits; r++)
        fits = begin[r] < begin[r + 1];
    if (!fits)
        return bw_fail(
            BW_EINVAL,
            "rows: begin must rise from 0 to %d, the number of blocks that are run, with a block for "
            "each of the %d rows",
            g->begin[g->rows], g->rows);
    memcpy(g->begin, begin, (size_t)(g->rows + 1) * sizeof *begin);
    return BW_OK;
}

bw_status bw__grid_create(bw_grid *out, bw_comm *world, const bw_config *config)
{
    bw_status st = BW_OK;
    int ranks = bw_comm_size(world), rank = bw_comm_rank(world);
    bw_grid g = { .world = world, .rows = config->parallel.block, .data = config->parallel.data };
    *out = bw__grid_alone();
    if (g.data == 0) g.data = ranks / g.rows > 0 ? ranks / g.rows : 1;
    st = check_ranks(&g, ranks);
    if (st == BW_OK) st = check_batch(&g, config);
    if (st == BW_OK) st = check_rows(&g, config);
    BW_TRY(bw__comm_agree(world, st)); /* all find the same, and know that all do */
    g.row = rank / g.data;
    g.place = rank % g.data;
    share_evenly(&g, config);
    if (g.data > 1) BW_TRY(bw__comm_split(&g.batch, world, g.row, g.place));
    *out = g;
out:
    return st;
}

void bw__grid_destroy(bw_grid *grid)
{
    bw__comm_free(grid->batch);
    *grid = bw__grid_alone();
}

/* For the log: "1-2 | 3 | 4". */
static void shares_text(char *text, size_t size, const bw_grid *g)
{
    size_t used = 0;
    for (int r = 0; r < g->rows && used < size; r++) {
        const int first = g->begin[r] + 1, last = g->begin[r + 1];
        int n = first == last ? snprintf(text + used, size - used, "%s%d", r ? " | " : "", first)
                              : snprintf(text + used, size - used, "%s%d-%d", r ? " | " : "", first, last);
        if (n < 0) break;
        used += (size_t)n;
    }
}

static bw_status measure(bw_grid *g, const bw_config *config)
{
    bw_block_costs costs;
    double cost[BW_MAX_BLOCKS], sum = 0.0;
    char text[512] = "";
    bw_status st = bw__block_costs(&costs, config);
    if (st != BW_OK) return st;
    for (int k = 0; k < costs.blocks; k++) {
        cost[k] = bw__block_cost_s(&costs, k, bw__grid_images(g, config));
        sum += cost[k];
    }
    double largest = bw__balance(g->begin, cost, costs.blocks, g->rows);
    shares_text(text, sizeof text, g);
    bw_log(BW_LOG_INFO,
           "blocks of the %d rows of ranks: %s; the slowest row has %.0f %% of the work (measured in %.1f s)",
           g->rows, text, sum > 0.0 ? 100.0 * largest / sum : 0.0, costs.seconds);
    return BW_OK;
}

bw_status bw__grid_balance(bw_grid *g, const bw_config *config)
{
    bw_status st = BW_OK;
    if (g->rows == 1) return BW_OK;
    if (bw_comm_rank(g->world) == 0) st = measure(g, config);
    BW_TRY(bw__comm_agree(g->world, st));
    BW_TRY(bw__comm_broadcast(g->world, g->begin, sizeof g->begin, 0));
out:
    return st;
}
