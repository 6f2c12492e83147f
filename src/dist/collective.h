/* What ranks do together. Every function but the counters is collective over `comm` unless it says otherwise,
 * and returns at once with one rank. A failure of MPI is BW_EREMOTE, named once with the operation; what the
 * values are then is undefined. All calls of one process but those on a bw_comm_work come from one thread.
 *
 * The only folder that includes mpi.h; comm_mpi.c is its place, comm.c that of a build without. */
#ifndef BW_DIST_COLLECTIVE_H
#define BW_DIST_COLLECTIVE_H
#include "blockwise/comm.h"
#include <stddef.h>
#include <stdint.h>

/* A part of `parent`: ranks that give the same `color` are one, ordered by `key`, then rank. */
BW_MUST_CHECK
bw_status bw__comm_split(bw_comm **out, bw_comm *parent, int color, int key);
/* Of a split or a shared one; not the one of bw_comm_start(). NULL is fine. */
void bw__comm_free(bw_comm *comm);
/* As if it were rank 0 of `size`: for layers over a dry arena, which take the memory they would take there.
 * No collective may be called on it. */
BW_MUST_CHECK
bw_status bw__comm_outline(bw_comm **out, int size);
/* Ranks of `parent` that run on this rank's machine. */
BW_MUST_CHECK
bw_status bw__comm_split_by_machine(bw_comm **out, bw_comm *parent);

/* Sum and largest over ranks, in place. */
BW_MUST_CHECK
bw_status bw__comm_sum_f32(bw_comm *comm, float *values, int64_t n);
BW_MUST_CHECK
bw_status bw__comm_sum_f64(bw_comm *comm, double *values, int64_t n);
BW_MUST_CHECK
bw_status bw__comm_sum_i64(bw_comm *comm, int64_t *values, int64_t n);
BW_MUST_CHECK
bw_status bw__comm_max_i64(bw_comm *comm, int64_t *values, int64_t n);
/* all [size, bytes] from own [bytes] of every rank, in the order of ranks; may not overlap. */
BW_MUST_CHECK
bw_status bw__comm_gather(bw_comm *comm, void *all, const void *own, size_t bytes);
/* From rank `root` to all. */
BW_MUST_CHECK
bw_status bw__comm_broadcast(bw_comm *comm, void *bytes, size_t n, int root);
BW_MUST_CHECK
bw_status bw__comm_barrier(bw_comm *comm);

/* Not collective: one rank to another. Waits until the bytes may be used again, or are there. A tag tells
 * messages between the same two ranks apart. */
BW_MUST_CHECK
bw_status bw__comm_send(bw_comm *comm, const void *bytes, size_t n, int to, int tag);
BW_MUST_CHECK
bw_status bw__comm_receive(bw_comm *comm, void *bytes, size_t n, int from, int tag);

/* Where ranks make sure of each other before they go on together. BW_OK where all are BW_OK. Otherwise the
 * lowest rank that failed returns `own`, with its message, and all others BW_EREMOTE, with
 * bw_comm_remote_status() its status: so one of them speaks. Over all ranks of the program,
 * bw_comm_all_failed() is true from then on, until all ranks agree that they are BW_OK. With one rank `own`.
 */
BW_MUST_CHECK
bw_status bw__comm_agree(bw_comm *comm, bw_status own);
/* The same in one message with the largest of each of `most` [n] over ranks, in place. */
enum { BW_COMM_MOST = 7 };
BW_MUST_CHECK
bw_status bw__comm_agree_on(bw_comm *comm, bw_status own, int64_t *most, int n);

/* A sum that goes on while the rank computes (comm_progress.h). `values` may not be touched until
 * bw__comm_finish(), which returns at once where nothing was begun. One sum at a time for each work; begins
 * with all zero bytes, keeps some memory from its first sum on, and is freed with bw__comm_work_free(). Where
 * a sum is under way then, because the ranks never came to its end, `values` must outlive the process. */
typedef struct bw_comm_work {
    void *requests;
    bool begun;
    const char
        *name; /* for a trace (base/trace.h), borrowed for as long as the sum goes on; NULL: none. And: */
    int block;
} bw_comm_work;
/* Not collective: takes that memory now, for sums of at most n values. */
BW_MUST_CHECK
bw_status bw__comm_work_reserve(bw_comm_work *work, bw_comm *comm, int64_t n);
void bw__comm_work_free(bw_comm_work *work);
BW_MUST_CHECK
bw_status bw__comm_begin_sum_f32(bw_comm_work *work, bw_comm *comm, float *values, int64_t n);
BW_MUST_CHECK
bw_status bw__comm_finish(bw_comm_work *work);

/* What this rank has given to its functions so far, by kind: calls, bytes of the values (of a collective the
 * length of this rank's argument, whatever MPI makes of it), and seconds inside. */
typedef enum bw_comm_kind {
    BW_COMM_SUM,  /* blocking sums: statistics, losses */
    BW_COMM_WORK, /* sums beside the computation: gradients */
    BW_COMM_GATHER,
    BW_COMM_BROADCAST,
    BW_COMM_SEND,
    BW_COMM_RECEIVE,
    BW_COMM_AGREE,
    BW_COMM_KINDS
} bw_comm_kind;
typedef struct bw_comm_count {
    int64_t calls, bytes;
    double seconds; /* BW_COMM_WORK: waiting for the end only */
} bw_comm_count;
/* Of all communicators of this process together; not collective. */
bw_comm_count bw__comm_count(bw_comm_kind kind);
#endif
