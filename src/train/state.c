#include "train/state.h"
#include "base/memory.h"
#include "formats/checksum.h"
#include <inttypes.h>
#include <stdio.h>

static void append(bw_state *s, int block, const char *what, void *data, int64_t count)
{
    bw_state_item *item = &s->item[s->n++];
    *item = (bw_state_item){
        .block = block, .count = count, .bytes = (size_t)count * sizeof(float), .data = data
    };
    (void)snprintf(item->name, sizeof item->name, "blocks.%d.%s", block + 1, what);
}

static void append_counter(bw_state *s, int block, const char *what, int64_t *counter)
{
    append(s, block, what, counter, 1);
    s->item[s->n - 1].counter = true;
    s->item[s->n - 1].bytes = sizeof *counter;
}

void bw__state_list(bw_state *s, const bw_network *network, const bw_online_probe *probe)
{
    s->n = 0;
    for (int k = 0; k < network->blocks; k++) {
        const bw_params *p = &network->params[k];
        append(s, k, "values", p->values, p->total);
        if (p->momenta) append(s, k, "momenta", p->momenta, p->trained);
        if (p->squares) append(s, k, "squares", p->squares, p->trained);
        append_counter(s, k, "batches_tracked", (int64_t *)&p->batches_tracked);
        if (!probe || probe->block[k].count == 0) continue;
        append(s, k, "probe.values", probe->block[k].values, probe->block[k].count);
        append(s, k, "probe.momenta", probe->block[k].momenta, probe->block[k].count);
    }
}

static int row_of_block(const bw_grid *grid, int k)
{
    for (int row = 0; row < grid->rows; row++)
        if (k >= grid->begin[row] && k < grid->begin[row + 1]) return row;
    return -1; /* never run: rank 0 keeps it */
}

static bool is_own(const bw_grid *grid, int k)
{
    return k >= bw__grid_first(grid) && k < bw__grid_end(grid);
}

/* An array of rank 0 to or from the first rank of the row that has its block. */
static bw_status move(const bw_state_item *item, const bw_grid *grid, bool to_row)
{
    const int row = row_of_block(grid, item->block), owner = row * grid->data,
              rank = bw_comm_rank(grid->world);
    if (row < 1 || (rank != 0 && rank != owner)) return BW_OK;
    return (rank == 0) == to_row
               ? bw__comm_send(grid->world, item->data, item->bytes, rank == 0 ? owner : 0, 0)
               : bw__comm_receive(grid->world, item->data, item->bytes, rank == 0 ? owner : 0, 0);
}

bw_status bw__state_share(bw_network *network, bw_online_probe *probe, const bw_grid *grid)
{
    bw_status st = BW_OK;
    bw_state *s = NULL;
    if (bw_comm_size(grid->world) == 1) return BW_OK;
    st = BW_ALLOC(&s, 1);
    BW_TRY(bw__comm_agree(grid->world, st));
    bw__state_list(s, network, probe);
    for (int i = 0; i < s->n && grid->rows > 1; i++)
        BW_TRY(move(&s->item[i], grid, true));
    for (int i = 0; i < s->n && grid->batch; i++)
        if (is_own(grid, s->item[i].block))
            BW_TRY(bw__comm_broadcast(grid->batch, s->item[i].data, s->item[i].bytes, 0));
    BW_TRY(bw__comm_broadcast(grid->world, &network->steps, sizeof network->steps, 0));
out:
    bw__free(s);
    return st;
}

bw_status bw__state_collect(bw_network *network, bw_online_probe *probe, const bw_grid *grid)
{
    bw_status st = BW_OK;
    bw_state *s = NULL;
    if (grid->rows == 1) return BW_OK;
    st = BW_ALLOC(&s, 1);
    BW_TRY(bw__comm_agree(grid->world, st));
    bw__state_list(s, network, probe);
    for (int i = 0; i < s->n; i++)
        BW_TRY(move(&s->item[i], grid, false));
out:
    bw__free(s);
    return st;
}

/* sums [n] against those of the first rank of the row. */
static bw_status compare(const bw_state *s, const uint64_t *sums, const uint64_t *first, const bw_grid *grid)
{
    for (int i = 0; i < s->n; i++)
        if (is_own(grid, s->item[i].block) && sums[i] != first[i])
            return bw_fail(BW_EKERNEL,
                           "%s is not what rank %d has after the same steps (checksum %016" PRIx64
                           ", there %016" PRIx64 "): memory, a processor or MPI has changed a value; go on "
                           "from the last checkpoint with --resume, without this host if it happens again",
                           s->item[i].name, grid->row * grid->data, sums[i], first[i]);
    return BW_OK;
}

/* Rank 0 has more in its list than the others of its row: one at a time. */
static bw_status broadcast_sums(uint64_t *first, const bw_state *s, const bw_grid *grid)
{
    bw_status st = BW_OK;
    for (int i = 0; i < s->n && grid->batch && st == BW_OK; i++)
        if (is_own(grid, s->item[i].block))
            st = bw__comm_broadcast(grid->batch, &first[i], sizeof first[i], 0);
    return st;
}

bw_status bw__state_compare(const bw_network *network, const bw_online_probe *probe, const bw_grid *grid)
{
    bw_status st = BW_OK;
    bw_state *s = NULL;
    uint64_t *sums = NULL, *first = NULL;
    if (bw_comm_size(grid->world) == 1) return BW_OK;
    st = BW_ALLOC(&s, 1);
    if (st == BW_OK) bw__state_list(s, network, probe);
    if (st == BW_OK) st = BW_ALLOC(&sums, s->n);
    if (st == BW_OK) st = BW_ALLOC(&first, s->n);
    BW_TRY(bw__comm_agree(grid->world, st));
    for (int i = 0; i < s->n; i++)
        if (is_own(grid, s->item[i].block))
            first[i] = sums[i] = bw__checksum(s->item[i].data, s->item[i].bytes);
    st = broadcast_sums(first, s, grid);
    if (st == BW_OK) st = compare(s, sums, first, grid);
    BW_TRY(bw__comm_agree(grid->world, st));
out:
    bw__free(s);
    bw__free(sums);
    bw__free(first);
    return st;
}
