#include "on_ranks.h"
#include <math.h>
#include <stdio.h>

bw_comm *ranks;

double ranks_difference(const float *a, const float *b, int64_t n)
{
    double worst = 0.0, largest = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (isnan(d)) return d;
        worst = fmax(worst, d);
        largest = fmax(largest, fabs((double)b[i]));
    }
    return largest > 0.0 ? worst / largest : worst;
}

int ranks_main(const struct CMUnitTest *tests, size_t n)
{
    int failed = 0;
    if (bw_comm_start(&ranks) != BW_OK) {
        fprintf(stderr, "%s\n", bw_last_error());
        return 1;
    }
    for (size_t i = 0; i < n && failed == 0; i++) {
        /* One group a test, so that no rank begins the next one before this is judged. */
        failed = _cmocka_run_group_tests(tests[i].name, &tests[i], 1, NULL, NULL);
        if (failed != 0) {
            fprintf(stderr, "rank %d of %d: %s failed\n", bw_comm_rank(ranks), bw_comm_size(ranks),
                    tests[i].name);
            (void)fflush(stdout);
            bw_comm_abort(ranks, 1);
        }
    }
    bw_comm_end(ranks);
    return failed;
}
