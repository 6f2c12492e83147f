/* The measures of health against numpy, and where in a step they are taken. */
#include "train/training.h"
#include "parity.h"
#include "nn/elementwise.h"
#include "train/health.h"
#include <math.h>

static void make_exec(bw_exec *x, bw_type type)
{
    CHECK_OK(bw__exec_create(x, 2));
    CHECK_OK(bw__arena_create(&x->arena, (size_t)1 << 20));
    x->type = type;
}

/* --- of embeddings --- */

static void compare(const char *key, const float *z, int64_t n, int64_t d)
{
    bw_exec x;
    bw_health h;
    double want[2];
    bw_st_file *file = parity_open("health");
    parity_whole(want, 2, file, key);
    make_exec(&x, BW_F32);
    CHECK_OK(bw__health(&h, &x, z, n, d));
    double got[2] = { h.embedding_std, h.effective_rank };
    print_message("%s: std %.6f, rank %.6f of %g\n", key, got[0], got[1], h.effective_rank_max);
    CHECK_CLOSE(got, want, 2, 1e-5, 0.0);
    assert_true(h.effective_rank_max == (double)(n < d ? n : d));
    bw__exec_destroy(&x);
    bw__st_close(file);
}

static void fewer_rows_than_columns_give_numpys_numbers(void **state)
{
    (void)state;
    float z[7 * 90];
    parity_formula(z, 7 * 90, "health.wide", 0.3, 1.0);
    compare("wide", z, 7, 90);
}

static void more_rows_than_columns_give_numpys_numbers(void **state)
{
    (void)state;
    float z[70 * 9];
    parity_formula(z, 70 * 9, "health.tall", 0.3, 1.0);
    compare("tall", z, 70, 9);
}

static void three_directions_give_numpys_numbers(void **state)
{
    (void)state;
    float a[20 * 3], b[3 * 11], z[20 * 11];
    parity_formula(a, 20 * 3, "health.low.a", 0.0, 1.0);
    parity_formula(b, 3 * 11, "health.low.b", 0.0, 1.0);
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 11; j++) {
            double sum = 0.0;
            for (int k = 0; k < 3; k++)
                sum += (double)a[i * 3 + k] * (double)b[k * 11 + j];
            z[i * 11 + j] = (float)sum;
        }
    compare("low", z, 20, 11);
}

/* One point and a ten-thousandth of noise: singular values that a Gram matrix of floats would drown. */
static void a_collapsed_embedding_gives_numpys_numbers(void **state)
{
    (void)state;
    float z[40 * 150];
    parity_formula(z, 40 * 150, "health.collapsed", 0.0, 1.0);
    for (int i = 0; i < 40 * 150; i++)
        z[i] = (float)(1.0 + 1e-4 * (double)z[i]);
    compare("collapsed", z, 40, 150);
}

/* --- of a block's output --- */

enum { N = 3, POSITIONS = 4, C = 5 };

/* Channel 0 is 0 everywhere, 2 is not in one image's last position alone, 3 is the least value there is. */
static void dead_are_channels_that_are_0_everywhere(void **state)
{
    (void)state;
    for (bw_type type = BW_F32; type <= BW_BF16; type++) {
        bw_exec x;
        float out[N * POSITIONS * C] = { 0 };
        uint16_t narrow[N * POSITIONS * C];
        make_exec(&x, type);
        for (int i = 0; i < N * POSITIONS; i++)
            out[i * C + 1] = 1.5f;
        out[(2 * POSITIONS + 3) * C + 2] = 1e-30f;
        out[C + 3] = 0x1p-126f;
        if (type == BW_BF16) bw__from_f32(&x, BW_BF16, narrow, out, N * POSITIONS * C);
        double dead = bw__dead_channels(&x, type == BW_BF16 ? (const void *)narrow : out, N, POSITIONS, C);
        CHECK_CLOSE(&dead, &(double){ 0.4 }, 1, 1e-15, 0.0);
        bw__exec_destroy(&x);
    }
}

/* --- in a step --- */

static bw_config small_config(const char *extra)
{
    static const char *const settings[] = { "model.arch=resnet18", "model.stem=cifar",
                                            "model.width=8",       "model.zero_init_residual=false",
                                            "data.image_size=16",  "train.batch=4",
                                            "train.steps=7",       "projector.widths=[24,16]",
                                            "threads=2",           "health.every=3" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_OK(bw_config_set(&c, settings[i]));
    if (extra) CHECK_OK(bw_config_set(&c, extra));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

static void measured_at_the_first_step_every_few_and_at_the_last(void **state)
{
    (void)state;
    bw_config c = small_config(NULL);
    training s = make_training(&c);
    bw_step step;
    for (int i = 1; i <= 7; i++) {
        CHECK_OK(bw_trainer_step(s.trainer, &step, s.views, NULL));
        assert_int_equal(step.has_health, i == 1 || i == 3 || i == 6 || i == 7);
    }
    drop_training(&s);
}

/* The shift of the last batch norm of a stage's last unit decides which channels get through its ReLU: minus
 * a million closes them. Noise comes behind, and would hide it. */
static void closed_channels_are_counted_before_the_noise(void **state)
{
    (void)state;
    static const char *const noises[] = { "noise.kind=none", "noise.kind=all" };
    for (int i = 0; i < 2; i++) {
        bw_config c = small_config(noises[i]);
        training s = make_training(&c);
        bw_step step;
        const bw_params *p = &s.net->params[1];
        int64_t shift = -1, channels = 0;
        for (int j = 0; j < p->n; j++)
            if (strcmp(p->items[j].name, "layer2.1.bn2.bias") == 0) {
                shift = p->items[j].offset;
                channels = p->items[j].count;
            }
        assert_int_equal(channels, 16);
        for (int64_t j = 0; j < 4; j++)
            p->values[shift + 2 * j] = -1e6f;
        CHECK_OK(bw_trainer_step(s.trainer, &step, s.views, NULL));
        assert_true(step.has_health);
        double want[] = { 0.0, 0.25, 0.0, 0.0 };
        CHECK_CLOSE(step.dead_channels, want, 4, 0.0, 1e-15);
        drop_training(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewer_rows_than_columns_give_numpys_numbers),
        cmocka_unit_test(more_rows_than_columns_give_numpys_numbers),
        cmocka_unit_test(three_directions_give_numpys_numbers),
        cmocka_unit_test(a_collapsed_embedding_gives_numpys_numbers),
        cmocka_unit_test(dead_are_channels_that_are_0_everywhere),
        cmocka_unit_test(measured_at_the_first_step_every_few_and_at_the_last),
        cmocka_unit_test(closed_channels_are_counted_before_the_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
