/* The inner loops: those for newer processors give the same bytes as those for any, and colours pass
 * through HSV as PIL computes it. */
#include "check.h"
#include "base/rng.h"
#include "data/pixel_kernels.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 48 * 40, TAPS = 9 };

static void fill(uint8_t *p, int64_t n, uint64_t key)
{
    bw_rng rng = bw__rng(key, BW_RNG_SYNTHETIC, 0, 0, 0);
    for (int64_t i = 0; i < n; i++)
        p[i] = (uint8_t)bw__rng_below(&rng, 256);
}

static void run_colours(const bw_kernels *k, uint8_t out[8][3][N])
{
    uint8_t in[3][N];
    for (int c = 0; c < 3; c++)
        fill(in[c], N, (uint64_t)c);
    for (int i = 0; i < 8; i++)
        memcpy(out[i], in, sizeof in);
    k->blend(out[0][0], N, 0.0f, 0.73f);
    k->blend(out[0][1], N, 117.0f, 1.4f);
    k->blend(out[0][2], N, 117.0f, 0.0f);
    k->saturate(out[1][0], out[1][1], out[1][2], N, 1.19f);
    k->saturate(out[2][0], out[2][1], out[2][2], N, 0.4f);
    k->turn_hue(out[3][0], out[3][1], out[3][2], N, 23);
    k->turn_hue(out[4][0], out[4][1], out[4][2], N, 240);
    k->grey(out[5][0], out[5][1], out[5][2], N);
    k->solarize(out[6][1], N, 128);
    k->interleave(&out[7][0][0], in[0], in[1], in[2], N);
}

static void run_filters(const bw_kernels *k, uint8_t out[3][N])
{
    uint8_t in[N];
    fill(in, N, 9);
    int64_t first[11], count[11];
    int32_t weights[11 * TAPS];
    bw_taps taps = { .n = 11, .width = TAPS, .first = first, .count = count, .k = weights };
    bw_rng rng = bw__rng(4, BW_RNG_SYNTHETIC, 0, 0, 0);
    for (int64_t i = 0; i < 11; i++) {
        first[i] = 2 * i;
        count[i] = 1 + i % TAPS;
        for (int64_t j = 0; j < TAPS; j++) /* some sums leave 0..255 on either side */
            weights[i * TAPS + j] = (int32_t)bw__rng_below(&rng, 1 << 21) - (1 << 19);
    }
    k->resample_rows(out[0], 11 * BW_LANES, in, &taps);
    for (int64_t i = 0; i < 11; i++)
        k->resample_column(out[1] + i * 48, in + first[i] * 48, 48, weights + i * TAPS, count[i]);
    const bw_box boxes[3] = { { 0, 15000000, 888608 }, { 2, 3000000, 888608 }, { 30, 200000, 2288608 } };
    for (int i = 0; i < 3; i++)
        k->box_pass(out[2] + i * 40 * BW_LANES, BW_LANES, in + i * BW_LANES, 48, 40, &boxes[i]);
}

static void loops_for_avx2_give_the_same_bytes_as_those_for_any_processor(void **state)
{
    (void)state;
    const bw_kernels *base = &bw__kernels_base, *fast = bw__kernels_for_avx2();
    if (!fast) skip();
    static uint8_t a[8][3][N], b[8][3][N], c[3][N], d[3][N];
    run_colours(base, a);
    run_colours(fast, b);
    for (int i = 0; i < 8; i++)
        assert_memory_equal(a[i], b[i], sizeof a[i]);
    run_filters(base, c);
    run_filters(fast, d);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(c[i], d[i], sizeof c[i]);
    for (int64_t n = 1; n < 20; n++)
        assert_int_equal(base->sum_grey(a[0][0], a[0][1], a[0][2], n),
                         fast->sum_grey(a[0][0], a[0][1], a[0][2], n));
    float scale[48], shift[48], x[100], y[100];
    for (int i = 0; i < 48; i++) {
        scale[i] = 0.017f * (float)(1 + i % 3);
        shift[i] = -2.1f + (float)(i % 3);
    }
    base->scale_and_shift(x, a[0][0], 100, scale, shift);
    fast->scale_and_shift(y, a[0][0], 100, scale, shift);
    assert_memory_equal(x, y, sizeof x);
}

/* colorsys, with PIL's mixture of float and double. */
static void turn_as_pil(uint8_t rgb[3], uint8_t turn)
{
    const int r = rgb[0], g = rgb[1], b = rgb[2];
    const int most = r > g ? (r > b ? r : b) : (g > b ? g : b),
              least = r < g ? (r < b ? r : b) : (g < b ? g : b);
    uint8_t hue = 0, strength = 0;
    if (most > least) {
        const float spread = (float)(most - least);
        const float rc = (float)(most - r) / spread, gc = (float)(most - g) / spread,
                    bc = (float)(most - b) / spread;
        float h = r == most
                      ? bc - gc
                      : (float)(g == most ? 2.0 + (double)rc - (double)bc : 4.0 + (double)gc - (double)rc);
        h = (float)fmod((double)h / 6.0 + 1.0, 1.0);
        hue = (uint8_t)(int)((double)h * 255.0);
        strength = (uint8_t)(int)((double)(spread / (float)most) * 255.0);
    }
    hue = (uint8_t)(hue + turn);
    if (strength == 0) {
        rgb[0] = rgb[1] = rgb[2] = (uint8_t)most;
        return;
    }
    const double sixths = (double)(float)hue * 6.0 / 255.0;
    const int sector = (int)floor(sixths);
    const float part = (float)(sixths - (double)(float)sector), fs = (float)((double)(float)strength / 255.0);
    const float along = fs * part;
    const uint8_t v = (uint8_t)most, p = (uint8_t)round((double)most * (1.0 - (double)fs)),
                  q = (uint8_t)round((double)most * (1.0 - (double)along)),
                  t = (uint8_t)round((double)most * (1.0 - (double)fs * (1.0 - (double)part)));
    const uint8_t all[6][3] = {
        { v, t, p }, { q, v, p }, { p, v, t }, { p, q, v }, { t, p, v }, { v, p, q }
    };
    memcpy(rgb, all[sector % 6], 3);
}

static void check_turn(const bw_kernels *k, int red_step, uint8_t turn)
{
    enum { ROW = 65536 };
    static uint8_t r[ROW], g[ROW], b[ROW];
    for (int red = turn % red_step; red < 256; red += red_step) {
        for (int i = 0; i < ROW; i++) {
            r[i] = (uint8_t)red;
            g[i] = (uint8_t)(i / 256);
            b[i] = (uint8_t)(i % 256);
        }
        k->turn_hue(r, g, b, ROW, turn);
        for (int i = 0; i < ROW; i++) {
            uint8_t want[3] = { (uint8_t)red, (uint8_t)(i / 256), (uint8_t)(i % 256) };
            turn_as_pil(want, turn);
            if (want[0] == r[i] && want[1] == g[i] && want[2] == b[i]) continue;
            print_error("colour %d %d %d, turn %d: got %d %d %d, want %d %d %d\n", red, i / 256, i % 256,
                        turn, r[i], g[i], b[i], want[0], want[1], want[2]);
            fail();
        }
    }
}

static void every_colour_is_turned_as_pil_turns_it(void **state)
{
    (void)state;
    const int step = getenv("BW_TEST_ALL") ? 1 : 7;
    check_turn(bw__kernels(), step, 0);
    check_turn(bw__kernels(), step, 25);
    check_turn(bw__kernels(), step, 231);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_for_avx2_give_the_same_bytes_as_those_for_any_processor),
        cmocka_unit_test(every_colour_is_turned_as_pil_turns_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
