#include "check.h"
#include "base/rng.h"
#include <math.h>
#include <string.h>

static void stream_is_a_function_of_its_name(void **state)
{
    (void)state;
    bw_rng a = bw__rng(7, BW_RNG_AUGMENT, 1, 2, 3), b = bw__rng(7, BW_RNG_AUGMENT, 1, 2, 3);
    for (int i = 0; i < 100; i++)
        assert_int_equal(bw__rng_u32(&a), bw__rng_u32(&b));
    uint64_t other[5][4] = {
        { 8, 1, 2, 3 }, { 7, 0, 2, 3 }, { 7, 1, 1, 3 }, { 7, 1, 2, 2 }, { 7, 1, 1ull << 40, 3 }
    };
    bw_rng first = bw__rng(7, BW_RNG_AUGMENT, 1, 2, 3);
    uint32_t want = bw__rng_u32(&first);
    for (int i = 0; i < 5; i++) {
        bw_rng r = bw__rng(other[i][0], BW_RNG_AUGMENT, other[i][1], other[i][2], (uint32_t)other[i][3]);
        assert_int_not_equal(bw__rng_u32(&r), want);
    }
}

static void normal_numbers_have_mean_0_and_variance_1(void **state)
{
    (void)state;
    enum { N = 100001 };
    static float x[N];
    bw_rng r = bw__rng(1, BW_RNG_NOISE, 0, 0, 0);
    bw__rng_normal_f32(&r, x, N);
    double sum = 0, square = 0;
    for (int i = 0; i < N; i++) {
        sum += (double)x[i];
        square += (double)x[i] * (double)x[i];
    }
    /* Five standard errors. */
    assert_true(fabs(sum / N) < 5 / sqrt(N));
    assert_true(fabs(square / N - 1) < 5 * sqrt(2.0 / N));
}

static void permutation_visits_every_index_once_and_differs_by_epoch(void **state)
{
    (void)state;
    uint64_t sizes[] = { 1, 2, 3, 10, 257, 1000 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        unsigned char seen[1000];
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < sizes[s]; i++) {
            uint64_t j = bw__permute(3, 5, i, sizes[s]);
            assert_true(j < sizes[s]);
            assert_int_equal(seen[j], 0);
            seen[j] = 1;
        }
    }
    int same = 0;
    for (uint64_t i = 0; i < 1000; i++)
        same += bw__permute(3, 5, i, 1000) == bw__permute(3, 6, i, 1000);
    assert_true(same < 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_is_a_function_of_its_name),
        cmocka_unit_test(normal_numbers_have_mean_0_and_variance_1),
        cmocka_unit_test(permutation_visits_every_index_once_and_differs_by_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
