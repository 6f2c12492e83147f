/* The communicator over MPI. Values longer than an `int` counts go in pieces. Where a wait may be long, the
 * rank asks and naps instead of spinning in MPI, so that ranks that share processors do not take them from
 * one that computes. */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/trace.h"
#include "dist/comm_internal.h"
#include "dist/comm_progress.h"
#include "dist/cores.h"
#include "dist/launcher.h"
#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PIECE = 1 << 26, /* values of one call of MPI */
    NAP_NS = 50000,
    MOST_RANKS_BY_HALVES = 256
};

static MPI_Comm mpi_of(const bw_comm *comm)
{
    return *(const MPI_Comm *)comm->mpi;
}

static bw_status failed(const bw_comm *comm, int error, const char *operation)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    (void)MPI_Error_string(error, text, &length);
    return bw_fail(BW_EREMOTE, "rank %d of %d: %s: %s", comm->world->rank, comm->world->size, operation,
                   text);
}

#define TRY_MPI(comm, call, operation)                                                                       \
    do {                                                                                                     \
        int error_ = (call);                                                                                 \
        if (error_ != MPI_SUCCESS) return failed(comm, error_, operation);                                   \
    } while (0)

/* "Open MPI v4.1.4, package: ..." or "MPICH Version:\t4.0.2\nMPICH Release date: ...". */
const char *bw_comm_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    static const char VERSION[] = " Version:";
    int length = 0;
    if (text[0] != '\0' || MPI_Get_library_version(text, &length) != MPI_SUCCESS) return text;
    text[strcspn(text, ",\n")] = '\0';
    char *word = strstr(text, VERSION);
    if (word) {
        const char *number = word + sizeof VERSION - 1;
        number += strspn(number, " \t");
        *word = ' ';
        memmove(word + 1, number, strlen(number) + 1);
    }
    return text;
}

/* Takes `mpi` over, also where it fails. */
static bw_status wrap(bw_comm **out, MPI_Comm mpi, bw_comm *world)
{
    bw_status st = BW_OK;
    bw_comm *comm = NULL;
    MPI_Comm *kept = NULL;
    BW_TRY(BW_ALLOC(&comm, 1));
    BW_TRY(BW_ALLOC(&kept, 1));
    *kept = mpi;
    *comm = (bw_comm){ .mpi = kept };
    comm->world = world ? world : comm;
    (void)MPI_Comm_rank(mpi, &comm->rank);
    (void)MPI_Comm_size(mpi, &comm->size);
    (void)MPI_Comm_set_errhandler(mpi, MPI_ERRORS_RETURN);
    *out = comm;
    comm = NULL;
    kept = NULL;
out:
    if (st != BW_OK) (void)MPI_Comm_free(&mpi);
    bw__free(comm);
    bw__free(kept);
    return st;
}

static bw_status ranks_do_not_meet(void)
{
    return bw_fail(
        BW_EINVAL,
        "%s started %d ranks, but they do not find each other with %s of this build; start them with "
        "that library's mpirun, or with srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)",
        bw__launcher_name(), bw_launched_ranks(), bw_comm_library());
}

static bool ends_mpi; /* it was initialised here, and is not finalised yet */

/* What the program has initialised it finalises too. Waits for the other ranks. */
static void finalise(void)
{
    if (ends_mpi) (void)MPI_Finalize();
    ends_mpi = false;
}

/* Open MPI's own choice for a nonblocking sum in place is a tree: every rank on the way to the root, and the
 * root, passes on all bytes. Rabenseifner's reduce-scatter and all-gather (3) send as little as can be
 * (comm_timing.h) and take half as many delays. It needs as many values as ranks, and sends fewer around a
 * ring, so with a great many ranks, where batch norm has fewer channels than that, the choice stays Open
 * MPI's. What the user has set holds; other libraries do not look at this. */
static void choose_sums(void)
{
    if (bw_launched_ranks() <= MOST_RANKS_BY_HALVES)
        (void)setenv("OMPI_MCA_coll_libnbc_iallreduce_algorithm", "3", 0);
}

/* Whatever fails here fails on all ranks alike. */
static bw_status initialise(void)
{
    int there = 0, over = 0, provided = 0, size = 0;
    (void)MPI_Initialized(&there); /* stays true when it is over */
    (void)MPI_Finalized(&over);
    if (over)
        return bw_fail(BW_EINVAL,
                       "%s is finalised in this process and cannot begin again: ranks are joined once, with "
                       "one bw_comm_start() and one bw_comm_end()",
                       bw_comm_library());
    if (!there) {
        choose_sums();
        if (MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS)
            return bw_fail(BW_EREMOTE, "MPI_Init_thread failed (%s)", bw_comm_library());
        ends_mpi = true;
        (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
        if (size == 1 && bw_launched_ranks() > 1) { /* each would train alone, into the same folder */
            finalise();
            return ranks_do_not_meet();
        }
    }
    (void)MPI_Query_thread(&provided);
    if (provided < MPI_THREAD_MULTIPLE) {
        finalise();
        return bw_fail(BW_EINVAL,
                       "%s was initialised without MPI_THREAD_MULTIPLE, which the transfer of "
                       "activations and gradients beside the computation needs",
                       bw_comm_library());
    }
    return BW_OK;
}

/* What fails behind initialise() may fail on one rank alone, whose MPI_Finalize() would wait for the others
 * for ever: MPI then stays as it is, for another attempt or the launcher, which ends all with this rank. */
bw_status bw_comm_start(bw_comm **out)
{
    bw_status st = BW_OK;
    int there = 0;
    bw_comm *comm = NULL;
    MPI_Comm own = MPI_COMM_NULL;
    *out = NULL;
    (void)MPI_Initialized(&there);
    if (!there && bw_launched_ranks() == 1) {
        BW_TRY(BW_ALLOC(out, 1));
        **out = (bw_comm){ .size = 1, .world = *out };
        return BW_OK;
    }
    BW_TRY(initialise());
    if (MPI_Comm_dup(MPI_COMM_WORLD, &own) != MPI_SUCCESS)
        return bw_fail(BW_EREMOTE, "MPI_Comm_dup failed (%s)", bw_comm_library());
    BW_TRY(wrap(&comm, own, NULL));
    BW_TRY(bw__comm_share_cores(comm));
    *out = comm;
    comm = NULL;
out:
    bw__comm_free(comm);
    return st;
}

void bw__comm_free(bw_comm *comm)
{
    if (!comm) return;
    if (comm->mpi) (void)MPI_Comm_free(comm->mpi);
    bw__free(comm->mpi);
    bw__free(comm);
}

void bw_comm_end(bw_comm *comm)
{
    if (!comm) return;
    bool several = comm->mpi != NULL;
    bw__progress_end();
    bw__comm_free(comm);
    if (several) finalise();
}

void bw_comm_abort(bw_comm *comm, int exit_status)
{
    if (comm && comm->mpi) (void)MPI_Abort(mpi_of(comm), exit_status);
    _Exit(exit_status);
}

static bw_status split_alone(bw_comm **out, bw_comm *parent)
{
    bw_status st = BW_ALLOC(out, 1);
    if (st == BW_OK) **out = (bw_comm){ .size = 1, .world = parent->world };
    return st;
}

bw_status bw__comm_split(bw_comm **out, bw_comm *parent, int color, int key)
{
    MPI_Comm part = MPI_COMM_NULL;
    *out = NULL;
    if (!parent->mpi) return split_alone(out, parent);
    TRY_MPI(parent, MPI_Comm_split(mpi_of(parent), color, key, &part), "MPI_Comm_split");
    return wrap(out, part, parent->world);
}

bw_status bw__comm_split_by_machine(bw_comm **out, bw_comm *parent)
{
    MPI_Comm part = MPI_COMM_NULL;
    *out = NULL;
    if (!parent->mpi) return split_alone(out, parent);
    TRY_MPI(parent, MPI_Comm_split_type(mpi_of(parent), MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &part),
            "MPI_Comm_split_type");
    return wrap(out, part, parent->world);
}

/* Until the request is done. */
static int wait_for(MPI_Request *request)
{
    const struct timespec nap = { .tv_nsec = NAP_NS };
    const double spin_until = bw__now_s() + 2e-4;
    int done = 0, error = MPI_SUCCESS;
    while (error == MPI_SUCCESS) {
        error = MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (done) break;
        if (bw__now_s() > spin_until)
            (void)nanosleep(&nap, NULL);
        else
            (void)sched_yield(); /* to the kernel's own threads: they bring the packets this waits for */
    }
    return error;
}

static bw_status reduce(bw_comm *comm, void *values, int64_t n, MPI_Datatype type, size_t size, MPI_Op op)
{
    double begin = bw__now_s();
    if (comm->size == 1) return BW_OK;
    for (int64_t at = 0; at < n; at += PIECE) {
        MPI_Request request;
        int count = (int)(n - at < PIECE ? n - at : PIECE);
        TRY_MPI(comm,
                MPI_Iallreduce(MPI_IN_PLACE, (char *)values + (size_t)at * size, count, type, op,
                               mpi_of(comm), &request),
                "MPI_Iallreduce");
        TRY_MPI(comm, wait_for(&request), "MPI_Iallreduce");
    }
    bw__comm_add_count(op == MPI_MAX ? BW_COMM_AGREE : BW_COMM_SUM, n * (int64_t)size, bw__now_s() - begin);
    return BW_OK;
}

bw_status bw__comm_sum_f32(bw_comm *comm, float *values, int64_t n)
{
    return reduce(comm, values, n, MPI_FLOAT, sizeof *values, MPI_SUM);
}

bw_status bw__comm_sum_f64(bw_comm *comm, double *values, int64_t n)
{
    return reduce(comm, values, n, MPI_DOUBLE, sizeof *values, MPI_SUM);
}

bw_status bw__comm_sum_i64(bw_comm *comm, int64_t *values, int64_t n)
{
    return reduce(comm, values, n, MPI_INT64_T, sizeof *values, MPI_SUM);
}

bw_status bw__comm_max_i64(bw_comm *comm, int64_t *values, int64_t n)
{
    return reduce(comm, values, n, MPI_INT64_T, sizeof *values, MPI_MAX);
}

bw_status bw__comm_gather(bw_comm *comm, void *all, const void *own, size_t bytes)
{
    double begin = bw__now_s();
    if (comm->size == 1) {
        memcpy(all, own, bytes);
        return BW_OK;
    }
    /* Pieces of every rank would not lie together, so one datatype stands for what exceeds an int. */
    MPI_Datatype type = MPI_BYTE;
    MPI_Request request;
    int count = (int)bytes;
    bool large = bytes > PIECE;
    if (large) {
        if (bytes % sizeof(float) != 0 || bytes / sizeof(float) > INT32_MAX)
            return bw_fail(BW_EINVAL, "a gather of %zu bytes from each rank is too large", bytes);
        type = MPI_FLOAT;
        count = (int)(bytes / sizeof(float));
    }
    TRY_MPI(comm, MPI_Iallgather(own, count, type, all, count, type, mpi_of(comm), &request),
            "MPI_Iallgather");
    TRY_MPI(comm, wait_for(&request), "MPI_Iallgather");
    bw__comm_add_count(BW_COMM_GATHER, (int64_t)bytes, bw__now_s() - begin);
    return BW_OK;
}

bw_status bw__comm_broadcast(bw_comm *comm, void *bytes, size_t n, int root)
{
    double begin = bw__now_s();
    if (comm->size == 1) return BW_OK;
    for (size_t at = 0; at < n; at += PIECE) {
        MPI_Request request;
        int count = (int)(n - at < PIECE ? n - at : PIECE);
        TRY_MPI(comm, MPI_Ibcast((char *)bytes + at, count, MPI_BYTE, root, mpi_of(comm), &request),
                "MPI_Ibcast");
        TRY_MPI(comm, wait_for(&request), "MPI_Ibcast");
    }
    bw__comm_add_count(BW_COMM_BROADCAST, (int64_t)n, bw__now_s() - begin);
    return BW_OK;
}

bw_status bw__comm_barrier(bw_comm *comm)
{
    MPI_Request request;
    if (comm->size == 1) return BW_OK;
    TRY_MPI(comm, MPI_Ibarrier(mpi_of(comm), &request), "MPI_Ibarrier");
    TRY_MPI(comm, wait_for(&request), "MPI_Ibarrier");
    return BW_OK;
}

bw_status bw__comm_send(bw_comm *comm, const void *bytes, size_t n, int to, int tag)
{
    double begin = bw__now_s();
    for (size_t at = 0; at < n; at += PIECE) {
        MPI_Request request;
        int count = (int)(n - at < PIECE ? n - at : PIECE);
        TRY_MPI(comm, MPI_Isend((const char *)bytes + at, count, MPI_BYTE, to, tag, mpi_of(comm), &request),
                "MPI_Isend");
        TRY_MPI(comm, wait_for(&request), "MPI_Isend");
    }
    bw__comm_add_count(BW_COMM_SEND, (int64_t)n, bw__now_s() - begin);
    return BW_OK;
}

bw_status bw__comm_receive(bw_comm *comm, void *bytes, size_t n, int from, int tag)
{
    double begin = bw__now_s();
    for (size_t at = 0; at < n; at += PIECE) {
        MPI_Request request;
        int count = (int)(n - at < PIECE ? n - at : PIECE);
        TRY_MPI(comm, MPI_Irecv((char *)bytes + at, count, MPI_BYTE, from, tag, mpi_of(comm), &request),
                "MPI_Irecv");
        TRY_MPI(comm, wait_for(&request), "MPI_Irecv");
    }
    bw__comm_add_count(BW_COMM_RECEIVE, (int64_t)n, bw__now_s() - begin);
    return BW_OK;
}

/* --- sums beside the computation --- */

typedef struct sum_work {
    bw_progress progress; /* first, so that this is found by it */
    bw_comm *comm;
    int64_t bytes;
    int pieces, room;
    int done, error; /* pieces that are; of the one that is not: MPI_SUCCESS */
    double begin_s;  /* for a trace, with: */
    const char *name;
    int block;
    MPI_Request request[]; /* [room] */
} sum_work;

bw_status bw__comm_work_reserve(bw_comm_work *work, bw_comm *comm, int64_t n)
{
    const sum_work *old = work->requests;
    sum_work *w = NULL;
    int pieces = (int)((n + PIECE - 1) / PIECE);
    if (bw_comm_size(comm) == 1) return BW_OK;
    if (old && old->room >= pieces) return BW_OK;
    bw_status st = bw__alloc((void **)&w, sizeof *w + (size_t)pieces * sizeof w->request[0]);
    if (st != BW_OK) return st;
    w->room = pieces;
    bw__free(work->requests);
    work->requests = w;
    return BW_OK;
}

/* Once: by whoever sees the end first. */
static void note_end(sum_work *w)
{
    if (w->name) bw__trace_add(BW_TRACK_SUMS, w->name, NULL, w->block, w->begin_s, bw__now_s());
    w->name = NULL;
}

/* Asks MPI once, for the first piece that is not done; the others move with it. */
static bool ask(bw_progress *progress)
{
    sum_work *w = (sum_work *)progress;
    int done = 0;
    w->error = MPI_Test(&w->request[w->done], &done, MPI_STATUS_IGNORE);
    if (done) w->done++;
    if (w->done == w->pieces) note_end(w);
    return w->error != MPI_SUCCESS || w->done == w->pieces;
}

bw_status bw__comm_begin_sum_f32(bw_comm_work *work, bw_comm *comm, float *values, int64_t n)
{
    BW_ASSERT(!work->begun);
    if (!comm || comm->size == 1 || n == 0) return BW_OK;
    bw_status st = bw__comm_work_reserve(work, comm, n);
    if (st != BW_OK) return st;
    sum_work *w = work->requests;
    w->comm = comm;
    w->bytes = n * (int64_t)sizeof *values;
    w->pieces = w->done = 0;
    w->error = MPI_SUCCESS;
    w->progress = (bw_progress){ .ask = ask };
    w->begin_s = bw__now_s();
    w->name = work->name;
    w->block = work->block;
    work->begun = true;
    for (int64_t at = 0; at < n; at += PIECE) {
        int count = (int)(n - at < PIECE ? n - at : PIECE);
        TRY_MPI(comm,
                MPI_Iallreduce(MPI_IN_PLACE, values + at, count, MPI_FLOAT, MPI_SUM, mpi_of(comm),
                               &w->request[w->pieces]),
                "MPI_Iallreduce");
        w->pieces++;
    }
    bw__progress_add(&w->progress);
    return BW_OK;
}

bw_status bw__comm_finish(bw_comm_work *work)
{
    sum_work *w = work->requests;
    double begin = bw__now_s();
    if (!work->begun) return BW_OK;
    bw__progress_remove(&w->progress);
    work->begun = false;
    for (; w->done < w->pieces && w->error == MPI_SUCCESS; w->done++)
        w->error = wait_for(&w->request[w->done]);
    note_end(w);
    bw__comm_add_count(BW_COMM_WORK, w->bytes, bw__now_s() - begin);
    return w->error == MPI_SUCCESS ? BW_OK : failed(w->comm, w->error, "MPI_Iallreduce");
}

void bw__comm_work_free(bw_comm_work *work)
{
    sum_work *w = work->requests;
    if (work->begun) { /* MPI may still write into both: the values stay where they are, and so does this */
        bw__progress_remove(&w->progress);
        return;
    }
    bw__free(w);
    *work = (bw_comm_work){ 0 };
}
