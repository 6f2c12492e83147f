#include "nn/noise.h"
#include "nn/loops.h"
#include <math.h>
#include <string.h>

/* One group of `count` values at src, `stride` apart: mean and unbiased standard deviation (0 for one value).
 */
static void group_moments(double *mean, double *std, const float *src, int64_t count, int64_t stride)
{
    double m = 0.0, ss = 0.0;
    for (int64_t i = 0; i < count; i++)
        m += (double)src[i * stride];
    m /= (double)count;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)src[i * stride] - m;
        ss += d * d;
    }
    *mean = m;
    *std = count > 1 ? sqrt(ss / (double)(count - 1)) : 0.0;
}

/* Within one sample there are `groups` groups of `count` values: positions of one channel (hw) or channels of
 * one position (c). */
typedef struct layout {
    int64_t groups, count, group_stride, value_stride;
} layout;

static layout sample_layout(const bw_noise *z)
{
    if (z->kind == BW_NOISE_HW) return (layout){ z->c, z->positions, 1, z->c };
    return (layout){ z->positions, z->c, z->c, 1 };
}

static void forward_groups(const bw_noise *z, float *dst, const float *src, const float *eps)
{
    layout l = sample_layout(z);
    for (int64_t g = 0; g < l.groups; g++) {
        double mean, std;
        group_moments(&mean, &std, src + g * l.group_stride, l.count, l.value_stride);
        float scale = (float)(z->sigma * std);
        for (int64_t i = 0; i < l.count; i++) {
            int64_t at = g * l.group_stride + i * l.value_stride;
            dst[at] = src[at] + scale * eps[at];
        }
    }
}

static void backward_groups(const bw_noise *z, float *diff, const float *src, const float *eps)
{
    layout l = sample_layout(z);
    for (int64_t g = 0; g < l.groups; g++) {
        double mean, std, dot = 0.0;
        group_moments(&mean, &std, src + g * l.group_stride, l.count, l.value_stride);
        if (std <= 0.0) continue;
        for (int64_t i = 0; i < l.count; i++) {
            int64_t at = g * l.group_stride + i * l.value_stride;
            dot += (double)diff[at] * (double)eps[at];
        }
        double k = z->sigma * dot / ((double)(l.count - 1) * std);
        for (int64_t i = 0; i < l.count; i++) {
            int64_t at = g * l.group_stride + i * l.value_stride;
            diff[at] += (float)(k * ((double)src[at] - mean));
        }
    }
}

static int64_t sample_size(const bw_noise *z)
{
    return z->positions * z->c;
}

/* Sample i of p as f32: itself, or converted to scratch. */
static float *sample_in(const bw_noise *z, float *scratch, void *p, int64_t i)
{
    if (z->type == BW_F32) return (float *)p + i * sample_size(z);
    bw__loops()->to_f32(z->type, scratch, bw__at(z->type, p, i * sample_size(z)), sample_size(z));
    return scratch;
}

static const float *const_sample_in(const bw_noise *z, float *scratch, const void *p, int64_t i)
{
    if (z->type == BW_F32) return (const float *)p + i * sample_size(z);
    bw__loops()->to_f32(z->type, scratch, bw__const_at(z->type, p, i * sample_size(z)), sample_size(z));
    return scratch;
}

/* Puts what sample_in() returned back. */
static void sample_out(const bw_noise *z, void *p, int64_t i, const float *sample)
{
    if (z->type != BW_F32)
        bw__loops()->from_f32(z->type, bw__at(z->type, p, i * sample_size(z)), sample, sample_size(z));
}

/* Room of one thread: eps [size], and where samples are converted one of src and one of diff. */
typedef struct room {
    float *eps, *src, *diff;
} room;

static int64_t room_count(const bw_noise *z)
{
    return sample_size(z) * (z->type == BW_F32 ? 1 : 3);
}

static room room_at(const bw_noise *z, float *rooms, int64_t thread)
{
    float *r = rooms + thread * room_count(z);
    if (z->type == BW_F32) return (room){ .eps = r };
    return (room){ .eps = r, .src = r + sample_size(z), .diff = r + 2 * sample_size(z) };
}

/* Runs `code` for every sample `i` of both views, with the room `m` of the running thread. */
#define FOR_SAMPLES(code)                                                                                    \
    do {                                                                                                     \
        _Pragma("omp parallel for schedule(static, 1) num_threads(x->threads)") for (int64_t t_ = 0;         \
                                                                                     t_ < x->threads; t_++)  \
        {                                                                                                    \
            const room m = room_at(z, rooms, t_);                                                            \
            for (int64_t i = t_; i < z->views * z->n; i += x->threads)                                       \
                code;                                                                                        \
        }                                                                                                    \
    } while (0)

/* Sum over one view of a per-sample value, samples added in order whatever the threads. */
static double sum_samples(const double *per_sample, int view, int64_t n)
{
    double s = 0.0;
    for (int64_t i = view * n; i < (view + 1) * n; i++)
        s += per_sample[i];
    return s;
}

static double sample_sum(const float *v, int64_t count, double about, bool square)
{
    double s = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)v[i] - about;
        s += square ? d * d : d;
    }
    return s;
}

/* Kind `all`: what its views have of this rank and then of all. */
typedef struct view_sums {
    double mean[BW_VIEWS], squares[BW_VIEWS]; /* squares: sum about the mean */
    double dot[BW_VIEWS];                     /* backward: sum of diff * eps */
    double count;                             /* values of each */
} view_sums;

/* One message. */
static void join_ranks(const bw_noise *z, bw_exec *x, view_sums *s)
{
    double message[3 * BW_VIEWS] = { 0 }; /* means, biased variances, dots */
    if (bw__exec_ranks(x) == 1) return;
    for (int v = 0; v < z->views; v++) {
        message[v] = s->mean[v];
        message[z->views + v] = s->squares[v] / s->count;
        message[2 * z->views + v] = s->dot[v];
    }
    bw__exec_join_moments(x, message, z->views, z->views);
    s->count *= (double)bw__exec_ranks(x);
    for (int v = 0; v < z->views; v++) {
        s->mean[v] = message[v];
        s->squares[v] = message[z->views + v] * s->count;
        s->dot[v] = message[2 * z->views + v];
    }
}

/* Mean of every view's whole tensor and the squares about it. */
static void view_moments(const bw_noise *z, bw_exec *x, view_sums *s, double *part, float *rooms,
                         const void *src)
{
    int64_t size = sample_size(z);
    double *mean = s->mean;
    s->count = (double)(z->n * size);
    FOR_SAMPLES(part[i] = sample_sum(const_sample_in(z, m.src, src, i), size, 0.0, false));
    for (int v = 0; v < z->views; v++)
        mean[v] = sum_samples(part, v, z->n) / s->count;
    FOR_SAMPLES(part[i] = sample_sum(const_sample_in(z, m.src, src, i), size, mean[i / z->n], true));
    for (int v = 0; v < z->views; v++)
        s->squares[v] = sum_samples(part, v, z->n);
}

static double view_std(const view_sums *s, int view)
{
    return s->count > 1.0 ? sqrt(s->squares[view] / (s->count - 1.0)) : 0.0;
}

static void forward_sample(const bw_noise *z, room m, void *dst, const void *src, const view_sums *of_view,
                           int64_t i)
{
    const float *s = const_sample_in(z, m.src, src, i);
    float *d = z->type == BW_F32 ? (float *)dst + i * sample_size(z) : m.diff;
    z->eps(z->user, m.eps, i, sample_size(z));
    if (z->kind == BW_NOISE_ALL) {
        float scale = (float)(z->sigma * view_std(of_view, (int)(i / z->n)));
        for (int64_t j = 0; j < sample_size(z); j++)
            d[j] = s[j] + scale * m.eps[j];
    } else {
        forward_groups(z, d, s, m.eps);
    }
    sample_out(z, dst, i, d);
}

void bw__noise_forward(const bw_noise *z, bw_exec *x, void *dst, const void *src)
{
    view_sums sums = { 0 };
    size_t mark = bw__exec_mark(x);
    float *rooms = bw__exec_take_f32(x, x->threads * room_count(z));
    double *part = bw__arena_take(&x->arena, x->side, (size_t)(z->views * z->n) * sizeof *part);
    double begin = bw__profile_begin(x);
    BW_ASSERT(z->views <= BW_VIEWS && z->kind != BW_NOISE_NONE);
    if (bw__exec_is_dry(x)) goto out;
    if (z->kind == BW_NOISE_ALL) {
        view_moments(z, x, &sums, part, rooms, src);
        join_ranks(z, x, &sums);
    }
    FOR_SAMPLES(forward_sample(z, m, dst, src, &sums, i));
out:
    bw__profile_end(x, begin, "noise", "forward", 0);
    bw__exec_release(x, mark);
}

/* Sum of diff * eps over one sample. */
static double sample_dot(const bw_noise *z, room m, void *diff, int64_t i)
{
    const float *d = sample_in(z, m.diff, diff, i);
    double s = 0.0;
    z->eps(z->user, m.eps, i, sample_size(z));
    for (int64_t j = 0; j < sample_size(z); j++)
        s += (double)d[j] * (double)m.eps[j];
    return s;
}

/* diff += k * (src - mean) */
static void add_deviation(const bw_noise *z, room m, void *diff, const void *src, double k, double mean,
                          int64_t i)
{
    const float *s = const_sample_in(z, m.src, src, i);
    float *d = sample_in(z, m.diff, diff, i);
    for (int64_t j = 0; j < sample_size(z); j++)
        d[j] += (float)(k * ((double)s[j] - mean));
    sample_out(z, diff, i, d);
}

/* Kind `all`: the sum over the view comes first, then one pass without eps. */
static void backward_all(const bw_noise *z, bw_exec *x, void *diff, const void *src, float *rooms,
                         double *part)
{
    view_sums s = { 0 };
    double k[BW_VIEWS] = { 0 };
    view_moments(z, x, &s, part, rooms, src);
    FOR_SAMPLES(part[i] = sample_dot(z, m, diff, i));
    for (int v = 0; v < z->views; v++)
        s.dot[v] = sum_samples(part, v, z->n);
    join_ranks(z, x, &s);
    for (int v = 0; v < z->views; v++)
        if (s.squares[v] > 0.0) k[v] = z->sigma * s.dot[v] / ((s.count - 1.0) * view_std(&s, v));
    FOR_SAMPLES(add_deviation(z, m, diff, src, k[i / z->n], s.mean[i / z->n], i));
}

static void backward_sample(const bw_noise *z, room m, void *diff, const void *src, int64_t i)
{
    float *d = sample_in(z, m.diff, diff, i);
    z->eps(z->user, m.eps, i, sample_size(z));
    backward_groups(z, d, const_sample_in(z, m.src, src, i), m.eps);
    sample_out(z, diff, i, d);
}

void bw__noise_backward(const bw_noise *z, bw_exec *x, void *diff, const void *src)
{
    size_t mark = bw__exec_mark(x);
    float *rooms = bw__exec_take_f32(x, x->threads * room_count(z));
    double *part = bw__arena_take(&x->arena, x->side, (size_t)(z->views * z->n) * sizeof *part);
    double begin = bw__profile_begin(x);
    BW_ASSERT(z->views <= BW_VIEWS && z->kind != BW_NOISE_NONE);
    if (bw__exec_is_dry(x)) goto out;
    if (z->kind == BW_NOISE_ALL)
        backward_all(z, x, diff, src, rooms, part);
    else
        FOR_SAMPLES(backward_sample(z, m, diff, src, i));
out:
    bw__profile_end(x, begin, "noise", "backward", 0);
    bw__exec_release(x, mark);
}
