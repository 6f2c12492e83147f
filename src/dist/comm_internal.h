/* A communicator's parts that are alike with and without MPI. */
#ifndef BW_DIST_COMM_INTERNAL_H
#define BW_DIST_COMM_INTERNAL_H
#include "dist/collective.h"

struct bw_comm {
    int rank, size;
    bool all_failed;
    int failed_rank;
    bw_status remote;
    struct bw_comm *world; /* that of bw_comm_start(), which remembers what failed; itself there */
    void *mpi;             /* MPI_Comm of comm_mpi.c; NULL with one rank */
};

void bw__comm_add_count(bw_comm_kind kind, int64_t bytes, double seconds);
#endif
