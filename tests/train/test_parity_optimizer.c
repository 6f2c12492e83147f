/* Three steps of LARS and of SGD with momentum, gradients given, against float64: tensors with and without
 * adaptation, one that is all zero, and one without gradient. */
#include "parity.h"
#include "train/optimizer.h"
#include <stdio.h>
#include <string.h>

enum { STEPS = 3, TENSORS = 5, ROOM = 128 };

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

static void check_optimizer(bw_optimizer_name name, const char *prefix)
{
    bw_param items[TENSORS];
    float values[ROOM] = { 0 }, momenta[ROOM] = { 0 }, grads[ROOM];
    double setting[4], got[ROOM];
    parity_worst worst = { .what = prefix };
    bw_params params;
    bw_st_file *file = parity_open("optimizer");
    char key[64];

    list_tensors(&params, items, values, momenta);
    (void)snprintf(key, sizeof key, "%s.setting", prefix);
    parity_whole(setting, 4, file, key);
    const bw_optimizer_config config = {
        .name = name, .momentum = setting[1], .weight_decay = setting[2], .eta = setting[3]
    };
    for (int step = 1; step <= STEPS; step++) {
        fill_gradients(grads, &params, step);
        bw__optimizer_update(&params, grads, setting[0], step, &config, 2);
        for (int i = 0; i < TENSORS; i++) {
            for (int64_t j = 0; j < items[i].count; j++)
                got[j] = (double)values[items[i].offset + j];
            (void)snprintf(key, sizeof key, "%s.%s.%d", prefix, tensors[i].name, step);
            parity_compare_whole(&worst, file, key, got, items[i].count);
        }
    }
    assert_int_equal(worst.compared, STEPS * TENSORS);
    parity_report(&worst, 1e-6);
    bw__st_close(file);
}

static void lars_leaves_1d_tensors_without_decay_and_adaptation(void **state)
{
    (void)state;
    check_optimizer(BW_OPTIMIZER_LARS, "lars");
}

static void sgd_with_momentum_is_pytorchs(void **state)
{
    (void)state;
    check_optimizer(BW_OPTIMIZER_SGD, "sgd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lars_leaves_1d_tensors_without_decay_and_adaptation),
        cmocka_unit_test(sgd_with_momentum_is_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
