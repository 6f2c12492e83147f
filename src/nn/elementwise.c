#include "nn/elementwise.h"
#include "nn/loops.h"

#define PIECE ((int64_t)1 << 14)

/* Runs `code` for every piece of n elements: `count` from `at`. */
#define FOR_PIECES(code)                                                                                     \
    do {                                                                                                     \
        const bw_loops *loops = bw__loops();                                                                 \
        if (bw__exec_is_dry(x)) break;                                                                       \
        _Pragma("omp parallel for schedule(static) num_threads(x->threads)") for (int64_t at = 0; at < n;    \
                                                                                  at += PIECE)               \
        {                                                                                                    \
            int64_t count = n - at < PIECE ? n - at : PIECE;                                                 \
            code;                                                                                            \
        }                                                                                                    \
    } while (0)

void bw__add(bw_exec *x, bw_type type, void *dst, const void *p, const void *q, int64_t n)
{
    double begin = bw__profile_begin(x);
    FOR_PIECES(
        loops->add(type, bw__at(type, dst, at), bw__const_at(type, p, at), bw__const_at(type, q, at), count));
    bw__profile_end(x, begin, "sum of tensors", "", 0);
}

void bw__to_f32(bw_exec *x, bw_type type, float *dst, const void *src, int64_t n)
{
    double begin = bw__profile_begin(x);
    FOR_PIECES(loops->to_f32(type, dst + at, bw__const_at(type, src, at), count));
    bw__profile_end(x, begin, "change of type", "", 0);
}

void bw__from_f32(bw_exec *x, bw_type type, void *dst, const float *src, int64_t n)
{
    double begin = bw__profile_begin(x);
    FOR_PIECES(loops->from_f32(type, bw__at(type, dst, at), src + at, count));
    bw__profile_end(x, begin, "change of type", "", 0);
}

const float *bw__f32_copy(bw_exec *x, bw_type type, const void *src, int64_t n)
{
    float *copy = bw__exec_take_f32(x, n);
    bw__to_f32(x, type, copy, src, n);
    return copy;
}

const float *bw__rounded_copy(bw_exec *x, bw_type type, const float *src, int64_t n)
{
    float *copy = bw__exec_take_f32(x, n);
    size_t mark = bw__exec_mark(x);
    void *narrow = bw__arena_take(&x->arena, x->side, (size_t)n * bw__type_size(type));
    bw__from_f32(x, type, narrow, src, n);
    bw__to_f32(x, type, copy, narrow, n);
    bw__exec_release(x, mark);
    return copy;
}
