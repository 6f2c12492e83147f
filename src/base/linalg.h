/* Matrix product and eigenvalues: the only place that knows CBLAS and LAPACK.
 *
 * Each call runs in the calling thread alone. The callers share work out with OpenMP in slices of fixed
 * size, so that results are the same bits for any number of threads, and the BLAS library's own threads
 * never compete with ours. With OpenBLAS this sets its thread number to 1 for the process at first use. */
#ifndef BW_BASE_LINALG_H
#define BW_BASE_LINALG_H
#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* A matrix in row-major order: element (i, j) is data[i * stride + j], or data[j * stride + i] where
 * `transposed` is set. */
typedef struct bw_matrix {
    const float *data;
    int64_t stride;
    bool transposed;
} bw_matrix;

/* c[m, n] = alpha * a[m, k] b[k, n] + beta * c; row i of c begins at c + i * c_stride. Safe from several
 * threads at once. */
void bw__gemm_f32(float *c, int64_t c_stride, bw_matrix a, bw_matrix b, int64_t m, int64_t n, int64_t k,
                  float alpha, float beta);

/* Lower triangle of gram [m, m] += a^T a, a [k, m] dense. The upper triangle is not touched. */
void bw__add_gram_f64(double *gram, const double *a, int64_t k, int64_t m);

/* Eigenvalues of a symmetric matrix [n, n], ascending, in `values` [n]. Its lower triangle is read, `matrix`
 * is overwritten. BW_EINVAL: n < 1. BW_ENONFINITE: a NaN or infinity in the matrix. BW_EKERNEL: no
 * convergence. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__symmetric_eigenvalues_f64(double *values, double *matrix, int64_t n);

/* The `k` largest eigenvalues, the largest first, and their eigenvectors of length 1, vectors [k, n], whose
 * signs are LAPACK's. The rest as above; BW_EINVAL also for a k outside of 1 .. n. */
BW_MUST_CHECK
bw_status bw__symmetric_top_f64(double *values, double *vectors, double *matrix, int64_t n, int64_t k);
#endif
