/* Checkpoints of a network made by hand: no trainer is needed to know that its state survives. */
#include "check.h"
#include "base/memory.h"
#include "formats/file.h"
#include "formats/safetensors.h"
#include "train/checkpoint.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BLOCKS = 2, MAX_PARAMS = 3 };

/* Two blocks of unequal sizes. */
typedef struct toy {
    bw_network network;
    bw_param items[BLOCKS][MAX_PARAMS];
    float values[BLOCKS][64], momenta[BLOCKS][64];
} toy;

static void add(toy *t, int block, const char *name, bw_param_kind kind, int64_t out, int64_t in)
{
    bw_params *p = &t->network.params[block];
    bw_param *item = &p->items[p->n++];
    *item = (bw_param){ .kind = kind, .ndim = in > 0 ? 4 : 1, .dim = { out, in, 1, 1 } };
    (void)snprintf(item->name, sizeof item->name, "%s", name);
    item->count = in > 0 ? out * in : out;
    item->offset = p->total;
    p->total += item->count;
    if (bw__param_is_trained(item)) p->trained += item->count;
}

static void fill(toy *t, float start)
{
    for (int k = 0; k < BLOCKS; k++) {
        bw_params *p = &t->network.params[k];
        for (int64_t i = 0; i < p->total; i++)
            p->values[i] = start + (float)(k * 100) + (float)i / 7.0f;
        for (int64_t i = 0; i < p->trained; i++)
            p->momenta[i] = -start - (float)(k * 10) - (float)i / 3.0f;
        p->batches_tracked = (int64_t)start * 2 + k;
    }
}

static void make(toy *t, float start)
{
    memset(t, 0, sizeof *t);
    t->network.config = bw_config_default();
    t->network.blocks = BLOCKS;
    for (int k = 0; k < BLOCKS; k++)
        t->network.params[k] =
            (bw_params){ .items = t->items[k], .values = t->values[k], .momenta = t->momenta[k] };
    add(t, 0, "conv1.weight", BW_PARAM_CONV, 4, 3);
    add(t, 0, "bn1.weight", BW_PARAM_BN_WEIGHT, 4, 0);
    add(t, 0, "bn1.running_mean", BW_PARAM_RUNNING_MEAN, 4, 0);
    add(t, 1, "layer2.0.conv1.weight", BW_PARAM_CONV, 5, 4);
    fill(t, start);
}

static void assert_same_state(const toy *got, const toy *want)
{
    for (int k = 0; k < BLOCKS; k++) {
        const bw_params *g = &got->network.params[k], *w = &want->network.params[k];
        assert_memory_equal(g->values, w->values, (size_t)w->total * sizeof *w->values);
        assert_memory_equal(g->momenta, w->momenta, (size_t)w->trained * sizeof *w->momenta);
        assert_int_equal(g->batches_tracked, w->batches_tracked);
    }
}

static char folder[4200], log_text[8192];

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    (void)level;
    size_t used = strlen(log_text);
    (void)snprintf(log_text + used, sizeof log_text - used, "%s\n", line);
}

static int fresh_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/run/checkpoints", temp_folder());
    log_text[0] = '\0';
    bw_set_log(keep_log, NULL);
    return 0;
}

static const char *file_of(int64_t step)
{
    static char path[4300];
    (void)snprintf(path, sizeof path, "%s/step-%08lld.safetensors", folder, (long long)step);
    return path;
}

static bool is_there(int64_t step)
{
    return access(file_of(step), F_OK) == 0;
}

static void write_step(int64_t step, int keep)
{
    toy t;
    make(&t, (float)step);
    CHECK_OK(bw__checkpoint_write(folder, &t.network, NULL, step, 60, keep));
}

/* Opens the newest and asserts that it holds the state of `step`. */
static void assert_newest_is(int64_t step)
{
    static toy got, want;
    bw_checkpoint *c = NULL;
    CHECK_OK(bw__checkpoint_open_newest(&c, folder));
    assert_non_null(c);
    assert_int_equal(bw__checkpoint_step(c), step);
    make(&got, 999);
    make(&want, (float)step);
    CHECK_OK(bw__checkpoint_restore(&got.network, NULL, c));
    assert_same_state(&got, &want);
    assert_int_equal(got.network.steps, step);
    bw__checkpoint_close(c);
}

static void cut_to(int64_t step, int64_t bytes)
{
    assert_int_equal(truncate(file_of(step), (off_t)bytes), 0);
}

static int64_t size_of(int64_t step)
{
    char *text = NULL;
    size_t bytes = 0;
    CHECK_OK(bw__file_read(&text, &bytes, file_of(step), 1 << 20));
    bw__free(text);
    return (int64_t)bytes;
}

static void flip_byte(int64_t step, int64_t at)
{
    FILE *f = fopen(file_of(step), "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 1, f), c ^ 1);
    assert_int_equal(fclose(f), 0);
}

static void what_is_written_comes_back_bit_for_bit(void **state)
{
    (void)state;
    toy t;
    make(&t, 12);
    t.values[0][3] = -0.0f;
    t.values[1][2] = 1e-42f; /* denormal */
    CHECK_OK(bw__checkpoint_write(folder, &t.network, NULL, 1234, 60, 2));
    assert_true(is_there(1234));

    static toy got;
    bw_checkpoint *c = NULL;
    CHECK_OK(bw__checkpoint_open_newest(&c, folder));
    assert_int_equal(bw__checkpoint_step(c), 1234);
    assert_int_equal(bw__checkpoint_images(c), 60);
    assert_string_equal(bw__checkpoint_path(c), file_of(1234));
    make(&got, 1);
    CHECK_OK(bw__checkpoint_restore(&got.network, NULL, c));
    assert_same_state(&got, &t);
    bw__checkpoint_close(c);
}

static void without_a_checkpoint_there_is_none_and_no_error(void **state)
{
    (void)state;
    bw_checkpoint *c = NULL;
    CHECK_OK(bw__checkpoint_open_newest(&c, folder));
    assert_null(c);
    write_step(1, 1);
    assert_int_equal(unlink(file_of(1)), 0);
    FILE *f = fopen(file_of(7), "w"); /* a name that only looks like one */
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    char other[4400];
    (void)snprintf(other, sizeof other, "%s.tmp-1", file_of(7));
    assert_int_equal(rename(file_of(7), other), 0);
    CHECK_OK(bw__checkpoint_open_newest(&c, folder));
    assert_null(c);
}

static void a_damaged_one_is_named_and_the_one_before_is_used(void **state)
{
    (void)state;
    write_step(4, 3);
    write_step(8, 3);
    write_step(12, 3);
    int64_t bytes = size_of(12);
    /* Any part of the file: length, header with the metadata, first and last tensor; and cut short. */
    const int64_t places[] = { 0, 9, 60, bytes / 2, bytes - 200, bytes - 1 };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        log_text[0] = '\0';
        flip_byte(12, places[i]);
        assert_newest_is(8);
        assert_non_null(strstr(log_text, file_of(12)));
        assert_non_null(strstr(log_text, "using the one before"));
        flip_byte(12, places[i]);
        assert_newest_is(12);
    }
    cut_to(12, bytes - 4);
    assert_newest_is(8);
    cut_to(12, 0);
    assert_newest_is(8);
    cut_to(8, 20);
    assert_newest_is(4);
}

static void one_under_another_steps_name_is_not_used(void **state)
{
    (void)state;
    char from[4300];
    write_step(4, 3);
    write_step(8, 3);
    (void)snprintf(from, sizeof from, "%s", file_of(4));
    assert_int_equal(rename(from, file_of(16)), 0);
    assert_newest_is(8);
}

static void when_all_are_damaged_the_run_does_not_silently_start_over(void **state)
{
    (void)state;
    bw_checkpoint *c = NULL;
    write_step(4, 2);
    write_step(8, 2);
    cut_to(4, 100);
    flip_byte(8, size_of(8) - 1);
    assert_int_equal(bw__checkpoint_open_newest(&c, folder), BW_EDATA);
    assert_null(c);
    assert_non_null(strstr(bw_last_error(), folder));
    assert_non_null(strstr(bw_last_error(), "to start over"));
}

static void only_the_newest_are_kept(void **state)
{
    (void)state;
    for (int64_t step = 3; step <= 12; step += 3)
        write_step(step, 2);
    assert_false(is_there(3));
    assert_false(is_there(6));
    assert_true(is_there(9));
    assert_true(is_there(12));
    write_step(15, 1);
    assert_false(is_there(9));
    assert_false(is_there(12));
    assert_true(is_there(15));
}

/* After going on from step 8 because step 12 was damaged, its file must not push out whole ones. */
static void a_damaged_later_one_does_not_count_as_kept(void **state)
{
    (void)state;
    write_step(8, 2);
    write_step(12, 2);
    cut_to(12, 50);
    write_step(10, 2);
    assert_true(is_there(8));
    assert_true(is_there(10));
    assert_newest_is(10);
}

static void another_network_is_refused_and_left_unchanged(void **state)
{
    (void)state;
    bw_checkpoint *c = NULL;
    static toy other, before;
    write_step(5, 1);
    CHECK_OK(bw__checkpoint_open_newest(&c, folder));
    /* As many values, but of another shape. */
    make(&other, 1);
    other.items[1][0].dim[0] = 4;
    other.items[1][0].dim[1] = 5;
    before = other;
    assert_int_equal(bw__checkpoint_restore(&other.network, NULL, c), BW_ESHAPE);
    assert_non_null(strstr(bw_last_error(), file_of(5)));
    assert_memory_equal(other.values, before.values, sizeof before.values);
    assert_memory_equal(other.momenta, before.momenta, sizeof before.momenta);
    bw__checkpoint_close(c);
}

static void same_state_gives_same_bytes_whatever_the_threads(void **state)
{
    (void)state;
    char *a = NULL, *b = NULL;
    size_t na = 0, nb = 0;
    toy t;
    make(&t, 3);
    t.network.config.threads = 1;
    CHECK_OK(bw__checkpoint_write(folder, &t.network, NULL, 3, 60, 1));
    CHECK_OK(bw__file_read(&a, &na, file_of(3), 1 << 20));
    t.network.config.threads = 2;
    t.network.config.data.threads = 5;
    t.network.config.checkpoint.keep = 7;
    CHECK_OK(bw__checkpoint_write(folder, &t.network, NULL, 3, 60, 1));
    CHECK_OK(bw__file_read(&b, &nb, file_of(3), 1 << 20));
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    bw__free(a);
    bw__free(b);
}

static void a_full_disk_leaves_the_older_checkpoints_and_no_new_name(void **state)
{
    (void)state;
    struct rlimit old, small;
    toy t;
    write_step(4, 2);
    write_step(8, 2);
    int64_t whole = size_of(8);
    make(&t, 12);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = old;
    small.rlim_cur = (rlim_t)(whole - 8);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bw_status st = bw__checkpoint_write(folder, &t.network, NULL, 12, 60, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(st, BW_EIO);
    assert_non_null(strstr(bw_last_error(), file_of(12)));
    assert_false(is_there(12));
    assert_true(is_there(4));
    assert_newest_is(8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_written_comes_back_bit_for_bit, fresh_folder),
        cmocka_unit_test_setup(without_a_checkpoint_there_is_none_and_no_error, fresh_folder),
        cmocka_unit_test_setup(a_damaged_one_is_named_and_the_one_before_is_used, fresh_folder),
        cmocka_unit_test_setup(one_under_another_steps_name_is_not_used, fresh_folder),
        cmocka_unit_test_setup(when_all_are_damaged_the_run_does_not_silently_start_over, fresh_folder),
        cmocka_unit_test_setup(only_the_newest_are_kept, fresh_folder),
        cmocka_unit_test_setup(a_damaged_later_one_does_not_count_as_kept, fresh_folder),
        cmocka_unit_test_setup(another_network_is_refused_and_left_unchanged, fresh_folder),
        cmocka_unit_test_setup(same_state_gives_same_bytes_whatever_the_threads, fresh_folder),
        cmocka_unit_test_setup(a_full_disk_leaves_the_older_checkpoints_and_no_new_name, fresh_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
