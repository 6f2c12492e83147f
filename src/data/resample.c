#include "data/resample.h"
#include "base/memory.h"
#include "data/pixel_kernels.h"
#include <math.h>

static double filter_support(bw_interpolation interpolation)
{
    return interpolation == BW_INTERPOLATION_BICUBIC ? 2.0 : 1.0;
}

/* Keys' cubic convolution with a = -0.5, or the triangle. */
static double filter_value(bw_interpolation interpolation, double x)
{
    x = fabs(x);
    if (interpolation == BW_INTERPOLATION_BILINEAR) return x < 1.0 ? 1.0 - x : 0.0;
    const double a = -0.5;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static double filter_radius(bw_interpolation interpolation, int64_t in, int64_t out)
{
    return filter_support(interpolation) * fmax((double)in / (double)out, 1.0);
}

static int64_t taps_width(bw_interpolation interpolation, int64_t in, int64_t out)
{
    return 2 * (int64_t)ceil(filter_radius(interpolation, in, out)) + 1;
}

static size_t taps_bytes(int64_t n, int64_t width)
{
    return 2 * bw__round_up((size_t)n * sizeof(int64_t)) +
           bw__round_up((size_t)(n * width) * sizeof(int32_t));
}

static char *taps_place(bw_taps *t, int64_t n, int64_t width, char *at)
{
    size_t list = bw__round_up((size_t)n * sizeof(int64_t));
    t->n = n;
    t->width = width;
    t->first = (void *)at;
    t->count = (void *)(at + list);
    t->k = (void *)(at + 2 * list);
    return at + taps_bytes(n, width);
}

/* Some of the inputs: [first, end). */
typedef struct range {
    int64_t first, end;
} range;

/* The inputs that output `at` of `out` is made of; its centre lies at (at + 0.5) * in / out. */
static range inputs_of(bw_interpolation interpolation, int64_t in, int64_t out, int64_t at)
{
    const double center = ((double)at + 0.5) * ((double)in / (double)out);
    const double radius = filter_radius(interpolation, in, out);
    const int64_t first = (int64_t)(center - radius + 0.5), end = (int64_t)(center + radius + 0.5);
    return (range){ first < 0 ? 0 : first, end > in ? in : end };
}

/* The columns (or rows) of the box that the window of `size` reaches. An image that is far longer than wide
 * is cut to a small part of it: what is worked on must not grow with the rest. */
static range reach_x(const bw_resample *job, int64_t size)
{
    return (range){ inputs_of(job->interpolation, job->w, job->out_w, job->window_x).first,
                    inputs_of(job->interpolation, job->w, job->out_w, job->window_x + size - 1).end };
}

static range reach_y(const bw_resample *job, int64_t size)
{
    return (range){ inputs_of(job->interpolation, job->h, job->out_h, job->window_y).first,
                    inputs_of(job->interpolation, job->h, job->out_h, job->window_y + size - 1).end };
}

/* Coefficients of outputs [window, window + n) of `out`, in reverse order with `flip`, for inputs that are
 * counted from `origin`. Weights are normalised over the inputs there are. */
static void taps_fill(bw_taps *t, bw_interpolation interpolation, int64_t in, int64_t out, int64_t window,
                      bool flip, int64_t origin)
{
    const double scale = (double)in / (double)out, stretch = fmax(scale, 1.0);
    for (int64_t i = 0; i < t->n; i++) {
        const int64_t at = window + (flip ? t->n - 1 - i : i);
        const double center = ((double)at + 0.5) * scale;
        const range inputs = inputs_of(interpolation, in, out, at);
        const int64_t first = inputs.first, end = inputs.end;
        double sum = 0.0;
        for (int64_t j = first; j < end; j++)
            sum += filter_value(interpolation, ((double)j - center + 0.5) / stretch);
        int32_t *k = t->k + i * t->width;
        for (int64_t j = first; j < end; j++) {
            double weight = filter_value(interpolation, ((double)j - center + 0.5) / stretch);
            if (sum != 0.0) weight /= sum;
            k[j - first] = (int32_t)(weight * (1 << BW_TAP_BITS) + (weight < 0 ? -0.5 : 0.5));
        }
        t->first[i] = first - origin;
        t->count[i] = end - first;
    }
}

/* Brings 16 rows of `bytes` interleaved values side by side: dst[i * 16 + row]. Rows past the last one
 * repeat it. */
static void gather_rows(uint8_t *dst, const bw_image *image, int64_t x, int64_t y, int64_t rows,
                        int64_t bytes)
{
    const int64_t row_bytes = image->width * 3;
    const uint8_t *src = image->rgb + y * row_bytes + x * 3;
    int64_t i = 0;
    if (rows >= BW_LANES)
        for (; i + BW_LANES <= bytes; i += BW_LANES)
            bw__transpose_16x16(dst + i * BW_LANES, BW_LANES, src + i, row_bytes);
    for (; i < bytes; i++)
        for (int64_t l = 0; l < BW_LANES; l++)
            dst[i * BW_LANES + l] = src[(l < rows ? l : rows - 1) * row_bytes + i];
}

/* Layout of the scratch: coefficients x | coefficients y | gathered rows [columns * 3, 16] | their result
 * [3, stride, 16] | result of the horizontal pass [3, rows, stride], rows rounded up to 16; columns and rows
 * are those the window reaches. */
size_t bw__resample_work_bytes(const bw_resample *job, int64_t size)
{
    const range x = reach_x(job, size), y = reach_y(job, size);
    const int64_t stride = bw__plane_stride(size), rows = bw__plane_stride(y.end - y.first);
    return taps_bytes(size, taps_width(job->interpolation, job->w, job->out_w)) +
           taps_bytes(size, taps_width(job->interpolation, job->h, job->out_h)) +
           bw__round_up((size_t)((x.end - x.first) * 3 * BW_LANES)) +
           bw__round_up((size_t)(3 * stride * BW_LANES)) + bw__round_up((size_t)(3 * rows * stride));
}

void bw__resample(bw_planes *out, const bw_resample *job, void *work)
{
    const int64_t size = out->size, stride = out->stride;
    const range columns = reach_x(job, size), rows = reach_y(job, size);
    const int64_t row_bytes = (columns.end - columns.first) * 3;
    const bw_kernels *kernels = bw__kernels();
    bw_taps tx, ty;
    char *at = taps_place(&tx, size, taps_width(job->interpolation, job->w, job->out_w), work);
    at = taps_place(&ty, size, taps_width(job->interpolation, job->h, job->out_h), at);
    taps_fill(&tx, job->interpolation, job->w, job->out_w, job->window_x, job->flip, columns.first);
    taps_fill(&ty, job->interpolation, job->h, job->out_h, job->window_y, false, rows.first);
    uint8_t *gathered = (void *)at;
    uint8_t *done = gathered + bw__round_up((size_t)(row_bytes * BW_LANES));
    uint8_t *middle = done + bw__round_up((size_t)(3 * stride * BW_LANES));

    const int64_t plane = bw__plane_stride(rows.end - rows.first) * stride;
    for (int64_t y = rows.first; y < rows.end; y += BW_LANES) {
        gather_rows(gathered, job->image, job->x + columns.first, job->y + y, rows.end - y, row_bytes);
        kernels->resample_rows(done, stride * BW_LANES, gathered, &tx);
        for (int c = 0; c < 3; c++)
            for (int64_t x = 0; x < stride; x += BW_LANES)
                bw__transpose_16x16(middle + c * plane + (y - rows.first) * stride + x, stride,
                                    done + (c * stride + x) * BW_LANES, BW_LANES);
    }
    for (int c = 0; c < 3; c++)
        for (int64_t y = 0; y < size; y++)
            kernels->resample_column(out->rgb[c] + y * stride, middle + c * plane + ty.first[y] * stride,
                                     stride, ty.k + y * ty.width, ty.count[y]);
}
