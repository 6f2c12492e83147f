#include "train/health.h"
#include "base/linalg.h"
#include "nn/pool.h"
#include <math.h>
#include <string.h>

enum { MAX_ROWS = 512, PANEL = 64 };

static double embedding_std(const float *z, int64_t n, int64_t d, double *norm)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double s = 0.0;
        for (int64_t j = 0; j < d; j++)
            s += (double)z[i * d + j] * (double)z[i * d + j];
        norm[i] = sqrt(s) + 1e-12;
    }
    for (int64_t j = 0; j < d; j++) {
        double m = 0.0, v = 0.0;
        for (int64_t i = 0; i < n; i++)
            m += (double)z[i * d + j] / norm[i];
        m /= (double)n;
        for (int64_t i = 0; i < n; i++) {
            double e = (double)z[i * d + j] / norm[i] - m;
            v += e * e;
        }
        sum += sqrt(v / (double)n);
    }
    return sum / (double)d * sqrt((double)d);
}

/* exp of the entropy of singular values, given as the eigenvalues of the smaller Gram matrix. */
static double rank_from_eigenvalues(const double *values, int64_t n)
{
    double sum = 0.0, entropy = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += sqrt(values[i] > 0.0 ? values[i] : 0.0);
    for (int64_t i = 0; i < n && sum > 0.0; i++) {
        double p = sqrt(values[i] > 0.0 ? values[i] : 0.0) / sum;
        if (p > 1e-12) entropy -= p * log(p);
    }
    return exp(entropy);
}

/* Lower triangle of z z^T where there are fewer rows than columns, else of z^T z. In double: the square of a
 * singular value a ten-thousandth of the largest is within the rounding of a float, and hundreds of such
 * would make a collapsed embedding look like one of many directions. */
static void gram_of(double *gram, double *panel, const float *z, int64_t n, int64_t d)
{
    bool by_rows = n < d;
    int64_t m = by_rows ? n : d, length = by_rows ? d : n;
    memset(gram, 0, (size_t)(m * m) * sizeof *gram);
    for (int64_t begin = 0; begin < length; begin += PANEL) {
        int64_t k = length - begin < PANEL ? length - begin : PANEL;
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < m; j++)
                panel[i * m + j] = (double)(by_rows ? z[j * d + begin + i] : z[(begin + i) * d + j]);
        bw__add_gram_f64(gram, panel, k, m);
    }
}

/* Rows that each rank gives, so that all together are at most MAX_ROWS. */
static int64_t rows_of_rank(const bw_exec *x, int64_t n)
{
    int64_t share = MAX_ROWS / bw__exec_ranks(x);
    if (share == 0) share = 1;
    return n < share ? n : share;
}

bw_status bw__health(bw_health *out, bw_exec *x, const float *z, int64_t n, int64_t d)
{
    bw_status st = BW_OK;
    const int64_t own = rows_of_rank(x, n);
    n = own * bw__exec_ranks(x);
    int64_t m = n < d ? n : d;
    size_t mark = bw__exec_mark(x);
    float *all = bw__exec_ranks(x) > 1 ? bw__exec_take_f32(x, n * d) : NULL;
    double *gram = bw__arena_take(&x->arena, x->side, (size_t)(m * m) * sizeof *gram);
    double *panel = bw__arena_take(&x->arena, x->side, (size_t)(PANEL * m) * sizeof *panel);
    double *values = bw__arena_take(&x->arena, x->side, (size_t)m * sizeof *values);
    double *norm = bw__arena_take(&x->arena, x->side, (size_t)n * sizeof *norm);
    *out = (bw_health){ 0 };
    if (bw__exec_is_dry(x)) goto out;
    if (all) {
        BW_TRY(bw__comm_gather(x->comm, all, z, (size_t)(own * d) * sizeof *all));
        z = all;
    }
    gram_of(gram, panel, z, n, d);
    BW_TRY(bw__symmetric_eigenvalues_f64(values, gram, m));
    *out = (bw_health){ .embedding_std = embedding_std(z, n, d, norm),
                        .effective_rank = rank_from_eigenvalues(values, m),
                        .effective_rank_max = (double)m };
out:
    bw__exec_release(x, mark);
    return st;
}

double bw__dead_channels(bw_exec *x, const void *out, int64_t n, int64_t positions, int64_t c)
{
    size_t mark = bw__exec_mark(x);
    float *mean = bw__exec_take_f32(x, n * c); /* of values >= 0: it is 0 where all of them are */
    int64_t dead = c;
    bw__gsp_forward(x, x->type, mean, out, n, positions, c);
    for (int64_t j = 0; j < c && !bw__exec_is_dry(x); j++) {
        int64_t i = 0;
        while (i < n && mean[i * c + j] == 0.0f)
            i++;
        mean[j] = i < n ? 1.0f : 0.0f; /* the first image's is no longer needed */
    }
    bw__exec_sum_f32(x, mean, c);
    for (int64_t j = 0; j < c && !bw__exec_is_dry(x); j++)
        dead -= mean[j] > 0.0f;
    bw__exec_release(x, mark);
    return (double)dead / (double)c;
}
