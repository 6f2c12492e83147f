#include "nn/exec.h"

void bw__exec_sum_f32(bw_exec *x, float *values, int64_t n)
{
    if (bw__exec_ranks(x) == 1 || bw__exec_is_dry(x)) return;
    bw_status st = bw__comm_sum_f32(x->comm, values, n);
    if (x->remote == BW_OK) x->remote = st;
}

void bw__exec_sum_f64(bw_exec *x, double *values, int64_t n)
{
    if (bw__exec_ranks(x) == 1 || bw__exec_is_dry(x)) return;
    bw_status st = bw__comm_sum_f64(x->comm, values, n);
    if (x->remote == BW_OK) x->remote = st;
}
