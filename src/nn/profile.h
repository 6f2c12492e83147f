/* Where the time of a step goes, by kind of operation. A bw_exec without a profile pays one comparison for
 * each call. Of operations inside one another only the outermost counts (a head is one row, whatever products
 * it is made of), so rows never add up to more than the step; but for the exchange with
 * other ranks, which is apart from the operation that needs it. */
#ifndef BW_NN_PROFILE_H
#define BW_NN_PROFILE_H
#include <stdint.h>

typedef struct bw_exec bw_exec;

enum { BW_MAX_PROFILE_ROWS = 48 };

typedef struct bw_profile {
    int n;
    struct bw_profile_row {
        const char *what, *pass; /* "convolution 3x3", "backward data"; borrowed, meant for literals */
        double seconds;
        int64_t calls, flops;
    } rows[BW_MAX_PROFILE_ROWS]; /* in the order in which they first came up */
    int depth;
    double apart; /* seconds inside of the running operation that count elsewhere */
    /* Where a trace is recorded (base/trace.h) every operation is a span of it too. */
} bw_profile;

/* Brackets an operation on the thread that runs layers. A dry run is not counted. `flops` is 0 for what is no
 * matrix product; beyond the last row everything is added to that row. */
double bw__profile_begin(const bw_exec *x);
void bw__profile_end(const bw_exec *x, double begin, const char *what, const char *pass, int64_t flops);
/* Brackets what counts as a row of its own inside of an operation too, and not as part of that: waiting for
 * other ranks. */
double bw__profile_begin_apart(const bw_exec *x);
void bw__profile_end_apart(const bw_exec *x, double begin, const char *what, const char *pass);
#endif
