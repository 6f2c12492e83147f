#include "check.h"
#include "base/error.h"
#include "train/run_folder.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[4200];
static bw_config config;

static int fresh_run(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/runs/one", temp_folder());
    config = bw_config_default();
    CHECK_OK(bw_config_set(&config, "train.batch=6"));
    return bw_config_resolve(&config) == BW_OK ? 0 : -1;
}

static void put(const char *name, const char *text)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bool is_there(const char *name)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static bw_status look(bool resume, bw_run_state *out)
{
    return bw__run_look(out, folder, &config, resume);
}

/* Opens the folder and closes it at once. */
static bw_status open_once(bool resume, bw_run_state *out)
{
    bw_run_folder *run = NULL;
    bw_status st = bw__run_open(&run, out, folder, &config, resume);
    bw__run_close(run);
    return st;
}

static void start_run(void)
{
    bw_run_folder *run = NULL;
    bw_run_state found;
    CHECK_OK(bw__run_open(&run, &found, folder, &config, false));
    CHECK_OK(bw__run_write_config(run, &config));
    bw__run_close(run);
}

static void looking_makes_nothing_and_opening_makes_all_folders(void **state)
{
    (void)state;
    bw_run_state found = BW_RUN_COMPLETE;
    CHECK_OK(look(false, &found));
    assert_int_equal(found, BW_RUN_NEW);
    assert_int_not_equal(access(folder, F_OK), 0);
    CHECK_OK(open_once(false, &found));
    assert_int_equal(found, BW_RUN_NEW);
    assert_int_equal(access(folder, F_OK), 0);
    /* What a run leaves that never began: still an empty folder to the next one. */
    CHECK_OK(open_once(false, &found));
    assert_int_equal(found, BW_RUN_NEW);
}

static void a_folder_with_anything_in_it_is_refused_without_resume(void **state)
{
    (void)state;
    bw_run_state found;
    start_run();
    assert_int_equal(look(false, &found), BW_EEXIST);
    assert_non_null(strstr(bw_last_error(), folder));
    assert_non_null(strstr(bw_last_error(), "--resume"));
    assert_int_equal(open_once(false, &found), BW_EEXIST);
    CHECK_OK(look(true, &found));
    assert_int_equal(found, BW_RUN_STARTED);
}

static void a_foreign_folder_is_refused_even_with_resume(void **state)
{
    (void)state;
    bw_run_state found;
    CHECK_OK(open_once(false, &found));
    put("thesis.txt", "words\n");
    assert_int_equal(look(false, &found), BW_EEXIST);
    assert_int_equal(look(true, &found), BW_EEXIST);
    assert_non_null(strstr(bw_last_error(), "not a run"));
    assert_true(is_there("thesis.txt"));
}

static void a_run_killed_before_its_config_was_written_starts_afresh(void **state)
{
    (void)state;
    bw_run_state found = BW_RUN_COMPLETE;
    CHECK_OK(open_once(false, &found));
    put("environment.json", "{}\n");
    put("config.yaml.tmp-77", "seed: ");
    assert_int_equal(look(false, &found), BW_EEXIST);
    CHECK_OK(open_once(true, &found));
    assert_int_equal(found, BW_RUN_NEW);
    assert_false(is_there("config.yaml.tmp-77"));
    assert_true(is_there("environment.json"));
}

static void a_file_in_the_place_of_the_folder_is_refused(void **state)
{
    (void)state;
    bw_run_state found;
    CHECK_OK(open_once(false, &found));
    put("file", "x");
    size_t used = strlen(folder);
    (void)snprintf(folder + used, sizeof folder - used, "/file");
    assert_int_equal(look(true, &found), BW_EEXIST);
    (void)snprintf(folder + used, sizeof folder - used, "/file/below");
    assert_int_not_equal(open_once(true, &found), BW_OK);
}

static void a_setting_that_differs_is_refused_by_name(void **state)
{
    (void)state;
    bw_run_state found;
    start_run();
    CHECK_OK(bw_config_set(&config, "loss.lambda=0.01"));
    assert_int_equal(look(true, &found), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "loss.lambda"));
    assert_non_null(strstr(bw_last_error(), folder));
}

static void threads_and_checkpoints_may_differ(void **state)
{
    (void)state;
    bw_run_state found = BW_RUN_NEW;
    start_run();
    config.threads += 1;
    config.data.threads += 3;
    CHECK_OK(bw_config_set(&config, "checkpoint.every=7"));
    CHECK_OK(bw_config_set(&config, "checkpoint.keep=5"));
    CHECK_OK(look(true, &found));
    assert_int_equal(found, BW_RUN_STARTED);
}

static void a_finished_run_is_known_by_its_mark_and_only_with_the_same_settings(void **state)
{
    (void)state;
    bw_run_state found = BW_RUN_NEW;
    start_run();
    put(BW_RUN_FINISHED, "steps: 4\n");
    CHECK_OK(look(true, &found));
    assert_int_equal(found, BW_RUN_COMPLETE);
    CHECK_OK(bw_config_set(&config, "seed=5"));
    assert_int_equal(look(true, &found), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "seed"));
}

static void a_damaged_config_is_said(void **state)
{
    (void)state;
    bw_run_state found;
    start_run();
    put(BW_RUN_CONFIG, "train: {batch: [\n");
    assert_int_equal(look(true, &found), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), folder));
}

static void two_processes_cannot_write_one_run(void **state)
{
    (void)state;
    bw_run_folder *first = NULL;
    bw_run_state found;
    CHECK_OK(bw__run_open(&first, &found, folder, &config, false));
    assert_int_equal(open_once(true, &found), BW_EEXIST);
    assert_non_null(strstr(bw_last_error(), "another process"));
    bw__run_close(first);
    CHECK_OK(open_once(true, &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(looking_makes_nothing_and_opening_makes_all_folders, fresh_run),
        cmocka_unit_test_setup(a_folder_with_anything_in_it_is_refused_without_resume, fresh_run),
        cmocka_unit_test_setup(a_foreign_folder_is_refused_even_with_resume, fresh_run),
        cmocka_unit_test_setup(a_run_killed_before_its_config_was_written_starts_afresh, fresh_run),
        cmocka_unit_test_setup(a_file_in_the_place_of_the_folder_is_refused, fresh_run),
        cmocka_unit_test_setup(a_setting_that_differs_is_refused_by_name, fresh_run),
        cmocka_unit_test_setup(threads_and_checkpoints_may_differ, fresh_run),
        cmocka_unit_test_setup(a_finished_run_is_known_by_its_mark_and_only_with_the_same_settings,
                               fresh_run),
        cmocka_unit_test_setup(a_damaged_config_is_said, fresh_run),
        cmocka_unit_test_setup(two_processes_cannot_write_one_run, fresh_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
