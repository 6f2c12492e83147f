/* Whole runs on twenty small images: what a run folder holds, and that stopping, damage and resuming never
 * change a result. */
#include "check.h"
#include "base/memory.h"
#include "blockwise/blockwise.h"
#include "formats/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/network_internal.h"
#include "train/checkpoint.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGES = 20, HEIGHT = 18, WIDTH = 17, BATCH = 6, STEPS = 8 };

static char root[4200], data[4300], log_text[4096];
static int collapses[BW_MAX_BLOCKS]; /* warnings of them, by block */
static bw_config config;

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    int block = 0, end = 0;
    if (level == BW_LOG_WARN) (void)snprintf(log_text, sizeof log_text, "%s", line);
    (void)sscanf(line, "block %d has collapsed:%n", &block, &end);
    if (end > 0 && block >= 1 && block <= BW_MAX_BLOCKS) collapses[block - 1]++;
}

/* Images in the form of MNIST: a header and a byte a pixel. */
static void write_images(int n)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", data);
    (void)mkdir(data, 0777);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    const unsigned char header[16] = {
        0, 0, 8, 3, 0, 0, 0, (unsigned char)n, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH
    };
    assert_int_equal(fwrite(header, 1, sizeof header, f), sizeof header);
    for (int i = 0; i < n; i++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                assert_true(fputc((x * (i + 3) + y * y * (i % 5 + 1) + i * 37) % 256, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int fresh(void **state)
{
    (void)state;
    const char *yaml = "seed: 3\nthreads: 1\n"
                       "model: {arch: resnet18, stem: cifar, width: 8}\n"
                       "projector: {widths: [16, 12]}\n"
                       "train: {batch: 6, epochs: 4, steps: 8}\n"
                       "data: {image_size: 16, threads: 1}\n"
                       "health: {every: 4}\n"
                       "checkpoint: {every: 3, keep: 2}\n";
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    (void)snprintf(data, sizeof data, "%s/data", root);
    write_images(IMAGES);
    config = bw_config_default();
    log_text[0] = '\0';
    memset(collapses, 0, sizeof collapses);
    bw_set_log(keep_log, NULL);
    return bw_config_load(&config, yaml, strlen(yaml), "test") == BW_OK ? 0 : -1;
}

static void set(const char *assignment)
{
    CHECK_OK(bw_config_set(&config, assignment));
}

/* --- one run --- */

typedef struct session {
    int64_t total, first, images, steps_seen;
    int64_t stop_at, save_at; /* 0: never */
    int starts;
    char seen[32]; /* of the images, before it starts */
} session;

static void on_data(void *user, const bw_dataset *images)
{
    session *s = user;
    const size_t used = strlen(s->seen);
    (void)snprintf(s->seen + used, sizeof s->seen - used, "%s %lld, %d;", bw_dataset_format(images),
                   (long long)bw_dataset_size(images), s->starts);
}

static void on_start(void *user, int64_t total, int64_t first, int64_t images)
{
    session *s = user;
    s->total = total;
    s->first = first;
    s->images = images;
    s->starts++;
}

static void on_step(void *user, const bw_step *step)
{
    session *s = user;
    s->steps_seen = step->step;
}

static bw_request ask(void *user)
{
    const session *s = user;
    if (s->steps_seen == s->stop_at) return BW_SAVE_AND_STOP;
    return s->steps_seen == s->save_at ? BW_SAVE_AND_GO_ON : BW_GO_ON;
}

static const char *in_root(const char *run, const char *name)
{
    static char paths[4][4600];
    static int next;
    char *path = paths[next++ % 4];
    bool absolute = run[0] == '/';
    (void)snprintf(path, sizeof paths[0], "%s%s%s%s%s", absolute ? "" : root, absolute ? "" : "/", run,
                   *name ? "/" : "", name);
    return path;
}

static bw_status pretrain_from(session *s, const char *run, bool resume, const char *init)
{
    bw_pretrain_options o = { .config = &config,
                              .data = data,
                              .out = in_root(run, ""),
                              .resume = resume,
                              .init = init,
                              .command = "test \"quoted\"",
                              .user = s,
                              .on_start = on_start,
                              .on_step = on_step,
                              .request = ask,
                              .on_data = on_data };
    return bw_pretrain(&o);
}

static bw_status pretrain(session *s, const char *run, bool resume)
{
    return pretrain_from(s, run, resume, NULL);
}

static void run_whole(const char *run)
{
    session s = { 0 };
    CHECK_OK(pretrain(&s, run, false));
    assert_int_equal(s.steps_seen, STEPS);
}

static void run_and_stop(const char *run, int64_t at)
{
    session s = { .stop_at = at };
    assert_int_equal(pretrain(&s, run, false), BW_EINTERRUPTED);
    assert_int_equal(s.steps_seen, at);
}

/* --- what is in a folder --- */

static bool is_there(const char *run, const char *name)
{
    return access(in_root(run, name), F_OK) == 0;
}

static bool has_checkpoint(const char *run, int step)
{
    char name[64];
    (void)snprintf(name, sizeof name, "checkpoints/step-%08d.safetensors", step);
    return is_there(run, name);
}

static char *read_all(const char *run, const char *name, size_t *bytes)
{
    char *text = NULL;
    size_t n = 0;
    CHECK_OK(bw__file_read(&text, bytes ? bytes : &n, in_root(run, name), 1 << 27));
    return text;
}

static void assert_same_file(const char *a, const char *b, const char *name)
{
    size_t na = 0, nb = 0;
    char *ta = read_all(a, name, &na), *tb = read_all(b, name, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(ta, tb, na);
    bw__free(ta);
    bw__free(tb);
}

/* metrics.jsonl without what a clock or the machine decides, which stands last in each line. */
static char *metrics_values(const char *run)
{
    char *text = read_all(run, "metrics.jsonl", NULL), *to = text;
    for (const char *from = text; *from;) {
        size_t line = strcspn(from, "\n"), kept = line;
        const char *clock = strstr(from, ",\"samples_per_s\"");
        if (clock && clock < from + line) kept = (size_t)(clock - from);
        memmove(to, from, kept);
        to += kept;
        *to++ = '\n';
        from += line + (from[line] == '\n');
    }
    *to = '\0';
    return text;
}

static int count_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void assert_same_result(const char *a, const char *b)
{
    char *ma = metrics_values(a), *mb = metrics_values(b);
    assert_int_equal(count_lines(ma), STEPS);
    assert_string_equal(ma, mb);
    bw__free(ma);
    bw__free(mb);
    assert_same_file(a, b, "model.safetensors");
    assert_same_file(a, b, "heads.safetensors");
}

static void append_text(const char *run, const char *name, const char *text)
{
    FILE *f = fopen(in_root(run, name), "a");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* --- a run and its folder --- */

static void a_run_leaves_all_it_promises(void **state)
{
    (void)state;
    session s = { 0 };
    json_t *environment = NULL;
    CHECK_OK(pretrain(&s, "deep/er/run", false));
    assert_int_equal(s.starts, 1);
    assert_int_equal(s.total, STEPS);
    assert_int_equal(s.first, 0);
    assert_int_equal(s.images, IMAGES);
    assert_string_equal(s.seen, "idx 20, 0;");
    const char *names[] = { "config.yaml",       "environment.json",  "metrics.jsonl",
                            "model.safetensors", "heads.safetensors", "finished" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!is_there("deep/er/run", names[i])) fail_msg("%s is missing", names[i]);
    assert_false(has_checkpoint("deep/er/run", 3));
    assert_true(has_checkpoint("deep/er/run", 6));
    assert_true(has_checkpoint("deep/er/run", STEPS));

    CHECK_OK(bw__json_load(&environment, in_root("deep/er/run", "environment.json")));
    const char *keys[] = { "version",         "git",      "host",    "cpu", "instruction_set",
                           "compute_library", "compiler", "command", "data" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_true(json_is_string(json_object_get(environment, keys[i])));
    assert_string_equal(json_string_value(json_object_get(environment, "command")), "test \"quoted\"");
    assert_int_equal(json_integer_value(json_object_get(environment, "threads")), 1);
    json_decref(environment);

    bw_config again = bw_config_default();
    CHECK_OK(bw_config_load_file(&again, in_root("deep/er/run", "config.yaml")));
    assert_int_equal(again.train.batch, BATCH);
    assert_int_equal(again.data.threads, 1);
}

static void metrics_have_a_line_a_step_and_health_at_the_first_every_few_and_the_last(void **state)
{
    (void)state;
    set("health.every=3");
    run_whole("run");
    char *text = read_all("run", "metrics.jsonl", NULL);
    int step = 0;
    for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
        json_t *o = NULL;
        CHECK_OK(bw__json_parse(&o, line, strcspn(line, "\n") + 1, "metrics.jsonl"));
        assert_int_equal(json_integer_value(json_object_get(o, "step")), ++step);
        assert_int_equal(json_integer_value(json_object_get(o, "epoch")), (step - 1) / 3);
        assert_int_equal(json_array_size(json_object_get(o, "loss")), 4);
        assert_int_equal(json_array_size(json_object_get(o, "grad_norm")), 4);
        assert_true(json_number_value(json_object_get(o, "samples_per_s")) > 0);
        assert_true(json_number_value(json_object_get(o, "peak_rss_mb")) > 1);
        bool measured = step == 1 || step == 3 || step == 6 || step == STEPS;
        const char *health[] = { "embedding_std", "effective_rank", "effective_rank_max", "dead_channels" };
        for (int i = 0; i < 4; i++)
            assert_int_equal(json_array_size(json_object_get(o, health[i])), measured ? 4 : 0);
        json_decref(o);
    }
    assert_int_equal(step, STEPS);
    bw__free(text);
}

static void a_folder_in_use_is_refused_and_left_alone(void **state)
{
    (void)state;
    session s = { 0 };
    run_whole("run");
    char *before = read_all("run", "metrics.jsonl", NULL);
    assert_int_equal(pretrain(&s, "run", false), BW_EEXIST);
    assert_int_equal(s.starts, 0);
    char *after = read_all("run", "metrics.jsonl", NULL);
    assert_string_equal(before, after);
    bw__free(before);
    bw__free(after);
}

static void an_empty_folder_is_taken(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_root("run", ""), 0777), 0);
    run_whole("run");
}

static void steps_0_writes_the_initial_weights(void **state)
{
    (void)state;
    session s = { 0 };
    bw_network *net = NULL;
    set("train.steps=0");
    CHECK_OK(pretrain(&s, "random", false));
    assert_int_equal(s.total, 0);
    assert_true(is_there("random", "finished"));
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw_network_create(&net, &config));
    CHECK_OK(bw_network_save(net, in_root("model.safetensors", ""), in_root("heads.safetensors", "")));
    assert_same_file("random", ".", "model.safetensors");
    assert_same_file("random", ".", "heads.safetensors");
    bw_network_free(net);
}

/* VICReg without what keeps embeddings apart: all it wants is that both views are the same. What is left of
 * an embedding is nothing or one direction, by rounding alone; that one direction is told where there could
 * be eight, hence the batch. */
static void a_collapse_is_warned_of_once_and_in_the_verdict_a_resume_included(void **state)
{
    (void)state;
    session s = { .stop_at = 45 }, rest = { 0 };
    bw_verdict verdict;
    set("loss.name=vicreg");
    set("loss.variance=0");
    set("loss.covariance=0");
    set("train.batch=8");
    set("train.epochs=30");
    set("train.steps=60");
    set("optimizer.name=sgd");
    set("optimizer.lr=2");
    set("optimizer.weight_decay=0.01");
    set("checkpoint.every=50");
    assert_int_equal(pretrain(&s, "run", false), BW_EINTERRUPTED);
    assert_int_equal(collapses[0], 1);
    CHECK_OK(pretrain(&rest, "run", true));
    CHECK_OK(bw_verdict_read(&verdict, in_root("run", "")));
    assert_int_equal(verdict.blocks, 4);
    for (int k = 0; k < 4; k++) {
        print_message("block %d: %s, %s\n", k + 1, bw_verdict_text(verdict.block[k].word),
                      verdict.block[k].reason);
        assert_int_equal(verdict.block[k].word, BW_VERDICT_COLLAPSED);
        assert_int_equal(collapses[k], 1);
    }
}

static void a_run_of_a_few_steps_is_not_judged(void **state)
{
    (void)state;
    bw_verdict verdict;
    run_whole("run");
    CHECK_OK(bw_verdict_read(&verdict, in_root("run", "")));
    assert_int_equal(verdict.steps, STEPS);
    for (int k = 0; k < 4; k++)
        assert_int_equal(verdict.block[k].word, BW_VERDICT_TOO_SHORT);
    assert_string_equal(log_text, "");
}

/* --- the same result whatever happens --- */

static void the_same_run_gives_the_same_bytes_with_any_loader_threads(void **state)
{
    (void)state;
    run_whole("one");
    run_whole("again");
    assert_same_result("one", "again");
    set("data.threads=2");
    run_whole("two");
    assert_same_result("one", "two");
    assert_same_file("one", "two", "checkpoints/step-00000006.safetensors");
}

static void stopped_and_resumed_equals_straight(void **state)
{
    (void)state;
    run_whole("straight");
    /* In the middle of an epoch, and twice. */
    session second = { .stop_at = 5 }, third = { 0 };
    run_and_stop("resumed", 4);
    assert_true(has_checkpoint("resumed", 4));
    assert_false(is_there("resumed", "model.safetensors"));
    assert_int_equal(pretrain(&second, "resumed", true), BW_EINTERRUPTED);
    assert_int_equal(second.first, 4);
    set("data.threads=2");
    CHECK_OK(pretrain(&third, "resumed", true));
    assert_int_equal(third.first, 5);
    assert_same_result("straight", "resumed");
    assert_true(is_there("resumed", "environment.json"));
    assert_true(is_there("resumed", "environment-00000004.json"));
}

/* Two steps of every block; stopped within each of their phases and between them. */
static void a_sequential_run_goes_on_from_any_phase(void **state)
{
    (void)state;
    const int64_t stops[] = { 1, 2, 3, 5, 6, 7 };
    set("train.order=sequential");
    set("optimizer.name=adamw");
    set("noise.kind=all");
    run_whole("whole");
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        char run[32];
        session s = { 0 };
        (void)snprintf(run, sizeof run, "stopped%d", (int)stops[i]);
        run_and_stop(run, stops[i]);
        CHECK_OK(pretrain(&s, run, true));
        assert_int_equal(s.first, stops[i]);
        assert_same_result("whole", run);
    }
}

static void chosen_blocks_begin_with_given_weights(void **state)
{
    (void)state;
    session s = { 0 };
    size_t bytes = 0;
    run_whole("first");
    set("train.init_blocks=[1]");
    set("train.blocks=[2,3,4]");
    assert_int_equal(pretrain(&s, "run", false), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "train.init_blocks: there are no weights to take"));
    assert_false(is_there("run", ""));
    CHECK_OK(pretrain_from(&s, "run", false, in_root("first", "")));
    /* Block 1, frozen, is as the first run left it. */
    bw_network *a = NULL, *b = NULL;
    CHECK_OK(bw_network_load(&a, in_root("first", "")));
    CHECK_OK(bw_network_load(&b, in_root("run", "")));
    bytes = (size_t)a->params[0].total * sizeof(float);
    assert_memory_equal(a->params[0].values, b->params[0].values, bytes);
    assert_memory_not_equal(a->params[1].values, b->params[1].values, bytes);
    bw_network_free(a);
    bw_network_free(b);
}

static void figures_of_frozen_blocks_are_null(void **state)
{
    (void)state;
    set("train.order=sequential");
    run_whole("run");
    char *text = read_all("run", "metrics.jsonl", NULL);
    int step = 0;
    for (char *line = text; *line; line += strcspn(line, "\n") + 1, step++) {
        json_t *o = NULL;
        CHECK_OK(bw__json_parse(&o, line, strcspn(line, "\n") + 1, "metrics.jsonl"));
        for (size_t k = 0; k < 4; k++) {
            bool learns = (int)k == step / 2;
            assert_int_equal(json_is_real(json_array_get(json_object_get(o, "loss"), k)), learns);
            assert_int_equal(json_is_null(json_array_get(json_object_get(o, "loss"), k)), !learns);
            assert_int_equal(json_is_null(json_array_get(json_object_get(o, "on_diag"), k)), !learns);
            assert_int_equal(json_is_null(json_array_get(json_object_get(o, "grad_norm"), k)), !learns);
        }
        json_decref(o);
    }
    assert_int_equal(step, STEPS);
    bw__free(text);
}

/* Activations are bf16, but what a run goes on from are f32 weights and momenta. */
static void stopped_and_resumed_in_bf16_equals_straight(void **state)
{
    (void)state;
    session rest = { 0 };
    assert_int_equal(setenv("BLOCKWISE_BF16", "emulate", 1), 0);
    set("dtype=bf16");
    run_whole("straight");
    run_and_stop("resumed", 4);
    CHECK_OK(pretrain(&rest, "resumed", true));
    assert_int_equal(rest.first, 4);
    assert_same_result("straight", "resumed");
    /* Other bits than in f32, and f32 does not go on with them. */
    set("dtype=f32");
    session other = { 0 };
    assert_int_equal(pretrain(&other, "resumed", true), BW_EINVAL);
    run_whole("f32");
    char *a = metrics_values("straight"), *b = metrics_values("f32");
    assert_string_not_equal(a, b);
    bw__free(a);
    bw__free(b);
    assert_int_equal(unsetenv("BLOCKWISE_BF16"), 0);
}

static void write_labels(int n, int classes)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", data);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    const unsigned char header[8] = { 0, 0, 8, 1, 0, 0, 0, (unsigned char)n };
    assert_int_equal(fwrite(header, 1, sizeof header, f), sizeof header);
    for (int i = 0; i < n; i++)
        assert_true(fputc(i % classes, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* loss.classes is open in the settings and known in the run's. */
static void a_supervised_run_goes_on_with_the_settings_it_was_started_with(void **state)
{
    (void)state;
    session rest = { 0 }, other = { 0 };
    write_labels(IMAGES, 4);
    set("loss.name=cross-entropy");
    set("blocks[2].loss.name=barlow-twins");
    run_whole("straight");
    run_and_stop("resumed", 5);
    CHECK_OK(pretrain(&rest, "resumed", true));
    assert_int_equal(rest.first, 5);
    assert_same_result("straight", "resumed");
    run_and_stop("relabelled", 5);
    write_labels(IMAGES, 3);
    assert_int_equal(pretrain(&other, "relabelled", true), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "loss.classes: the run was started with 4"));
}

/* What kill -9 leaves: metrics past the checkpoint, the last line torn, a file under a temporary name. */
static void what_a_killed_process_leaves_is_cleaned_up(void **state)
{
    (void)state;
    session s = { 0 };
    run_whole("straight");
    run_and_stop("killed", 5);
    append_text("killed", "metrics.jsonl",
                "{\"step\":6,\"epoch\":1,\"lr\":1,\"loss\":[1,2,3,4]}\n{\"step\":7,\"ep");
    append_text("killed", "checkpoints/step-00000006.safetensors.tmp-123", "half");
    append_text("killed", "model.safetensors.tmp-123", "half");
    CHECK_OK(pretrain(&s, "killed", true));
    assert_int_equal(s.first, 5);
    assert_same_result("straight", "killed");
    assert_false(is_there("killed", "checkpoints/step-00000006.safetensors.tmp-123"));
    assert_false(is_there("killed", "model.safetensors.tmp-123"));
}

static void a_damaged_checkpoint_is_named_and_the_run_goes_on_from_the_one_before(void **state)
{
    (void)state;
    session s = { 0 };
    run_whole("straight");
    run_and_stop("damaged", 5);
    const char *newest = in_root("damaged", "checkpoints/step-00000005.safetensors");
    assert_int_equal(truncate(newest, 3000), 0);
    CHECK_OK(pretrain(&s, "damaged", true));
    assert_int_equal(s.first, 3);
    assert_non_null(strstr(log_text, "step-00000005"));
    assert_same_result("straight", "damaged");
}

static void when_all_checkpoints_are_damaged_the_run_stays_as_it_is(void **state)
{
    (void)state;
    session s = { 0 };
    run_and_stop("damaged", 5);
    assert_int_equal(truncate(in_root("damaged", "checkpoints/step-00000005.safetensors"), 3000), 0);
    assert_int_equal(truncate(in_root("damaged", "checkpoints/step-00000003.safetensors"), 0), 0);
    assert_int_equal(pretrain(&s, "damaged", true), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "to start over"));
    char *metrics = metrics_values("damaged");
    assert_int_equal(count_lines(metrics), 5);
    bw__free(metrics);
}

static void resume_begins_where_nothing_has_begun(void **state)
{
    (void)state;
    session s = { 0 }, t = { 0 };
    run_whole("straight");
    CHECK_OK(pretrain(&s, "new", true));
    assert_int_equal(s.first, 0);
    assert_same_result("straight", "new");
    /* Begun, but killed before its first checkpoint. */
    run_and_stop("early", 1);
    assert_int_equal(unlink(in_root("early", "checkpoints/step-00000001.safetensors")), 0);
    CHECK_OK(pretrain(&t, "early", true));
    assert_int_equal(t.first, 0);
    assert_same_result("straight", "early");
}

static void a_finished_run_is_left_alone_even_without_its_data(void **state)
{
    (void)state;
    session s = { 0 };
    run_whole("run");
    assert_int_equal(unlink(in_root("data", "train-images-idx3-ubyte")), 0);
    CHECK_OK(pretrain(&s, "run", true));
    assert_int_equal(s.starts, 0);
}

static void killed_while_finishing_it_finishes_on_resume(void **state)
{
    (void)state;
    session s = { 0 };
    run_whole("straight");
    run_whole("late");
    assert_int_equal(unlink(in_root("late", "finished")), 0);
    assert_int_equal(unlink(in_root("late", "model.safetensors")), 0);
    CHECK_OK(pretrain(&s, "late", true));
    assert_int_equal(s.first, STEPS);
    assert_true(is_there("late", "finished"));
    assert_same_result("straight", "late");
}

static void a_request_to_save_saves_and_goes_on(void **state)
{
    (void)state;
    session s = { .save_at = 7 };
    set("checkpoint.keep=9");
    CHECK_OK(pretrain(&s, "run", false));
    assert_true(has_checkpoint("run", 3));
    assert_true(has_checkpoint("run", 7));
    assert_false(has_checkpoint("run", 5));
    assert_true(is_there("run", "finished"));
}

static void a_request_to_stop_after_the_last_step_lets_the_run_finish(void **state)
{
    (void)state;
    session s = { .stop_at = STEPS };
    CHECK_OK(pretrain(&s, "run", false));
    assert_true(is_there("run", "finished"));
}

/* --- starting from given weights --- */

static void init_is_not_lost_when_killed_before_the_first_checkpoint(void **state)
{
    (void)state;
    session first = { 0 }, stopped = { .stop_at = 2 }, resumed = { 0 }, straight = { 0 };
    set("seed=9");
    run_whole("teacher");
    set("seed=3");
    CHECK_OK(pretrain(&first, "plain", false));
    CHECK_OK(pretrain_from(&straight, "straight", false, in_root("teacher", "")));
    assert_int_equal(pretrain_from(&stopped, "resumed", false, in_root("teacher", "")), BW_EINTERRUPTED);
    assert_int_equal(unlink(in_root("resumed", "checkpoints/step-00000002.safetensors")), 0);
    CHECK_OK(pretrain(&resumed, "resumed", true));
    assert_int_equal(resumed.first, 0);
    assert_same_result("straight", "resumed");
    char *a = metrics_values("plain"), *b = metrics_values("straight");
    assert_string_not_equal(a, b);
    bw__free(a);
    bw__free(b);
}

/* --- what goes wrong leaves nothing, or something to go on with --- */

static void wrong_input_makes_no_folder(void **state)
{
    (void)state;
    session s = { 0 };
    set("train.batch=21");
    assert_int_equal(pretrain(&s, "run", false), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "train.batch"));
    assert_non_null(strstr(bw_last_error(), "20"));
    assert_false(is_there("run", ""));
    set("train.batch=6");
    assert_int_equal(pretrain_from(&s, "run", false, in_root("nothing", "")), BW_EDATA);
    assert_false(is_there("run", ""));
    assert_int_equal(unlink(in_root("data", "train-images-idx3-ubyte")), 0);
    assert_int_equal(pretrain(&s, "run", false), BW_EDATA);
    assert_false(is_there("run", ""));
}

static void options_that_lack_something_are_refused(void **state)
{
    (void)state;
    const bw_pretrain_options lacking[] = { { .data = data, .out = in_root("run", "") },
                                            { .config = &config, .out = in_root("run", "") },
                                            { .config = &config, .data = data } };
    const char *const said[] = { "settings", "images", "folder" };
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
        assert_int_equal(bw_pretrain(&lacking[i]), BW_EINVAL);
        assert_non_null(strstr(bw_last_error(), said[i]));
    }
    assert_false(is_there("run", ""));
}

static void other_settings_or_other_data_cannot_go_on(void **state)
{
    (void)state;
    session s = { 0 };
    run_and_stop("run", 4);
    set("optimizer.momentum=0.5");
    assert_int_equal(pretrain(&s, "run", true), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "optimizer.momentum"));
    set("optimizer.momentum=0.9");
    write_images(IMAGES - 1);
    assert_int_equal(pretrain(&s, "run", true), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "19"));
    write_images(IMAGES);
    CHECK_OK(pretrain(&s, "run", true));
}

/* Every weight and momentum of the newest checkpoint of "run". */
static bool newest_checkpoint_is_finite(void)
{
    bw_checkpoint *c = NULL;
    bw_st_file *file = NULL;
    bool finite = true;
    CHECK_OK(bw__checkpoint_open_newest(&c, in_root("run", "checkpoints")));
    assert_non_null(c);
    CHECK_OK(bw__st_open(&file, bw__checkpoint_path(c)));
    for (int64_t i = 0; i < bw__st_count(file); i++) {
        const bw_st_tensor *t = bw__st_at(file, i);
        if (t->dtype != BW_ST_F32) continue;
        float *values = malloc(t->bytes);
        assert_non_null(values);
        CHECK_OK(bw__st_to_f32(values, t));
        for (size_t j = 0; j < t->bytes / sizeof *values; j++)
            finite = finite && isfinite(values[j]);
        free(values);
    }
    bw__st_close(file);
    bw__checkpoint_close(c);
    return finite;
}

static void a_run_that_diverges_keeps_its_last_good_checkpoint(void **state)
{
    (void)state;
    session s = { 0 };
    set("optimizer.name=sgd");
    set("optimizer.lr=1000");
    set("optimizer.weight_decay=1"); /* each step multiplies the weights by about -20 */
    set("train.epochs=30");
    set("train.steps=-1");
    set("checkpoint.every=1");
    assert_int_equal(pretrain(&s, "run", false), BW_ENONFINITE);
    assert_non_null(strstr(bw_last_error(), "block"));
    assert_non_null(strstr(bw_last_error(), "step"));
    assert_true(s.steps_seen >= 1 && s.steps_seen < s.total);
    assert_true(newest_checkpoint_is_finite());
    assert_false(is_there("run", "model.safetensors"));
    assert_false(is_there("run", "finished"));
    char *metrics = metrics_values("run");
    assert_int_equal(count_lines(metrics), s.steps_seen);
    bw__free(metrics);
}

static void weights_that_are_not_finite_are_never_saved(void **state)
{
    (void)state;
    session s = { 0 };
    bw_network *net = NULL;
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw_network_create(&net, &config));
    bw_params *last = &net->params[3];
    last->values[last->trained - 1] = HUGE_VALF;
    CHECK_OK(bw_network_save(net, in_root("model.safetensors", ""), in_root("heads.safetensors", "")));
    bw_network_free(net);
    assert_int_equal(pretrain_from(&s, "run", false, in_root("model.safetensors", "")), BW_ENONFINITE);
    assert_non_null(strstr(bw_last_error(), "block 4: blocks.4.projector"));
    assert_false(has_checkpoint("run", 0));
}

static void a_full_disk_is_said_and_the_run_goes_on_later(void **state)
{
    (void)state;
    session s = { 0 }, t = { 0 };
    struct rlimit old, small;
    run_whole("straight");
    run_and_stop("full", 2);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = old;
    small.rlim_cur = 100000; /* metrics fit, a checkpoint does not */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bw_status st = pretrain(&s, "full", true);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(st, BW_EIO);
    assert_non_null(strstr(bw_last_error(), "step-00000003"));
    assert_false(has_checkpoint("full", 3));
    CHECK_OK(pretrain(&t, "full", true));
    assert_int_equal(t.first, 2);
    assert_same_result("straight", "full");
}

static void an_unwritable_place_is_named(void **state)
{
    (void)state;
    session s = { 0 };
    assert_int_equal(pretrain(&s, "data/train-images-idx3-ubyte/run", false), BW_EEXIST);
    assert_int_equal(pretrain(&s, "/proc/nowhere/run", false), BW_EIO);
    assert_non_null(strstr(bw_last_error(), "/proc/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_run_leaves_all_it_promises, fresh),
        cmocka_unit_test_setup(metrics_have_a_line_a_step_and_health_at_the_first_every_few_and_the_last,
                               fresh),
        cmocka_unit_test_setup(a_folder_in_use_is_refused_and_left_alone, fresh),
        cmocka_unit_test_setup(an_empty_folder_is_taken, fresh),
        cmocka_unit_test_setup(a_collapse_is_warned_of_once_and_in_the_verdict_a_resume_included, fresh),
        cmocka_unit_test_setup(a_run_of_a_few_steps_is_not_judged, fresh),
        cmocka_unit_test_setup(steps_0_writes_the_initial_weights, fresh),
        cmocka_unit_test_setup(a_sequential_run_goes_on_from_any_phase, fresh),
        cmocka_unit_test_setup(figures_of_frozen_blocks_are_null, fresh),
        cmocka_unit_test_setup(chosen_blocks_begin_with_given_weights, fresh),
        cmocka_unit_test_setup(the_same_run_gives_the_same_bytes_with_any_loader_threads, fresh),
        cmocka_unit_test_setup(stopped_and_resumed_equals_straight, fresh),
        cmocka_unit_test_setup(stopped_and_resumed_in_bf16_equals_straight, fresh),
        cmocka_unit_test_setup(a_supervised_run_goes_on_with_the_settings_it_was_started_with, fresh),
        cmocka_unit_test_setup(what_a_killed_process_leaves_is_cleaned_up, fresh),
        cmocka_unit_test_setup(a_damaged_checkpoint_is_named_and_the_run_goes_on_from_the_one_before, fresh),
        cmocka_unit_test_setup(when_all_checkpoints_are_damaged_the_run_stays_as_it_is, fresh),
        cmocka_unit_test_setup(resume_begins_where_nothing_has_begun, fresh),
        cmocka_unit_test_setup(a_finished_run_is_left_alone_even_without_its_data, fresh),
        cmocka_unit_test_setup(killed_while_finishing_it_finishes_on_resume, fresh),
        cmocka_unit_test_setup(a_request_to_save_saves_and_goes_on, fresh),
        cmocka_unit_test_setup(a_request_to_stop_after_the_last_step_lets_the_run_finish, fresh),
        cmocka_unit_test_setup(init_is_not_lost_when_killed_before_the_first_checkpoint, fresh),
        cmocka_unit_test_setup(wrong_input_makes_no_folder, fresh),
        cmocka_unit_test_setup(options_that_lack_something_are_refused, fresh),
        cmocka_unit_test_setup(other_settings_or_other_data_cannot_go_on, fresh),
        cmocka_unit_test_setup(a_run_that_diverges_keeps_its_last_good_checkpoint, fresh),
        cmocka_unit_test_setup(weights_that_are_not_finite_are_never_saved, fresh),
        cmocka_unit_test_setup(a_full_disk_is_said_and_the_run_goes_on_later, fresh),
        cmocka_unit_test_setup(an_unwritable_place_is_named, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
