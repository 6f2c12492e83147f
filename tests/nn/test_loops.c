#include "check.h"
#include "nn/loops.h"
#include "nn/plain.h"
#include <stdlib.h>
#include <string.h>

/* Channels with every tile remainder: 32 + 8 + 3. */
enum { ROWS = 37, C = 43, ALL = ROWS * C, OUTPUTS = 26 };

/* What every loop writes for one instruction set and type. */
typedef struct outputs {
    float array[OUTPUTS][ALL];
    double sums[8][C];
    uint8_t where[C];
    int used;
} outputs;

static void *next_array(outputs *o)
{
    assert_true(o->used < OUTPUTS);
    return o->array[o->used++];
}

static void copy_of(outputs *o, void **p, const void *from, size_t bytes)
{
    *p = next_array(o);
    memcpy(*p, from, bytes);
}

static void run_batch_norm(outputs *o, const bw_loops *l, bw_type type, const void *y, const void *diff,
                           const bw_bn_slopes *k)
{
    l->moments(type, o->sums[0], o->sums[1], y, k->mean, ROWS, C);
    l->products(type, o->sums[2], o->sums[3], diff, y, k, ROWS, C, false);
    l->products(type, o->sums[4], o->sums[5], diff, y, k, ROWS, C, true);
    for (int relu = 0; relu < 2; relu++) {
        l->affine(type, next_array(o), y, k->a, k->b, ROWS, C, relu);
        l->bn_backward(type, next_array(o), diff, y, k, ROWS, C, relu);
    }
    l->affine_add_relu(type, next_array(o), y, k->a, k->b, diff, NULL, NULL, ROWS, C);
    l->affine_add_relu(type, next_array(o), y, k->a, k->b, diff, k->by_y, k->mean, ROWS, C);
    /* In place. */
    void *p;
    copy_of(o, &p, diff, ALL * bw__type_size(type));
    l->bn_backward(type, p, p, y, k, ROWS, C, true);
    copy_of(o, &p, diff, ALL * bw__type_size(type));
    l->relu_backward(type, p, y, ALL);
    copy_of(o, &p, diff, ALL * bw__type_size(type));
    l->add(type, p, p, y, ALL);
}

static void run_pools(outputs *o, const bw_loops *l, bw_type type, const void *y, const bw_bn_slopes *k)
{
    l->relu_pool(type, next_array(o), y, k->a, k->b, ROWS, C);
    l->relu_pool_sums(type, next_array(o), next_array(o), y, k, ROWS, C);
    l->relu_pool_backward(type, next_array(o), k->by_diff, y, k, ROWS, C);
    l->mean_rows(type, next_array(o), y, ROWS, C);
    l->spread_rows(type, next_array(o), k->by_y, ROWS, C);
    const void *rows[9];
    const uint8_t *won[4] = { o->where, o->where, o->where, o->where };
    uint8_t tap[9];
    for (int i = 0; i < 9; i++) {
        rows[i] = bw__const_at(type, y, i * C);
        tap[i] = (uint8_t)(8 - i);
    }
    l->max_window(type, next_array(o), o->where, rows, tap, 9, C);
    l->max_gather(type, next_array(o), rows, won, tap, 4, C);
}

static void run_all(outputs *o, const bw_loops *l, bw_type type)
{
    static float f[3][ALL], k[6][C];
    static double unused[ALL];
    float y[ALL], diff[ALL]; /* room for either type */
    for (unsigned i = 0; i < 3; i++)
        fill_random(f[i], unused, ALL, i + 1);
    for (unsigned i = 0; i < 6; i++)
        fill_random(k[i], unused, C, i + 10);
    const bw_bn_slopes slopes = { k[0], k[1], k[2], k[3], k[4], k[5] };
    memset(o, 0, sizeof *o);
    l->from_f32(type, y, f[0], ALL);
    l->from_f32(type, diff, f[1], ALL);
    run_batch_norm(o, l, type, y, diff, &slopes);
    run_pools(o, l, type, y, &slopes);
    l->to_f32(type, next_array(o), y, ALL);
    void *w, *m;
    copy_of(o, &w, f[1], sizeof f[1]);
    copy_of(o, &m, f[2], sizeof f[2]);
    l->sgd(w, m, f[0], &(bw_sgd_rule){ 0.5f, 1e-3f, 0.9f, 0.1f }, ALL);
    void *v;
    copy_of(o, &w, f[1], sizeof f[1]);
    copy_of(o, &m, f[2], sizeof f[2]);
    copy_of(o, &v, f[2], sizeof f[2]);
    for (int i = 0; i < ALL; i++)
        ((float *)v)[i] *= ((float *)v)[i];
    l->adamw(w, m, v, f[0], &(bw_adamw_rule){ 0.99f, 0.9f, 0.1f, 0.98f, 0.02f, 0.1f, 1.5f, 1e-3f }, ALL);
    o->sums[6][0] = l->square_sum(f[0], NULL, 0.0f, ALL);
    o->sums[6][1] = l->square_sum(f[0], f[1], 0.3f, ALL);
}

static void every_instruction_set_gives_the_same_bits(void **state)
{
    (void)state;
    static outputs want, got;
    int compared = 0;
    for (int type = BW_F32; type <= BW_BF16; type++) {
        run_all(&want, bw__loops_for(BW_ISA_PLAIN), (bw_type)type);
        for (int isa = BW_ISA_PLAIN + 1; isa < BW_ISA_COUNT; isa++) {
            const bw_loops *l = bw__loops_for((bw_isa)isa);
            if (!l) continue;
            run_all(&got, l, (bw_type)type);
            for (int i = 0; i < want.used; i++)
                if (memcmp(want.array[i], got.array[i], sizeof want.array[i]) != 0)
                    fail_msg("%s: output %d differs from the plain one (type %d)", bw__isa_name((bw_isa)isa),
                             i, type);
            assert_memory_equal(&want, &got, sizeof want);
            compared++;
        }
    }
    if (!compared) skip();
}

static void variable_lowers_the_instruction_set(void **state)
{
    (void)state;
    const char *value = getenv(BW_ISA_VARIABLE);
    bw_isa want = bw__isa_of_cpu();
    if (value)
        for (int i = 0; i < BW_ISA_COUNT; i++)
            if (strcmp(value, bw__isa_name((bw_isa)i)) == 0 && i < (int)want) want = (bw_isa)i;
    assert_int_equal(bw__isa(), want);
    assert_ptr_equal(bw__loops(), bw__loops_for(want));
    assert_int_equal(bw__isa_limit(), want < bw__isa_of_cpu() ? BW_ISA_LOWERED : BW_ISA_UNLIMITED);
    /* A name that is not known is reported, and changes nothing. */
    assert_int_equal(setenv(BW_ISA_VARIABLE, "avx1024", 1), 0);
    assert_int_equal(bw__isa_limit(), BW_ISA_LIMIT_UNKNOWN);
    assert_int_equal(bw__isa(), want);
    assert_int_equal(value ? setenv(BW_ISA_VARIABLE, value, 1) : unsetenv(BW_ISA_VARIABLE), 0);
}

/* ---- bf16 ---- */

static float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static void bf16_is_the_nearest_and_of_two_the_even_one(void **state)
{
    (void)state;
    static const uint32_t low[] = { 0, 1, 0x7fff, 0x8000, 0x8001, 0xffff };
    enum { LOWS = 6 };
    static float in[65536 * LOWS], back[65536 * LOWS];
    static uint16_t out[65536 * LOWS];
    for (uint32_t hi = 0; hi < 65536; hi++)
        for (uint32_t j = 0; j < LOWS; j++)
            in[hi * LOWS + j] = float_of(hi << 16 | low[j]);
    for (int isa = 0; isa < BW_ISA_COUNT; isa++) {
        const bw_loops *l = bw__loops_for((bw_isa)isa);
        if (!l) continue;
        l->from_f32(BW_BF16, out, in, 65536 * LOWS);
        l->to_f32(BW_BF16, back, out, 65536 * LOWS);
        for (uint32_t i = 0; i < 65536 * LOWS; i++) {
            uint32_t hi = i / LOWS, below = low[i % LOWS];
            if (in[i] != in[i]) { /* a NaN stays one */
                assert_true(back[i] != back[i]);
                continue;
            }
            /* The next one away from zero; beyond the largest finite one it is infinity. */
            uint32_t want = below > 0x8000 || (below == 0x8000 && hi % 2 == 1) ? hi + 1 : hi;
            if (out[i] != want) fail_msg("%08x became %04x, not %04x", bits_of(in[i]), out[i], want);
            assert_int_equal(bits_of(back[i]), want << 16);
        }
    }
}

static void bf16_loops_are_the_f32_ones_rounded(void **state)
{
    (void)state;
    static float y[ALL], diff[ALL], want[ALL], got[ALL], k[6][C];
    static uint16_t y16[ALL], diff16[ALL], got16[ALL], want16[ALL];
    static double unused[ALL], sums[4][C];
    const bw_loops *l = bw__loops();
    fill_random(y, unused, ALL, 1);
    fill_random(diff, unused, ALL, 2);
    for (unsigned i = 0; i < 6; i++)
        fill_random(k[i], unused, C, i + 10);
    const bw_bn_slopes slopes = { k[0], k[1], k[2], k[3], k[4], k[5] };
    /* Inputs that bf16 holds: then only the result is rounded, and exactly once. */
    l->from_f32(BW_BF16, y16, y, ALL);
    l->to_f32(BW_BF16, y, y16, ALL);
    l->from_f32(BW_BF16, diff16, diff, ALL);
    l->to_f32(BW_BF16, diff, diff16, ALL);
#define SAME_ROUNDED()                                                                                       \
    do {                                                                                                     \
        l->from_f32(BW_BF16, want16, want, ALL);                                                             \
        assert_memory_equal(got16, want16, sizeof want16);                                                   \
        l->to_f32(BW_BF16, got, got16, ALL);                                                                 \
        CHECK_CLOSE_F32(got, want, ALL, 0x1p-8, 0);                                                          \
    } while (0)
    l->affine(BW_F32, want, y, k[1], k[2], ROWS, C, true);
    l->affine(BW_BF16, got16, y16, k[1], k[2], ROWS, C, true);
    SAME_ROUNDED();
    l->affine_add_relu(BW_F32, want, y, k[1], k[2], diff, k[3], k[4], ROWS, C);
    l->affine_add_relu(BW_BF16, got16, y16, k[1], k[2], diff16, k[3], k[4], ROWS, C);
    SAME_ROUNDED();
    l->bn_backward(BW_F32, want, diff, y, &slopes, ROWS, C, true);
    l->bn_backward(BW_BF16, got16, diff16, y16, &slopes, ROWS, C, true);
    SAME_ROUNDED();
    l->relu_pool_backward(BW_F32, want, k[0], y, &slopes, ROWS, C);
    l->relu_pool_backward(BW_BF16, got16, k[0], y16, &slopes, ROWS, C);
    SAME_ROUNDED();
    l->spread_rows(BW_F32, want, k[0], ROWS, C);
    l->spread_rows(BW_BF16, got16, k[0], ROWS, C);
    SAME_ROUNDED();
    l->add(BW_F32, want, diff, y, ALL);
    l->add(BW_BF16, got16, diff16, y16, ALL);
    SAME_ROUNDED();
#undef SAME_ROUNDED
    /* What goes to f32 or double is the same. */
    l->moments(BW_F32, sums[0], sums[1], y, k[0], ROWS, C);
    l->moments(BW_BF16, sums[2], sums[3], y16, k[0], ROWS, C);
    assert_memory_equal(sums[0], sums[2], 2 * sizeof sums[0]);
    memset(sums, 0, sizeof sums);
    l->products(BW_F32, sums[0], sums[1], diff, y, &slopes, ROWS, C, true);
    l->products(BW_BF16, sums[2], sums[3], diff16, y16, &slopes, ROWS, C, true);
    assert_memory_equal(sums[0], sums[2], 2 * sizeof sums[0]);
    l->relu_pool(BW_F32, want, y, k[1], k[2], ROWS, C);
    l->relu_pool(BW_BF16, got, y16, k[1], k[2], ROWS, C);
    assert_memory_equal(want, got, C * sizeof *got);
    l->mean_rows(BW_F32, want, y, ROWS, C);
    l->mean_rows(BW_BF16, got, y16, ROWS, C);
    assert_memory_equal(want, got, C * sizeof *got);
}

static void largest_of_a_window_may_be_a_nan_but_never_hides_one(void **state)
{
    (void)state;
    enum { N = 3, CH = 11 };
    float rows[N][CH], best[CH];
    uint8_t where[CH];
    const uint8_t tap[N] = { 0, 4, 8 };
    for (int c = 0; c < CH; c++)
        for (int k = 0; k < N; k++)
            rows[k][c] = (float)((k * 5 + c * 3) % 7);
    rows[1][5] = float_of(0x7fc00000);
    rows[0][6] = float_of(0x7fc00000);
    for (int isa = 0; isa < BW_ISA_COUNT; isa++) {
        const bw_loops *l = bw__loops_for((bw_isa)isa);
        if (!l) continue;
        l->max_window(BW_F32, best, where, (const void *const[]){ rows[0], rows[1], rows[2] }, tap, N, CH);
        for (int c = 0; c < CH; c++) {
            int want = 0;
            for (int k = 1; k < N; k++)
                if (rows[k][c] > rows[want][c] || rows[k][c] != rows[k][c]) want = k;
            assert_int_equal(where[c], tap[want]);
            assert_int_equal(bits_of(best[c]), bits_of(rows[want][c]));
        }
        assert_true(best[5] != best[5] && best[6] != best[6]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(variable_lowers_the_instruction_set),
        cmocka_unit_test(bf16_is_the_nearest_and_of_two_the_even_one),
        cmocka_unit_test(bf16_loops_are_the_f32_ones_rounded),
        cmocka_unit_test(largest_of_a_window_may_be_a_nan_but_never_hides_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
