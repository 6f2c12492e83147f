/* The learning rate at chosen steps of four runs against the formula of Barlow Twins' authors in float64, and
 * at every step of four others against PyTorch's schedulers. */
#include "parity.h"
#include "train/schedule.h"
#include <stdio.h>

enum { RUNS = 4, ROOM = 64 };

static void learning_rates_are_the_authors(void **state)
{
    (void)state;
    parity_worst worst = { .what = "learning-rate schedule" };
    bw_st_file *file = parity_open("optimizer");
    for (int run = 0; run < RUNS; run++) {
        double setting[5], steps[ROOM], got[ROOM];
        char key[32];
        bw_config c = bw_config_default();

        (void)snprintf(key, sizeof key, "schedule.%d.setting", run);
        parity_whole(setting, 5, file, key);
        c.train.epochs = (int64_t)setting[0];
        c.train.batch = (int64_t)setting[2];
        c.optimizer.lr = setting[3];
        c.optimizer.warmup_epochs = setting[4];
        bw_schedule schedule =
            bw__schedule(&c, &c.optimizer, (int64_t)setting[1], (int64_t)(setting[0] * setting[1]));

        (void)snprintf(key, sizeof key, "schedule.%d.steps", run);
        int64_t n = parity_count(file, key);
        assert_true(n <= ROOM);
        parity_whole(steps, n, file, key);
        for (int64_t i = 0; i < n; i++)
            got[i] = bw__schedule_lr(&schedule, (int64_t)steps[i]);
        (void)snprintf(key, sizeof key, "schedule.%d.lr", run);
        parity_compare_whole(&worst, file, key, got, n);
        double want[ROOM]; /* the last, smallest rates would vanish in the norm */
        parity_whole(want, n, file, key);
        CHECK_CLOSE(got, want, (size_t)n, 1e-9, 0.0);
    }
    parity_report(&worst, 1e-12);
    bw__st_close(file);
}

enum { FALLS = 4, CONSTANT = 3, STEPS = 512 };

/* Milestones by MultiStepLR, equal ones by StepLR, and none, each with a warm-up in front. */
static void falls_are_those_of_pytorchs_schedulers(void **state)
{
    (void)state;
    bw_st_file *file = parity_open("optimizer");
    for (int run = 0; run < FALLS; run++) {
        double setting[6], got[STEPS], want[STEPS];
        char key[32];
        bw_config c = bw_config_default();

        (void)snprintf(key, sizeof key, "falls.%d.setting", run);
        parity_whole(setting, 6, file, key);
        c.train.batch = (int64_t)setting[2];
        c.optimizer.lr = setting[3];
        c.optimizer.warmup_epochs = setting[4];
        c.optimizer.decay_factor = setting[5];
        c.optimizer.schedule = run == CONSTANT ? BW_SCHEDULE_CONSTANT : BW_SCHEDULE_STEP;
        (void)snprintf(key, sizeof key, "falls.%d.shares", run);
        c.optimizer.decay.n = (int)parity_count(file, key);
        assert_true(c.optimizer.decay.n <= BW_MAX_DECAYS);
        parity_whole(c.optimizer.decay.at, c.optimizer.decay.n, file, key);
        int64_t total = (int64_t)(setting[0] * setting[1]);
        bw_schedule schedule = bw__schedule(&c, &c.optimizer, (int64_t)setting[1], total);

        (void)snprintf(key, sizeof key, "falls.%d.lr", run);
        assert_int_equal(parity_count(file, key), total);
        assert_true(total <= STEPS);
        parity_whole(want, total, file, key);
        for (int64_t i = 0; i < total; i++)
            got[i] = bw__schedule_lr(&schedule, i);
        CHECK_CLOSE(got, want, (size_t)total, 1e-12, 0.0);
        assert_true(want[0] == 0.0 || schedule.warmup_steps == 0);
    }
    bw__st_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(learning_rates_are_the_authors),
                                        cmocka_unit_test(falls_are_those_of_pytorchs_schedulers) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
