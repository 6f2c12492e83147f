/* Whether this machine, and these ranks together, compute right. What is checked, how a difference is
 * measured and why the limits are what they are: docs/NUMERICS.md, "Self-test". */
#ifndef BW_TRAIN_SELFTEST_H
#define BW_TRAIN_SELFTEST_H
#include "train/trainer_internal.h"

#define BW_SELFTEST_RANKS_LIMIT 1e-4

/* --- ranks: one alone with a batch against all of them with a share of it each --- */

/* One problem: the largest differences of any rank. */
typedef struct bw_ranks_check {
    const char *order, *head, *loss;
    double by_loss, by_statistics, by_weights, moved; /* selftest_problem.h */
    int tries; /* problems drawn until one was within the limit, or all there are */
    bool passed;
} bw_ranks_check;

typedef void (*bw_ranks_check_fn)(void *user, const bw_ranks_check *check);

/* Checks every loss with every head and order; each rank calls on_check for each, with the same numbers.
 * Collective over `ranks`, of which there must be several. `mistake` is for tests: BW_RANKS_RIGHT.
 * *passed is the same on every rank. BW_EREMOTE, BW_ENOMEM, BW_EKERNEL. */
BW_MUST_CHECK
bw_status bw__selftest_ranks(bool *passed, bw_comm *ranks, bw_rank_mistake mistake,
                             bw_ranks_check_fn on_check, void *user);
/* How many checks that are. */
int bw__selftest_ranks_checks(void);

/* --- this machine alone --- */

/* One fact: a kernel against plain loops in double, a gradient against the slope of its loss, all threads
 * against one. */
typedef struct bw_machine_check {
    char what[64];
    double difference, limit;
    bool passed;
} bw_machine_check;

typedef void (*bw_machine_check_fn)(void *user, const bw_machine_check *check);

/* BW_OK where everything could be computed, right or wrong (*passed); BW_EKERNEL, BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__selftest_machine(bool *passed, int threads, bw_machine_check_fn on_check, void *user);
/* Its part for kernels of src/nn; *passed is only ever cleared. */
BW_MUST_CHECK
bw_status bw__selftest_kernels(bool *passed, int threads, bw_machine_check_fn on_check, void *user);
#endif
