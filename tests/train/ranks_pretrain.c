/* Whole runs on 2 and 4 ranks: the same run as that of one, and what the ranks do about each other. */
#include "base/memory.h"
#include "blockwise/blockwise.h"
#include "data/encode_jpeg.h"
#include "data/loader.h"
#include "model/network_internal.h"
#include "on_ranks.h"
#include "train/accord.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/own_rules.h"
#include "train/state.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRAIN = 40, TEST = 24, CLASSES = 4, PIXELS = 20, BATCH = 8, MOST_STEPS = 32 };

static char root[4096], data[4200], log_text[16][256];
static int logged;
static bw_config config;

static bool first_rank(void)
{
    return bw_comm_rank(ranks) == 0;
}

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level == BW_LOG_WARN && logged < 16)
        (void)snprintf(log_text[logged++], sizeof log_text[0], "%s", line);
}

/* --- data, by rank 0 --- */

static void write_image(const char *split, int i)
{
    enum { BYTES = PIXELS * PIXELS * 3 };
    char path[4400];
    uint8_t rgb[BYTES], *jpeg = NULL;
    size_t size = 0;
    for (int p = 0; p < BYTES; p++)
        rgb[p] = (uint8_t)((p % (7 + i % CLASSES) * 31 + p / 60 * (i + 3) + i * 37) % 256);
    CHECK_OK(bw__encode_jpeg(&jpeg, &size, rgb, PIXELS, PIXELS, 90));
    (void)snprintf(path, sizeof path, "%s/%s", data, split);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof path, "%s/%s/class%d", data, split, i % CLASSES);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof path, "%s/%s/class%d/%02d.jpg", data, split, i % CLASSES, i);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(jpeg, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    bw__free(jpeg);
}

static void damage(int i)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/train/class%d/%02d.jpg", data, i % CLASSES, i);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs("no picture", f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int fresh(void **state)
{
    (void)state;
    const char *yaml = "seed: 3\nthreads: 1\n"
                       "model: {arch: resnet18, stem: cifar, width: 8}\n"
                       "projector: {widths: [16, 12]}\n"

                       "optimizer: {name: sgd, lr: 0.05, warmup_epochs: 0}\n"
                       "train: {batch: 8, epochs: 2}\n"
                       "data: {image_size: 16, threads: 1, max_bad: 0.2}\n"
                       "probe: {every: 1}\n"
                       "checkpoint: {every: 3, keep: 5}\n";
    if (first_rank()) (void)snprintf(root, sizeof root, "%s", temp_folder());
    CHECK_OK(bw__comm_broadcast(ranks, root, sizeof root, 0));
    (void)snprintf(data, sizeof data, "%s/data", root);
    if (first_rank()) {
        (void)mkdir(data, 0777);
        for (int i = 0; i < TRAIN; i++)
            write_image("train", i);
        for (int i = 0; i < TEST; i++)
            write_image("test", i);
    }
    CHECK_OK(bw__comm_barrier(ranks));
    config = bw_config_default();
    logged = 0;
    bw_set_log(keep_log, NULL);
    return bw_config_load(&config, yaml, strlen(yaml), "test") == BW_OK ? 0 : -1;
}

static const char *in_root(const char *run, const char *name)
{
    static char paths[4][4400];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s%s%s", root, run, *name ? "/" : "", name);
    return path;
}

/* --- runs --- */

typedef struct session {
    int64_t stop_at; /* asked for by this rank alone; 0: never */
    int64_t asked, starts, steps, failures;
    bw_status failure;
} session;

static void on_start(void *user, int64_t total, int64_t first, int64_t images)
{
    (void)total;
    (void)first;
    (void)images;
    ((session *)user)->starts++;
}

static void on_step(void *user, const bw_step *step)
{
    (void)step;
    ((session *)user)->steps++;
}

static bw_request ask(void *user)
{
    session *s = user;
    return ++s->asked == s->stop_at ? BW_SAVE_AND_STOP : BW_GO_ON;
}

static void on_failure(void *user, bw_status status)
{
    session *s = user;
    s->failures++;
    s->failure = status;
}

static bw_dataset *own, *own_test; /* in place of the folder `data`, where they are there */

static bw_status pretrain(session *s, bw_comm *comm, const char *run, bool resume)
{
    bw_pretrain_options o = { .config = &config,
                              .comm = comm,
                              .data = own ? NULL : data,
                              .dataset = own,
                              .test = own_test,
                              .out = in_root(run, ""),
                              .resume = resume,
                              .user = s,
                              .on_start = on_start,
                              .on_step = on_step,
                              .request = ask,
                              .on_failure = on_failure };
    return bw_pretrain(&o);
}

static void run_alone(const char *run)
{
    session s = { 0 };
    if (first_rank()) CHECK_OK(pretrain(&s, NULL, run, false));
    CHECK_OK(bw__comm_barrier(ranks));
}

typedef struct record {
    bw_step step[MOST_STEPS];
    int64_t n;
} record;

static void keep_step(void *user, const bw_step *step)
{
    record *r = user;
    assert_true(r->n < MOST_STEPS);
    r->step[r->n++] = *step;
}

static void check_metrics(const char *run, const char *wanted)
{
    static record a, b;
    a.n = b.n = 0;
    CHECK_OK(bw__metrics_read(in_root(run, "metrics.jsonl"), keep_step, &a));
    CHECK_OK(bw__metrics_read(in_root(wanted, "metrics.jsonl"), keep_step, &b));
    assert_true(a.n > 0 && a.n == b.n);
    for (int64_t i = 0; i < a.n; i++) {
        const bw_step *s = &a.step[i], *w = &b.step[i];
        assert_true(s->step == w->step && s->epoch == w->epoch && s->lr == w->lr && s->terms == w->terms);
        CHECK_CLOSE(s->loss, w->loss, (size_t)w->blocks, 1e-4, 1e-6);
        CHECK_CLOSE(s->grad_norm, w->grad_norm, (size_t)w->blocks, 1e-3, 1e-6);
        CHECK_CLOSE(s->probe_top1_train, w->probe_top1_train, (size_t)w->blocks, 0.0, 1e-9);
        assert_true(s->has_probe_test == w->has_probe_test);
        if (s->has_probe_test) CHECK_CLOSE(s->probe_top1, w->probe_top1, (size_t)w->blocks, 0.0, 1e-9);
    }
    assert_true(a.step[a.n - 1].has_probe_test);
}

static void check_weights(const char *run, const char *wanted)
{
    bw_network *a = NULL, *b = NULL;
    CHECK_OK(bw_network_load(&a, in_root(run, "model.safetensors")));
    CHECK_OK(bw_network_load(&b, in_root(wanted, "model.safetensors")));
    assert_int_equal(a->blocks, b->blocks);
    for (int k = 0; k < a->blocks; k++) {
        assert_true(a->params[k].total == b->params[k].total);
        assert_true(ranks_difference(a->params[k].values, b->params[k].values, a->params[k].total) < 1e-4);
    }
    bw_network_free(a);
    bw_network_free(b);
}

static void ranks_train_as_one(void **state)
{
    (void)state;
    session s = { 0 };
    run_alone("one");
    CHECK_OK(pretrain(&s, ranks, "many", false));
    assert_int_equal(s.starts, first_rank());
    assert_int_equal(s.steps, first_rank() ? 10 : 0); /* 5 of each epoch */
    assert_int_equal(s.asked > 0, 1);
    if (!first_rank()) return;
    check_metrics("many", "one");
    check_weights("many", "one");
}

static void ranks_train_as_one_with_data_sets_and_a_rule_of_the_program(void **state)
{
    (void)state;
    session s = { 0 };
    const bw_rule rule = own_push_rule();
    CHECK_OK(bw_rule_register(&rule));
    CHECK_OK(bw_config_set(&config, "blocks[4].loss={name: custom, rule: own-push}"));
    run_alone("one");
    CHECK_OK(bw_dataset_open(&own, data, BW_SPLIT_TRAIN, NULL));
    CHECK_OK(bw_dataset_open(&own_test, data, BW_SPLIT_TEST, NULL));
    CHECK_OK(pretrain(&s, ranks, "many", false));
    bw_dataset_free(own);
    bw_dataset_free(own_test);
    own = own_test = NULL;
    if (!first_rank()) return;
    check_metrics("many", "one");
    check_weights("many", "one");
}

/* The images of one split of `data` as shards in shards/SPLIT. */
static void pack(const char *split, bw_split which)
{
    char out[4300], folder[4250];
    bw_dataset *images = NULL;
    bw_pack_result packed;
    (void)snprintf(folder, sizeof folder, "%s/shards", root);
    (void)mkdir(folder, 0777);
    (void)snprintf(folder, sizeof folder, "%s/shards/%s", root, split);
    (void)mkdir(folder, 0777);
    (void)snprintf(out, sizeof out, "%s/%%d.tar", folder);
    const bw_pack_options options = { .out = out, .shard_images = 9 };
    CHECK_OK(bw_dataset_open(&images, data, which, NULL));
    CHECK_OK(bw_dataset_pack(&packed, images, &options, NULL, NULL));
    bw_dataset_free(images);
}

/* Indices that got their name in what `watch` watches. Each was moved from a name of its own: moves to one
 * name the kernel may tell as one. */
static int indices_made(int watch)
{
    int n = 0;
    union {
        struct inotify_event event;
        char bytes[16384];
    } buffer;
    ssize_t got;
    while ((got = read(watch, &buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)(buffer.bytes + at);
            n += e->len > 0 && strstr(e->name, ".index.tmp-") != NULL;
            at += (ssize_t)(sizeof *e + e->len);
        }
    return n;
}

static void one_rank_makes_the_index_of_shards_for_all(void **state)
{
    (void)state;
    session s = { 0 };
    int watch = -1;
    if (first_rank()) {
        pack("train", BW_SPLIT_TRAIN);
        pack("test", BW_SPLIT_TEST);
        watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        assert_true(watch >= 0);
        assert_true(inotify_add_watch(watch, in_root("shards", "train"), IN_MOVED_FROM) >= 0);
        assert_true(inotify_add_watch(watch, in_root("shards", "test"), IN_MOVED_FROM) >= 0);
    }
    CHECK_OK(bw__comm_barrier(ranks));
    (void)snprintf(data, sizeof data, "%s", in_root("shards", ""));
    CHECK_OK(pretrain(&s, ranks, "many", false));
    if (!first_rank()) return;
    assert_int_equal(indices_made(watch), 2); /* of either split one */
    (void)close(watch);
}

static void images_that_cannot_be_read_are_replaced_as_on_one_rank(void **state)
{
    (void)state;
    session s = { 0 };
    for (int i = 3; i < TRAIN && first_rank(); i += 6)
        damage(i);
    run_alone("one");
    int alone = logged;
    CHECK_OK(pretrain(&s, ranks, "many", false));
    if (!first_rank()) return;
    check_metrics("many", "one");
    check_weights("many", "one");
    assert_true(alone > 0 && logged == 2 * alone);
    for (int i = 0; i < alone; i++)
        assert_string_equal(log_text[i], log_text[alone + i]);
}

static void too_many_unreadable_images_end_all_ranks_at_the_step_of_one(void **state)
{
    (void)state;
    session s = { 0 };
    char message[1024] = "";
    int64_t steps = 0;
    for (int i = 0; i < 10 && first_rank(); i++) /* the limit is 8 */
        damage(i);
    if (first_rank()) {
        assert_int_equal(pretrain(&s, NULL, "one", false), BW_EDATA);
        (void)snprintf(message, sizeof message, "%s", bw_last_error());
        assert_non_null(strstr(message, "9 of 40 images cannot be read"));
        steps = s.steps;
        s.steps = 0;
    }
    CHECK_OK(bw__comm_barrier(ranks));
    bw_status st = pretrain(&s, ranks, "many", false);
    assert_true(bw_comm_all_failed(ranks));
    assert_int_equal(s.failures, 0);
    if (!first_rank()) {
        assert_int_equal(st, BW_EREMOTE);
        assert_int_equal(bw_comm_remote_status(ranks), BW_EDATA);
        return;
    }
    assert_int_equal(st, BW_EDATA);
    assert_string_equal(bw_last_error(), message);
    assert_int_equal(s.steps, steps);
}

/* The second row waits for the first, which finds between two steps that it cannot go on. */
static void a_row_that_gives_up_tells_the_others_why(void **state)
{
    (void)state;
    session s = { 0 };
    char rows[64];
    for (int i = 0; i < 10 && first_rank(); i++)
        damage(i);
    CHECK_OK(bw__comm_barrier(ranks));
    (void)snprintf(rows, sizeof rows, "parallel={data: %d, block: 2}", bw_comm_size(ranks) / 2);
    CHECK_OK(bw_config_set(&config, rows));
    bw_status st = pretrain(&s, ranks, "many", false);
    assert_int_equal(st, first_rank() ? BW_EDATA : BW_EREMOTE);
    assert_int_equal(s.failures, 1);
    assert_int_equal(s.failure, st);
    if (!first_rank()) assert_int_equal(bw_comm_remote_status(ranks), BW_EDATA);
}

static void a_request_to_one_rank_stops_all_and_one_rank_goes_on(void **state)
{
    (void)state;
    bool last = bw_comm_rank(ranks) == bw_comm_size(ranks) - 1;
    session s = { .stop_at = last ? 4 : 0 };
    CHECK_OK(bw_config_set(&config, "probe.every=2")); /* no score, which asks too, before the last step */
    run_alone("one");
    bw_status st = pretrain(&s, ranks, "many", false);
    assert_int_equal(st, first_rank() ? BW_EINTERRUPTED : BW_EREMOTE);
    if (!first_rank()) assert_int_equal(bw_comm_remote_status(ranks), BW_EINTERRUPTED);
    struct stat there;
    assert_int_equal(stat(in_root("many", "checkpoints/step-00000004.safetensors"), &there), 0);
    CHECK_OK(bw__comm_barrier(ranks));
    s = (session){ .stop_at = 3 };
    if (first_rank()) {
        assert_int_equal(pretrain(&s, NULL, "many", true), BW_EINTERRUPTED);
        assert_int_equal(s.steps, 3);
    }
    CHECK_OK(bw__comm_barrier(ranks));
    s = (session){ 0 };
    CHECK_OK(pretrain(&s, ranks, "many", true));
    assert_int_equal(s.steps, first_rank() ? 3 : 0);
    if (!first_rank()) return;
    check_metrics("many", "one");
    check_weights("many", "one");
}

/* Rank 0 is asked in step 5, while that is scored: in rows too the step is the one that all stop behind. */
static void a_score_that_a_stop_prevented_is_made_up_for(void **state)
{
    (void)state;
    session s = { 0 };
    struct stat there;
    const char *const grid[] = { "parallel.data=auto", "parallel.block=2" };
    CHECK_OK(bw_config_set(&config, "checkpoint.every=100"));
    run_alone("one");
    for (int i = 0; i < 2; i++) {
        const char *run = i == 0 ? "one-row" : "rows";
        CHECK_OK(bw_config_set(&config, grid[i]));
        s = (session){ .stop_at = first_rank() ? 5 : 0 };
        bw_status st = pretrain(&s, ranks, run, false);
        assert_int_equal(st, first_rank() ? BW_EINTERRUPTED : BW_EREMOTE);
        assert_int_equal(stat(in_root(run, "checkpoints/step-00000005.safetensors"), &there), 0);
        CHECK_OK(bw__comm_barrier(ranks));
        s = (session){ 0 };
        CHECK_OK(pretrain(&s, ranks, run, true));
        assert_int_equal(s.steps, first_rank() ? 5 : 0);
        if (first_rank()) check_metrics(run, "one");
    }
}

static void only_the_first_rank_sees_the_folder(void **state)
{
    (void)state;
    session s = { 0 };
    char elsewhere[4400];
    bw_pretrain_options o = { .config = &config, .comm = ranks, .data = data, .user = &s, .request = ask };
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/not/there", root);
    o.out = first_rank() ? in_root("many", "") : elsewhere;
    CHECK_OK(bw_pretrain(&o));
    struct stat there;
    assert_int_equal(stat(elsewhere, &there), -1);
    /* And says that it is there. */
    bw_status st = bw_pretrain(&o);
    assert_int_equal(st, first_rank() ? BW_EEXIST : BW_EREMOTE);
    if (!first_rank()) assert_int_equal(bw_comm_remote_status(ranks), BW_EEXIST);
}

static void settings_are_those_of_the_first_rank(void **state)
{
    (void)state;
    session s = { 0 };
    CHECK_OK(bw_config_set(&config, "probe.every=0"));
    if (!first_rank()) config = bw_config_default();
    CHECK_OK(pretrain(&s, ranks, "many", false));
    assert_int_equal(s.asked, 10); /* once a step */
}

static void weights_that_differ_are_found_before_a_checkpoint(void **state)
{
    (void)state;
    bw_network *network = NULL;
    bw_grid grid;
    int last = bw_comm_size(ranks) - 1;
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw__grid_create(&grid, ranks, &config));
    CHECK_OK(bw_network_create(&network, &config));
    CHECK_OK(bw__state_compare(network, NULL, &grid));
    float *value = &network->params[2].values[5];
    if (bw_comm_rank(ranks) == last) *value = nextafterf(*value, 10.0f);
    bw_status st = bw__state_compare(network, NULL, &grid);
    assert_int_equal(st, bw_comm_rank(ranks) == last ? BW_EKERNEL : BW_EREMOTE);
    assert_int_equal(bw_comm_failed_rank(ranks), last);
    if (bw_comm_rank(ranks) == last)
        assert_non_null(strstr(bw_last_error(), "blocks.3.values is not what rank 0"));
    CHECK_OK(bw__state_share(network, NULL, &grid));
    CHECK_OK(bw__state_compare(network, NULL, &grid));
    bw_network_free(network);
    bw__grid_destroy(&grid);
}

static void hosts_with_other_images_are_refused(void **state)
{
    (void)state;
    session s = { 0 };
    bool last = bw_comm_rank(ranks) == bw_comm_size(ranks) - 1;
    if (first_rank()) (void)snprintf(data, sizeof data, "%s/data", root);
    if (last) (void)snprintf(data, sizeof data, "%s/data/train", root); /* as many, of other names */
    CHECK_OK(bw__comm_barrier(ranks));
    bw_status st = pretrain(&s, ranks, "many", false);
    assert_int_equal(st, last ? BW_EDATA : BW_EREMOTE);
    if (last) assert_non_null(strstr(bw_last_error(), "every host needs the same data"));
    struct stat there;
    assert_int_equal(stat(in_root("many", ""), &there), -1);
}

static void divergence_ends_all_ranks_with_one_message(void **state)
{
    (void)state;
    session s = { 0 };
    CHECK_OK(bw_config_set(&config, "optimizer.lr=1000"));
    CHECK_OK(bw_config_set(&config, "loss.scale=1e6"));
    bw_status st = pretrain(&s, ranks, "many", false);
    assert_int_equal(st, first_rank() ? BW_ENONFINITE : BW_EREMOTE);
    if (first_rank()) assert_non_null(strstr(bw_last_error(), "A smaller optimizer.lr may help"));
}

static bw_status diverge_in_step_21(void *user, bw_rule_call *call)
{
    (void)user;
    for (int64_t i = 0; i < 2 * call->n * call->dim; i++)
        call->diff_z[i] = 1e-3f * call->z[i];
    call->total = call->step == 20 ? (double)NAN : 1.0;
    return BW_OK;
}

/* The last row does. Rows in front run ahead, but not as far as the next checkpoint, where they would wait
 * for it. */
static bw_status diverge(int data_ranks)
{
    char rows[64];
    const bw_rule rule = { .name = "diverge", .run = diverge_in_step_21 };
    CHECK_OK(bw_rule_register(&rule));
    (void)snprintf(rows, sizeof rows, "parallel={data: %d, block: %d}", data_ranks,
                   bw_comm_size(ranks) / data_ranks);
    CHECK_OK(bw_config_set(&config, rows));
    CHECK_OK(bw_config_set(&config, "blocks[4].loss={name: custom, rule: diverge}"));
    CHECK_OK(bw_config_set(&config, "checkpoint.every=20"));
    CHECK_OK(bw_config_set(&config, "train.epochs=20"));
    CHECK_OK(bw_config_set(&config, "probe.every=0"));
    bw_pretrain_options o = {
        .config = &config, .comm = ranks, .data = data, .out = first_rank() ? in_root("many", "") : NULL
    };
    return bw_pretrain(&o);
}

/* It knows no folder. */
static void a_row_that_diverges_says_what_is_left(void **state)
{
    (void)state;
    bool last = bw_comm_rank(ranks) == bw_comm_size(ranks) - 1;
    assert_int_equal(diverge(1), last ? BW_ENONFINITE : BW_EREMOTE);
    if (!last) return;
    const char *message = bw_last_error();
    if (!strstr(message, "training diverged at step 21, block 4") ||
        !strstr(message, "is that of step 20 in the run's folder/checkpoints"))
        fail_msg("got '%s'", message);
}

static void one_rank_of_a_row_that_diverges_says_so(void **state)
{
    (void)state;
    if (bw_comm_size(ranks) != 4) return;
    assert_int_equal(diverge(2), bw_comm_rank(ranks) == 2 ? BW_ENONFINITE : BW_EREMOTE);
    if (bw_comm_rank(ranks) == 3) assert_int_equal(bw_comm_remote_status(ranks), BW_ENONFINITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ranks_train_as_one, fresh),
        cmocka_unit_test_setup(ranks_train_as_one_with_data_sets_and_a_rule_of_the_program, fresh),
        cmocka_unit_test_setup(one_rank_makes_the_index_of_shards_for_all, fresh),
        cmocka_unit_test_setup(images_that_cannot_be_read_are_replaced_as_on_one_rank, fresh),
        cmocka_unit_test_setup(too_many_unreadable_images_end_all_ranks_at_the_step_of_one, fresh),
        cmocka_unit_test_setup(a_request_to_one_rank_stops_all_and_one_rank_goes_on, fresh),
        cmocka_unit_test_setup(a_score_that_a_stop_prevented_is_made_up_for, fresh),
        cmocka_unit_test_setup(only_the_first_rank_sees_the_folder, fresh),
        cmocka_unit_test_setup(settings_are_those_of_the_first_rank, fresh),
        cmocka_unit_test_setup(weights_that_differ_are_found_before_a_checkpoint, fresh),
        cmocka_unit_test_setup(hosts_with_other_images_are_refused, fresh),
        cmocka_unit_test_setup(divergence_ends_all_ranks_with_one_message, fresh),
        cmocka_unit_test_setup(a_row_that_diverges_says_what_is_left, fresh),
        cmocka_unit_test_setup(one_rank_of_a_row_that_diverges_says_so, fresh),
        cmocka_unit_test_setup(a_row_that_gives_up_tells_the_others_why, fresh),
    };
    return RANKS_MAIN(tests);
}
