/* Training with bf16 activations: imitated (BLOCKWISE_BF16), and by the processor where it is started with
 * "native" and there is one that computes in it. */
#include "train/training.h"
#include "nn/loops.h"
#include <math.h>

static bw_config config_of(const char *dtype, const char *const *extra)
{
    static const char *const base[] = { "model.arch=resnet18",
                                        "model.width=16",
                                        "model.stem=cifar",
                                        "data.image_size=16",
                                        "train.batch=16",
                                        "projector.widths=[32,32]",
                                        "model.zero_init_residual=false",
                                        "threads=2",
                                        "optimizer.name=sgd",
                                        "optimizer.lr=0.2",
                                        "train.epochs=100",
                                        "optimizer.warmup_epochs=0" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    CHECK_OK(bw_config_set(&c, dtype));
    for (; extra && *extra; extra++)
        CHECK_OK(bw_config_set(&c, *extra));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

static const char *imitation = "emulate"; /* NULL: by the processor */

static void emulate(const char *value)
{
    assert_int_equal(value ? setenv(BW_BF16_VARIABLE, value, 1) : unsetenv(BW_BF16_VARIABLE), 0);
}

/* ---- which type ---- */

static void auto_takes_bf16_only_from_a_processor_with_arithmetic_for_it(void **state)
{
    (void)state;
    bw_config c = config_of("dtype=auto", NULL);
    emulate(NULL);
    bool native = bw__exec_bf16() == BW_BF16_NATIVE;
    CHECK_OK(bw_compute_settle(&c));
    assert_int_equal(c.dtype, native ? BW_DTYPE_BF16 : BW_DTYPE_F32);
    /* The imitation is not taken for arithmetic. */
    emulate("emulate");
    c = config_of("dtype=auto", NULL);
    CHECK_OK(bw_compute_settle(&c));
    assert_int_equal(c.dtype, BW_DTYPE_F32);
    emulate(imitation);
}

static void bf16_is_refused_naming_the_instruction_set(void **state)
{
    (void)state;
    bw_config c = config_of("dtype=bf16", NULL);
    bw_network *net = NULL;
    bw_trainer *t = NULL;
    emulate(NULL);
    if (bw__exec_bf16() != BW_BF16_NONE) {
        emulate(imitation);
        skip();
    }
    CHECK_OK(bw_network_create(&net, &c));
    assert_int_equal(bw_trainer_create(&t, net, STEPS_PER_EPOCH), BW_EINVAL);
    assert_null(t);
    assert_non_null(strstr(bw_last_error(), "dtype: bf16 needs a processor with AVX-512"));
    assert_non_null(strstr(bw_last_error(), bw_compute_isa()));
    assert_non_null(strstr(bw_last_error(), "set dtype f32 or auto"));
    bw_network_free(net);
    emulate(imitation);
}

/* ---- numbers ---- */

/* Gradients of every block, in the order in which they come. */
typedef struct kept_grads {
    const bw_network *net;
    float *block[BW_MAX_BLOCKS];
} kept_grads;

static void keep_grads(void *user, int k, const float *grads)
{
    kept_grads *g = user;
    int64_t n = g->net->params[k].trained;
    g->block[k] = malloc((size_t)n * sizeof(float));
    assert_non_null(g->block[k]);
    memcpy(g->block[k], grads, (size_t)n * sizeof(float));
}

static kept_grads grads_of(training *s, bw_step *step)
{
    kept_grads g = { .net = s->net };
    s->trainer->on_grads = keep_grads;
    s->trainer->user = &g;
    CHECK_OK(bw_trainer_step(s->trainer, step, s->views, NULL));
    s->trainer->on_grads = NULL;
    return g;
}

/* Norm of the difference over the norm of want. */
static double distance(const float *got, const float *want, int64_t n)
{
    double d = 0.0, w = 0.0;
    for (int64_t i = 0; i < n; i++) {
        d += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        w += (double)want[i] * (double)want[i];
    }
    return sqrt(d / w);
}

static void round_to_bf16(float *v, int64_t n)
{
    uint16_t *narrow = malloc((size_t)n * sizeof *narrow);
    assert_non_null(narrow);
    bw__loops()->from_f32(BW_BF16, narrow, v, n);
    bw__loops()->to_f32(BW_BF16, v, narrow, n);
    free(narrow);
}

static void free_grads(kept_grads *g)
{
    for (int k = 0; k < g->net->blocks; k++)
        free(g->block[k]);
}

/* A ReLU near zero opens or closes with the last bit of what comes in, so a gradient is far more sensitive
 * than a loss: that of f32 moves by 10 to 24 per cent of its norm where nothing but the views and weights are
 * rounded to bf16. With all activations rounded it may move at most three times as far. */
static void losses_and_gradients_of_a_step_are_those_of_f32_within_rounding(void **state)
{
    (void)state;
    static const char *const with_noise[] = { "noise.kind=hw", NULL };
    static const char *const end_to_end[] = { "train.order=end-to-end", NULL };
    static const char *const with_max_pool[] = { "model.stem=imagenet", "data.image_size=64", NULL };
    const char *const *const kinds[] = { NULL, with_noise, end_to_end, with_max_pool };
    for (int i = 0; i < 4; i++) {
        bw_config a = config_of("dtype=f32", kinds[i]), b = config_of("dtype=bf16", kinds[i]);
        training f32 = make_training(&a), rounded = make_training(&a), bf16 = make_training(&b);
        bw_step x, y, unused;
        round_to_bf16(rounded.views, BW_VIEWS * a.train.batch * a.data.image_size * a.data.image_size * 3);
        for (int k = 0; k < rounded.net->blocks; k++)
            round_to_bf16(rounded.net->params[k].values, rounded.net->params[k].trained);
        kept_grads want = grads_of(&f32, &x), near = grads_of(&rounded, &unused), got = grads_of(&bf16, &y);
        for (int k = 0; k < x.blocks; k++) {
            int64_t n = f32.net->params[k].trained;
            double loss = fabs(y.loss[k] - x.loss[k]) / x.loss[k];
            double allowed = 3.0 * distance(near.block[k], want.block[k], n);
            double error = distance(got.block[k], want.block[k], n);
            print_message("block %d: loss %.4f off by %.4f, gradient by %.4f (%.4f allowed)\n", k + 1,
                          x.loss[k], loss, error, allowed);
            if (!(loss < 0.05)) fail_msg("block %d: loss %g, not %g", k + 1, y.loss[k], x.loss[k]);
            if (!(error < allowed && allowed < 0.9)) fail_msg("block %d: gradient off by %g", k + 1, error);
            /* Not the f32 path by mistake. */
            assert_true(error > 1e-3);
        }
        free_grads(&want);
        free_grads(&near);
        free_grads(&got);
        drop_training(&f32);
        drop_training(&rounded);
        drop_training(&bf16);
    }
}

static void losses_of_a_few_steps_go_the_way_of_f32(void **state)
{
    (void)state;
    bw_config a = config_of("dtype=f32", NULL), b = config_of("dtype=bf16", NULL);
    training f32 = make_training(&a), bf16 = make_training(&b);
    bw_step x, y, first;
    for (int i = 0; i < 12; i++) {
        CHECK_OK(bw_trainer_step(f32.trainer, &x, f32.views, NULL));
        CHECK_OK(bw_trainer_step(bf16.trainer, &y, bf16.views, NULL));
        if (i == 0) first = y;
    }
    for (int k = 0; k < x.blocks; k++) {
        print_message("block %d: loss %.4f to %.4f, f32 %.4f\n", k + 1, first.loss[k], y.loss[k], x.loss[k]);
        assert_true(y.loss[k] < 0.8 * first.loss[k]);
        if (!(fabs(y.loss[k] - x.loss[k]) < 0.05 * first.loss[k]))
            fail_msg("block %d: loss %g, f32 %g", k + 1, y.loss[k], x.loss[k]);
    }
    drop_training(&f32);
    drop_training(&bf16);
}

static void recomputing_changes_no_bit(void **state)
{
    (void)state;
    const char *const again[] = { "train.recompute=true", NULL };
    bw_config a = config_of("dtype=bf16", NULL), b = config_of("dtype=bf16", again);
    training saved = make_training(&a), computed = make_training(&b);
    bw_step x, y;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(bw_trainer_step(saved.trainer, &x, saved.views, NULL));
        CHECK_OK(bw_trainer_step(computed.trainer, &y, computed.views, NULL));
    }
    for (int k = 0; k < x.blocks; k++)
        assert_true(same_values(saved.net, computed.net, k));
    drop_training(&saved);
    drop_training(&computed);
}

/* A network whose saved tensors are far larger than what one convolution works on: there the copies of the
 * imitation weigh little. */
static void activations_take_half_the_memory(void **state)
{
    (void)state;
    const char *const deep[] = { "model.arch=resnet50", "train.order=end-to-end", NULL };
    bw_config a = config_of("dtype=f32", deep), b = config_of("dtype=bf16", deep);
    training f32 = make_training(&a), bf16 = make_training(&b);
    double share = (double)bw_trainer_arena_bytes(bf16.trainer) / (double)bw_trainer_arena_bytes(f32.trainer);
    print_message("arena of bf16 over that of f32: %.3f\n", share);
    assert_true(share < 0.6);
    drop_training(&f32);
    drop_training(&bf16);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_takes_bf16_only_from_a_processor_with_arithmetic_for_it),
        cmocka_unit_test(bf16_is_refused_naming_the_instruction_set),
        cmocka_unit_test(losses_and_gradients_of_a_step_are_those_of_f32_within_rounding),
        cmocka_unit_test(losses_of_a_few_steps_go_the_way_of_f32),
        cmocka_unit_test(recomputing_changes_no_bit),
        cmocka_unit_test(activations_take_half_the_memory),
    };
    if (argc > 1 && strcmp(argv[1], "native") == 0) imitation = NULL;
    emulate(imitation);
    if (!imitation && bw__exec_bf16() != BW_BF16_NATIVE) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
