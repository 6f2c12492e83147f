/* What a run leaves for TensorBoard, read by Google's protobuf library: numbers as in metrics.jsonl while the
 * run goes on, views, a new file behind a checkpoint, and nothing lost with a disk that is full. */
#include "check.h"
#include "base/memory.h"
#include "blockwise/blockwise.h"
#include "data/decode.h"
#include "formats/file.h"
#include "train/events.h"
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGES = 20, SIDE = 16, STEPS = 6, LEFT = 4 /* of STEPS, where a run is stopped */ };

static char root[4200], data[4300], run[4300];
static char warned[2048];
static int warnings;
static bw_config config;

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level != BW_LOG_WARN) return;
    (void)snprintf(warned, sizeof warned, "%s", line);
    warnings++;
}

static void write_images(void)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", data);
    assert_int_equal(mkdir(data, 0777), 0);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    const unsigned char header[16] = { 0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, SIDE, 0, 0, 0, SIDE };
    assert_int_equal(fwrite(header, 1, sizeof header, f), sizeof header);
    for (int i = 0; i < IMAGES * SIDE * SIDE; i++)
        assert_true(fputc(i * (i / 200 + 3) % 256, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int fresh(void **state)
{
    (void)state;
    const char *yaml = "threads: 1\n"
                       "model: {arch: resnet18, stem: cifar, width: 8}\n"
                       "projector: {widths: [16, 12]}\n"
                       "train: {batch: 5, epochs: 9, steps: 6}\n"
                       "data: {image_size: 16, threads: 1}\n"
                       "events: {images: 3}\n";
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    (void)snprintf(data, sizeof data, "%s/data", root);
    (void)snprintf(run, sizeof run, "%s/run", root);
    write_images();
    config = bw_config_default();
    warnings = 0;
    bw_set_log(keep_log, NULL);
    return bw_config_load(&config, yaml, strlen(yaml), "test") == BW_OK ? 0 : -1;
}

/* --- the reader --- */

/* Event file number `at` of the run, of `expected`. */
static const char *file_at(size_t at, size_t expected)
{
    static char path[4500];
    glob_t found;
    (void)snprintf(path, sizeof path, "%s/events.out.tfevents.*", run);
    int none = glob(path, 0, NULL, &found);
    assert_int_equal(none ? 0 : found.gl_pathc, expected);
    if (none) return "";
    (void)snprintf(path, sizeof path, "%s", found.gl_pathv[at]);
    globfree(&found);
    return path;
}

static bool there_is_a_reader(void)
{
    return system("/usr/bin/python3 -c 'import google.protobuf' 2>/dev/null") == 0;
}

/* Its lines, and pictures of the file in the root as STEP.png. */
static const char *read_file(const char *path)
{
    static char text[1 << 16];
    char command[9500];
    (void)snprintf(command, sizeof command, "/usr/bin/python3 %s/tests/formats/read_tfevents.py '%s' '%s'",
                   getenv("BW_SOURCE"), path, root);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    assert_int_equal(pclose(f), 0);
    return text;
}

static bool has_line(const char *text, const char *line)
{
    const char *found = strstr(text, line);
    return found && (found == text || found[-1] == '\n') && found[strlen(line)] == '\n';
}

static bool has_value(const char *text, int64_t step, const char *tag, double value)
{
    char line[128];
    (void)snprintf(line, sizeof line, "%lld %s %.6g", (long long)step, tag, (double)(float)value);
    return has_line(text, line);
}

/* --- one run --- */

typedef struct session {
    int64_t done, stop_at;
    int64_t looked; /* steps found in the file as they were done */
    int64_t full_at;
    bool look;
} session;

/* What the file of the run's metrics has of a step, and the step itself. */
static int64_t is_there(const bw_step *s)
{
    const char *text = read_file(file_at(0, 1));
    char tag[64];
    bool there = has_value(text, s->step, "run/lr", s->lr);
    for (int k = 0; k < s->blocks; k++) {
        (void)snprintf(tag, sizeof tag, "loss/block %d", k + 1);
        there = there && has_value(text, s->step, tag, s->loss[k]);
        (void)snprintf(tag, sizeof tag, "off_diag/block %d", k + 1);
        there = there && has_value(text, s->step, tag, s->term[1][k]);
    }
    return there;
}

/* From here on the open event file takes no more bytes. */
static void fill_disk(void)
{
    char link[64], target[4500];
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), found = 0;
    assert_true(full >= 0);
    for (int fd = 3; fd < 256; fd++) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n <= 0) continue;
        target[n] = '\0';
        if (!strstr(target, "events.out.tfevents")) continue;
        assert_int_equal(dup2(full, fd), fd);
        found++;
    }
    (void)close(full);
    assert_int_equal(found, 1);
}

static void on_step(void *user, const bw_step *step)
{
    session *s = user;
    s->done = step->step;
    if (s->look) s->looked += is_there(step);
    if (step->step == s->full_at) fill_disk();
}

static bw_request ask(void *user)
{
    const session *s = user;
    return s->done == s->stop_at ? BW_SAVE_AND_STOP : BW_GO_ON;
}

static bw_status pretrain(session *s, bool resume)
{
    bw_pretrain_options o = { .config = &config,
                              .data = data,
                              .out = run,
                              .resume = resume,
                              .user = s,
                              .on_step = on_step,
                              .request = ask };
    return bw_pretrain(&o);
}

static void set(const char *assignment)
{
    CHECK_OK(bw_config_set(&config, assignment));
}

/* --- facts --- */

static void another_reader_finds_each_step_while_the_run_goes_on(void **state)
{
    (void)state;
    session s = { .look = true };
    CHECK_OK(pretrain(&s, false));
    assert_int_equal(s.looked, STEPS);
    const char *text = read_file(file_at(0, 1));
    assert_true(has_line(text, "1 session 1"));
    assert_non_null(strstr(text, "\n6 effective_rank/block 4 "));
    assert_non_null(strstr(text, "\n1 views 52x34 PNG ")); /* three images, two pixels between them */
    assert_int_equal(warnings, 0);
}

/* A reader forgets what it has of step 5 and later, and takes the new file's. */
static void a_resumed_run_goes_on_in_a_new_file_behind_its_checkpoint(void **state)
{
    (void)state;
    session s = { .stop_at = LEFT };
    assert_int_equal(pretrain(&s, false), BW_EINTERRUPTED);
    s = (session){ 0 };
    CHECK_OK(pretrain(&s, true));
    const char *text = read_file(file_at(1, 2));
    assert_true(has_line(text, "5 session 1"));
    assert_non_null(strstr(text, "\n5 loss/block 1 "));
    assert_non_null(strstr(text, "\n6 loss/block 1 "));
    assert_null(strstr(text, "\n4 loss/block 1 "));
    CHECK_OK(pretrain(&s, true)); /* finished: nothing to say */
    (void)file_at(0, 2);
}

static void a_full_disk_ends_the_file_and_not_the_run(void **state)
{
    (void)state;
    session s = { .full_at = 3 };
    CHECK_OK(pretrain(&s, false));
    assert_int_equal(s.done, STEPS);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warned, "nothing more for TensorBoard from step 4 on: "));
    assert_non_null(strstr(warned, "No space left on device; metrics.jsonl goes on"));
    assert_non_null(strstr(read_file(file_at(0, 1)), "\n3 loss/block 1 "));
}

static void there_are_fewer_points_or_none_where_the_settings_say_so(void **state)
{
    (void)state;
    session s = { 0 };
    set("events.every=4");
    set("events.images=0");
    CHECK_OK(pretrain(&s, false));
    const char *text = read_file(file_at(0, 1));
    assert_non_null(strstr(text, "\n1 loss/block 1 ")); /* with health */
    assert_null(strstr(text, "\n2 "));
    assert_non_null(strstr(text, "\n4 loss/block 1 "));
    assert_non_null(strstr(text, "\n6 loss/block 1 ")); /* the last */
    assert_null(strstr(text, "views"));

    (void)snprintf(run, sizeof run, "%s/none", root);
    set("events.every=0");
    CHECK_OK(pretrain(&s, false));
    (void)file_at(0, 0);
}

static void a_picture_has_an_image_a_column_and_its_views_below_each_other(void **state)
{
    (void)state;
    enum { N = 3, S = 8, GAP = 2 };
    float views[BW_VIEWS][N][S][S][3];
    bw_image picture = { 0 };
    char *png, path[4400];
    size_t bytes;
    set("data.image_size=8");
    CHECK_OK(bw_config_resolve(&config));
    for (int v = 0; v < BW_VIEWS; v++)
        for (int i = 0; i < N; i++)
            for (int p = 0; p < S * S * 3; p++)
                (&views[v][i][0][0][0])[p] =
                    (float)((((v * N + i) * 40 + p % 3) / 255.0 - config.augment.mean[p % 3]) /
                            config.augment.std[p % 3]);
    assert_int_equal(mkdir(run, 0777), 0);
    bw_events *e = bw__events_open(run, &config, 0, 1);
    assert_non_null(e);
    bw__events_views(e, 1, &views[0][0][0][0][0], N);
    bw__events_close(e);
    (void)read_file(file_at(0, 1));
    (void)snprintf(path, sizeof path, "%s/1.png", root);
    CHECK_OK(bw__file_read(&png, &bytes, path, 1 << 20));
    CHECK_OK(bw__decode(&picture, (const uint8_t *)png, bytes, NULL));
    assert_int_equal(picture.width, N * S + 2 * GAP);
    assert_int_equal(picture.height, 2 * S + GAP);
    for (int y = 0; y < picture.height; y++)
        for (int x = 0; x < picture.width; x++)
            for (int c = 0; c < 3; c++) {
                bool between = x % (S + GAP) >= S || y % (S + GAP) >= S;
                int want = between ? 255 : (y / (S + GAP) * N + x / (S + GAP)) * 40 + c;
                assert_int_equal(picture.rgb[(y * picture.width + x) * 3 + c], want);
            }
    bw__free(png);
    bw_image_clear(&picture);
}

int main(void)
{
    if (!there_is_a_reader()) return 77; /* left out, as ctest is told */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(another_reader_finds_each_step_while_the_run_goes_on, fresh),
        cmocka_unit_test_setup(a_resumed_run_goes_on_in_a_new_file_behind_its_checkpoint, fresh),
        cmocka_unit_test_setup(a_full_disk_ends_the_file_and_not_the_run, fresh),
        cmocka_unit_test_setup(there_are_fewer_points_or_none_where_the_settings_say_so, fresh),
        cmocka_unit_test_setup(a_picture_has_an_image_a_column_and_its_views_below_each_other, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
