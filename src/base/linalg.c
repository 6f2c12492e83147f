#include "base/linalg.h"
#include "base/memory.h"
#include <cblas.h>
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

/* Only OpenBLAS has it; another BLAS leaves the address NULL. */
extern void openblas_set_num_threads(int n) __attribute__((weak));

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void one_thread(void)
{
    if (openblas_set_num_threads) openblas_set_num_threads(1);
}

static int as_int(int64_t extent)
{
    BW_ASSERT(extent >= 0 && extent <= INT_MAX);
    return (int)extent;
}

void bw__gemm_f32(float *c, int64_t c_stride, bw_matrix a, bw_matrix b, int64_t m, int64_t n, int64_t k,
                  float alpha, float beta)
{
    pthread_once(&once, one_thread);
    if (m == 0 || n == 0) return;
    cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
                b.transposed ? CblasTrans : CblasNoTrans, as_int(m), as_int(n), as_int(k), alpha, a.data,
                as_int(a.stride), b.data, as_int(b.stride), beta, c, as_int(c_stride));
}

void bw__add_gram_f64(double *gram, const double *a, int64_t k, int64_t m)
{
    pthread_once(&once, one_thread);
    if (m == 0 || k == 0) return;
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, as_int(m), as_int(k), 1.0, a, as_int(m), 1.0, gram,
                as_int(m));
}

static bw_status check_symmetric(const double *matrix, int64_t n)
{
    if (n < 1 || n > INT_MAX / 2) return bw_fail(BW_EINVAL, "eigenvalues: %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            if (!isfinite(matrix[i * n + j]))
                return bw_fail(BW_ENONFINITE, "eigenvalues: element (%lld, %lld) is not finite", (long long)i,
                               (long long)j);
    return BW_OK;
}

static bw_status answer(lapack_int info, const char *name)
{
    if (info == LAPACK_WORK_MEMORY_ERROR) return bw_fail(BW_ENOMEM, "out of memory: eigenvalues");
    if (info != 0) return bw_fail(BW_EKERNEL, "eigenvalues: LAPACK's %s answers %d", name, (int)info);
    return BW_OK;
}

/* Our lower triangle is the upper one where columns come first. */
bw_status bw__symmetric_eigenvalues_f64(double *values, double *matrix, int64_t n)
{
    pthread_once(&once, one_thread);
    bw_status st = check_symmetric(matrix, n);
    if (st != BW_OK) return st;
    return answer(LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', 'U', (lapack_int)n, matrix, (lapack_int)n, values),
                  "dsyevd");
}

bw_status bw__symmetric_top_f64(double *values, double *vectors, double *matrix, int64_t n, int64_t k)
{
    bw_status st = BW_OK;
    double *all = NULL, *columns = NULL;
    lapack_int *support = NULL, found = 0;
    pthread_once(&once, one_thread);
    BW_TRY(check_symmetric(matrix, n));
    if (k < 1 || k > n) BW_TRY(bw_fail(BW_EINVAL, "eigenvalues: %lld of %lld", (long long)k, (long long)n));
    BW_TRY(BW_ALLOC(&all, n));
    BW_TRY(BW_ALLOC(&columns, k * n));
    BW_TRY(BW_ALLOC(&support, 2 * n));
    BW_TRY(answer(LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', (lapack_int)n, matrix, (lapack_int)n, 0.0,
                                 0.0, (lapack_int)(n - k + 1), (lapack_int)n, 0.0, &found, all, columns,
                                 (lapack_int)n, support),
                  "dsyevr"));
    for (int64_t i = 0; i < k; i++) { /* ascending in LAPACK */
        values[i] = all[k - 1 - i];
        memcpy(vectors + i * n, columns + (k - 1 - i) * n, (size_t)n * sizeof *vectors);
    }
out:
    bw__free(all);
    bw__free(columns);
    bw__free(support);
    return st;
}
