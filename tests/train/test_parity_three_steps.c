/* Three whole steps of simultaneous blockwise training, through the public interface, against PyTorch in
 * float64: learning rates, losses, and every parameter and running statistic after them. */
#include "parity.h"
#include "blockwise/trainer.h"
#include "model/network_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 3 };

/* [base lr, momentum, weight decay, eta, epochs, steps per epoch, warm-up epochs] */
static int64_t read_optimizer(bw_config *config, const bw_st_file *file)
{
    double v[7];
    parity_whole(v, 7, file, "optimizer");
    config->optimizer.name = BW_OPTIMIZER_LARS;
    config->optimizer.lr = v[0];
    config->optimizer.momentum = v[1];
    config->optimizer.weight_decay = v[2];
    config->optimizer.eta = v[3];
    config->train.epochs = (int64_t)v[4];
    config->optimizer.warmup_epochs = v[6];
    return (int64_t)v[5];
}

static float *copy_values(const bw_params *params)
{
    float *copy = malloc(sizeof *copy * (size_t)params->total);
    assert_non_null(copy);
    memcpy(copy, params->values, sizeof *copy * (size_t)params->total);
    return copy;
}

/* Compares every tensor's values with final.NAME, and trained ones' change from `start` with change.NAME. */
static void compare_block(parity_worst *final, parity_worst *change, const bw_st_file *file,
                          const bw_params *params, float *start)
{
    for (int i = 0; i < params->n; i++) {
        const bw_param *p = &params->items[i];
        const float *now = params->values + p->offset;
        float *moved = start + p->offset;
        char key[128];
        (void)snprintf(key, sizeof key, "final.%s", p->name);
        parity_compare(final, file, key, now, p->count);
        if (!bw__param_is_trained(p)) continue;
        for (int64_t j = 0; j < p->count; j++)
            moved[j] = now[j] - moved[j];
        (void)snprintf(key, sizeof key, "change.%s", p->name);
        parity_compare(change, file, key, moved, p->count);
    }
}

static void three_lars_steps_are_pytorchs(void **state)
{
    (void)state;
    parity_worst lr = { .what = "learning rate of each step" }, loss = { .what = "loss of each step" };
    parity_worst final = { .what = "values after three steps" };
    parity_worst change = { .what = "change over three steps" };
    bw_st_file *file = parity_open("three_steps");
    parity_setting setting = parity_read_setting(file);
    int64_t steps_per_epoch = read_optimizer(&setting.config, file);
    int64_t pixels = setting.image_size * setting.image_size;
    float *views = malloc(sizeof *views * (size_t)(BW_VIEWS * setting.batch * pixels * 3));
    float *start[BW_MAX_BLOCKS];
    bw_network *network;
    bw_trainer *trainer;

    assert_non_null(views);
    parity_views(views, &setting);
    CHECK_OK(bw_config_resolve(&setting.config));
    CHECK_OK(bw_network_create(&network, &setting.config));
    for (int k = 0; k < network->blocks; k++) {
        parity_fill(&network->params[k]);
        start[k] = copy_values(&network->params[k]);
    }
    CHECK_OK(bw_trainer_create(&trainer, network, steps_per_epoch));
    for (int s = 1; s <= STEPS; s++) {
        bw_step step;
        char key[32];
        CHECK_OK(bw_trainer_step(trainer, &step, views, NULL));
        assert_int_equal(step.step, s);
        (void)snprintf(key, sizeof key, "lr.%d", s);
        parity_compare_whole(&lr, file, key, &step.lr, 1);
        for (int k = 0; k < network->blocks; k++) {
            (void)snprintf(key, sizeof key, "loss.%d.%d", s, k + 1);
            parity_compare_loss(&loss, file, key, step.term[0][k], step.term[1][k], step.loss[k]);
        }
    }
    for (int k = 0; k < network->blocks; k++) {
        compare_block(&final, &change, file, &network->params[k], start[k]);
        free(start[k]);
    }
    parity_report(&lr, 1e-12);
    parity_report(&loss, 1e-4);
    parity_report(&final, 1e-4);
    parity_report(&change, 1e-4);
    bw_trainer_free(trainer);
    bw_network_free(network);
    bw__st_close(file);
    free(views);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(three_lars_steps_are_pytorchs) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
