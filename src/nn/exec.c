#include "nn/exec.h"

void bw__exec_sum_f32(bw_exec *x, float *values, int64_t n)
{
    if (bw__exec_ranks(x) == 1 || bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin_apart(x);
    bw_status st = bw__comm_sum_f32(x->comm, values, n);
    bw__profile_end_apart(x, begin, "ranks", "sum of statistics");
    if (x->remote == BW_OK) x->remote = st;
}

void bw__exec_sum_f64(bw_exec *x, double *values, int64_t n)
{
    if (bw__exec_ranks(x) == 1 || bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin_apart(x);
    bw_status st = bw__comm_sum_f64(x->comm, values, n);
    bw__profile_end_apart(x, begin, "ranks", "sum of statistics");
    if (x->remote == BW_OK) x->remote = st;
}

/* Second moments about 0 are safe here: all is in double, and what cancels, 2^-53 of mean^2, is less than the
 * squared rounding of the values themselves, which are f32 or shorter (2^-24 of the mean each). */
void bw__exec_join_moments(bw_exec *x, double *moments, int64_t n, int64_t more)
{
    const double ranks = (double)bw__exec_ranks(x);
    double *mean = moments, *var = moments + n;
    if (bw__exec_ranks(x) == 1 || bw__exec_is_dry(x)) return;
    for (int64_t i = 0; i < n; i++)
        var[i] += mean[i] * mean[i];
    bw__exec_sum_f64(x, moments, 2 * n + more);
    for (int64_t i = 0; i < n; i++) {
        mean[i] /= ranks;
        var[i] = var[i] / ranks - mean[i] * mean[i];
        if (var[i] < 0.0) var[i] = 0.0;
    }
}
