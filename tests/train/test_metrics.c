#include "check.h"
#include "base/memory.h"
#include "formats/file.h"
#include "formats/json.h"
#include "train/metrics.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static char path[4200];
static int64_t lines_left = -1; /* that getline() has memory for; -1: all */

/* In place of the C library's. */
ssize_t getline(char **line, size_t *room, FILE *f)
{
    if (lines_left == 0) {
        errno = ENOMEM;
        return -1;
    }
    if (lines_left > 0) lines_left--;
    return getdelim(line, room, '\n', f);
}

static int fresh_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", temp_folder());
    return 0;
}

static bw_step step_number(int64_t n)
{
    bw_step s = { .step = n,
                  .epoch = n / 4,
                  .blocks = 2,
                  .lr = 0.1 / (double)n,
                  .terms = 2,
                  .term_name = { "on_diag", "off_diag" } };
    for (int k = 0; k < 2; k++) {
        s.loss[k] = 3.0 + k + 1.0 / (double)n;
        s.term[0][k] = 1.5 + k;
        s.term[1][k] = 0.25 + k;
        s.grad_norm[k] = 7.0 + k;
    }
    s.samples_per_s = 31.5;
    s.peak_rss_mb = 120.25;
    return s;
}

static void write_steps(int64_t first, int64_t last, int64_t keep)
{
    bw_metrics *m = NULL;
    CHECK_OK(bw__metrics_open(&m, path, keep));
    for (int64_t n = first; n <= last; n++) {
        bw_step s = step_number(n);
        CHECK_OK(bw__metrics_write(m, &s));
    }
    CHECK_OK(bw__metrics_sync(m));
    bw__metrics_close(m);
}

static char *contents(void)
{
    char *text = NULL;
    size_t bytes = 0;
    CHECK_OK(bw__file_read(&text, &bytes, path, 1 << 20));
    return text;
}

static void append_text(const char *text)
{
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void a_line_is_json_with_an_entry_per_block(void **state)
{
    (void)state;
    bw_metrics *m = NULL;
    bw_step s = step_number(5);
    s.has_health = true;
    s.embedding_std[1] = 0.75;
    s.effective_rank[0] = (double)NAN;
    CHECK_OK(bw__metrics_open(&m, path, 0));
    CHECK_OK(bw__metrics_write(m, &s));

    json_t *line = NULL;
    char *text = contents(); /* flushed: readable while the run goes on */
    CHECK_OK(bw__json_parse(&line, text, strlen(text), path));
    assert_int_equal(json_integer_value(json_object_get(line, "step")), 5);
    assert_int_equal(json_integer_value(json_object_get(line, "epoch")), 1);
    assert_true(fabs(json_number_value(json_object_get(line, "lr")) - 0.02) < 1e-9);
    const char *arrays[] = { "loss",          "on_diag",        "off_diag",           "grad_norm",
                             "embedding_std", "effective_rank", "effective_rank_max", "dead_channels" };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        assert_int_equal(json_array_size(json_object_get(line, arrays[i])), 2);
    assert_true(fabs(json_number_value(json_array_get(json_object_get(line, "loss"), 1)) - 4.2) < 1e-8);
    assert_true(json_is_null(json_array_get(json_object_get(line, "effective_rank"), 0)));
    assert_true(json_is_number(json_object_get(line, "samples_per_s")));
    assert_true(json_is_number(json_object_get(line, "peak_rss_mb")));
    json_decref(line);
    bw__free(text);
    bw__metrics_close(m);
}

static void a_step_without_health_has_no_health_keys(void **state)
{
    (void)state;
    write_steps(1, 1, 0);
    char *text = contents();
    assert_non_null(strstr(text, "\"loss\""));
    assert_null(strstr(text, "embedding_std"));
    assert_null(strstr(text, "effective_rank"));
    assert_null(strstr(text, "dead_channels"));
    bw__free(text);
}

static void lines_past_the_checkpoint_are_cut_before_going_on(void **state)
{
    (void)state;
    write_steps(1, 9, 0);
    char *straight = contents();
    write_steps(8, 9, 7);
    char *resumed = contents();
    assert_string_equal(resumed, straight);
    write_steps(4, 5, 3);
    char *shorter = contents();
    assert_memory_equal(shorter, straight, strlen(shorter));
    assert_non_null(strstr(shorter, "{\"step\":5,"));
    assert_null(strstr(shorter, "{\"step\":6,"));
    bw__free(straight);
    bw__free(resumed);
    bw__free(shorter);
}

static void a_torn_last_line_is_cut(void **state)
{
    (void)state;
    write_steps(1, 3, 0);
    char *straight = contents();
    /* Torn in the middle, and torn only of its line feed. */
    const char *torn[] = { "{\"step\":4,\"epo", "{\"step\":4}", "\0" };
    for (int i = 0; i < 3; i++) {
        append_text(torn[i]);
        write_steps(4, 3, 4); /* writes nothing; the checkpoint would allow step 4 */
        char *cut = contents();
        assert_string_equal(cut, straight);
        bw__free(cut);
    }
    bw__free(straight);
}

static void count_step(void *user, const bw_step *step)
{
    (void)step;
    ++*(int64_t *)user;
}

static void without_memory_for_a_line_nothing_is_cut(void **state)
{
    (void)state;
    bw_metrics *m = NULL;
    int64_t read = 0;
    write_steps(1, 5, 0);
    char *straight = contents();
    lines_left = 2;
    assert_int_equal(bw__metrics_open(&m, path, 5), BW_EIO);
    assert_null(m);
    assert_non_null(strstr(bw_last_error(), "cannot read: "));
    lines_left = 2;
    assert_int_equal(bw__metrics_read(path, count_step, &read), BW_EIO);
    lines_left = -1;
    assert_int_equal(read, 2);
    char *left = contents();
    assert_string_equal(left, straight);
    CHECK_OK(bw__metrics_read(path, count_step, &read));
    assert_int_equal(read, 2 + 5);
    bw__free(straight);
    bw__free(left);
}

static void starting_afresh_empties_the_file(void **state)
{
    (void)state;
    write_steps(1, 3, 0);
    write_steps(1, 0, 0);
    char *text = contents();
    assert_string_equal(text, "");
    bw__free(text);
}

static void a_full_disk_is_said_and_what_was_written_can_be_gone_on_with(void **state)
{
    (void)state;
    struct rlimit old, small;
    bw_metrics *m = NULL;
    bw_status st = BW_OK;
    int64_t n = 0;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = old;
    small.rlim_cur = 1000; /* a few lines and a part of one */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    st = bw__metrics_open(&m, path, 0);
    while (st == BW_OK && n < 100) {
        bw_step s = step_number(++n);
        st = bw__metrics_write(m, &s);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    bw__metrics_close(m);
    assert_int_equal(st, BW_EIO);
    assert_non_null(strstr(bw_last_error(), path));
    assert_true(n > 1 && n < 100);

    write_steps(n, n + 2, n - 1);
    char *resumed = contents();
    write_steps(1, n + 2, 0);
    char *straight = contents();
    assert_string_equal(resumed, straight);
    bw__free(resumed);
    bw__free(straight);
}

static void a_file_that_cannot_be_opened_is_named(void **state)
{
    (void)state;
    bw_metrics *m = NULL;
    assert_int_equal(bw__metrics_open(&m, "/nowhere/metrics.jsonl", 0), BW_EIO);
    assert_null(m);
    assert_non_null(strstr(bw_last_error(), "/nowhere/metrics.jsonl"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_is_json_with_an_entry_per_block, fresh_path),
        cmocka_unit_test_setup(a_step_without_health_has_no_health_keys, fresh_path),
        cmocka_unit_test_setup(lines_past_the_checkpoint_are_cut_before_going_on, fresh_path),
        cmocka_unit_test_setup(a_torn_last_line_is_cut, fresh_path),
        cmocka_unit_test_setup(without_memory_for_a_line_nothing_is_cut, fresh_path),
        cmocka_unit_test_setup(starting_afresh_empties_the_file, fresh_path),
        cmocka_unit_test_setup(a_full_disk_is_said_and_what_was_written_can_be_gone_on_with, fresh_path),
        cmocka_unit_test_setup(a_file_that_cannot_be_opened_is_named, fresh_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
