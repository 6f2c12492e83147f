/* What --json prints is one JSON value, read back by a strict parser, with the promised keys. */
#include "check.h"
#include "base/memory.h"
#include "formats/json.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[512];

/* Runs the program on the words of `fmt` and parses what it prints; the caller releases. */
static json_t *run_json(const char *fmt, ...)
{
    char words[1024], command[2048];
    static char text[1 << 20];
    json_t *value = NULL;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    const char *program = getenv("BLOCKWISE");
    assert_non_null(program);
    (void)snprintf(command, sizeof command, "'%s' %s 2>/dev/null", program, words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(text, 1, sizeof text, pipe);
    assert_int_equal(pclose(pipe), 0);
    CHECK_OK(bw__json_parse(&value, text, n, words));
    return value;
}

static void assert_keys(const json_t *object, const char *const *keys)
{
    for (; *keys; keys++)
        if (!json_object_get(object, *keys)) fail_msg("no key %s", *keys);
}

static void write_idx(const char *name, unsigned char images, bool labels)
{
    enum { SIZE = 16 };
    char path[1024];
    const unsigned char header[16] = {
        0, 0, 8, labels ? 1 : 3, 0, 0, 0, images, 0, 0, 0, SIZE, 0, 0, 0, SIZE
    };
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(header, labels ? 8 : 16, 1, file), 1);
    for (int i = 0; i < images * (labels ? 1 : SIZE * SIZE); i++)
        assert_int_not_equal(fputc(labels ? i % 3 : i * 7 % 251, file), EOF);
    assert_int_equal(fclose(file), 0);
}

static int make_run(void **state)
{
    char command[2048];
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", temp_folder());
    write_idx("train-images-idx3-ubyte", 24, false);
    write_idx("train-labels-idx1-ubyte", 24, true);
    write_idx("t10k-images-idx3-ubyte", 9, false);
    write_idx("t10k-labels-idx1-ubyte", 9, true);
    (void)snprintf(
        command, sizeof command,
        "'%s' pretrain --data '%s' --out '%s/run' --quiet --set model.arch=resnet18 --set model.width=8 "
        "--set model.stem=cifar --set data.image_size=16 --set 'projector.widths=[16,16]' "
        "--set train.batch=8 --set train.steps=2 --set threads=2 >/dev/null",
        getenv("BLOCKWISE"), folder, folder);
    return system(command);
}

static int remove_run(void **state)
{
    char command[1024];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static void probe_prints_an_array_of_blocks_and_features(void **state)
{
    static const char *const KEYS[] = { "block", "feature", "top1", "top5", "protocol", NULL };
    (void)state;
    json_t *array = run_json("probe '%s/run' --data '%s' --concat --epochs 2 --json", folder, folder);
    assert_int_equal(json_array_size(array), 5);
    for (size_t i = 0; i < 5; i++)
        assert_keys(json_array_get(array, i), KEYS);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(array, 0), "block")), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(array, 4), "block")), "concat");
    assert_string_equal(json_string_value(json_object_get(json_array_get(array, 0), "feature")), "head");
    json_decref(array);
}

static void knn_prints_an_array_with_k(void **state)
{
    static const char *const KEYS[] = { "block", "feature", "k", "top1", "top5", "protocol", NULL };
    (void)state;
    json_t *array = run_json("knn '%s/run' --data '%s' --k 2,3 --block 2 --json", folder, folder);
    assert_int_equal(json_array_size(array), 2);
    assert_keys(json_array_get(array, 0), KEYS);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(array, 1), "k")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(array, 1), "block")), 2);
    json_decref(array);
    array = run_json("knn --raw --data '%s' --k 2 --json", folder);
    assert_string_equal(json_string_value(json_object_get(json_array_get(array, 0), "block")), "raw");
    json_decref(array);
}

static void pretrain_prints_an_object_of_its_run_also_when_it_was_finished(void **state)
{
    static const char *const KEYS[] = { "run", "steps", "loss", "blocks", "weights", "heads", NULL };
    char path[1024];
    (void)state;
    json_t *value =
        run_json("pretrain --data '%s' --out '%s/run2' --set model.arch=resnet18 --set model.width=8 "
                 "--set model.stem=cifar --set data.image_size=16 --set 'projector.widths=[16,16]' "
                 "--set train.batch=8 --set train.steps=2 --set threads=2 --json",
                 folder, folder);
    assert_keys(value, KEYS);
    assert_int_equal(json_integer_value(json_object_get(value, "steps")), 2);
    assert_int_equal(json_array_size(json_object_get(value, "loss")), 4);
    assert_true(json_number_value(json_array_get(json_object_get(value, "loss"), 3)) > 0.0);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(value, "blocks"), 3), "verdict")),
        "too short to say");
    (void)snprintf(path, sizeof path, "%s/run2/model.safetensors", folder);
    assert_string_equal(json_string_value(json_object_get(value, "weights")), path);
    json_t *again = run_json("pretrain --data '%s' --out '%s/run2' --resume --json", folder, folder);
    assert_true(json_equal(value, again));
    json_decref(value);
    json_decref(again);
}

static void inspect_prints_an_object_for_runs_and_files(void **state)
{
    static const char *const RUN[] = { "kind",         "path",    "finished", "steps", "checkpoints",
                                       "last_metrics", "network", "config",   NULL };
    static const char *const FILE_KEYS[] = { "kind", "path", "network", "metadata", "tensors", NULL };
    (void)state;
    json_t *object = run_json("inspect '%s/run' --json", folder);
    assert_keys(object, RUN);
    assert_int_equal(json_integer_value(json_object_get(object, "steps")), 2);
    const json_t *config = json_object_get(object, "config");
    assert_int_equal(json_integer_value(json_object_get(config, "train.batch")), 8);
    assert_string_equal(json_string_value(json_object_get(config, "model.arch")), "resnet18");
    assert_int_equal(json_array_size(json_object_get(config, "projector.widths")), 2);
    json_decref(object);
    object = run_json("inspect '%s/run/model.safetensors' --json", folder);
    assert_keys(object, FILE_KEYS);
    assert_string_equal(json_string_value(json_object_get(object, "kind")), "network");
    assert_int_equal(json_array_size(json_object_get(json_object_get(object, "network"), "blocks")), 4);
    assert_string_equal(json_string_value(json_object_get(json_object_get(object, "metadata"), "format")),
                        "pt");
    json_decref(object);
}

static void data_check_prints_an_object_of_splits(void **state)
{
    static const char *const SPLIT[] = { "split", "images",  "unreadable", "height",
                                         "width", "classes", "bad",        NULL };
    (void)state;
    json_t *object = run_json("data check '%s' --format idx --json", folder);
    assert_string_equal(json_string_value(json_object_get(object, "format")), "idx");
    const json_t *splits = json_object_get(object, "splits");
    assert_int_equal(json_array_size(splits), 2);
    assert_keys(json_array_get(splits, 1), SPLIT);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(splits, 1), "images")), 9);
    json_decref(object);
}

static void shares_of_a_profile_add_up_to_the_step(void **state)
{
    static const char *const ROW[] = { "operation", "pass", "s_per_step", "share", "gflops", "calls", NULL };
    (void)state;
    json_t *value =
        run_json("bench step --set model.arch=resnet18 --set model.width=8 --set model.stem=cifar "
                 "--set data.image_size=16 --set 'projector.widths=[16,16]' --set threads=2 "
                 "--steps 2 --warmup 1 --profile --json");
    const json_t *rows = json_object_get(value, "profile");
    double sum = 0.0;
    size_t n = json_array_size(rows);
    assert_true(n > 5);
    for (size_t i = 0; i < n; i++) {
        double share = json_number_value(json_object_get(json_array_get(rows, i), "share"));
        assert_keys(json_array_get(rows, i), ROW);
        assert_true(share >= 0.0);
        sum += share;
    }
    assert_true(sum > 1.0 - 1e-7 && sum < 1.0 + 1e-7); /* of numbers with nine digits */
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, n - 1), "operation")),
                        "everything else");
    json_decref(value);
}

static void bench_prints_the_promised_keys(void **state)
{
    static const char *const STEP[] = { "order",   "arch",          "image_size",    "batch",  "dtype",
                                        "threads", "step_s_median", "samples_per_s", "gflops", "peak_rss_mb",
                                        NULL };
    static const char *const LOADER[] = { "format", "images", "batch", "threads", "samples_per_s", NULL };
    static const char *const MATMUL[] = { "m", "n", "k", "threads", "gflops", NULL };
    (void)state;
    json_t *value =
        run_json("bench step --set model.arch=resnet18 --set model.width=8 --set model.stem=cifar "
                 "--set data.image_size=16 --set 'projector.widths=[16,16]' --set threads=2 --set "
                 "train.order=end-to-end --steps 1 --warmup 1 --json");
    assert_keys(value, STEP);
    assert_int_equal(json_integer_value(json_object_get(value, "batch")), 8);
    assert_string_equal(json_string_value(json_object_get(value, "order")), "end-to-end");
    assert_true(json_number_value(json_object_get(value, "gflops")) > 0.0);
    json_decref(value);
    value = run_json("bench loader --data '%s' --set data.image_size=16 --steps 1 --json", folder);
    assert_keys(value, LOADER);
    assert_int_equal(json_integer_value(json_object_get(value, "images")), 24);
    json_decref(value);
    value = run_json("bench matmul --steps 1 --set threads=2 --json");
    assert_true(json_array_size(value) > 0);
    assert_keys(json_array_get(value, 0), MATMUL);
    json_decref(value);
}

/* A file in the Trace Event Format: spans have a time, a length and a place, and name their block. */
static void a_trace_is_json_that_viewers_know(void **state)
{
    (void)state;
    char path[1024];
    json_t *trace = NULL;
    (void)snprintf(path, sizeof path, "%s/trace.json", folder);
    json_decref(
        run_json("bench step --json --steps 1 --warmup 0 --trace '%s' --set model.arch=resnet18 "
                 "--set model.width=8 --set model.stem=cifar --set data.image_size=16 --set train.batch=4 "
                 "--set 'projector.widths=[16,16]' --set threads=1",
                 path));
    CHECK_OK(bw__json_load(&trace, path));
    const json_t *events = json_object_get(trace, "traceEvents");
    assert_true(json_is_array(events));
    int forwards = 0, updates = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        const char *name = json_string_value(json_object_get(e, "name")),
                   *kind = json_string_value(json_object_get(e, "ph"));
        assert_non_null(name);
        assert_non_null(kind);
        assert_true(json_is_integer(json_object_get(e, "pid")));
        if (strcmp(kind, "X") != 0) continue;
        assert_keys(e, (const char *const[]){ "cat", "tid", NULL });
        assert_true(json_number_value(json_object_get(e, "ts")) >= 0.0);
        assert_true(json_number_value(json_object_get(e, "dur")) >= 0.0);
        int64_t block = json_integer_value(json_object_get(json_object_get(e, "args"), "block"));
        if (strcmp(name, "forward") == 0) assert_int_equal(block, ++forwards);
        if (strcmp(name, "update") == 0) assert_int_equal(block, ++updates);
    }
    assert_int_equal(forwards, 4);
    assert_int_equal(updates, 4);
    json_decref(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_prints_an_array_of_blocks_and_features),
        cmocka_unit_test(knn_prints_an_array_with_k),
        cmocka_unit_test(pretrain_prints_an_object_of_its_run_also_when_it_was_finished),
        cmocka_unit_test(inspect_prints_an_object_for_runs_and_files),
        cmocka_unit_test(data_check_prints_an_object_of_splits),
        cmocka_unit_test(bench_prints_the_promised_keys),
        cmocka_unit_test(shares_of_a_profile_add_up_to_the_step),
        cmocka_unit_test(a_trace_is_json_that_viewers_know),
    };
    return cmocka_run_group_tests(tests, make_run, remove_run);
}
