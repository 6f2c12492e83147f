/* The learning rate at chosen steps of four runs against the formula of Barlow Twins' authors in float64. */
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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(learning_rates_are_the_authors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
