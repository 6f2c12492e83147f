#include "check.h"
#include "nn/batch_norm.h"
#include "nn/noise.h"
#include "nn/plain.h"
#include "nn/pool.h"
#include <string.h>

enum { VIEWS = 2, N = 3, P = 35, ROWS = N * P, C = 11, ALL = VIEWS * ROWS * C };

static bw_exec exec_with_arena(void)
{
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)16 << 20));
    return x;
}

static void statistics_are_per_view_and_running_ones_move_as_pytorchs(void **state)
{
    (void)state;
    static float y[ALL], out[ALL], rm[C], rv[C], w[C], b[C];
    static double dy[ALL], dw[C], db[C], want[ALL], got[ALL];
    double want_rm[C] = { 0 }, want_rv[C], got_rm[C], got_rv[C];
    bw_exec x = exec_with_arena();
    bw_bn bn;
    fill_random(y, dy, ALL, 1);
    fill_random(w, dw, C, 2);
    fill_random(b, db, C, 3);
    for (int i = 0; i < C; i++) {
        rm[i] = 0;
        rv[i] = 1;
        want_rv[i] = 1;
    }
    CHECK_OK(bw__bn_create(&bn, BW_F32, VIEWS, ROWS, C));
    bw__bn_statistics(&bn, &x, y, &(bw_bn_params){ w, b, rm, rv });
    bw__bn_relu_forward(&bn, &x, out, y);
    for (int v = 0; v < VIEWS; v++) {
        plain_bn_relu(want + v * ROWS * C, dy + v * ROWS * C, dw, db, ROWS, C, BW_BN_EPS, 1);
        for (int i = 0; i < C; i++) {
            double m = 0, s = 0;
            for (int r = 0; r < ROWS; r++)
                m += dy[(v * ROWS + r) * C + i] / ROWS;
            for (int r = 0; r < ROWS; r++)
                s += pow(dy[(v * ROWS + r) * C + i] - m, 2) / (ROWS - 1);
            want_rm[i] += 0.1 * (m - want_rm[i]);
            want_rv[i] += 0.1 * (s - want_rv[i]);
        }
    }
    for (int i = 0; i < ALL; i++)
        got[i] = (double)out[i];
    CHECK_CLOSE(got, want, ALL, 1e-5, 1e-6);
    for (int i = 0; i < C; i++) {
        got_rm[i] = (double)rm[i];
        got_rv[i] = (double)rv[i];
    }
    CHECK_CLOSE(got_rm, want_rm, C, 1e-6, 1e-8);
    CHECK_CLOSE(got_rv, want_rv, C, 1e-6, 1e-8);
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

static void variance_survives_a_mean_of_1000_standard_deviations(void **state)
{
    (void)state;
    static float y[ALL];
    static double dy[ALL];
    bw_exec x = exec_with_arena();
    bw_bn bn;
    fill_random(y, dy, ALL, 9);
    for (int i = 0; i < ALL; i++) {
        y[i] += 577.0f; /* 1000 times the std 0.577 of a uniform number in (-1, 1) */
        dy[i] = (double)y[i];
    }
    CHECK_OK(bw__bn_create(&bn, BW_F32, VIEWS, ROWS, C));
    bw__bn_statistics(&bn, &x, y, &(bw_bn_params){ 0 });
    for (int v = 0; v < VIEWS; v++)
        for (int i = 0; i < C; i++) {
            double m = 0, s = 0;
            for (int r = 0; r < ROWS; r++)
                m += dy[(v * ROWS + r) * C + i] / ROWS;
            for (int r = 0; r < ROWS; r++)
                s += pow(dy[(v * ROWS + r) * C + i] - m, 2) / ROWS;
            double rstd = 1 / sqrt(s + BW_BN_EPS), got = (double)bn.rstd[v * C + i];
            CHECK_CLOSE(&got, &rstd, 1, 1e-5, 0);
        }
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

/* Sum of coef * relu(bn(y)), in double, for finite differences; pooled over positions or not. */
static double scalar(const double *y, const double *coef, const double *w, const double *b, int pool)
{
    static double z[ALL];
    double s = 0;
    for (int v = 0; v < VIEWS; v++)
        plain_bn_relu(z + v * ROWS * C, y + v * ROWS * C, w, b, ROWS, C, BW_BN_EPS, 1);
    for (int r = 0; r < VIEWS * ROWS; r++)
        for (int i = 0; i < C; i++)
            s += z[r * C + i] * (pool ? coef[r / P * C + i] / P : coef[r * C + i]);
    return s;
}

static void gradient_equals_finite_differences(void **state)
{
    (void)state;
    static float y[ALL], g[ALL], dy_got[ALL], h[VIEWS * N * C], w[C], b[C], dw_got[C], db_got[C];
    static double dy[ALL], dg[ALL], dw[C], db[C];
    const double step = 1e-5;
    bw_exec x = exec_with_arena();
    bw_bn bn;
    CHECK_OK(bw__bn_create(&bn, BW_F32, VIEWS, ROWS, C));
    for (int pool = 0; pool < 2; pool++) {
        fill_random(y, dy, ALL, 4);
        fill_random(g, dg, ALL, 5);
        fill_random(w, dw, C, 6);
        fill_random(b, db, C, 7);
        bw_bn_params p = { .weight = w, .bias = b };
        bw__bn_statistics(&bn, &x, y, &p);
        if (pool) {
            bw__bn_relu_pool_forward(&bn, &x, h, y, P);
            bw__bn_relu_pool_backward(&bn, &x, dy_got, dw_got, db_got, g, y, &p, P);
        } else {
            bw__bn_backward(&bn, &x, dy_got, dw_got, db_got, g, y, &p, true);
        }
        for (int k = 0; k < 60; k++) {
            int i = k * 997 % ALL;
            double old = dy[i], up, down, got = (double)dy_got[i];
            dy[i] = old + step;
            up = scalar(dy, dg, dw, db, pool);
            dy[i] = old - step;
            down = scalar(dy, dg, dw, db, pool);
            dy[i] = old;
            double want = (up - down) / (2 * step);
            CHECK_CLOSE(&got, &want, 1, 1e-3, pool ? 2e-6 : 2e-5);
        }
        for (int i = 0; i < C; i++) {
            double old = dw[i], up, down, got = (double)dw_got[i], want;
            dw[i] = old + step;
            up = scalar(dy, dg, dw, db, pool);
            dw[i] = old - step;
            down = scalar(dy, dg, dw, db, pool);
            dw[i] = old;
            want = (up - down) / (2 * step);
            CHECK_CLOSE(&got, &want, 1, 1e-4, 1e-5);
            old = db[i];
            db[i] = old + step;
            up = scalar(dy, dg, dw, db, pool);
            db[i] = old - step;
            down = scalar(dy, dg, dw, db, pool);
            db[i] = old;
            want = (up - down) / (2 * step);
            got = (double)db_got[i];
            CHECK_CLOSE(&got, &want, 1, 1e-4, 1e-5);
        }
    }
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

static void gradient_may_take_the_place_of_the_input(void **state)
{
    (void)state;
    static float y[ALL], g[ALL], want[ALL], got[ALL], w[C], b[C];
    static double unused[ALL];
    bw_exec x = exec_with_arena();
    bw_bn bn;
    fill_random(g, unused, ALL, 5);
    fill_random(w, unused, C, 6);
    fill_random(b, unused, C, 7);
    fill_random(y, unused, ALL, 4);
    bw_bn_params p = { .weight = w, .bias = b };
    CHECK_OK(bw__bn_create(&bn, BW_F32, VIEWS, ROWS, C));
    bw__bn_statistics(&bn, &x, y, &p);
    for (int relu = 0; relu < 2; relu++) {
        float dw[2][C], db[2][C];
        bw__bn_backward(&bn, &x, want, dw[0], db[0], g, y, &p, relu);
        memcpy(got, y, sizeof got);
        bw__bn_backward(&bn, &x, got, dw[1], db[1], g, got, &p, relu);
        assert_memory_equal(got, want, sizeof got);
        assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
        assert_memory_equal(db[0], db[1], sizeof db[0]);
    }
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

static void output_may_take_the_place_of_the_shortcut(void **state)
{
    (void)state;
    static float y[ALL], shortcut[ALL], want[ALL], got[ALL];
    static double unused[ALL];
    bw_exec x = exec_with_arena();
    bw_bn bn, other;
    fill_random(y, unused, ALL, 4);
    fill_random(shortcut, unused, ALL, 5);
    CHECK_OK(bw__bn_create(&bn, BW_F32, VIEWS, ROWS, C));
    CHECK_OK(bw__bn_create(&other, BW_F32, VIEWS, ROWS, C));
    bw__bn_statistics(&bn, &x, y, &(bw_bn_params){ 0 });
    bw__bn_statistics(&other, &x, shortcut, &(bw_bn_params){ 0 });
    bw__bn_add_relu_forward(&bn, &x, want, y, shortcut, &other);
    memcpy(got, shortcut, sizeof got);
    bw__bn_add_relu_forward(&bn, &x, got, y, got, &other);
    assert_memory_equal(got, want, sizeof got);
    bw__bn_destroy(&bn);
    bw__bn_destroy(&other);
    bw__exec_destroy(&x);
}

static void relu_backward_is_zero_where_output_was_zero(void **state)
{
    (void)state;
    bw_exec x = exec_with_arena();
    bw_bn bn;
    float diff[6] = { 1, 2, 3, 4, 5, 6 }, dst[6] = { 0, 1, 0, 2, -1, 3 };
    double got[6], want[6] = { 0, 2, 0, 4, 0, 6 };
    CHECK_OK(bw__bn_create(&bn, BW_F32, 1, 2, 3));
    bw__relu_backward(&bn, &x, diff, dst);
    for (int i = 0; i < 6; i++)
        got[i] = (double)diff[i];
    CHECK_CLOSE(got, want, 6, 0, 0);
    bw__bn_destroy(&bn);
    bw__exec_destroy(&x);
}

static void number_of_threads_does_not_change_a_bit(void **state)
{
    (void)state;
    static float y[ALL], g[ALL], d[2][ALL];
    static double unused[ALL];
    fill_random(y, unused, ALL, 1);
    fill_random(g, unused, ALL, 2);
    for (int threads = 1; threads <= 2; threads++) {
        bw_exec x;
        bw_bn bn;
        CHECK_OK(bw__exec_create(&x, threads));
        CHECK_OK(bw__arena_create(&x.arena, (size_t)16 << 20));
        CHECK_OK(bw__bn_create(&bn, BW_F32, VIEWS, ROWS, C));
        bw__bn_statistics(&bn, &x, y, &(bw_bn_params){ 0 });
        bw__bn_backward(&bn, &x, d[threads - 1], NULL, NULL, g, y, &(bw_bn_params){ 0 }, true);
        bw__bn_destroy(&bn);
        bw__exec_destroy(&x);
    }
    assert_memory_equal(d[0], d[1], sizeof d[0]);
}

static void max_pool_takes_the_first_largest_and_returns_its_gradient(void **state)
{
    (void)state;
    enum { H = 5, W = 6, OH = 3, OW = 3, CH = 2 };
    static float src[H * W * CH], dst[OH * OW * CH], diff[OH * OW * CH], back[H * W * CH];
    static double d[H * W * CH];
    uint8_t where[OH * OW * CH];
    bw_exec x = exec_with_arena();
    fill_integers(src, d, H * W * CH, 3);
    bw__max_pool_forward(&x, BW_F32, dst, where, src, 1, H, W, CH);
    float want_back[H * W * CH] = { 0 };
    for (int oy = 0; oy < OH; oy++)
        for (int ox = 0; ox < OW; ox++)
            for (int c = 0; c < CH; c++) {
                int best = -1, o = (oy * OW + ox) * CH + c;
                for (int iy = 2 * oy - 1; iy < 2 * oy + 2; iy++)
                    for (int ix = 2 * ox - 1; ix < 2 * ox + 2; ix++) {
                        if (iy < 0 || ix < 0 || iy >= H || ix >= W) continue;
                        int i = (iy * W + ix) * CH + c;
                        if (best < 0 || src[i] > src[best]) best = i;
                    }
                assert_true(dst[o] <= src[best] && dst[o] >= src[best]);
                diff[o] = (float)(o + 1);
                want_back[best] += diff[o];
            }
    bw__max_pool_backward(&x, BW_F32, back, diff, where, 1, H, W, CH);
    assert_memory_equal(back, want_back, sizeof back);
    bw__exec_destroy(&x);
}

/* ---- noise ---- */

static void eps_from_table(const void *user, float *eps, int64_t n, int64_t count)
{
    const float *table = user;
    memcpy(eps, table + n * count, (size_t)count * sizeof *eps);
}

static void noise_needs_two_values_and_a_spread(void **state)
{
    (void)state;
    /* One position: kind hw has groups of one value, so nothing is added and nothing flows. */
    float src[2 * 4], dst[2 * 4], diff[2 * 4], eps[2 * 4];
    double unused[8];
    bw_exec x = exec_with_arena();
    fill_random(src, unused, 8, 1);
    fill_random(eps, unused, 8, 2);
    fill_random(diff, unused, 8, 3);
    float want[8];
    memcpy(want, diff, sizeof want);
    bw_noise z = { .kind = BW_NOISE_HW,
                   .sigma = 0.5,
                   .views = 2,
                   .n = 1,
                   .positions = 1,
                   .c = 4,
                   .eps = eps_from_table,
                   .user = eps };
    bw__noise_forward(&z, &x, dst, src);
    bw__noise_backward(&z, &x, diff, src);
    assert_memory_equal(dst, src, sizeof src);
    assert_memory_equal(diff, want, sizeof want);
    /* No spread: the same for the others. */
    for (int i = 0; i < 8; i++)
        src[i] = 1.5f;
    for (int kind = BW_NOISE_ALL; kind <= BW_NOISE_C; kind++) {
        z.kind = (bw_noise_kind)kind;
        bw__noise_forward(&z, &x, dst, src);
        bw__noise_backward(&z, &x, diff, src);
        assert_memory_equal(dst, src, sizeof src);
        assert_memory_equal(diff, want, sizeof want);
    }
    bw__exec_destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_per_view_and_running_ones_move_as_pytorchs),
        cmocka_unit_test(variance_survives_a_mean_of_1000_standard_deviations),
        cmocka_unit_test(gradient_equals_finite_differences),
        cmocka_unit_test(gradient_may_take_the_place_of_the_input),
        cmocka_unit_test(output_may_take_the_place_of_the_shortcut),
        cmocka_unit_test(relu_backward_is_zero_where_output_was_zero),
        cmocka_unit_test(number_of_threads_does_not_change_a_bit),
        cmocka_unit_test(max_pool_takes_the_first_largest_and_returns_its_gradient),
        cmocka_unit_test(noise_needs_two_values_and_a_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
