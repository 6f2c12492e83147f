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

bw_status bw__state_share(bw_network *network, bw_online_probe *probe, bw_comm *comm)
{
    bw_status st = BW_OK;
    bw_state *s = NULL;
    if (bw_comm_size(comm) == 1) return BW_OK;
    st = BW_ALLOC(&s, 1);
    BW_TRY(bw__comm_agree(comm, st));
    bw__state_list(s, network, probe);
    for (int i = 0; i < s->n; i++)
        BW_TRY(bw__comm_broadcast(comm, s->item[i].data, s->item[i].bytes, 0));
    BW_TRY(bw__comm_broadcast(comm, &network->steps, sizeof network->steps, 0));
out:
    bw__free(s);
    return st;
}

/* sums [n] against those of rank 0. */
static bw_status compare(const bw_state *s, const uint64_t *sums, const uint64_t *first)
{
    for (int i = 0; i < s->n; i++)
        if (sums[i] != first[i])
            return bw_fail(BW_EKERNEL,
                           "%s is not what rank 0 has after the same steps (checksum %016" PRIx64
                           ", there %016" PRIx64 "): memory, a processor or MPI has changed a value; go on "
                           "from the last checkpoint with --resume, without this host if it happens again",
                           s->item[i].name, sums[i], first[i]);
    return BW_OK;
}

bw_status bw__state_compare(const bw_network *network, const bw_online_probe *probe, bw_comm *comm)
{
    bw_status st = BW_OK;
    bw_state *s = NULL;
    uint64_t *sums = NULL, *first = NULL;
    if (bw_comm_size(comm) == 1) return BW_OK;
    st = BW_ALLOC(&s, 1);
    if (st == BW_OK) bw__state_list(s, network, probe);
    if (st == BW_OK) st = BW_ALLOC(&sums, s->n);
    if (st == BW_OK) st = BW_ALLOC(&first, s->n);
    BW_TRY(bw__comm_agree(comm, st));
    for (int i = 0; i < s->n; i++)
        first[i] = sums[i] = bw__checksum(s->item[i].data, s->item[i].bytes);
    BW_TRY(bw__comm_broadcast(comm, first, (size_t)s->n * sizeof *first, 0));
    BW_TRY(bw__comm_agree(comm, compare(s, sums, first)));
out:
    bw__free(s);
    bw__free(sums);
    bw__free(first);
    return st;
}
