#include "nn/noise.h"
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

/* Mean and unbiased standard deviation of every view's whole tensor. */
static void view_moments(const bw_noise *z, bw_exec *x, double *mean, double *std, const float *src)
{
    int64_t total = z->views * z->n, size = z->positions * z->c;
    double count = (double)(z->n * size);
    size_t mark = bw__exec_mark(x);
    double *part = bw__arena_take(&x->arena, x->side, (size_t)total * sizeof *part);
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < total; i++)
            part[i] = sample_sum(src + i * size, size, 0.0, false);
        for (int v = 0; v < z->views; v++)
            mean[v] = sum_samples(part, v, z->n) / count;
#pragma omp parallel for schedule(static) num_threads(x->threads)
        for (int64_t i = 0; i < total; i++)
            part[i] = sample_sum(src + i * size, size, mean[i / z->n], true);
        for (int v = 0; v < z->views; v++)
            std[v] = count > 1.0 ? sqrt(sum_samples(part, v, z->n) / (count - 1.0)) : 0.0;
    }
    bw__exec_release(x, mark);
}

void bw__noise_forward(const bw_noise *z, bw_exec *x, float *dst, const float *src)
{
    int64_t total = z->views * z->n, size = z->positions * z->c;
    double mean[BW_VIEWS] = { 0 }, std[BW_VIEWS] = { 0 };
    size_t mark = bw__exec_mark(x);
    float *eps_all = bw__exec_take_f32(x, x->threads * size);
    BW_ASSERT(z->views <= BW_VIEWS && z->kind != BW_NOISE_NONE);
    if (z->kind == BW_NOISE_ALL) view_moments(z, x, mean, std, src);
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static, 1) num_threads(x->threads)
        for (int64_t t = 0; t < x->threads; t++)
            for (int64_t i = t; i < total; i += x->threads) {
                float *eps = eps_all + t * size;
                const float *s = src + i * size;
                z->eps(z->user, eps, i, size);
                if (z->kind != BW_NOISE_ALL) {
                    forward_groups(z, dst + i * size, s, eps);
                    continue;
                }
                float scale = (float)(z->sigma * std[i / z->n]);
                for (int64_t j = 0; j < size; j++)
                    dst[i * size + j] = s[j] + scale * eps[j];
            }
    }
    bw__exec_release(x, mark);
}

/* Kind `all`: the sum over the view comes first, then one pass without eps. */
static void backward_all(const bw_noise *z, bw_exec *x, float *diff, const float *src, const double *part,
                         const double *mean, const double *std)
{
    int64_t total = z->views * z->n, size = z->positions * z->c;
    double k[BW_VIEWS] = { 0 };
    for (int v = 0; v < z->views; v++)
        if (std[v] > 0.0) k[v] = z->sigma * sum_samples(part, v, z->n) / ((double)(z->n * size - 1) * std[v]);
#pragma omp parallel for schedule(static) num_threads(x->threads)
    for (int64_t i = 0; i < total; i++) {
        int64_t v = i / z->n;
        for (int64_t j = 0; j < size; j++)
            diff[i * size + j] += (float)(k[v] * ((double)src[i * size + j] - mean[v]));
    }
}

void bw__noise_backward(const bw_noise *z, bw_exec *x, float *diff, const float *src)
{
    int64_t total = z->views * z->n, size = z->positions * z->c;
    double mean[BW_VIEWS] = { 0 }, std[BW_VIEWS] = { 0 };
    size_t mark = bw__exec_mark(x);
    float *eps_all = bw__exec_take_f32(x, x->threads * size);
    double *part = bw__arena_take(&x->arena, x->side, (size_t)total * sizeof *part);
    BW_ASSERT(z->views <= BW_VIEWS && z->kind != BW_NOISE_NONE);
    if (z->kind == BW_NOISE_ALL) view_moments(z, x, mean, std, src);
    if (!bw__exec_is_dry(x)) {
#pragma omp parallel for schedule(static, 1) num_threads(x->threads)
        for (int64_t t = 0; t < x->threads; t++)
            for (int64_t i = t; i < total; i += x->threads) {
                float *eps = eps_all + t * size, *d = diff + i * size;
                z->eps(z->user, eps, i, size);
                if (z->kind != BW_NOISE_ALL) {
                    backward_groups(z, d, src + i * size, eps);
                    continue;
                }
                part[i] = 0.0;
                for (int64_t j = 0; j < size; j++)
                    part[i] += (double)d[j] * (double)eps[j];
            }
        if (z->kind == BW_NOISE_ALL) backward_all(z, x, diff, src, part, mean, std);
    }
    bw__exec_release(x, mark);
}
