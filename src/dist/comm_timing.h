/* How long what training asks of its ranks takes between them. */
#ifndef BW_DIST_COMM_TIMING_H
#define BW_DIST_COMM_TIMING_H
#include "dist/collective.h"

typedef enum bw_comm_operation {
    BW_COMM_TIME_SUM_F64, /* as statistics of batch norm are summed: the step waits for them */
    BW_COMM_TIME_SUM_F32, /* as gradients are: begun, then waited for */
    BW_COMM_TIME_GATHER,  /* `bytes` from each rank */
    BW_COMM_TIME_SEND,    /* from rank 0 to the last one; half of the way there and back */
    BW_COMM_OPERATIONS
} bw_comm_operation;

typedef struct bw_comm_timing {
    bw_comm_operation operation;
    int64_t bytes;        /* the length of a rank's argument */
    int repeats;          /* that were measured */
    double seconds;       /* median over them, each until the last rank is done */
    double bytes_on_wire; /* that a rank sends at least: bw__comm_least_sent() */
} bw_comm_timing;

const char *bw__comm_operation_name(bw_comm_operation operation);

/* Bytes that one of `ranks` ranks sends in the operation by an algorithm that sends as little as can be (the
 * ring: reduce-scatter, then all-gather; Patarasuk & Yuan 2009): a sum of n bytes 2 n (ranks - 1) / ranks, a
 * gather of n bytes from each n (ranks - 1), a message n. */
double bw__comm_least_sent(bw_comm_operation operation, int64_t bytes, int ranks);

/* bytes: a multiple of 8, at least 8. Collective; every rank gets the same result. The first repeat is not
 * counted. BW_EINVAL with one rank, BW_ENOMEM, BW_EREMOTE. */
BW_MUST_CHECK
bw_status bw__comm_time(bw_comm_timing *out, bw_comm *comm, bw_comm_operation operation, int64_t bytes,
                        int repeats);
#endif
