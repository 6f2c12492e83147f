#include "base/error.h"
#include "base/memory.h"
#include "dist/comm_internal.h"
#include <pthread.h>

static pthread_mutex_t counts_lock = PTHREAD_MUTEX_INITIALIZER;
static bw_comm_count counts[BW_COMM_KINDS];

int bw_comm_rank(const bw_comm *comm)
{
    return comm ? comm->rank : 0;
}

int bw_comm_size(const bw_comm *comm)
{
    return comm ? comm->size : 1;
}

bool bw_comm_all_failed(const bw_comm *comm)
{
    return !comm || comm->size == 1 || comm->world->all_failed;
}

int bw_comm_failed_rank(const bw_comm *comm)
{
    return comm ? comm->world->failed_rank : 0;
}

bw_status bw_comm_remote_status(const bw_comm *comm)
{
    return comm && comm->world->remote != BW_OK ? comm->world->remote : BW_EREMOTE;
}

bw_status bw__comm_outline(bw_comm **out, int size)
{
    *out = NULL;
    bw_status st = BW_ALLOC(out, 1);
    if (st == BW_OK) **out = (bw_comm){ .size = size, .world = *out };
    return st;
}

bw_status bw__comm_agree_on(bw_comm *comm, bw_status own, int64_t *most, int n)
{
    /* First the lowest rank that failed, told apart by a number that grows towards rank 0. */
    enum { STATUSES = 64 };
    int64_t values[1 + BW_COMM_MOST];
    BW_ASSERT(n <= BW_COMM_MOST && own <= BW_OK && own > -STATUSES);
    if (bw_comm_size(comm) == 1) return own;
    const int64_t mine = own == BW_OK ? 0 : (int64_t)(comm->size - comm->rank) * STATUSES + -(int64_t)own;
    values[0] = mine;
    for (int i = 0; i < n; i++)
        values[1 + i] = most[i];
    bw_status st = bw__comm_max_i64(comm, values, 1 + n);
    if (st != BW_OK) return own != BW_OK ? own : st;
    for (int i = 0; i < n; i++)
        most[i] = values[1 + i];
    const bool all = comm->size == comm->world->size; /* ranks outside of a part know nothing of it */
    if (values[0] == 0) {
        /* A failure before this, of another run, is over. */
        if (all) comm->world->all_failed = false;
        if (all) comm->world->remote = BW_OK;
        return BW_OK;
    }
    comm->world->all_failed = all;
    comm->world->failed_rank = comm->size - (int)(values[0] / STATUSES);
    comm->world->remote = (bw_status)(-(values[0] % STATUSES));
    if (values[0] == mine) return own;
    return bw_fail(BW_EREMOTE, "rank %d failed: %s", comm->world->failed_rank,
                   bw_status_text(comm->world->remote));
}

bw_status bw__comm_agree(bw_comm *comm, bw_status own)
{
    return bw__comm_agree_on(comm, own, NULL, 0);
}

void bw__comm_add_count(bw_comm_kind kind, int64_t bytes, double seconds)
{
    pthread_mutex_lock(&counts_lock);
    counts[kind].calls++;
    counts[kind].bytes += bytes;
    counts[kind].seconds += seconds;
    pthread_mutex_unlock(&counts_lock);
}

bw_comm_count bw__comm_count(bw_comm_kind kind)
{
    pthread_mutex_lock(&counts_lock);
    bw_comm_count count = counts[kind];
    pthread_mutex_unlock(&counts_lock);
    return count;
}
