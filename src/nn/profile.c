#include "nn/profile.h"
#include "base/clock.h"
#include "base/trace.h"
#include "nn/exec.h"
#include <string.h>

double bw__profile_begin(const bw_exec *x)
{
    if (!x->profile || bw__exec_is_dry(x)) return 0.0;
    return x->profile->depth++ == 0 ? bw__now_s() : 0.0;
}

static void add(bw_profile *p, double seconds, const char *what, const char *pass, int64_t flops)
{
    int i = 0;
    while (i < p->n && (strcmp(p->rows[i].what, what) != 0 || strcmp(p->rows[i].pass, pass) != 0))
        i++;
    if (i == BW_MAX_PROFILE_ROWS) i--;
    if (i == p->n) p->rows[p->n++] = (struct bw_profile_row){ .what = what, .pass = pass };
    p->rows[i].seconds += seconds;
    p->rows[i].calls++;
    p->rows[i].flops += flops;
}

void bw__profile_end(const bw_exec *x, double begin, const char *what, const char *pass, int64_t flops)
{
    bw_profile *p = x->profile;
    if (!p || bw__exec_is_dry(x) || --p->depth > 0) return;
    const double end = bw__now_s();
    add(p, end - begin - p->apart, what, pass, flops);
    bw__trace_add(BW_TRACK_OPERATIONS, what, pass, -1, begin, end);
    p->apart = 0.0;
}

double bw__profile_begin_apart(const bw_exec *x)
{
    return x->profile && !bw__exec_is_dry(x) ? bw__now_s() : 0.0;
}

void bw__profile_end_apart(const bw_exec *x, double begin, const char *what, const char *pass)
{
    bw_profile *p = x->profile;
    if (!p || bw__exec_is_dry(x)) return;
    const double end = bw__now_s(), seconds = end - begin;
    add(p, seconds, what, pass, 0);
    bw__trace_add(BW_TRACK_OPERATIONS, what, pass, -1, begin, end);
    if (p->depth > 0) p->apart += seconds;
}
