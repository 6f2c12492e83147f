/* Tests that run on several ranks: all of them run every test in the same order. A rank whose check fails
 * ends them all, since the others would wait for it. */
#ifndef BW_TESTS_ON_RANKS_H
#define BW_TESTS_ON_RANKS_H
#include "check.h"
#include "dist/collective.h"

/* The ranks; valid in tests of ranks_main(). */
extern bw_comm *ranks;

/* `main` of such a program. */
int ranks_main(const struct CMUnitTest *tests, size_t n);
#define RANKS_MAIN(tests) ranks_main(tests, sizeof(tests) / sizeof *(tests))

/* Largest |a - b| over n values, relative to the largest |b|. */
double ranks_difference(const float *a, const float *b, int64_t n);
#endif
