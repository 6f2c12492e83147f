#include "check.h"
#include "formats/tfevents.h"
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The only event file in `folder`, or the one at place `at` of several in the order of their names. */
static char *file_at(const char *folder, size_t at, size_t expected)
{
    char pattern[512];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/events.out.tfevents.*", folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, expected);
    char *path = strdup(found.gl_pathv[at]);
    globfree(&found);
    return path;
}

/* What the independent reader prints of a file. */
static char *read_by_protobuf(const char *path)
{
    static char text[1 << 16];
    char command[1024];
    (void)snprintf(command, sizeof command, "/usr/bin/python3 %s/tests/formats/read_tfevents.py '%s'",
                   getenv("BW_SOURCE"), path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    assert_int_equal(pclose(f), 0);
    return text;
}

static void another_reader_finds_every_value(void **state)
{
    (void)state;
    static const char png[] = "\x89PNG and so on";
    bw_tfevents *e;
    const char *folder = temp_folder();
    CHECK_OK(bw__tfevents_open(&e, folder, 1));
    CHECK_OK(bw__tfevents_add(e, "loss/block 1", 1.5));
    CHECK_OK(bw__tfevents_add(e, "loss/block 2", (double)NAN)); /* left out */
    CHECK_OK(bw__tfevents_add(e, "run/lr", 0.0));               /* a value like any other */
    CHECK_OK(bw__tfevents_write(e, 1));
    CHECK_OK(bw__tfevents_write(e, 2)); /* nothing to write */
    for (int i = 0; i < 200; i++) {
        char tag[32];
        (void)snprintf(tag, sizeof tag, "many/%d", i);
        CHECK_OK(bw__tfevents_add(e, tag, i));
    }
    CHECK_OK(bw__tfevents_add_png(e, "views", png, sizeof png - 1, 3, 5));
    CHECK_OK(bw__tfevents_write(e, 3000000000LL));
    /* Read while it is open. */
    char *path = file_at(folder, 0, 1);
    const char *text = read_by_protobuf(path);
    assert_non_null(strstr(text, "version brain.Event:2\n1 session 1\n1 loss/block 1 1.5\n1 run/lr 0\n"
                                 "3000000000 many/0 0\n"));
    assert_non_null(strstr(text, "3000000000 many/199 199\n3000000000 views 5x3 PNG 14\n"));
    assert_null(strstr(text, "block 2"));
    free(path);
    bw__tfevents_close(e);
}

static void damage_is_seen_by_the_reader(void **state)
{
    (void)state;
    bw_tfevents *e;
    char command[1024];
    const char *folder = temp_folder();
    CHECK_OK(bw__tfevents_open(&e, folder, 1));
    CHECK_OK(bw__tfevents_add(e, "loss", 1.5));
    CHECK_OK(bw__tfevents_write(e, 1));
    bw__tfevents_close(e);
    char *path = file_at(folder, 0, 1);
    (void)read_by_protobuf(path);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, -6, SEEK_END), 0);
    assert_int_equal(fputc('x', f), 'x');
    assert_int_equal(fclose(f), 0);
    (void)snprintf(command, sizeof command,
                   "/usr/bin/python3 %s/tests/formats/read_tfevents.py '%s' >/dev/null 2>&1",
                   getenv("BW_SOURCE"), path);
    assert_int_not_equal(system(command), 0);
    free(path);
}

static void each_start_has_a_file_behind_the_ones_before(void **state)
{
    (void)state;
    bw_tfevents *first, *second;
    const char *folder = temp_folder();
    CHECK_OK(bw__tfevents_open(&first, folder, 1));
    CHECK_OK(bw__tfevents_open(&second, folder, 41));
    char *path = file_at(folder, 1, 2);
    assert_non_null(strstr(read_by_protobuf(path), "41 session 1"));
    free(path);
    bw__tfevents_close(first);
    bw__tfevents_close(second);
}

static void folder_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    bw_tfevents *e;
    assert_int_equal(bw__tfevents_open(&e, "/nowhere/run", 1), BW_EIO);
    assert_null(e);
    assert_non_null(strstr(bw_last_error(), "/nowhere/run/events.out.tfevents."));
}

int main(void)
{
    if (system("/usr/bin/python3 -c 'import google.protobuf' 2>/dev/null") != 0) return 77; /* left out */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_reader_finds_every_value),
        cmocka_unit_test(damage_is_seen_by_the_reader),
        cmocka_unit_test(each_start_has_a_file_behind_the_ones_before),
        cmocka_unit_test(folder_that_cannot_be_written_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
