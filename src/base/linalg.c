#include "base/linalg.h"
#include <cblas.h>
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>

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

bw_status bw__symmetric_eigenvalues_f64(double *values, double *matrix, int64_t n)
{
    pthread_once(&once, one_thread);
    if (n < 1 || n > INT_MAX / 2) return bw_fail(BW_EINVAL, "eigenvalues: %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            if (!isfinite(matrix[i * n + j]))
                return bw_fail(BW_ENONFINITE, "eigenvalues: element (%lld, %lld) is not finite", (long long)i,
                               (long long)j);
    /* Our lower triangle is the upper one where columns come first. */
    lapack_int info =
        LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', 'U', (lapack_int)n, matrix, (lapack_int)n, values);
    if (info == LAPACK_WORK_MEMORY_ERROR) return bw_fail(BW_ENOMEM, "out of memory: eigenvalues");
    if (info != 0) return bw_fail(BW_EKERNEL, "eigenvalues: LAPACK's dsyevd answers %d", (int)info);
    return BW_OK;
}
