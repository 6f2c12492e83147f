/* Noise of kind `all` over a batch that ranks share. */
#include "nn/noise.h"
#include "nn/over_ranks.h"

enum { P = 9, C = 5, SIZE = P * C, ALL = VIEWS * IMAGES * SIZE };

/* eps of all images; which of them a rank has. */
typedef struct table {
    const float *eps;
    int64_t images, first;
} table;

static void look_up(const void *user, float *eps, int64_t n, int64_t count)
{
    const table *t = user;
    int64_t view = n / t->images, image = t->first + n % t->images;
    memcpy(eps, t->eps + (view * IMAGES + image) * count, (size_t)count * sizeof *eps);
}

typedef struct result {
    float dst[ALL], diff[ALL];
} result;

static void run(result *r, bw_comm *comm, bw_type type, const float *src, const float *diff, const float *eps)
{
    static float own[ALL], typed[ALL], typed_out[ALL];
    const int64_t n = images_of(comm), count = VIEWS * n * SIZE;
    const table t = { eps, n, n * bw_comm_rank(comm) };
    const bw_noise z = { .kind = BW_NOISE_ALL,
                         .sigma = 0.5,
                         .views = VIEWS,
                         .n = n,
                         .positions = P,
                         .c = C,
                         .eps = look_up,
                         .user = &t,
                         .type = type };
    bw_exec x = exec_over(comm);
    deal(comm, own, src, SIZE);
    round_to(type, typed, own, count);
    bw__noise_forward(&z, &x, typed_out, typed);
    bw__loops()->to_f32(type, r->dst, typed_out, count);
    deal(comm, own, diff, SIZE);
    round_to(type, typed_out, own, count);
    bw__noise_backward(&z, &x, typed_out, typed);
    bw__loops()->to_f32(type, r->diff, typed_out, count);
    CHECK_OK(x.remote);
    bw__exec_destroy(&x);
}

/* A batch around `mean` whose images, so ranks, differ in mean and deviation. */
static void fill(float *src, float *diff, float *eps, double mean)
{
    static double unused[ALL];
    fill_random(src, unused, ALL, 1);
    fill_random(diff, unused, ALL, 2);
    fill_random(eps, unused, ALL, 3);
    for (int64_t i = 0; i < ALL; i++) {
        src[i] = (float)(mean + (double)src[i] * (1.0 + (double)(i / SIZE % IMAGES)));
        eps[i] += diff[i]; /* so that the sum of their products is not small */
    }
}

static void check(bw_type type, double mean, double bound)
{
    static float src[ALL], diff[ALL], eps[ALL], own[ALL];
    static result one, shared;
    const int64_t count = VIEWS * images_of(ranks) * SIZE;
    fill(src, diff, eps, mean);
    run(&one, NULL, type, src, diff, eps);
    run(&shared, ranks, type, src, diff, eps);
    deal(ranks, own, one.dst, SIZE);
    close_to("noised values", shared.dst, own, count, bound);
    deal(ranks, own, one.diff, SIZE);
    close_to("gradient", shared.diff, own, count, bound);
}

static void values_and_gradient_are_those_of_one_rank(void **state)
{
    (void)state;
    check(BW_F32, 0.3, 1e-6);
}

static void a_mean_of_ten_thousand_does_not_cancel(void **state)
{
    (void)state;
    check(BW_F32, 10000.0, 1e-6);
}

static void in_bf16_within_its_rounding(void **state)
{
    (void)state;
    check(BW_BF16, 0.3, 0x1p-8);
}

static void each_direction_is_one_message(void **state)
{
    (void)state;
    static float src[ALL], diff[ALL], eps[ALL];
    static result r;
    const int64_t before = bw__comm_count(BW_COMM_SUM).calls, bytes = bw__comm_count(BW_COMM_SUM).bytes;
    fill(src, diff, eps, 0.0);
    run(&r, ranks, BW_F32, src, diff, eps);
    assert_int_equal(bw__comm_count(BW_COMM_SUM).calls - before, 2);
    assert_int_equal(bw__comm_count(BW_COMM_SUM).bytes - bytes, 2 * 3 * VIEWS * 8);
}

/* Ranks that agree on one value have no spread, and what they make of it is 0, not a rounding error. */
static void no_spread_is_no_noise(void **state)
{
    (void)state;
    static float src[ALL], diff[ALL], eps[ALL], own[ALL];
    static result r;
    fill(src, diff, eps, 0.0);
    for (int64_t i = 0; i < ALL; i++)
        src[i] = 1.5f;
    run(&r, ranks, BW_F32, src, diff, eps);
    const size_t bytes = (size_t)(VIEWS * images_of(ranks) * SIZE) * sizeof(float);
    assert_memory_equal(r.dst, src, bytes);
    deal(ranks, own, diff, SIZE);
    assert_memory_equal(r.diff, own, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradient_are_those_of_one_rank),
        cmocka_unit_test(a_mean_of_ten_thousand_does_not_cancel),
        cmocka_unit_test(in_bf16_within_its_rounding),
        cmocka_unit_test(each_direction_is_one_message),
        cmocka_unit_test(no_spread_is_no_noise),
    };
    return RANKS_MAIN(tests);
}
