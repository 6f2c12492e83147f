/* Every recipe there is, made small, learns its one batch. */
#include "training.h"
#include <math.h>
#include <stdio.h>

enum { BATCH = 16, SIZE = 32, CLASSES = 4, CHANNELS = 3 };
/* The address sanitizer looks at memory, and a few steps touch all of it; what they learn is for other
 * builds. */
#ifdef __SANITIZE_ADDRESS__
enum { STEPS = 3, LEARNS = 0 };
#else
enum { STEPS = 20, LEARNS = 1 };
#endif

/* Two noisy views of images whose colour is their class. */
static void draw_batch(float *views, int *labels)
{
    const int64_t image = (int64_t)SIZE * SIZE * CHANNELS;
    bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&r, views, BW_VIEWS * BATCH * image);
    for (int n = 0; n < BATCH; n++)
        labels[n] = n % CLASSES;
    for (int64_t i = 0; i < BW_VIEWS * BATCH * image; i++) {
        int64_t n = i / image % BATCH, c = i % CHANNELS;
        views[i] = 0.5f * views[i] + (labels[n] == c ? 1.0f : -0.25f) + 0.02f * (float)n;
    }
}

static void set(bw_config *c, const char *assignment)
{
    bw_status st = bw_config_set(c, assignment);
    if (st != BW_OK) fail_msg("%s", bw_last_error());
}

/* The recipe in small: the same architecture, cuts, heads, losses, noise, order and optimiser. */
static bw_config shrunk(const char *recipe)
{
    char text[128];
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_load_recipe(&c, recipe));
    CHECK_OK(bw_config_resolve(&c));
    double rate = c.optimizer.lr * (double)c.train.batch;
    set(&c, "model.width=8");
    set(&c, "threads=1");
    set(&c, "head.dim=auto");
    set(&c, "train.epochs=1");
    set(&c, "train.steps=auto");
    set(&c, "optimizer.warmup_epochs=0");
    (void)snprintf(text, sizeof text, "data.image_size=%d", SIZE);
    set(&c, text);
    (void)snprintf(text, sizeof text, "train.batch=%d", BATCH);
    set(&c, text);
    if (c.train.split > 1) set(&c, "train.split=2");
    /* The rate of the recipe's own batch: it is proportional to the batch, and twenty steps at a hundredth of
     * the rate would show nothing. */
    (void)snprintf(text, sizeof text, "optimizer.lr=%g", rate / BATCH);
    set(&c, text);
    if (c.projector.n > 0) set(&c, "projector.widths=[64, 64]");
    if (c.loss.name == BW_LOSS_CROSS_ENTROPY) {
        (void)snprintf(text, sizeof text, "loss.classes=%d", CLASSES);
        set(&c, text);
    }
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

/* First and last losses of each block over the steps it was trained in. */
typedef struct course {
    double loss[BW_MAX_BLOCKS][STEPS];
    int steps[BW_MAX_BLOCKS];
} course;

static void note(course *c, const bw_step *step)
{
    for (int k = 0; k < step->blocks; k++) {
        if (isnan(step->loss[k])) continue; /* not trained in this step */
        assert_true(c->steps[k] < STEPS);
        c->loss[k][c->steps[k]++] = step->loss[k];
    }
}

static double mean_of(const double *x, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

static int learn(const char *recipe, const float *views, const int *labels)
{
    enum { ENDS = 3 };        /* noise differs from step to step */
    const double LESS = 0.95; /* the least that any block fell by was 19 % */
    bw_config c = shrunk(recipe);
    bw_network *net;
    bw_trainer *trainer;
    course way = { 0 };
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_trainer_create(&trainer, net, STEPS));
    while (bw_trainer_steps_done(trainer) < bw_trainer_steps_total(trainer)) {
        bw_step step;
        bw_status st = bw_trainer_step(trainer, &step, views, labels);
        if (st != BW_OK) fail_msg("recipe %s: %s", recipe, bw_last_error());
        note(&way, &step);
    }
    int blocks = net->blocks;
    for (int k = 0; k < blocks; k++) {
        double first = mean_of(way.loss[k], ENDS), last = mean_of(way.loss[k] + STEPS - ENDS, ENDS);
        if (way.steps[k] != STEPS) fail_msg("recipe %s: block %d had %d steps", recipe, k + 1, way.steps[k]);
        if (LEARNS && !(last < LESS * first))
            fail_msg("recipe %s: block %d went from %g to %g", recipe, k + 1, first, last);
    }
    bw_trainer_free(trainer);
    bw_network_free(net);
    return blocks;
}

static void every_recipe_learns_one_batch_in_each_of_its_blocks(void **state)
{
    (void)state;
    bw_recipe recipe;
    int labels[BATCH], n = 0;
    float *views = malloc(sizeof(float) * BW_VIEWS * BATCH * SIZE * SIZE * CHANNELS);
    assert_non_null(views);
    assert_int_equal(unsetenv("BLOCKWISE_RECIPES"), 0);
    draw_batch(views, labels);
    for (; bw_recipe_at(&recipe, n); n++)
        assert_true(learn(recipe.name, views, labels) >= 1);
    assert_true(n > 0);
    free(views);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recipe_learns_one_batch_in_each_of_its_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
