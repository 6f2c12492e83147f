/* A batch in parts (train.split): the loss of the whole batch and its gradient, in the memory of one part. */
#include "train/training.h"
#include "base/memory.h"
#include "train/learn.h"
#include <math.h>

static bw_config small_config(const char *const *settings)
{
    static const char *const base[] = { "model.arch=resnet18",
                                        "model.width=8",
                                        "model.stem=cifar",
                                        "data.image_size=16",
                                        "train.batch=8",
                                        "projector.widths=[24,16]",
                                        "model.zero_init_residual=false",
                                        "threads=2",
                                        "optimizer.name=sgd",
                                        "optimizer.lr=0.5",
                                        "optimizer.warmup_epochs=0" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    for (; *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

#define SETTINGS(...) small_config((const char *const[]){ __VA_ARGS__, NULL })

enum { PIXELS = 16 * 16 * 3 };

/* The images of parts 2, 3, ... become those of part 1, in both views. */
static void make_parts_alike(training *s, int64_t batch, int64_t parts)
{
    int64_t n = batch / parts;
    for (int64_t v = 0; v < BW_VIEWS; v++)
        for (int64_t i = n; i < batch; i++)
            memcpy(s->views + (v * batch + i) * PIXELS, s->views + (v * batch + i % n) * PIXELS,
                   PIXELS * sizeof(float));
}

typedef struct gradients {
    float *of[4];
    const bw_network *net;
} gradients;

static void keep_gradient(void *user, int k, const float *grads)
{
    gradients *g = user;
    size_t bytes = (size_t)g->net->params[k].trained * sizeof(float);
    if (!g->of[k]) g->of[k] = malloc(bytes);
    assert_non_null(g->of[k]);
    memcpy(g->of[k], grads, bytes);
}

static void watch_gradients(training *s, gradients *g)
{
    *g = (gradients){ .net = s->net };
    s->trainer->on_grads = keep_gradient;
    s->trainer->user = g;
}

static void free_gradients(gradients *g)
{
    for (int k = 0; k < 4; k++)
        free(g->of[k]);
}

/* |got - want| / |want| */
static double distance(const float *got, const float *want, int64_t n)
{
    double off = 0.0, size = 0.0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(off / size);
}

/* Parts that are alike have the batch statistics of the whole, so nothing is approximated. */
static void parts_that_are_alike_give_the_loss_and_gradient_of_the_whole(void **state)
{
    (void)state;
    static const char *const losses[] = { "loss.name=barlow-twins", "loss.name=vicreg", "loss.name=simclr",
                                          "loss={name: cross-entropy, classes: 5}" };
    int labels[24];
    for (int i = 0; i < 24; i++)
        labels[i] = i % 8 % 5;
    for (int i = 0; i < 4; i++) {
        bw_config whole = SETTINGS(losses[i], "train.batch=24"),
                  parts = SETTINGS(losses[i], "train.batch=24", "train.split=3");
        training a = make_training(&whole), b = make_training(&parts);
        gradients ga, gb;
        bw_step x, y;
        make_parts_alike(&a, 24, 3);
        make_parts_alike(&b, 24, 3);
        watch_gradients(&a, &ga);
        watch_gradients(&b, &gb);
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, labels));
        CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, labels));
        CHECK_CLOSE(y.loss, x.loss, 4, 1e-5, 0);
        CHECK_CLOSE(y.grad_norm, x.grad_norm, 4, 1e-4, 0);
        for (int k = 0; k < 4; k++)
            assert_true(distance(gb.of[k], ga.of[k], a.net->params[k].trained) < 1e-4);
        free_gradients(&ga);
        free_gradients(&gb);
        drop_training(&a);
        drop_training(&b);
    }
}

/* Loss of block k where its weights are moved by `by` along `direction`. */
static double loss_beside(training *s, int k, const float *direction, double by)
{
    bw_params *p = &s->net->params[k];
    bw_step x;
    float *was = malloc((size_t)p->total * sizeof(float));
    assert_non_null(was);
    memcpy(was, p->values, (size_t)p->total * sizeof(float));
    for (int64_t i = 0; i < p->trained; i++)
        p->values[i] += (float)(by * (double)direction[i]);
    CHECK_OK(bw_trainer_step(s->trainer, &x, s->views, NULL));
    memcpy(p->values, was, (size_t)p->total * sizeof(float));
    free(was);
    return x.loss[k];
}

/* Parts of different images: the slope of the loss along its gradient is the gradient's square. */
static void gradient_is_that_of_the_loss_in_parts(void **state)
{
    (void)state;
    bw_config c = SETTINGS("train.batch=12", "train.split=3");
    training s = make_training(&c);
    gradients g;
    bw_step x;
    s.trainer->no_update = true;
    watch_gradients(&s, &g);
    CHECK_OK(bw_trainer_step(s.trainer, &x, s.views, NULL));
    s.trainer->on_grads = NULL;
    for (int k = 0; k < 4; k++) {
        double square = x.grad_norm[k] * x.grad_norm[k], step = 3e-3 * fabs(x.loss[k]) / square;
        double got = (loss_beside(&s, k, g.of[k], step) - loss_beside(&s, k, g.of[k], -step)) / (2.0 * step);
        if (!(fabs(got - square) < 0.01 * square))
            fail_msg("block %d: slope %g, square of the gradient %g", k + 1, got, square);
    }
    free_gradients(&g);
    drop_training(&s);
}

/* As two steps over the part do. */
static void running_statistics_move_once_for_every_part(void **state)
{
    (void)state;
    bw_config parts = SETTINGS("train.split=2"), half = SETTINGS("train.batch=4");
    training a = make_training(&parts), b = make_training(&half);
    bw_step x;
    a.trainer->no_update = b.trainer->no_update = true;
    make_parts_alike(&a, 8, 2);
    for (int v = 0; v < BW_VIEWS; v++)
        memcpy(b.views + v * 4 * PIXELS, a.views + v * 8 * PIXELS, 4 * PIXELS * sizeof(float));
    CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
    for (int i = 0; i < 2; i++)
        CHECK_OK(bw_trainer_step(b.trainer, &x, b.views, NULL));
    for (int k = 0; k < 4; k++) {
        assert_true(same_values(a.net, b.net, k));
        assert_int_equal(a.net->params[k].batches_tracked, 4);
    }
    drop_training(&a);
    drop_training(&b);
}

static void noise_of_an_image_is_that_of_its_place_in_the_batch(void **state)
{
    (void)state;
    bw_config whole = SETTINGS("noise.kind=hw"), parts = SETTINGS("noise.kind=hw", "train.split=2");
    training a = make_training(&whole), b = make_training(&parts);
    float want[7], got[7];
    b.trainer->part = 1;
    for (int view = 0; view < BW_VIEWS; view++)
        for (int image = 4; image < 8; image++) {
            bw__learn_draw_eps(&a.trainer->blocks[2], want, view * 8 + image, 7);
            bw__learn_draw_eps(&b.trainer->blocks[2], got, view * 4 + image - 4, 7);
            assert_memory_equal(want, got, sizeof want);
        }
    b.trainer->part = 0;
    drop_training(&a);
    drop_training(&b);
}

/* A sequential run with noise, with and without recomputing; nothing is allocated. */
static void parts_go_with_every_other_setting(void **state)
{
    (void)state;
    bw_config plain = SETTINGS("train.split=2", "noise.kind=all", "train.order=sequential", "train.steps=4"),
              again = SETTINGS("train.split=2", "noise.kind=all", "train.order=sequential", "train.steps=4",
                               "train.recompute=true");
    training a = make_training(&plain), b = make_training(&again);
    int64_t before = bw__alloc_count();
    for (int i = 0; i < 4; i++) {
        bw_step x, y;
        CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, NULL));
        CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
        for (int k = 0; k < 4; k++)
            assert_int_equal(isfinite(x.loss[k]) != 0, k == i);
        assert_memory_equal(&x.loss[i], &y.loss[i], sizeof(double));
    }
    assert_int_equal(bw__alloc_count() - before, 0);
    for (int k = 0; k < 4; k++)
        assert_true(same_values(a.net, b.net, k));
    drop_training(&a);
    drop_training(&b);
}

static void loss_falls_in_parts(void **state)
{
    (void)state;
    bw_config c = SETTINGS("train.split=4", "train.epochs=100");
    training s = make_training(&c);
    bw_step first, last;
    CHECK_OK(bw_trainer_step(s.trainer, &first, s.views, NULL));
    for (int i = 0; i < 30; i++)
        CHECK_OK(bw_trainer_step(s.trainer, &last, s.views, NULL));
    for (int k = 0; k < 4; k++)
        assert_true(last.loss[k] < 0.7 * first.loss[k]);
    drop_training(&s);
}

static int64_t arena_of(const char *batch, const char *split)
{
    bw_config c = SETTINGS(batch, split, "data.image_size=32");
    bw_network *net;
    bw_trainer *trainer;
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_trainer_create(&trainer, net, STEPS_PER_EPOCH));
    int64_t bytes = bw_trainer_arena_bytes(trainer);
    bw_trainer_free(trainer);
    bw_network_free(net);
    return bytes;
}

static void eight_parts_of_64_images_need_the_memory_of_8(void **state)
{
    (void)state;
    int64_t whole = arena_of("train.batch=64", "train.split=1"),
            parts = arena_of("train.batch=64", "train.split=8"),
            one = arena_of("train.batch=8", "train.split=1");
    print_message("64 images %lld bytes, in 8 parts %lld, 8 images %lld\n", (long long)whole,
                  (long long)parts, (long long)one);
    /* The copy of a part's views, and the embeddings of the whole batch, four blocks'. */
    int64_t copy = BW_VIEWS * 8 * 32 * 32 * 3 * 4, embeddings = 4 * BW_VIEWS * 64 * 16 * 4;
    assert_true(parts <= one + copy + embeddings + 1024);
    assert_true(4 * parts < whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_that_are_alike_give_the_loss_and_gradient_of_the_whole),
        cmocka_unit_test(gradient_is_that_of_the_loss_in_parts),
        cmocka_unit_test(running_statistics_move_once_for_every_part),
        cmocka_unit_test(noise_of_an_image_is_that_of_its_place_in_the_batch),
        cmocka_unit_test(parts_go_with_every_other_setting),
        cmocka_unit_test(loss_falls_in_parts),
        cmocka_unit_test(eight_parts_of_64_images_need_the_memory_of_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
