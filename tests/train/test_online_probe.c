/* The online probe: its step against plain arithmetic, that the network does not feel it, whole runs with it.
 */
#include "train/training.h"
#include "base/memory.h"
#include "blockwise/blockwise.h"
#include "data/loader.h"
#include "failing_allocator.h"
#include "formats/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "train/online_score.h"
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 6, CLASSES = 3 };
static const int labels[BATCH] = { 2, 0, 1, 1, 0, 2 };

static bw_config config_of(const char *const *extra)
{
    static const char *const settings[] = { "seed=3",
                                            "threads=2",
                                            "model.arch=resnet18",
                                            "model.stem=cifar",
                                            "model.width=8",
                                            "model.zero_init_residual=false",
                                            "data.image_size=16",
                                            "projector.widths=[16,12]",
                                            "train.batch=6",
                                            "train.epochs=4",
                                            "probe.every=2" };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_OK(bw_config_set(&c, settings[i]));
    for (; extra && *extra; extra++)
        CHECK_OK(bw_config_set(&c, *extra));
    CHECK_OK(bw_config_resolve(&c));
    c.loss.classes = CLASSES; /* as whoever has the data does */
    return c;
}

/* --- one step --- */

static void the_network_has_the_same_bits_with_and_without_it(void **state)
{
    (void)state;
    static const char *const kinds[][3] = { { "train.order=simultaneous", "noise.kind=hw", NULL },
                                            { "train.order=end-to-end", NULL },
                                            { "train.split=2", NULL },
                                            { "train.order=sequential", "train.steps=8", NULL } };
    for (int i = 0; i < 4; i++) {
        bw_config with = config_of(kinds[i]), without = with;
        without.probe.every = 0;
        training a = make_training(&with), b = make_training(&without);
        for (int step = 0; step < 6; step++) {
            bw_step x, y;
            CHECK_OK(bw_trainer_step(a.trainer, &x, a.views, labels));
            CHECK_OK(bw_trainer_step(b.trainer, &y, b.views, NULL));
            assert_true(x.has_probe && !y.has_probe);
            assert_memory_equal(x.loss, y.loss, sizeof x.loss);
            assert_memory_equal(x.grad_norm, y.grad_norm, sizeof x.grad_norm);
        }
        for (int k = 0; k < a.net->blocks; k++) {
            const bw_params *p = &a.net->params[k], *q = &b.net->params[k];
            assert_memory_equal(p->values, q->values, (size_t)p->total * sizeof(float));
            if (q->momenta) assert_memory_equal(p->momenta, q->momenta, (size_t)p->trained * sizeof(float));
        }
        drop_training(&a);
        drop_training(&b);
    }
}

/* The same classifier in double, from the features that the step had. */
typedef struct twin {
    const bw_trainer *trainer;
    const int *labels;
    int64_t dim;
    double w[CLASSES * 65], m[CLASSES * 65], lr, top1;
} twin;

static void twin_step(void *user, int k)
{
    twin *t = user;
    const float *h = t->trainer->blocks[k].block.h;
    double g[CLASSES * 65] = { 0 };
    int rows = 0, right = 0;
    if (k != 1) return;
    t->dim = t->trainer->blocks[k].block.spec->head_dim;
    assert_true(t->dim <= 64);
    for (int i = 0; i < 2 * BATCH; i++)
        rows += t->labels[i % BATCH] >= 0;
    for (int i = 0; i < 2 * BATCH; i++) {
        int label = t->labels[i % BATCH], best = 0;
        double z[CLASSES], sum = 0;
        if (label < 0) continue;
        for (int c = 0; c < CLASSES; c++) {
            z[c] = t->w[CLASSES * t->dim + c];
            for (int64_t d = 0; d < t->dim; d++)
                z[c] += t->w[c * t->dim + d] * (double)h[i * t->dim + d];
            if (z[c] > z[best]) best = c;
            sum += exp(z[c]);
        }
        right += best == label && z[0] != z[1];
        for (int c = 0; c < CLASSES; c++) {
            double e = (exp(z[c]) / sum - (c == label)) / rows;
            for (int64_t d = 0; d < t->dim; d++)
                g[c * t->dim + d] += e * (double)h[i * t->dim + d];
            g[CLASSES * t->dim + c] += e;
        }
    }
    for (int64_t j = 0; j < CLASSES * (t->dim + 1); j++) {
        t->m[j] = 0.9 * t->m[j] + g[j];
        t->w[j] -= t->lr * t->m[j];
    }
    t->top1 = 100.0 * right / rows;
}

static void follow_twin(const int *given)
{
    static const char *const extra[] = { "train.steps=9", "head.dim=64", NULL };
    bw_config c = config_of(extra);
    training s = make_training(&c);
    twin t = { .trainer = s.trainer, .labels = given };
    s.trainer->on_forward = twin_step;
    s.trainer->user = &t;
    for (int step = 0; step < 4; step++) {
        bw_step out;
        t.lr = 0.1 * 0.5 * (1.0 + cos(3.14159265358979323846 * step / 9.0));
        CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, given));
        const float *values = s.trainer->probe->block[1].values;
        double got[CLASSES * 65];
        int64_t count = CLASSES * (t.dim + 1);
        assert_int_equal(s.trainer->probe->block[1].count, count);
        for (int64_t j = 0; j < count; j++)
            got[j] = (double)values[j];
        CHECK_CLOSE(got, t.w, (size_t)count, 1e-4, 1e-6);
        CHECK_CLOSE(&out.probe_top1_train[1], &t.top1, 1, 1e-12, 0.0);
    }
    assert_true(t.top1 > 34.0); /* not the step that saw nothing but zeros */
    drop_training(&s);
}

static void a_step_is_that_of_plain_softmax_regression(void **state)
{
    (void)state;
    follow_twin(labels);
}

static void images_without_a_label_teach_nothing(void **state)
{
    (void)state;
    static const int some[BATCH] = { 2, -1, 1, -1, 0, -1 };
    follow_twin(some);
    bw_config c = config_of(NULL);
    training s = make_training(&c);
    static const int none[BATCH] = { -1, -1, -1, -1, -1, -1 };
    bw_step out;
    CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, none));
    assert_true(isnan(out.probe_top1_train[0]));
    assert_false(bw__online_probe_has_learnt(s.trainer->probe, 0));
    drop_training(&s);
}

static void labels_and_their_number_are_needed(void **state)
{
    (void)state;
    bw_config c = config_of(NULL);
    training s = make_training(&c);
    bw_step out;
    static const int large[BATCH] = { 0, 1, 2, 3, 0, 0 };
    assert_int_equal(bw_trainer_step(s.trainer, &out, s.views, NULL), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "probe.every"));
    assert_int_equal(bw_trainer_step(s.trainer, &out, s.views, large), BW_EDATA);
    drop_training(&s);
    bw_network *net = NULL;
    bw_trainer *trainer = NULL;
    c.loss.classes = 0;
    CHECK_OK(bw_network_create(&net, &c));
    assert_int_equal(bw_trainer_create(&trainer, net, 3), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "loss.classes"));
    bw_network_free(net);
}

/* Parts of three images, a step of the classifier for each. */
static void a_batch_in_parts_teaches_part_by_part(void **state)
{
    (void)state;
    static const char *const split[] = { "train.split=2", NULL };
    static const int first_part[BATCH] = { 2, 0, 1, -1, -1, -1 };
    bw_config c = config_of(split);
    training s = make_training(&c);
    bw_step out;
    assert_int_equal(s.trainer->probe->images, 3);
    CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, labels));
    assert_true(out.probe_top1_train[0] >= 0.0);
    /* The second part is offered no labels of the first. */
    CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, first_part));
    assert_true(isnan(out.probe_top1_train[0]));
    drop_training(&s);
}

/* Four phases of two steps. */
static void in_sequence_only_the_classifier_of_the_block_that_learns_learns(void **state)
{
    (void)state;
    static const char *const extra[] = { "train.order=sequential", "train.steps=8", NULL };
    bw_config c = config_of(extra);
    training s = make_training(&c);
    const bw_online_probe *p = s.trainer->probe;
    float *kept = NULL;
    for (int step = 0; step < 8; step++) {
        bw_step out;
        CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, labels));
        for (int k = 0; k < 4; k++) {
            assert_int_equal(isnan(out.probe_top1_train[k]) != 0, k != step / 2);
            assert_int_equal(bw__online_probe_has_learnt(p, k), k <= step / 2);
        }
        if (step == 1) {
            kept = malloc((size_t)p->block[0].count * sizeof *kept);
            assert_non_null(kept);
            memcpy(kept, p->block[0].values, (size_t)p->block[0].count * sizeof *kept);
        }
    }
    assert_memory_equal(kept, p->block[0].values, (size_t)p->block[0].count * sizeof *kept);
    free(kept);
    drop_training(&s);
}

static void end_to_end_there_is_one(void **state)
{
    (void)state;
    static const char *const extra[] = { "train.order=end-to-end", NULL };
    bw_config c = config_of(extra);
    training s = make_training(&c);
    bw_step out;
    CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, labels));
    assert_int_equal(out.blocks, 1);
    assert_int_equal(s.trainer->probe->blocks, 1);
    assert_int_equal(s.trainer->probe->block[0].dim, 64);
    drop_training(&s);
}

static void a_plan_counts_its_state_and_its_scoring(void **state)
{
    (void)state;
    bw_plan with, without;
    bw_config c = config_of(NULL);
    CHECK_OK(bw_plan_make(&with, &c));
    c.probe.every = 0;
    CHECK_OK(bw_plan_make(&without, &c));
    assert_int_equal(with.weight_bytes - without.weight_bytes, 4 * 2 * CLASSES * (64 + 1) * 4);
    /* At least the output of the stem for six images. */
    assert_true(with.input_bytes - without.input_bytes > BATCH * 16 * 16 * 8 * 4);
    /* What the process has is measured, and may have shrunk between the two. */
    assert_true(with.peak_bytes - with.process_bytes > without.peak_bytes - without.process_bytes);
}

static void a_classifier_that_is_not_finite_begins_again(void **state)
{
    (void)state;
    bw_config c = config_of(NULL);
    training s = make_training(&c);
    bw_online_classifier *b = &s.trainer->probe->block[2];
    bw_step out;
    b->values[5] = INFINITY;
    b->momenta[7] = 1.0f;
    CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, labels));
    assert_true(isnan(out.probe_top1_train[2]));
    assert_false(bw__online_probe_has_learnt(s.trainer->probe, 2));
    assert_true(b->momenta[7] == 0.0f);
    assert_true(out.probe_top1_train[1] >= 0.0);
    drop_training(&s);
}

static void a_step_with_it_allocates_nothing(void **state)
{
    (void)state;
    bw_config c = config_of(NULL);
    training s = make_training(&c);
    bw_step out;
    int64_t before = bw__alloc_count();
    CHECK_OK(bw_trainer_step(s.trainer, &out, s.views, labels));
    assert_int_equal(bw__alloc_count() - before, 0);
    drop_training(&s);
}

/* --- whole runs --- */

enum { IMAGES = 20, TESTS = 11, HEIGHT = 18, WIDTH = 17, STEPS = 12 };

static char root[4200], data[4300], info[4096];
static bw_log_level info_level;
static bw_config config;

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level == BW_LOG_DEBUG || !strstr(line, "online probe")) return;
    (void)snprintf(info, sizeof info, "%s", line);
    info_level = level;
}

static int class_of(int i)
{
    return i % CLASSES;
}

static void write_file(const char *name, const unsigned char *header, size_t bytes, int n, bool pixels)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/%s", data, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(header, 1, bytes, f), bytes);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < (pixels ? HEIGHT * WIDTH : 1); j++) {
            int x = j % WIDTH, y = j / WIDTH;
            assert_true(fputc(pixels ? (x * (class_of(i) * 5 + 3) + y * y + i * 7) % 256 : class_of(i), f) >=
                        0);
        }
    assert_int_equal(fclose(f), 0);
}

/* Images in the form of MNIST, the classes of different stripes. */
static void write_split(const char *split, int n, bool with_labels)
{
    char name[64];
    const unsigned char images[] = { 0, 0, 8, 3, 0, 0, 0, (unsigned char)n, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH };
    const unsigned char classes[] = { 0, 0, 8, 1, 0, 0, 0, (unsigned char)n };
    (void)mkdir(data, 0777);
    (void)snprintf(name, sizeof name, "%s-images-idx3-ubyte", split);
    write_file(name, images, sizeof images, n, true);
    (void)snprintf(name, sizeof name, "%s-labels-idx1-ubyte", split);
    if (with_labels) write_file(name, classes, sizeof classes, n, false);
}

static int fresh(void **state)
{
    (void)state;
    const char *yaml = "seed: 3\nthreads: 1\n"
                       "model: {arch: resnet18, stem: cifar, width: 8}\n"
                       "projector: {widths: [16, 12]}\n"
                       "train: {batch: 6, epochs: 4}\n"
                       "data: {image_size: 16, threads: 1}\n"
                       "probe: {every: 2}\n"
                       "checkpoint: {every: 5, keep: 9}\n";
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    (void)snprintf(data, sizeof data, "%s/data", root);
    write_split("train", IMAGES, true);
    write_split("t10k", TESTS, true);
    config = bw_config_default();
    info[0] = '\0';
    bw_set_log(keep_log, NULL);
    return bw_config_load(&config, yaml, strlen(yaml), "test") == BW_OK ? 0 : -1;
}

typedef struct session {
    int64_t stop_at, seen;
    int64_t scored; /* step in whose scoring to stop: asked after the one before, then once more */
    int asked;
} session;

static void on_step(void *user, const bw_step *step)
{
    session *s = user;
    s->seen = step->step;
}

static bw_request ask(void *user)
{
    session *s = user;
    if (s->scored > 0 && s->seen == s->scored - 1) return ++s->asked == 2 ? BW_SAVE_AND_STOP : BW_GO_ON;
    return s->stop_at > 0 && s->seen == s->stop_at ? BW_SAVE_AND_STOP : BW_GO_ON;
}

static const char *in_root(const char *run, const char *name)
{
    static char paths[4][4600];
    static int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s%s%s", root, run, *name ? "/" : "", name);
    return path;
}

static bw_status pretrain(session *s, const char *run, bool resume)
{
    bw_pretrain_options o = { .config = &config,
                              .data = data,
                              .out = in_root(run, ""),
                              .resume = resume,
                              .user = s,
                              .on_step = on_step,
                              .request = ask };
    return bw_pretrain(&o);
}

/* Arrays `key` of metrics.jsonl: which steps have it, and its values in the last of them. */
static int steps_with(bool *has, double *last, const char *run, const char *key)
{
    char *text = NULL;
    size_t bytes = 0;
    int lines = 0;
    CHECK_OK(bw__file_read(&text, &bytes, in_root(run, "metrics.jsonl"), 1 << 20));
    for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
        json_t *o = NULL;
        CHECK_OK(bw__json_parse(&o, line, strcspn(line, "\n") + 1, "metrics.jsonl"));
        const json_t *array = json_object_get(o, key);
        has[++lines] = array != NULL;
        for (size_t k = 0; k < json_array_size(array); k++)
            last[k] = json_number_value(json_array_get(array, k));
        json_decref(o);
    }
    bw__free(text);
    return lines;
}

static void test_images_are_scored_every_few_epochs_and_at_the_end(void **state)
{
    (void)state;
    session s = { 0 };
    bool has[STEPS + 2] = { false };
    double last[BW_MAX_BLOCKS] = { 0 };
    CHECK_OK(bw_config_set(&config, "train.steps=11"));
    CHECK_OK(pretrain(&s, "run", false));
    assert_int_equal(steps_with(has, last, "run", "probe_top1"), 11);
    for (int i = 1; i <= 11; i++)
        assert_int_equal(has[i], i == 6 || i == 11);
    assert_int_equal(steps_with(has, last, "run", "probe_top1_train"), 11);
    for (int i = 1; i <= 11; i++)
        assert_true(has[i]);
}

/* Per cent of `batch` that the classifier of block k in `file` gets right on the features h. */
static double right_of(const bw_st_file *file, int k, const float *h, int64_t dim, const bw_batch *batch)
{
    char name[64];
    int right = 0;
    float *w = malloc((size_t)(CLASSES * (dim + 1)) * sizeof *w);
    assert_non_null(w);
    (void)snprintf(name, sizeof name, "blocks.%d.probe.values", k + 1);
    CHECK_OK(bw__st_to_f32(w, bw__st_find(file, name)));
    for (int64_t i = 0; i < batch->n; i++) {
        double z[CLASSES];
        int best = 0;
        for (int c = 0; c < CLASSES; c++) {
            z[c] = (double)w[CLASSES * dim + c];
            for (int64_t d = 0; d < dim; d++)
                z[c] += (double)w[c * dim + d] * (double)h[i * dim + d];
            if (z[c] > z[best]) best = c;
        }
        right += best == batch->labels[i];
    }
    free(w);
    return 100.0 * right / (double)batch->n;
}

/* The classifiers of the last checkpoint, on features of the weights that were written. */
static void a_score_is_that_of_the_saved_state(void **state)
{
    (void)state;
    session s = { 0 };
    bool has[STEPS + 2];
    double got[BW_MAX_BLOCKS] = { 0 }, want[4];
    float features[4][TESTS * 64], *head[4] = { features[0], features[1], features[2], features[3] };
    bw_network *net = NULL;
    bw_extractor *extractor = NULL;
    bw_dataset *test = NULL;
    bw_loader *loader = NULL;
    const bw_batch *batch = NULL;
    bw_st_file *file = NULL;
    CHECK_OK(pretrain(&s, "run", false));
    (void)steps_with(has, got, "run", "probe_top1");

    CHECK_OK(bw_network_load(&net, in_root("run", "")));
    CHECK_OK(bw_dataset_open(&test, data, BW_SPLIT_TEST, NULL));
    const bw_config *c = bw_network_config(net);
    const bw_loader_config center = { .mode = BW_LOADER_CENTER,
                                      .image_size = 16,
                                      .keep_exact = true,
                                      .augment = &c->augment,
                                      .batch = TESTS,
                                      .threads = 1 };
    CHECK_OK(bw__loader_create(&loader, test, &center));
    CHECK_OK(bw__loader_next(loader, &batch));
    assert_int_equal(batch->n, TESTS);
    CHECK_OK(bw_extractor_create(&extractor, net, TESTS, 16));
    CHECK_OK(bw_extractor_run(extractor, head, NULL, batch->images, TESTS));
    CHECK_OK(bw__st_open(&file, in_root("run", "checkpoints/step-00000012.safetensors")));
    for (int k = 0; k < 4; k++) {
        assert_int_equal(bw_network_feature_dim(net, k, BW_FEATURE_HEAD), 64);
        want[k] = right_of(file, k, features[k], 64, batch);
    }
    CHECK_CLOSE(got, want, 4, 1e-7, 0.0);
    bw__st_close(file);
    bw_extractor_free(extractor);
    bw__loader_free(loader);
    bw_dataset_free(test);
    bw_network_free(net);
}

static char *values_of(const char *run)
{
    char *text = NULL, *to;
    size_t bytes = 0;
    CHECK_OK(bw__file_read(&text, &bytes, in_root(run, "metrics.jsonl"), 1 << 20));
    to = text;
    for (const char *from = text, *next; *from; from = next) {
        const char *clock = strstr(from, ",\"samples_per_s\"");
        next = from + strcspn(from, "\n") + 1;
        assert_true(clock && clock < next);
        memmove(to, from, (size_t)(clock - from));
        to += clock - from;
        *to++ = '\n';
    }
    *to = '\0';
    return text;
}

static void assert_same_file(const char *a, const char *b, const char *name)
{
    char *ta = NULL, *tb = NULL;
    size_t na = 0, nb = 0;
    CHECK_OK(bw__file_read(&ta, &na, in_root(a, name), 1 << 27));
    CHECK_OK(bw__file_read(&tb, &nb, in_root(b, name), 1 << 27));
    assert_int_equal(na, nb);
    assert_memory_equal(ta, tb, na);
    bw__free(ta);
    bw__free(tb);
}

static void assert_same_values(const char *run, const char *other)
{
    char *a = values_of(run), *b = values_of(other);
    assert_non_null(strstr(a, "probe_top1\""));
    assert_string_equal(a, b);
    bw__free(a);
    bw__free(b);
}

/* In all event files of a run. */
static int scores_for_tensorboard(const char *run)
{
    static const char tag[] = "probe_top1/block 1";
    int n = 0;
    glob_t files;
    assert_int_equal(glob(in_root(run, "events.out.tfevents.*"), 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *bytes = NULL;
        size_t size = 0;
        CHECK_OK(bw__file_read(&bytes, &size, files.gl_pathv[i], 1 << 27));
        for (size_t at = 0; at + sizeof tag <= size; at++)
            n += memcmp(bytes + at, tag, sizeof tag - 1) == 0;
        bw__free(bytes);
    }
    globfree(&files);
    return n;
}

static void stopped_and_resumed_equals_straight(void **state)
{
    (void)state;
    session straight = { 0 }, stopped = { .stop_at = 7 }, rest = { 0 };
    CHECK_OK(pretrain(&straight, "straight", false));
    assert_int_equal(pretrain(&stopped, "resumed", false), BW_EINTERRUPTED);
    assert_int_equal(stopped.seen, 7);
    CHECK_OK(pretrain(&rest, "resumed", true));
    assert_same_values("straight", "resumed");
    assert_same_file("straight", "resumed", "checkpoints/step-00000012.safetensors");
    assert_same_file("straight", "resumed", "model.safetensors");
}

/* The weights are those after step 6 whether or not that step could be scored. */
static void a_stop_while_scoring_saves_at_once(void **state)
{
    (void)state;
    session straight = { 0 }, stopped = { .scored = 6 }, rest = { 0 };
    bool has[STEPS + 2] = { false };
    double last[BW_MAX_BLOCKS] = { 0 };
    CHECK_OK(bw_config_set(&config, "checkpoint.every=100"));
    CHECK_OK(pretrain(&straight, "straight", false));
    assert_int_equal(pretrain(&stopped, "resumed", false), BW_EINTERRUPTED);
    assert_int_equal(stopped.asked, 2);
    assert_int_equal(steps_with(has, last, "resumed", "probe_top1"), 6);
    assert_false(has[6]);
    CHECK_OK(pretrain(&rest, "resumed", true));
    assert_same_values("straight", "resumed");
    assert_same_file("straight", "resumed", "model.safetensors");
}

/* Nothing is finished without its last score, and making up for one can be stopped too. */
static void a_score_that_a_stop_prevented_is_made_up_for(void **state)
{
    (void)state;
    session straight = { 0 }, stopped = { .scored = STEPS }, again = { .scored = 1, .asked = 1 },
            rest = { 0 };
    CHECK_OK(pretrain(&straight, "straight", false));
    assert_int_equal(pretrain(&stopped, "resumed", false), BW_EINTERRUPTED);
    assert_non_null(strstr(bw_last_error(), "after step 12 of 12"));
    assert_int_equal(pretrain(&again, "resumed", true), BW_EINTERRUPTED);
    assert_int_equal(again.asked, 2);
    assert_int_equal(access(in_root("resumed", "finished"), F_OK), -1);
    assert_int_equal(access(in_root("resumed", "model.safetensors"), F_OK), -1);
    CHECK_OK(pretrain(&rest, "resumed", true));
    assert_int_equal(rest.seen, 0);
    assert_same_values("straight", "resumed");
    assert_same_file("straight", "resumed", "model.safetensors");
    assert_int_equal(scores_for_tensorboard("straight"), 2);
    assert_int_equal(scores_for_tensorboard("resumed"), 2);
}

static void its_state_is_in_no_weight_file(void **state)
{
    (void)state;
    session s = { 0 };
    bw_st_file *file = NULL;
    static const char *const names[] = { "model.safetensors", "heads.safetensors" };
    CHECK_OK(pretrain(&s, "run", false));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(bw__st_open(&file, in_root("run", names[i])));
        for (int64_t j = 0; j < bw__st_count(file); j++)
            assert_null(strstr(bw__st_at(file, j)->name, "probe"));
        bw__st_close(file);
    }
    CHECK_OK(bw__st_open(&file, in_root("run", "checkpoints/step-00000012.safetensors")));
    const bw_st_tensor *values = bw__st_find(file, "blocks.4.probe.values");
    assert_non_null(values);
    assert_int_equal(values->bytes, (size_t)(CLASSES * (64 + 1)) * sizeof(float));
    assert_non_null(bw__st_find(file, "blocks.1.probe.momenta"));
    bw__st_close(file);
}

static void data_without_labels_is_refused_before_there_is_a_folder(void **state)
{
    (void)state;
    session s = { 0 };
    assert_int_equal(unlink(in_root("data", "train-labels-idx1-ubyte")), 0);
    assert_int_equal(pretrain(&s, "run", false), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "probe.every"));
    assert_int_equal(access(in_root("run", ""), F_OK), -1);
}

static void without_test_images_only_the_batches_are_scored(void **state)
{
    (void)state;
    session s = { 0 };
    bool has[STEPS + 2] = { false };
    double last[BW_MAX_BLOCKS] = { 0 };
    assert_int_equal(unlink(in_root("data", "t10k-labels-idx1-ubyte")), 0);
    CHECK_OK(pretrain(&s, "unlabelled", false));
    assert_non_null(strstr(info, "only probe_top1_train"));
    assert_int_equal(unlink(in_root("data", "t10k-images-idx3-ubyte")), 0);
    info[0] = '\0';
    CHECK_OK(pretrain(&s, "run", false));
    assert_non_null(strstr(info, "only probe_top1_train"));
    assert_int_equal(steps_with(has, last, "run", "probe_top1"), STEPS);
    for (int i = 1; i <= STEPS; i++)
        assert_false(has[i]);
    (void)steps_with(has, last, "run", "probe_top1_train");
    assert_true(has[STEPS]);
}

static void missing_test_images_are_told_from_damaged_ones_and_from_a_lack_of_memory(void **state)
{
    (void)state;
    failing_allocator memory = { 0 };
    bw_dataset *train = NULL, *test = NULL;
    int failures = 0;
    failing_allocator_begin(&memory);
    CHECK_OK(bw_dataset_open(&train, data, BW_SPLIT_TRAIN, NULL));
    do { /* until no allocation is left to fail; those that look for other formats are not missed */
        memory.calls = 0;
        memory.fails_at++;
        const bw_status st = bw__online_test_open(&test, train, data, NULL);
        if (st != BW_OK) assert_int_equal(st, BW_ENOMEM);
        assert_true((st == BW_OK) == (test != NULL));
        failures += st != BW_OK;
        bw_dataset_free(test);
        assert_in_range(memory.fails_at, 1, 100);
    } while (memory.calls >= memory.fails_at);
    memory.fails_at = 0;
    assert_true(failures > 5);
    assert_string_equal(info, "");
    assert_int_equal(truncate(in_root("data", "t10k-images-idx3-ubyte"), 100), 0);
    CHECK_OK(bw__online_test_open(&test, train, data, NULL));
    assert_null(test);
    assert_non_null(strstr(info, "the header promises"));
    assert_int_equal(info_level, BW_LOG_WARN);
    assert_int_equal(unlink(in_root("data", "t10k-images-idx3-ubyte")), 0);
    CHECK_OK(bw__online_test_open(&test, train, data, NULL));
    assert_null(test);
    assert_non_null(strstr(info, "no test images there"));
    assert_int_equal(info_level, BW_LOG_INFO);
    bw_dataset_free(train);
    failing_allocator_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_network_has_the_same_bits_with_and_without_it),
        cmocka_unit_test(a_step_is_that_of_plain_softmax_regression),
        cmocka_unit_test(images_without_a_label_teach_nothing),
        cmocka_unit_test(labels_and_their_number_are_needed),
        cmocka_unit_test(a_batch_in_parts_teaches_part_by_part),
        cmocka_unit_test(in_sequence_only_the_classifier_of_the_block_that_learns_learns),
        cmocka_unit_test(end_to_end_there_is_one),
        cmocka_unit_test(a_plan_counts_its_state_and_its_scoring),
        cmocka_unit_test(a_classifier_that_is_not_finite_begins_again),
        cmocka_unit_test(a_step_with_it_allocates_nothing),
        cmocka_unit_test_setup(test_images_are_scored_every_few_epochs_and_at_the_end, fresh),
        cmocka_unit_test_setup(a_score_is_that_of_the_saved_state, fresh),
        cmocka_unit_test_setup(stopped_and_resumed_equals_straight, fresh),
        cmocka_unit_test_setup(a_stop_while_scoring_saves_at_once, fresh),
        cmocka_unit_test_setup(a_score_that_a_stop_prevented_is_made_up_for, fresh),
        cmocka_unit_test_setup(its_state_is_in_no_weight_file, fresh),
        cmocka_unit_test_setup(data_without_labels_is_refused_before_there_is_a_folder, fresh),
        cmocka_unit_test_setup(without_test_images_only_the_batches_are_scored, fresh),
        cmocka_unit_test_setup(missing_test_images_are_told_from_damaged_ones_and_from_a_lack_of_memory,
                               fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
