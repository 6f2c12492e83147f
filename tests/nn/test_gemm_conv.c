#include "check.h"
#include "nn/gemm_conv.h"
#include "nn/plain.h"
#include <string.h>

typedef struct tensors {
    bw_conv_shape s;
    int64_t n_src, n_weights, n_dst;
    float *src, *weights, *dst;
    double *src_d, *weights_d, *dst_d;
} tensors;

static tensors make_tensors(bw_conv_shape s)
{
    tensors t = { .s = s };
    t.n_src = s.n * s.h * s.w * s.ic;
    t.n_weights = s.oc * s.ic * s.kernel * s.kernel;
    t.n_dst = s.n * bw__conv_out(s.h, s.kernel, s.stride, s.pad) *
              bw__conv_out(s.w, s.kernel, s.stride, s.pad) * s.oc;
    t.src = calloc((size_t)t.n_src, 4), t.src_d = calloc((size_t)t.n_src, 8);
    t.weights = calloc((size_t)t.n_weights, 4), t.weights_d = calloc((size_t)t.n_weights, 8);
    t.dst = calloc((size_t)t.n_dst, 4), t.dst_d = calloc((size_t)t.n_dst, 8);
    return t;
}

static void free_tensors(tensors *t)
{
    free(t->src), free(t->weights), free(t->dst), free(t->src_d), free(t->weights_d), free(t->dst_d);
}

static void check_equal(const float *got, const double *want, int64_t n)
{
    double *wide = calloc((size_t)n, 8);
    for (int64_t i = 0; i < n; i++)
        wide[i] = (double)got[i];
    CHECK_CLOSE(wide, want, (size_t)n, 0, 0);
    free(wide);
}

/* Small integers: every product and sum is exact, so equality is exact. The arena is as large as the dry run
 * says, and outputs hold garbage before. */
static void check_pass(bw_conv_shape s, plain_pass pass, int threads)
{
    tensors t = make_tensors(s);
    bw_exec x;
    CHECK_OK(bw__exec_create(&x, threads));
    for (int dry = 1; dry >= 0; dry--) {
        if (!dry) CHECK_OK(bw__arena_create(&x.arena, x.arena.peak + 1));
        fill_integers(t.src, t.src_d, t.n_src, 1);
        fill_integers(t.weights, t.weights_d, t.n_weights, 2);
        fill_integers(t.dst, t.dst_d, t.n_dst, 3);
        if (pass == PLAIN_FORWARD) {
            memset(t.dst, 0x7f, (size_t)t.n_dst * 4), memset(t.dst_d, 0, (size_t)t.n_dst * 8);
            CHECK_OK(bw__gemm_conv_forward(&s, &x, t.dst, t.src, t.weights));
        } else if (pass == PLAIN_DATA) {
            memset(t.src, 0x7f, (size_t)t.n_src * 4), memset(t.src_d, 0, (size_t)t.n_src * 8);
            CHECK_OK(bw__gemm_conv_backward_data(&s, &x, t.src, t.dst, t.weights));
        } else {
            memset(t.weights, 0x7f, (size_t)t.n_weights * 4);
            memset(t.weights_d, 0, (size_t)t.n_weights * 8);
            CHECK_OK(bw__gemm_conv_backward_weights(&s, &x, t.weights, t.src, t.dst));
        }
        assert_int_equal(x.arena.used[BW_LOW], 0);
    }
    plain_conv(&s, pass, t.src_d, t.weights_d, t.dst_d);
    if (pass == PLAIN_FORWARD) check_equal(t.dst, t.dst_d, t.n_dst);
    if (pass == PLAIN_DATA) check_equal(t.src, t.src_d, t.n_src);
    if (pass == PLAIN_WEIGHTS) check_equal(t.weights, t.weights_d, t.n_weights);
    bw__exec_destroy(&x);
    free_tensors(&t);
}

static const bw_conv_shape SHAPES[] = {
    { .n = 2, .h = 9, .w = 6, .ic = 3, .oc = 8, .kernel = 7, .stride = 2, .pad = 3 },
    { .n = 3, .h = 15, .w = 17, .ic = 5, .oc = 7, .kernel = 3, .stride = 1, .pad = 1 },
    { .n = 5, .h = 16, .w = 13, .ic = 8, .oc = 24, .kernel = 3, .stride = 2, .pad = 1 },
    { .n = 1, .h = 3, .w = 50, .ic = 4, .oc = 3, .kernel = 3, .stride = 1, .pad = 1 },
    { .n = 2, .h = 11, .w = 5, .ic = 16, .oc = 9, .kernel = 1, .stride = 1, .pad = 0 },
    { .n = 2, .h = 12, .w = 9, .ic = 512, .oc = 2, .kernel = 1, .stride = 1, .pad = 0 }, /* padded copies */
    { .n = 2, .h = 12, .w = 9, .ic = 2, .oc = 512, .kernel = 1, .stride = 1, .pad = 0 },
    { .n = 2, .h = 7, .w = 4, .ic = 8, .oc = 32, .kernel = 1, .stride = 2, .pad = 0 },
    { .n = 1, .h = 1, .w = 1, .ic = 8, .oc = 8, .kernel = 3, .stride = 1, .pad = 1 }, /* all taps but one off
                                                                                       */
    { .n = 3, .h = 2, .w = 2, .ic = 1, .oc = 1, .kernel = 3, .stride = 1, .pad = 1 },
    { .n = 2, .h = 6, .w = 8, .ic = 4, .oc = 4, .kernel = 3, .stride = 1, .pad = 0 },
};

static void each_pass_equals_the_plain_twin_for_any_shape_and_number_of_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        for (int threads = 1; threads <= 6; threads += threads) {
            check_pass(SHAPES[i], PLAIN_FORWARD, threads);
            check_pass(SHAPES[i], PLAIN_WEIGHTS, threads);
            if (SHAPES[i].stride == 1) check_pass(SHAPES[i], PLAIN_DATA, threads);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pass_equals_the_plain_twin_for_any_shape_and_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
