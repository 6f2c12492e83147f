#include "nn/subsample.h"
#include <string.h>

void bw__subsample_forward(bw_exec *x, const bw_subsample_shape *s, void *dst, const void *src)
{
    const int64_t oh = bw__subsample_out(s->h, s->stride), ow = bw__subsample_out(s->w, s->stride);
    const size_t pixel = (size_t)s->c * bw__type_size(s->type);
    if (bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin(x);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t r = 0; r < s->n * oh; r++) {
        int64_t row = r / oh * s->h + r % oh * s->stride;
        for (int64_t ox = 0; ox < ow; ox++)
            memcpy(bw__at(s->type, dst, (r * ow + ox) * s->c),
                   bw__const_at(s->type, src, (row * s->w + ox * s->stride) * s->c), pixel);
    }
    bw__profile_end(x, begin, "subsample", "forward", 0);
}

void bw__subsample_backward(bw_exec *x, const bw_subsample_shape *s, void *diff_src, const void *diff_dst)
{
    const int64_t oh = bw__subsample_out(s->h, s->stride), ow = bw__subsample_out(s->w, s->stride);
    const size_t pixel = (size_t)s->c * bw__type_size(s->type);
    if (bw__exec_is_dry(x)) return;
    double begin = bw__profile_begin(x);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t r = 0; r < s->n * s->h; r++) {
        int64_t y = r % s->h;
        void *row = bw__at(s->type, diff_src, r * s->w * s->c);
        memset(row, 0, (size_t)s->w * pixel); /* zero bits are 0 in either type */
        if (y % s->stride != 0) continue;
        int64_t from = (r / s->h * oh + y / s->stride) * ow;
        for (int64_t ox = 0; ox < ow; ox++)
            memcpy(bw__at(s->type, row, ox * s->stride * s->c),
                   bw__const_at(s->type, diff_dst, (from + ox) * s->c), pixel);
    }
    bw__profile_end(x, begin, "subsample", "backward", 0);
}
