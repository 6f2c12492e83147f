#include "train/grid.h"
#include "base/error.h"
#include "formats/architecture.h"
#include <inttypes.h>

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

static bw_status check_rows(const bw_grid *g, const bw_config *c)
{
    int blocks = bw__config_blocks(c);
    if (g->rows == 1) return BW_OK;
    if (c->train.order == BW_ORDER_SEQUENTIAL)
        return bw_fail(BW_EINVAL,
                       "parallel.block %d: with train.order sequential one block learns at a time; use "
                       "parallel.data alone, or train.order simultaneous",
                       g->rows);
    if (g->rows > blocks)
        return bw_fail(BW_EINVAL,
                       "parallel.block %d: there %s only %d block%s to share; take at most that, or "
                       "cut the network into more with model.cuts",
                       g->rows, blocks == 1 ? "is" : "are", blocks, blocks == 1 ? "" : "s");
    return BW_OK;
}

bw_status bw__grid_outline(bw_grid *out, const bw_config *config)
{
    bw_grid g = { .rows = config->parallel.block,
                  .data = config->parallel.data > 0 ? config->parallel.data : 1 };
    bw_status st = check_batch(&g, config);
    if (st == BW_OK) st = check_rows(&g, config);
    *out = st == BW_OK ? g : bw__grid_alone();
    return st;
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
