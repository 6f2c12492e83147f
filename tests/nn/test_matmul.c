#include "check.h"
#include "nn/matmul.h"
#include "nn/plain.h"
#include "blockwise/status.h"
#include <string.h>

enum { M = 5, N = 7, K = 3, LONGEST = 11, AREA = LONGEST * LONGEST };

static bw_exec exec_with_arena(void)
{
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, 2));
    CHECK_OK(bw__arena_create(&x.arena, (size_t)1 << 20));
    return x;
}

/* One side's combination of the four transposes, dense or padded rows, overwriting or adding. */
static bw_matmul_shape variant(int i)
{
    bool padded = i & 8;
    return (bw_matmul_shape){ .m = M,
                              .n = N,
                              .k = K,
                              .lda = padded ? 9 : 0,
                              .ldb = padded ? 11 : 0,
                              .ldc = padded ? 10 : 0,
                              .transpose_a = i & 1,
                              .transpose_b = i & 2,
                              .accumulate = i & 4 };
}
enum { VARIANTS = 16 };

/* Whole buffers are compared, so that a byte written between two rows is seen. Small integers: exact. */
typedef struct product {
    float a[AREA], b[AREA], c[AREA];
    double da[AREA], db[AREA], want[AREA], got[AREA];
} product;

static void product_prepare(product *p, const bw_matmul_shape *s)
{
    int64_t ldc = s->ldc ? s->ldc : s->n;
    fill_integers(p->a, p->da, AREA, 4);
    fill_integers(p->b, p->db, AREA, 5);
    fill_integers(p->c, p->want, AREA, 6);
    if (!s->accumulate)
        for (int64_t i = 0; i < s->m; i++)
            for (int64_t j = 0; j < s->n; j++)
                p->want[i * ldc + j] = 0.0;
    plain_matmul(s, p->want, p->da, p->db);
}

static void product_check(product *p)
{
    for (int i = 0; i < AREA; i++)
        p->got[i] = (double)p->c[i];
    CHECK_CLOSE(p->got, p->want, AREA, 0, 0);
}

static void matrix_product_equals_three_loops_whatever_is_transposed_padded_or_added(void **state)
{
    (void)state;
    bw_exec x = exec_with_arena();
    for (int i = 0; i < VARIANTS; i++) {
        bw_matmul_shape s = variant(i);
        bw_matmul *mm = NULL;
        product p;
        product_prepare(&p, &s);
        CHECK_OK(bw__matmul_create(&mm, &x, &s));
        assert_int_equal(bw__matmul_flops(mm), 2 * M * N * K);
        CHECK_OK(bw__matmul_run(mm, &x, p.c, p.a, p.b));
        product_check(&p);
        bw__matmul_free(mm);
    }
    bw__exec_destroy(&x);
}

static bw_status sgemm(const bw_matmul_shape *s, product *p)
{
    return bw__sgemm(s->transpose_a, s->transpose_b, s->m, s->n, s->k, p->a,
                     s->lda           ? s->lda
                     : s->transpose_a ? s->m
                                      : s->k,
                     p->b,
                     s->ldb           ? s->ldb
                     : s->transpose_b ? s->k
                                      : s->n,
                     s->accumulate, p->c, s->ldc ? s->ldc : s->n);
}

static void planless_product_equals_three_loops(void **state)
{
    (void)state;
    for (int i = 0; i < VARIANTS; i++) {
        bw_matmul_shape s = variant(i);
        product p;
        product_prepare(&p, &s);
        CHECK_OK(sgemm(&s, &p));
        product_check(&p);
    }
}

/* Every thread has its own product; a larger one, so that oneDNN would use a team if it could. */
static void planless_products_run_side_by_side_in_a_parallel_region(void **state)
{
    (void)state;
    enum { SIDE = 150, THREADS = 4, ROUNDS = 5 };
    static float a[SIDE * SIDE], b[SIDE * SIDE], c[THREADS][SIDE * SIDE];
    static double da[SIDE * SIDE], db[SIDE * SIDE], want[SIDE * SIDE], got[SIDE * SIDE];
    const bw_matmul_shape s = { .m = SIDE, .n = SIDE, .k = SIDE, .transpose_b = true };
    int failed = 0;
    fill_integers(a, da, SIDE * SIDE, 7);
    fill_integers(b, db, SIDE * SIDE, 8);
    plain_matmul(&s, want, da, db);
#pragma omp parallel for num_threads(THREADS) schedule(static, 1) reduction(+ : failed)
    for (int t = 0; t < THREADS; t++)
        for (int r = 0; r < ROUNDS; r++)
            failed += bw__sgemm(false, true, SIDE, SIDE, SIDE, a, SIDE, b, SIDE, r > 0, c[t], SIDE) != BW_OK;
    assert_int_equal(failed, 0);
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < SIDE * SIDE; i++)
            got[i] = (double)c[t][i] / ROUNDS;
        CHECK_CLOSE(got, want, SIDE * SIDE, 0, 0);
    }
}

static void bf16_product_is_right_where_the_processor_has_it_and_refused_elsewhere(void **state)
{
    (void)state;
    const bw_matmul_shape s = {
        .m = M, .n = N, .k = K, .transpose_b = true, .accumulate = true, .type = BW_BF16
    };
    bw_exec x = exec_with_arena();
    bw_matmul *mm = NULL;
    product p;
    product_prepare(&p, &s);
    bw_status st = bw__matmul_create(&mm, &x, &s);
    if (strncmp(bw__exec_isa(), "AVX-512", 7) != 0) {
        assert_int_equal(st, BW_EKERNEL);
        assert_null(mm);
        assert_non_null(strstr(bw_last_error(), "of bf16"));
    } else {
        uint16_t a[AREA], b[AREA];
        uint32_t bits;
        CHECK_OK(st);
        for (int i = 0; i < AREA; i++) { /* integers this small lose nothing */
            memcpy(&bits, &p.a[i], sizeof bits);
            a[i] = (uint16_t)(bits >> 16);
            memcpy(&bits, &p.b[i], sizeof bits);
            b[i] = (uint16_t)(bits >> 16);
        }
        CHECK_OK(bw__matmul_run(mm, &x, p.c, a, b));
        product_check(&p);
    }
    bw__matmul_free(mm);
    bw__exec_destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix_product_equals_three_loops_whatever_is_transposed_padded_or_added),
        cmocka_unit_test(planless_product_equals_three_loops),
        cmocka_unit_test(planless_products_run_side_by_side_in_a_parallel_region),
        cmocka_unit_test(bf16_product_is_right_where_the_processor_has_it_and_refused_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
