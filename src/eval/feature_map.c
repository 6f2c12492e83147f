/* Principal components, by the smaller one of the two matrices that have the same eigenvalues: with X [n,
 * dim] centred, X^T X has the directions v and coordinates X v, and X X^T has u with coordinates sqrt(value)
 * u. */
#include "base/linalg.h"
#include "base/memory.h"
#include "blockwise/evaluate.h"
#include <math.h>

enum { AXES = 2, ROWS_AT_ONCE = 256 };

typedef struct cloud {
    const float *x; /* [n, dim] */
    int64_t n, dim;
    double *mean; /* [dim] */
} cloud;

static double centred(const cloud *c, int64_t i, int64_t d)
{
    return (double)c->x[i * c->dim + d] - c->mean[d];
}

static bw_status find_mean(cloud *c)
{
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t d = 0; d < c->dim; d++) {
            if (!isfinite(c->x[i * c->dim + d]))
                return bw_fail(BW_ENONFINITE, "feature %lld of row %lld is not finite", (long long)d,
                               (long long)i);
            c->mean[d] += (double)c->x[i * c->dim + d] / (double)c->n;
        }
    return BW_OK;
}

/* Lower triangle of X^T X [dim, dim], some rows of X at a time. */
static bw_status gram_of_columns(double *gram, const cloud *c)
{
    double *rows = NULL;
    bw_status st = BW_ALLOC(&rows, ROWS_AT_ONCE * c->dim);
    for (int64_t first = 0; st == BW_OK && first < c->n; first += ROWS_AT_ONCE) {
        int64_t n = c->n - first < ROWS_AT_ONCE ? c->n - first : ROWS_AT_ONCE;
        for (int64_t i = 0; i < n; i++)
            for (int64_t d = 0; d < c->dim; d++)
                rows[i * c->dim + d] = centred(c, first + i, d);
        bw__add_gram_f64(gram, rows, n, c->dim);
    }
    bw__free(rows);
    return st;
}

/* And of X X^T [n, n]. */
static bw_status gram_of_rows(double *gram, const cloud *c)
{
    double *columns = NULL;
    bw_status st = BW_ALLOC(&columns, ROWS_AT_ONCE * c->n);
    for (int64_t first = 0; st == BW_OK && first < c->dim; first += ROWS_AT_ONCE) {
        int64_t n = c->dim - first < ROWS_AT_ONCE ? c->dim - first : ROWS_AT_ONCE;
        for (int64_t d = 0; d < n; d++)
            for (int64_t i = 0; i < c->n; i++)
                columns[d * c->n + i] = centred(c, i, first + d);
        bw__add_gram_f64(gram, columns, n, c->n);
    }
    bw__free(columns);
    return st;
}

static double coordinate(const cloud *c, bool of_rows, const double *vector, double value, int64_t i)
{
    double sum = 0.0;
    if (of_rows) return sqrt(value) * vector[i];
    for (int64_t d = 0; d < c->dim; d++)
        sum += centred(c, i, d) * vector[d];
    return sum;
}

static void place(float *out_xy, int axis, const cloud *c, bool of_rows, const double *vector, double value)
{
    double largest = 0.0;
    for (int64_t i = 0; i < c->n; i++) {
        double at = coordinate(c, of_rows, vector, value, i);
        out_xy[AXES * i + axis] = (float)at;
        if (fabs(at) > fabs(largest)) largest = at;
    }
    for (int64_t i = 0; largest < 0.0 && i < c->n; i++)
        out_xy[AXES * i + axis] = -out_xy[AXES * i + axis];
}

bw_status bw_feature_map(float *out_xy, double *out_share, const float *features, int64_t n, int64_t dim)
{
    bw_status st = BW_OK;
    cloud c = { .x = features, .n = n, .dim = dim };
    bool of_rows = n < dim;
    int64_t size = of_rows ? n : dim;
    double *gram = NULL, *vectors = NULL, values[AXES], total = 0.0;
    if (n < 2 || dim < 2)
        return bw_fail(BW_EINVAL, "a map of %lld rows of %lld features: both must be 2 or more", (long long)n,
                       (long long)dim);
    BW_TRY(BW_ALLOC(&c.mean, dim));
    BW_TRY(BW_ALLOC(&vectors, AXES * size));
    BW_TRY(BW_ALLOC(&gram, size * size));
    BW_TRY(find_mean(&c));
    BW_TRY(of_rows ? gram_of_rows(gram, &c) : gram_of_columns(gram, &c));
    for (int64_t i = 0; i < size; i++)
        total += gram[i * size + i];
    if (!(total > 0.0)) BW_TRY(bw_fail(BW_EINVAL, "a map of features that are all the same"));
    BW_TRY(bw__symmetric_top_f64(values, vectors, gram, size, AXES));
    for (int axis = 0; axis < AXES; axis++) {
        double value = values[axis] > 0.0 ? values[axis] : 0.0; /* rounding may leave less */
        out_share[axis] = value / total;
        place(out_xy, axis, &c, of_rows, vectors + axis * size, value);
    }
out:
    bw__free(c.mean);
    bw__free(vectors);
    bw__free(gram);
    return st;
}
