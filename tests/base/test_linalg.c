#include "check.h"
#include "base/linalg.h"
#include "base/rng.h"
#include <math.h>

enum { M = 3, N = 4, K = 5, PAD = 2 };

static float at(bw_matrix a, int64_t i, int64_t j)
{
    return a.transposed ? a.data[j * a.stride + i] : a.data[i * a.stride + j];
}

static void matrix_product_equals_the_plain_sum_for_every_transposition(void **state)
{
    (void)state;
    float a[64], b[64];
    bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&r, a, 64);
    bw__rng_normal_f32(&r, b, 64);
    for (int t = 0; t < 4; t++) {
        bool ta = t & 1, tb = t & 2;
        bw_matrix ma = { a, (ta ? M : K) + PAD, ta }, mb = { b, (tb ? K : N) + PAD, tb };
        float got[M * (N + PAD)], want[M * (N + PAD)];
        for (int i = 0; i < M * (N + PAD); i++)
            got[i] = want[i] = (float)i;
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++) {
                double sum = 0;
                for (int64_t k = 0; k < K; k++)
                    sum += (double)at(ma, i, k) * (double)at(mb, k, j);
                want[i * (N + PAD) + j] = (float)(0.5 * sum + 2.0 * (double)want[i * (N + PAD) + j]);
            }
        bw__gemm_f32(got, N + PAD, ma, mb, M, N, K, 0.5f, 2.0f);
        CHECK_CLOSE_F32(got, want, M * (N + PAD), 1e-6, 1e-5);
    }
}

/* m = H diag(5, -1, 2) H with the reflection H = 1 - 2 u u^T, u = (1, 2, 2) / 3. */
static void rotated_diagonal(double m[9], double h[3][3])
{
    double u[3] = { 1.0 / 3, 2.0 / 3, 2.0 / 3 }, d[3] = { 5, -1, 2 };
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            h[i][j] = (i == j) - 2 * u[i] * u[j];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            m[i * 3 + j] = 0;
            for (int k = 0; k < 3; k++)
                m[i * 3 + j] += h[i][k] * d[k] * h[j][k];
        }
}

static void eigenvalues_of_a_rotated_diagonal_matrix_are_its_diagonal(void **state)
{
    (void)state;
    double h[3][3], m[9], values[3];
    rotated_diagonal(m, h);
    CHECK_OK(bw__symmetric_eigenvalues_f64(values, m, 3));
    double want[3] = { -1, 2, 5 };
    CHECK_CLOSE(values, want, 3, 1e-12, 1e-12);
}

/* Columns 0 and 2 of H, up to their signs; the upper triangle is not read. */
static void largest_eigenvectors_come_first_and_only_the_lower_triangle_counts(void **state)
{
    (void)state;
    double h[3][3], m[9], values[2], vectors[6], want[6];
    rotated_diagonal(m, h);
    m[1] = m[2] = m[5] = 1e9;
    CHECK_OK(bw__symmetric_top_f64(values, vectors, m, 3, 2));
    CHECK_CLOSE(values, ((double[]){ 5, 2 }), 2, 1e-12, 1e-12);
    for (int i = 0; i < 3; i++) {
        want[i] = h[i][0] * (vectors[0] * h[0][0] > 0 ? 1 : -1);
        want[3 + i] = h[i][2] * (vectors[3] * h[0][2] > 0 ? 1 : -1);
    }
    CHECK_CLOSE(vectors, want, 6, 1e-12, 1e-12);
    assert_int_equal(bw__symmetric_top_f64(values, vectors, m, 3, 4), BW_EINVAL);
    m[3] = (double)NAN;
    assert_int_equal(bw__symmetric_top_f64(values, vectors, m, 3, 2), BW_ENONFINITE);
}

static void eigenvalues_of_a_matrix_with_nan_are_refused(void **state)
{
    (void)state;
    double m[4] = { 1, 0, (double)NAN, 1 }, values[2];
    assert_int_equal(bw__symmetric_eigenvalues_f64(values, m, 2), BW_ENONFINITE);
    assert_string_equal(bw_last_error(), "eigenvalues: element (1, 0) is not finite");
    assert_int_equal(bw__symmetric_eigenvalues_f64(values, m, 0), BW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix_product_equals_the_plain_sum_for_every_transposition),
        cmocka_unit_test(eigenvalues_of_a_rotated_diagonal_matrix_are_its_diagonal),
        cmocka_unit_test(largest_eigenvectors_come_first_and_only_the_lower_triangle_counts),
        cmocka_unit_test(eigenvalues_of_a_matrix_with_nan_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
