/* Corruptions: those without randomness against Pillow and skimage's formulas (fixtures of
 * tests/fixtures/generate_corrupt.py), the noises by their statistics. */
#include "check.h"
#include "data/corrupt.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S = 60, VALUES = S * S * 3 };

/* source() of generate_augment.py. */
static uint8_t source_value(int64_t x, int64_t y, int64_t c, int64_t size)
{
    uint32_t h = (uint32_t)(x * 73856093) ^ (uint32_t)(y * 19349663) ^ (uint32_t)(c * 83492791);
    h = (h ^ h >> 13) * 1274126177u;
    int64_t v = llabs((x * (2 + c) * 256 / size + y * (3 - c) * 256 / size) % 512 - 256);
    v = v * 7 / 8 + (h >> 16 & 31);
    if ((x / 13 + y / 9) % 5 == c) v = 255 - (v < 255 ? v : 255);
    if (x / 17 % 7 == 3) v = y / 11 % 3 == c ? 255 : 0;
    if (x / 19 % 9 == 4 && y / 23 % 3 == 1) v = x * 5 % 256;
    return (uint8_t)(v < 255 ? v : 255);
}

static void paint_source(uint8_t *pixels, int64_t size)
{
    for (int64_t i = 0; i < size * size * 3; i++)
        pixels[i] = source_value(i / 3 % size, i / 3 / size, i % 3, size);
}

static void those_without_randomness_match_the_published_formulas(void **state)
{
    (void)state;
    static uint8_t got[90 * 90 * 3], want[1 << 17];
    char name[32];
    int size, severity, step, cases = 0;
    long offset;
    FILE *bin = fopen(fixture_path("corrupt/pixels.bin"), "rb");
    assert_non_null(bin);
    const size_t bytes = fread(want, 1, sizeof want, bin);
    (void)fclose(bin);
    FILE *list = fopen(fixture_path("corrupt/cases.txt"), "r");
    assert_non_null(list);
    while (fscanf(list, "%31s %d %d %d %ld", name, &size, &severity, &step, &offset) == 5) {
        const bw_corruption *corruption = bw__corruption_named(name);
        assert_non_null(corruption);
        paint_source(got, size);
        CHECK_OK(bw__corrupt(got, size, corruption, severity, 3, cases));
        size_t at = (size_t)offset, different = 0, n = 0;
        for (int y = 0; y < size; y += step)
            for (int x = 0; x < size; x += step)
                for (int c = 0; c < 3; c++, n++) {
                    int e = abs(got[(y * size + x) * 3 + c] - want[at + n]);
                    if (e > 1) fail_msg("%s %d of %d px: (%d, %d) is %d off", name, severity, size, y, x, e);
                    different += e > 0;
                }
        /* One level where a double lies on the edge between two, and not often. */
        if (different * 100 > n)
            fail_msg("%s %d of %d px: %zu of %zu differ", name, severity, size, different, n);
        assert_in_range(at + n, 1, bytes);
        cases++;
    }
    (void)fclose(list);
    assert_int_equal(cases, 60);
}

/* Corrupts an image of one value. */
static void corrupt_flat(uint8_t *pixels, const char *name, int value, int severity, int64_t image)
{
    memset(pixels, value, VALUES);
    CHECK_OK(bw__corrupt(pixels, S, bw__corruption_named(name), severity, 5, image));
}

static void moments(double *mean, double *variance, const uint8_t *pixels)
{
    double sum = 0, square = 0;
    for (int i = 0; i < VALUES; i++)
        sum += pixels[i];
    *mean = sum / VALUES;
    for (int i = 0; i < VALUES; i++)
        square += (pixels[i] - *mean) * (pixels[i] - *mean);
    *variance = square / VALUES;
}

/* `std` of 255, before fractions are cut off, which takes half a level on the average and adds 1/12. */
static void expect_moments(const char *name, int value, int severity, double std)
{
    static uint8_t pixels[VALUES];
    double mean, variance;
    corrupt_flat(pixels, name, value, severity, 7);
    moments(&mean, &variance, pixels);
    if (!(fabs(mean + 0.5 - value) < 6 * std / sqrt(VALUES) + 0.5))
        fail_msg("%s %d of %d: mean %g", name, severity, value, mean);
    if (!(fabs(sqrt(variance - 1.0 / 12) - std) < 0.04 * std))
        fail_msg("%s %d of %d: std %g, not %g", name, severity, value, sqrt(variance), std);
}

static void gaussian_noise_has_the_same_deviation_everywhere(void **state)
{
    (void)state;
    expect_moments("gaussian_noise", 128, 1, 0.04 * 255);
    expect_moments("gaussian_noise", 90, 5, 0.10 * 255);
}

static void speckle_noise_grows_with_the_value(void **state)
{
    (void)state;
    expect_moments("speckle_noise", 40, 5, 0.2 * 40);
    expect_moments("speckle_noise", 120, 3, 0.12 * 120);
}

static void shot_noise_has_the_variance_of_counts(void **state)
{
    (void)state;
    expect_moments("shot_noise", 51, 1, sqrt(51.0 * 255 / 500));
    expect_moments("shot_noise", 102, 5, sqrt(102.0 * 255 / 50));
}

static void impulses_are_black_and_white_in_equal_shares_and_leave_the_rest(void **state)
{
    (void)state;
    static uint8_t pixels[VALUES];
    int black = 0, white = 0, same = 0;
    corrupt_flat(pixels, "impulse_noise", 77, 5, 1);
    for (int i = 0; i < VALUES; i++) {
        black += pixels[i] == 0;
        white += pixels[i] == 255;
        same += pixels[i] == 77;
    }
    assert_int_equal(black + white + same, VALUES);
    assert_true(abs(black - white) < 0.02 * VALUES);
    assert_true(fabs((double)(black + white) / VALUES - 0.07) < 0.01);
}

static void the_larger_table_begins_above_64_pixels(void **state)
{
    (void)state;
    static uint8_t small[64 * 64 * 3], large[65 * 65 * 3];
    int hit[2] = { 0, 0 };
    memset(small, 100, sizeof small);
    memset(large, 100, sizeof large);
    CHECK_OK(bw__corrupt(small, 64, bw__corruption_named("impulse_noise"), 5, 0, 0));
    CHECK_OK(bw__corrupt(large, 65, bw__corruption_named("impulse_noise"), 5, 0, 0));
    for (size_t i = 0; i < sizeof small; i++)
        hit[0] += small[i] != 100;
    for (size_t i = 0; i < sizeof large; i++)
        hit[1] += large[i] != 100;
    assert_true(fabs(hit[0] / (double)sizeof small - 0.07) < 0.02);
    assert_true(fabs(hit[1] / (double)sizeof large - 0.27) < 0.02);
}

static bool same_noise(uint64_t seed, const char *name, int severity, int64_t image)
{
    static uint8_t a[VALUES], b[VALUES];
    memset(a, 128, sizeof a);
    memset(b, 128, sizeof b);
    CHECK_OK(bw__corrupt(a, S, bw__corruption_named("gaussian_noise"), 1, 9, 4));
    CHECK_OK(bw__corrupt(b, S, bw__corruption_named(name), severity, seed, image));
    return memcmp(a, b, sizeof a) == 0;
}

static void noise_is_a_function_of_seed_corruption_and_image(void **state)
{
    (void)state;
    assert_true(same_noise(9, "gaussian_noise", 1, 4));
    assert_false(same_noise(8, "gaussian_noise", 1, 4));
    assert_false(same_noise(9, "speckle_noise", 1, 4));
    assert_false(same_noise(9, "gaussian_noise", 1, 5));
}

static void severities_draw_their_own_numbers(void **state)
{
    (void)state;
    static uint8_t weak[VALUES], strong[VALUES];
    corrupt_flat(weak, "impulse_noise", 128, 1, 2);
    corrupt_flat(strong, "impulse_noise", 128, 5, 2);
    int hit = 0, both = 0;
    for (int i = 0; i < VALUES; i++) {
        hit += weak[i] != 128;
        both += weak[i] != 128 && strong[i] != 128;
    }
    assert_true(hit > 50 && both < hit / 2);
}

static void images_of_one_pixel_and_unknown_names_are_handled(void **state)
{
    (void)state;
    const bw_corruption *c;
    for (int i = 0; (c = bw__corruption_at(i)); i++)
        for (int severity = 1; severity <= BW_SEVERITIES; severity++) {
            uint8_t one[3] = { 10, 200, 255 };
            CHECK_OK(bw__corrupt(one, 1, c, severity, 0, 0));
        }
    assert_null(bw__corruption_named("fog"));
    uint8_t one[3] = { 0 };
    assert_int_equal(bw__corrupt(one, 1, bw__corruption_at(0), 6, 0, 0), BW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_without_randomness_match_the_published_formulas),
        cmocka_unit_test(gaussian_noise_has_the_same_deviation_everywhere),
        cmocka_unit_test(speckle_noise_grows_with_the_value),
        cmocka_unit_test(shot_noise_has_the_variance_of_counts),
        cmocka_unit_test(impulses_are_black_and_white_in_equal_shares_and_leave_the_rest),
        cmocka_unit_test(the_larger_table_begins_above_64_pixels),
        cmocka_unit_test(noise_is_a_function_of_seed_corruption_and_image),
        cmocka_unit_test(severities_draw_their_own_numbers),
        cmocka_unit_test(images_of_one_pixel_and_unknown_names_are_handled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
