#include "train/health.h"
#include "base/linalg.h"
#include <math.h>

#define MAX_ROWS 512

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

bw_status bw__health(bw_health *out, bw_exec *x, const float *z, int64_t n, int64_t d)
{
    bw_status st = BW_OK;
    if (n > MAX_ROWS) n = MAX_ROWS;
    int64_t m = n < d ? n : d;
    size_t mark = bw__exec_mark(x);
    float *gram = bw__exec_take_f32(x, m * m);
    double *matrix = bw__arena_take(&x->arena, x->side, (size_t)(m * m) * sizeof *matrix);
    double *values = bw__arena_take(&x->arena, x->side, (size_t)m * sizeof *values);
    double *norm = bw__arena_take(&x->arena, x->side, (size_t)n * sizeof *norm);
    bw_matrix rows = { .data = z, .stride = d }, columns = { .data = z, .stride = d, .transposed = true };
    *out = (bw_health){ 0 };
    if (bw__exec_is_dry(x)) goto out;
    if (n < d)
        bw__gemm_f32(gram, m, rows, columns, m, m, d, 1.0f, 0.0f);
    else
        bw__gemm_f32(gram, m, columns, rows, m, m, n, 1.0f, 0.0f);
    for (int64_t i = 0; i < m * m; i++)
        matrix[i] = (double)gram[i];
    BW_TRY(bw__symmetric_eigenvalues_f64(values, matrix, m));
    *out = (bw_health){ .embedding_std = embedding_std(z, n, d, norm),
                        .effective_rank = rank_from_eigenvalues(values, m) };
out:
    bw__exec_release(x, mark);
    return st;
}
