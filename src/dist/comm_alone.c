/* The communicator of a build without MPI: one rank, for which every collective is done before it begins.
 * Nothing but a message to oneself could fail, and nobody sends one. */
#include "base/error.h"
#include "base/memory.h"
#include "dist/comm_internal.h"
#include <stdlib.h>
#include <string.h>

const char *bw_comm_library(void)
{
    return "none";
}

bw_status bw_comm_start(bw_comm **out)
{
    bw_comm *comm = NULL;
    int ranks = bw_launched_ranks();
    *out = NULL;
    if (ranks > 1)
        return bw_fail(BW_EINVAL,
                       "started as one of %d ranks, but this build has no MPI; build with MPI "
                       "(Debian: libopenmpi-dev), or start one process",
                       ranks);
    bw_status st = BW_ALLOC(&comm, 1);
    if (st != BW_OK) return st;
    *comm = (bw_comm){ .size = 1, .world = comm };
    *out = comm;
    return BW_OK;
}

void bw_comm_end(bw_comm *comm)
{
    bw__free(comm);
}

void bw_comm_abort(bw_comm *comm, int exit_status)
{
    (void)comm;
    _Exit(exit_status);
}

bw_status bw__comm_split(bw_comm **out, bw_comm *parent, int color, int key)
{
    (void)color;
    (void)key;
    bw_status st = BW_ALLOC(out, 1);
    if (st == BW_OK) **out = (bw_comm){ .size = 1, .world = parent->world };
    return st;
}

bw_status bw__comm_split_by_machine(bw_comm **out, bw_comm *parent)
{
    return bw__comm_split(out, parent, 0, 0);
}

void bw__comm_free(bw_comm *comm)
{
    bw__free(comm);
}

bw_status bw__comm_sum_f32(bw_comm *comm, float *values, int64_t n)
{
    (void)comm, (void)values, (void)n;
    return BW_OK;
}

bw_status bw__comm_sum_f64(bw_comm *comm, double *values, int64_t n)
{
    (void)comm, (void)values, (void)n;
    return BW_OK;
}

bw_status bw__comm_sum_i64(bw_comm *comm, int64_t *values, int64_t n)
{
    (void)comm, (void)values, (void)n;
    return BW_OK;
}

bw_status bw__comm_max_i64(bw_comm *comm, int64_t *values, int64_t n)
{
    (void)comm, (void)values, (void)n;
    return BW_OK;
}

bw_status bw__comm_gather(bw_comm *comm, void *all, const void *own, size_t bytes)
{
    (void)comm;
    memcpy(all, own, bytes);
    return BW_OK;
}

bw_status bw__comm_broadcast(bw_comm *comm, void *bytes, size_t n, int root)
{
    (void)comm, (void)bytes, (void)n, (void)root;
    return BW_OK;
}

bw_status bw__comm_barrier(bw_comm *comm)
{
    (void)comm;
    return BW_OK;
}

static bw_status nobody(int rank)
{
    return bw_fail(BW_EINVAL, "there is no rank %d to exchange messages with", rank);
}

bw_status bw__comm_send(bw_comm *comm, const void *bytes, size_t n, int to, int tag)
{
    (void)comm, (void)bytes, (void)n, (void)tag;
    return nobody(to);
}

bw_status bw__comm_receive(bw_comm *comm, void *bytes, size_t n, int from, int tag)
{
    (void)comm, (void)bytes, (void)n, (void)tag;
    return nobody(from);
}

bw_status bw__comm_begin_sum_f32(bw_comm_work *work, bw_comm *comm, float *values, int64_t n)
{
    (void)work, (void)comm, (void)values, (void)n;
    return BW_OK;
}

bw_status bw__comm_work_reserve(bw_comm_work *work, bw_comm *comm, int64_t n)
{
    (void)work, (void)comm, (void)n;
    return BW_OK;
}

bw_status bw__comm_finish(bw_comm_work *work)
{
    (void)work;
    return BW_OK;
}

void bw__comm_work_free(bw_comm_work *work)
{
    (void)work;
}
