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

bw_status bw__comm_agree(bw_comm *comm, bw_status own)
{
    /* The lowest rank that failed, told apart by a number that grows towards rank 0. */
    enum { STATUSES = 64 };
    if (bw_comm_size(comm) == 1) return own;
    int64_t worst = own == BW_OK ? 0 : (int64_t)(comm->size - comm->rank) * STATUSES + -(int64_t)own;
    bw_status st = bw__comm_max_i64(comm, &worst, 1);
    if (st != BW_OK) return own != BW_OK ? own : st;
    if (worst == 0) return BW_OK;
    comm->world->all_failed = true;
    comm->world->failed_rank = comm->size - (int)(worst / STATUSES);
    if (own != BW_OK) return own;
    comm->world->remote = (bw_status)(-(worst % STATUSES));
    return bw_fail(BW_EREMOTE, "rank %d failed: %s", comm->world->failed_rank,
                   bw_status_text(comm->world->remote));
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
