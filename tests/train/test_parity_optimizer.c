/* Three steps of LARS, with and without clipping, and of SGD with momentum, five of AdamW, gradients given,
 * against float64: tensors with and without
 * adaptation, one that is all zero, and one without gradient. */
#include "parity.h"
#include "train/optimizer.h"
#include <stdio.h>
#include <string.h>

enum { STEPS = 3, ADAMW_STEPS = 5, TENSORS = 5, ROOM = 128 };

static const struct {
    const char *name;
    bw_param_kind kind;
    int ndim;
    int64_t count;
} tensors[TENSORS] = { { "conv", BW_PARAM_CONV, 4, 48 },
                       { "linear", BW_PARAM_LINEAR, 2, 35 },
                       { "bn", BW_PARAM_BN_WEIGHT, 1, 6 },
                       { "zero", BW_PARAM_LINEAR, 2, 6 },
                       { "still", BW_PARAM_LINEAR, 2, 6 } };

static void list_tensors(bw_params *params, bw_param *items, float *values, float *momenta)
{
    *params = (bw_params){ .n = TENSORS, .items = items, .values = values, .momenta = momenta };
    for (int i = 0; i < TENSORS; i++) {
        bw_param *p = &items[i];
        *p = (bw_param){ .kind = tensors[i].kind, .ndim = tensors[i].ndim, .count = tensors[i].count };
        p->offset = params->total;
        params->total += p->count;
        (void)snprintf(p->name, sizeof p->name, "opt.%s", tensors[i].name);
        if (strcmp(tensors[i].name, "zero") != 0)
            parity_formula(values + p->offset, p->count, p->name, 0.0, 1.0);
    }
    params->trained = params->total;
    assert_true(params->total <= ROOM);
}

static void fill_gradients(float *grads, const bw_params *params, int step)
{
    for (int i = 0; i < TENSORS; i++) {
        const bw_param *p = &params->items[i];
        char name[128];
        (void)snprintf(name, sizeof name, "%s.grad%d", p->name, step);
        double scale = strcmp(tensors[i].name, "still") == 0 ? 0.0 : 0.01;
        parity_formula(grads + p->offset, p->count, name, 0.0, scale);
    }
}

static void check_optimizer(const bw_optimizer_config *config, double lr, int steps, const char *prefix)
{
    bw_param items[TENSORS];
    float values[ROOM] = { 0 }, momenta[ROOM] = { 0 }, squares[ROOM] = { 0 }, grads[ROOM];
    double got[ROOM];
    parity_worst worst = { .what = prefix };
    bw_params params;
    bw_st_file *file = parity_open("optimizer");
    char key[64];

    list_tensors(&params, items, values, momenta);
    params.squares = squares;
    for (int step = 1; step <= steps; step++) {
        fill_gradients(grads, &params, step);
        bw__optimizer_update(&params, grads, lr, step, config, 2);
        for (int i = 0; i < TENSORS; i++) {
            for (int64_t j = 0; j < items[i].count; j++)
                got[j] = (double)values[items[i].offset + j];
            (void)snprintf(key, sizeof key, "%s.%s.%d", prefix, tensors[i].name, step);
            parity_compare_whole(&worst, file, key, got, items[i].count);
        }
    }
    assert_int_equal(worst.compared, steps * TENSORS);
    parity_report(&worst, 1e-6);
    bw__st_close(file);
}

static void read_setting(double *setting, int n, const char *key)
{
    bw_st_file *file = parity_open("optimizer");
    parity_whole(setting, n, file, key);
    bw__st_close(file);
}

static void check_momentum_rule(bw_optimizer_name name, bool clip, const char *prefix)
{
    double s[4];
    char key[64];
    (void)snprintf(key, sizeof key, "%s.setting", prefix);
    read_setting(s, 4, key);
    const bw_optimizer_config config = {
        .name = name, .momentum = s[1], .weight_decay = s[2], .eta = s[3], .clip_lr = clip
    };
    check_optimizer(&config, s[0], STEPS, prefix);
}

static void lars_leaves_1d_tensors_without_decay_and_adaptation(void **state)
{
    (void)state;
    check_momentum_rule(BW_OPTIMIZER_LARS, false, "lars");
}

static void sgd_with_momentum_is_pytorchs(void **state)
{
    (void)state;
    check_momentum_rule(BW_OPTIMIZER_SGD, false, "sgd");
}

/* `conv` and `linear` are clipped, `zero` is not once it has moved. */
static void clipping_leaves_no_tensor_a_rate_above_the_learning_rate(void **state)
{
    (void)state;
    check_momentum_rule(BW_OPTIMIZER_LARS, true, "clip");
}

/* The warm-up begins with 0: a factor is then 1, and nothing moves. */
static void clipping_at_rate_0_is_finite(void **state)
{
    (void)state;
    bw_param items[TENSORS];
    float values[ROOM] = { 0 }, before[ROOM], momenta[ROOM] = { 0 }, grads[ROOM];
    bw_params params;
    const bw_optimizer_config config = {
        .name = BW_OPTIMIZER_LARS, .momentum = 0.9, .eta = 0.02, .clip_lr = true
    };
    list_tensors(&params, items, values, momenta);
    memcpy(before, values, sizeof before);
    fill_gradients(grads, &params, 1);
    bw__optimizer_update(&params, grads, 0.0, 1, &config, 1);
    assert_memory_equal(values, before, sizeof before);
    assert_memory_equal(momenta, grads, (size_t)params.trained * sizeof(float));
}

static void adamw_is_pytorchs(void **state)
{
    (void)state;
    double s[5];
    read_setting(s, 5, "adamw.setting");
    const bw_optimizer_config config = {
        .name = BW_OPTIMIZER_ADAMW, .momentum = s[1], .weight_decay = s[2], .beta2 = s[3], .eps = s[4]
    };
    check_optimizer(&config, s[0], ADAMW_STEPS, "adamw");
}

/* After two steps, so that there are momenta. */
static void update_twice(float *values, const double *rate, double lr, bw_part part,
                         const bw_optimizer_config *config)
{
    bw_param items[TENSORS];
    float momenta[ROOM] = { 0 }, squares[ROOM] = { 0 }, grads[ROOM];
    bw_params params;
    list_tensors(&params, items, values, momenta);
    params.squares = squares;
    for (int i = 0; i < TENSORS; i++)
        items[i].part = part;
    for (int step = 1; step <= 2; step++) {
        fill_gradients(grads, &params, step);
        bw__optimizer_update_parts(&params, grads, lr, rate, step, config, 1);
    }
}

/* Training part of a network at another rate, and standing still where what it costs is measured. */
static void every_optimizer_takes_a_rate_for_each_part(void **state)
{
    (void)state;
    const double rate[] = { [BW_PART_TRUNK] = 0.0, [BW_PART_HEAD] = 0.25, [BW_PART_PROJECTOR] = 1.0 };
    const bw_optimizer_name names[] = { BW_OPTIMIZER_LARS, BW_OPTIMIZER_SGD, BW_OPTIMIZER_ADAMW };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const bw_optimizer_config config = {
            .name = names[i], .momentum = 0.9, .beta2 = 0.99, .eps = 1e-8, .eta = 0.02, .weight_decay = 0.01
        };
        for (int part = 0; part < 3; part++) {
            float got[ROOM] = { 0 }, want[ROOM] = { 0 };
            update_twice(got, rate, 0.5, (bw_part)part, &config);
            update_twice(want, NULL, 0.5 * rate[part], (bw_part)part, &config);
            assert_memory_equal(got, want, sizeof got);
        }
        float still[ROOM] = { 0 }, begin[ROOM] = { 0 };
        bw_param items[TENSORS];
        bw_params params;
        list_tensors(&params, items, begin, NULL);
        update_twice(still, rate, 0.5, BW_PART_TRUNK, &config);
        assert_memory_equal(still, begin, sizeof still);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lars_leaves_1d_tensors_without_decay_and_adaptation),
        cmocka_unit_test(sgd_with_momentum_is_pytorchs),
        cmocka_unit_test(clipping_leaves_no_tensor_a_rate_above_the_learning_rate),
        cmocka_unit_test(clipping_at_rate_0_is_finite),
        cmocka_unit_test(adamw_is_pytorchs),
        cmocka_unit_test(every_optimizer_takes_a_rate_for_each_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
