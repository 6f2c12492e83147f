/* Principal components of features whose directions are known. */
#include "check.h"
#include "base/rng.h"
#include "blockwise/evaluate.h"
#include <math.h>

enum { MOST = 40 };

/* n rows with coordinates a_i along u and b_i along v, which are orthogonal and of length 1, far from the
 * origin. a varies more, and its largest value is negative. */
static void make_plane(float *x, double *a, double *b, int n, int dim)
{
    bw_rng r = bw__rng(3, BW_RNG_SYNTHETIC, (uint64_t)n, (uint64_t)dim, 0);
    double mean_a = 0.0, mean_b = 0.0;
    for (int i = 0; i < n; i++) {
        a[i] = 6.0 * bw__rng_uniform_f64(&r) - 3.0;
        b[i] = 0.5 * sin(2.0 * a[i]) + 0.1 * bw__rng_uniform_f64(&r);
    }
    a[0] = -5.0;
    for (int i = 0; i < n; i++) {
        mean_a += a[i] / n;
        mean_b += b[i] / n;
    }
    for (int i = 0; i < n; i++) {
        a[i] -= mean_a;
        b[i] -= mean_b;
    }
    /* a and b without correlation, so that u and v are the components. */
    double ab = 0.0, aa = 0.0;
    for (int i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
    }
    for (int i = 0; i < n; i++)
        b[i] -= ab / aa * a[i];
    for (int i = 0; i < n; i++)
        for (int d = 0; d < dim; d++) {
            double u = d < 2 ? sqrt(0.5) : 0.0, v = d < 2    ? (d == 0 ? 0.6 : -0.6) * sqrt(0.5)
                                                    : d == 2 ? 0.8
                                                             : 0.0;
            x[i * dim + d] = (float)(50.0 + d + a[i] * u + b[i] * v);
        }
}

static double sign_of_largest(const double *x, int n)
{
    double largest = 0.0;
    for (int i = 0; i < n; i++)
        if (fabs(x[i]) > fabs(largest)) largest = x[i];
    return largest < 0.0 ? -1.0 : 1.0;
}

static void check_plane(int n, int dim)
{
    float x[MOST * MOST], xy[2 * MOST];
    double a[MOST], b[MOST], got[2 * MOST], want[2 * MOST], share[2], aa = 0.0, bb = 0.0;
    make_plane(x, a, b, n, dim);
    CHECK_OK(bw_feature_map(xy, share, x, n, dim));
    for (int i = 0; i < n; i++) {
        got[2 * i] = (double)xy[2 * i];
        got[2 * i + 1] = (double)xy[2 * i + 1];
        want[2 * i] = sign_of_largest(a, n) * a[i];
        want[2 * i + 1] = sign_of_largest(b, n) * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    CHECK_CLOSE(got, want, (size_t)(2 * n), 1e-4, 1e-4); /* of 50, in f32 */
    CHECK_CLOSE(share, ((double[]){ aa / (aa + bb), bb / (aa + bb) }), 2, 1e-4, 1e-5);
}

static void a_plane_is_found_again_with_more_rows_than_columns(void **state)
{
    (void)state;
    check_plane(MOST, 5);
}

static void a_plane_is_found_again_with_more_columns_than_rows(void **state)
{
    (void)state;
    check_plane(9, MOST);
}

static void points_on_a_line_have_no_second_coordinate(void **state)
{
    (void)state;
    float x[6 * 3], xy[12];
    double share[2];
    for (int i = 0; i < 6; i++)
        for (int d = 0; d < 3; d++)
            x[3 * i + d] = (float)(i * (d + 1));
    CHECK_OK(bw_feature_map(xy, share, x, 6, 3));
    assert_true(share[0] > 1.0 - 1e-12 && share[1] < 1e-12);
    for (int i = 0; i < 6; i++)
        assert_true(fabsf(xy[2 * i + 1]) < 1e-5f);
}

static void what_has_no_map_is_refused(void **state)
{
    (void)state;
    float same[6] = { 1, 2, 1, 2, 1, 2 }, bad[6] = { 1, 2, 3, NAN, 5, 6 }, xy[6];
    double share[2];
    assert_int_equal(bw_feature_map(xy, share, same, 3, 2), BW_EINVAL);
    assert_int_equal(bw_feature_map(xy, share, same, 1, 6), BW_EINVAL);
    assert_int_equal(bw_feature_map(xy, share, same, 6, 1), BW_EINVAL);
    assert_int_equal(bw_feature_map(xy, share, bad, 3, 2), BW_ENONFINITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plane_is_found_again_with_more_rows_than_columns),
        cmocka_unit_test(a_plane_is_found_again_with_more_columns_than_rows),
        cmocka_unit_test(points_on_a_line_have_no_second_coordinate),
        cmocka_unit_test(what_has_no_map_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
