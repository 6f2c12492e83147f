/* Every loss in double and plain C, written from its formula: what "right" means for src/loss. Values only;
 * gradients are central differences of them. z [2, n, d]. */
#ifndef BW_TESTS_LOSS_TWINS_H
#define BW_TESTS_LOSS_TWINS_H
#include "loss/loss.h"
#include <math.h>

typedef struct twin_value {
    double total, term[BW_LOSS_TERMS];
} twin_value;

static inline double twin_mean(const double *z, int64_t n, int64_t d, int64_t j)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += z[i * d + j];
    return sum / (double)n;
}

/* sum_i (x_ij - mean_j) (y_ik - mean_k) */
static inline double twin_products(const double *x, const double *y, int64_t n, int64_t d, int64_t j,
                                   int64_t k)
{
    double mean_j = twin_mean(x, n, d, j), mean_k = twin_mean(y, n, d, k), sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (x[i * d + j] - mean_j) * (y[i * d + k] - mean_k);
    return sum;
}

/* Zbontar et al. 2021, eq. 1 and 2; the correlation is of columns standardised by a batch norm: biased
 * variance, eps 1e-5 (the authors' code, main.py). */
static inline twin_value twin_barlow(const bw_loss_config *c, const double *z, int64_t n, int64_t d)
{
    const double *a = z, *b = z + n * d;
    twin_value v = { 0 };
    for (int64_t j = 0; j < d; j++)
        for (int64_t k = 0; k < d; k++) {
            double var_j = twin_products(a, a, n, d, j, j) / (double)n,
                   var_k = twin_products(b, b, n, d, k, k) / (double)n;
            double corr = twin_products(a, b, n, d, j, k) / (double)n / sqrt((var_j + 1e-5) * (var_k + 1e-5));
            v.term[j == k ? 0 : 1] += j == k ? (corr - 1.0) * (corr - 1.0) : corr * corr;
        }
    v.total = c->scale * (v.term[0] + c->lambda * v.term[1]);
    return v;
}

/* Bardes et al. 2022, eq. 1 to 6 with the factors of the authors' code (main_vicreg.py): the distance is a
 * mean over images and dimensions, each view's variance term is halved, covariances are over n - 1 and
 * their squares over d. */
static inline twin_value twin_vicreg(const bw_loss_config *c, const double *z, int64_t n, int64_t d)
{
    twin_value v = { 0 };
    for (int64_t i = 0; i < n * d; i++)
        v.term[0] += (z[i] - z[n * d + i]) * (z[i] - z[n * d + i]) / (double)(n * d);
    for (int view = 0; view < 2; view++)
        for (int64_t j = 0; j < d; j++)
            for (int64_t k = 0; k < d; k++) {
                const double *x = z + view * n * d;
                double cov = twin_products(x, x, n, d, j, k) / (double)(n - 1);
                if (j != k)
                    v.term[2] += cov * cov / (double)d;
                else
                    v.term[1] += fmax(0.0, 1.0 - sqrt(cov + 1e-4)) / (2.0 * (double)d);
            }
    v.total = c->scale * (c->invariance * v.term[0] + c->variance * v.term[1] + c->covariance * v.term[2]);
    return v;
}

static inline double twin_cosine(const double *p, const double *q, int64_t d)
{
    double pp = 0.0, qq = 0.0, pq = 0.0;
    for (int64_t j = 0; j < d; j++) {
        pp += p[j] * p[j];
        qq += q[j] * q[j];
        pq += p[j] * q[j];
    }
    return pq / sqrt(pp * qq);
}

/* Chen et al. 2020, eq. 1, and the mean over all pairs (i, j) and (j, i) of algorithm 1. */
static inline twin_value twin_simclr(const bw_loss_config *c, const double *z, int64_t n, int64_t d)
{
    twin_value v = { 0 };
    for (int64_t i = 0; i < 2 * n; i++) {
        int64_t positive = (i + n) % (2 * n);
        double own = twin_cosine(z + i * d, z + positive * d, d), sum = 0.0, nearest = -2.0;
        for (int64_t k = 0; k < 2 * n; k++) {
            if (k == i) continue;
            double other = twin_cosine(z + i * d, z + k * d, d);
            sum += exp(other / c->temperature);
            if (k != positive) nearest = fmax(nearest, other);
        }
        v.total -= c->scale * log(exp(own / c->temperature) / sum) / (2.0 * (double)n);
        v.term[0] += own > nearest ? 100.0 / (2.0 * (double)n) : 0.0;
    }
    return v;
}

/* Negative log-likelihood of a softmax (Bishop 2006, eq. 4.108, over all rows), divided by their number. */
static inline twin_value twin_cross_entropy(const bw_loss_config *c, const double *z, const int *labels,
                                            int64_t n, int64_t d)
{
    twin_value v = { 0 };
    for (int64_t i = 0; i < 2 * n; i++) {
        const double *row = z + i * d;
        double sum = 0.0, best = -1e300;
        for (int64_t j = 0; j < d; j++) {
            sum += exp(row[j]);
            best = fmax(best, row[j]);
        }
        v.total -= c->scale * log(exp(row[labels[i % n]]) / sum) / (2.0 * (double)n);
        v.term[0] += row[labels[i % n]] >= best ? 100.0 / (2.0 * (double)n) : 0.0;
    }
    return v;
}

static inline twin_value twin_loss(const bw_loss_config *c, const double *z, const int *labels, int64_t n,
                                   int64_t d)
{
    switch (c->name) {
    case BW_LOSS_BARLOW_TWINS:
        return twin_barlow(c, z, n, d);
    case BW_LOSS_VICREG:
        return twin_vicreg(c, z, n, d);
    case BW_LOSS_SIMCLR:
        return twin_simclr(c, z, n, d);
    case BW_LOSS_CROSS_ENTROPY:
        return twin_cross_entropy(c, z, labels, n, d);
    case BW_LOSS_CUSTOM:
        break;
    }
    return (twin_value){ .total = (double)NAN };
}

/* diff [2, n, d] by central differences; z comes back as it was. */
static inline void twin_gradient(double *diff, const bw_loss_config *c, double *z, const int *labels,
                                 int64_t n, int64_t d)
{
    const double h = 1e-5;
    for (int64_t i = 0; i < 2 * n * d; i++) {
        double was = z[i];
        z[i] = was + h;
        double above = twin_loss(c, z, labels, n, d).total;
        z[i] = was - h;
        double below = twin_loss(c, z, labels, n, d).total;
        z[i] = was;
        diff[i] = (above - below) / (2.0 * h);
    }
}
#endif
