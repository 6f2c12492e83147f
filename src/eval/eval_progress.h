/* How far a piece of work is, told to the caller's function; what it answers may stop the work. */
#ifndef BW_EVAL_PROGRESS_H
#define BW_EVAL_PROGRESS_H
#include "blockwise/evaluate.h"

typedef struct bw_progress {
    bw_progress_fn fn; /* NULL: nobody listens */
    void *user;
    const char *what;
    double first, share; /* of this piece in what is reported: first + share * done; share 0 means 1 */
} bw_progress;

/* BW_EINTERRUPTED if the caller wants to stop. `progress` may be NULL. */
BW_MUST_CHECK
bw_status bw__progress(const bw_progress *progress, double done);
#endif
