/* Probe, nearest neighbours and embed over a tiny network and images in memory. */
#include "data/memory_dataset.h"
#include "data/temp_files.h"
#include "blockwise/evaluate.h"
#include "data/augment.h"
#include "eval/features.h"
#include "formats/safetensors.h"
#include "model/network_internal.h"
#include "model/probe_file.h"
#include "base/memory.h"
#include <dirent.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <time.h>

/* More images than the network sees at once. */
enum { S = 12, TRAIN = 153, TEST = 137, BLOCKS = 4 };

/* Three classes of colour that any network, trained or not, can tell apart, under noise. */
static void coloured(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x,
                     bw_rng *rng)
{
    (void)dataset, (void)y, (void)x;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)((c == index % 3 ? 150 : 60) + (int)bw__rng_below(rng, 60));
}

static memory_images train_images = { S, S, coloured, -1, 1 }, test_images = { S, S, coloured, -1, 2 };
static bw_network *network;
static bw_dataset train, test;

static int setup(void **state)
{
    (void)state;
    static const char *const settings[] = { "model.arch=resnet18", "model.width=8",
                                            "model.stem=cifar",    "head.dim=24",
                                            "data.image_size=12",  "projector.widths=[8, 8]",
                                            "threads=1",           "data.max_bad=0.05" };
    const char *names[3] = { "red", "green", "blue" };
    bw_config config = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_OK(bw_config_set(&config, settings[i]));
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw_network_create(&network, &config));
    train = memory_dataset(&train_images, TRAIN, 3, names);
    test = memory_dataset(&test_images, TEST, 3, names);
    test.labels[TEST - 1] = (test.labels[TEST - 1] + 1) % 3;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bw_network_free(network);
    memory_dataset_free(&train);
    memory_dataset_free(&test);
    return 0;
}

/* Nearly all right, but never the last image of the test split, whose label is wrong. */
static bool good_but_for_the_last(double top1, double least)
{
    return top1 > least && top1 <= 100.0 * (TEST - 1) / TEST + 1e-9;
}

static void expect_line(const char *line, const char *words)
{
    if (!strstr(line, words)) fail_msg("\"%s\" does not say \"%s\"", line, words);
}

static void probe_reports_every_block_and_feature_then_the_concatenations(void **state)
{
    (void)state;
    bw_probe_options o = bw_probe_options_default();
    bw_probe_result *r = NULL;
    int n = 0;
    o.trunk = o.concat = true;
    o.epochs = 12;
    o.threads = 2;
    CHECK_OK(bw_probe(&r, &n, network, &train, &test, &o, NULL, NULL));
    assert_int_equal(n, 2 * BLOCKS + 2);
    for (int i = 0; i < n; i++) {
        assert_int_equal(r[i].block, i < 2 * BLOCKS ? i / 2 : -1);
        assert_int_equal(r[i].feature, i % 2 ? BW_FEATURE_TRUNK : BW_FEATURE_HEAD);
        assert_true(good_but_for_the_last(r[i].top1, 90) && r[i].top5 >= 100);
        expect_line(r[i].protocol, "cached: evaluation transform 12 px, standardised features");
        expect_line(r[i].protocol, "12 epochs, cosine");
        expect_line(r[i].protocol, "153 training images");
    }
    bw_free(r);
}

/* Eight units are eight blocks, trained block by block or end to end. */
static void probe_takes_every_unit_of_any_order_and_all_of_them_together(void **state)
{
    (void)state;
    static const char *const orders[] = { "train.order=simultaneous", "train.order=end-to-end" };
    char *folder = new_folder();
    for (int i = 0; i < 2; i++) {
        bw_config config = bw_config_default();
        bw_network *made = NULL, *loaded = NULL;
        bw_probe_options o = bw_probe_options_default();
        bw_probe_result *r = NULL;
        int n = 0;
        const char *const settings[] = { "model.arch=resnet18", "model.width=8", "model.stem=cifar",
                                         "data.image_size=12",  "threads=1",     "projector.widths=[8, 8]",
                                         "model.cuts=units",    orders[i] };
        for (size_t j = 0; j < sizeof settings / sizeof *settings; j++)
            CHECK_OK(bw_config_set(&config, settings[j]));
        CHECK_OK(bw_config_resolve(&config));
        CHECK_OK(bw_network_create(&made, &config));
        CHECK_OK(bw_network_save(made, in(folder, "model.safetensors"), in(folder, "heads.safetensors")));
        CHECK_OK(bw_network_load(&loaded, in(folder, "model.safetensors")));
        o.trunk = o.concat = true;
        o.epochs = 12;
        o.threads = 1;
        CHECK_OK(bw_probe(&r, &n, loaded, &train, &test, &o, NULL, NULL));
        assert_int_equal(n, 2 * 8 + 2);
        for (int j = 0; j < n; j++) {
            assert_int_equal(r[j].block, j < 16 ? j / 2 : -1);
            assert_int_equal(r[j].feature, j % 2 ? BW_FEATURE_TRUNK : BW_FEATURE_HEAD);
            assert_true(good_but_for_the_last(r[j].top1, 90));
        }
        bw_free(r);
        bw_network_free(made);
        bw_network_free(loaded);
    }
    remove_folder(folder);
}

static void augmented_probe_learns_from_crops_and_names_its_protocol(void **state)
{
    (void)state;
    bw_probe_options o = bw_probe_options_default();
    bw_probe_result *r = NULL;
    int n = 0;
    o.protocol = BW_PROTOCOL_AUGMENTED;
    o.concat = true;
    o.epochs = 40;
    o.threads = 2;
    CHECK_OK(bw_probe(&r, &n, network, &train, &test, &o, NULL, NULL));
    assert_int_equal(n, BLOCKS + 1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(r[i].block, i < BLOCKS ? i : -1);
        assert_true(good_but_for_the_last(r[i].top1, 80) && r[i].top5 >= 100);
        assert_true(fabs(r[i].lr - 0.1) < 1e-12);
        expect_line(r[i].protocol,
                    "augmented: random resized crop and flip 12 px, SGD momentum 0.9, batch 256, 40 "
                    "epochs, cosine by epoch, lr 0.1, wd 1e-06, 153 training images");
    }
    bw_free(r);
}

static void knn_reports_every_block_for_every_k(void **state)
{
    (void)state;
    bw_knn_options o = bw_knn_options_default();
    bw_knn_result *r = NULL;
    int n = 0;
    o.trunk = true;
    o.threads = 2;
    o.n_k = 3;
    o.k[0] = 1;
    o.k[1] = 5;
    o.k[2] = 200;
    CHECK_OK(bw_knn(&r, &n, network, &train, &test, &o, NULL, NULL));
    assert_int_equal(n, 2 * BLOCKS * 3);
    for (int i = 0; i < n; i++) {
        assert_int_equal(r[i].block, i / 6);
        assert_int_equal(r[i].feature, i / 3 % 2 ? BW_FEATURE_TRUNK : BW_FEATURE_HEAD);
        assert_int_equal(r[i].k, o.k[i % 3]);
        assert_true(good_but_for_the_last(r[i].top1, 90));
        expect_line(r[i].protocol, r[i].feature == BW_FEATURE_HEAD ? "head feature" : "trunk feature");
        expect_line(r[i].protocol, "evaluation transform 12 px, cosine, weights exp(cos/0.07)");
    }
    expect_line(r[1].protocol, "k 5, 153 training images");
    bw_free(r);
}

static void raw_pixels_need_no_network(void **state)
{
    (void)state;
    bw_knn_options o = bw_knn_options_default();
    bw_knn_result *r = NULL;
    int n = 0;
    o.raw = true;
    o.threads = 2;
    o.n_k = 1;
    o.max_images = 45;
    CHECK_OK(bw_knn(&r, &n, NULL, &train, &test, &o, NULL, NULL));
    assert_int_equal(n, 1);
    assert_int_equal(r->block, -1);
    assert_int_equal(r->k, 20);
    assert_true(good_but_for_the_last(r->top1, 90));
    assert_string_equal(r->protocol,
                        "kNN: normalised raw pixels, evaluation transform 12 px, cosine, weights "
                        "exp(cos/0.07), k 20, 45 training images");
    bw_free(r);
    r = (bw_knn_result *)&n;
    o.raw = false;
    assert_int_equal(bw_knn(&r, &n, NULL, &train, &test, &o, NULL, NULL), BW_EINVAL);
    assert_null(r);
}

static void embed_has_the_features_of_each_image_in_order_without_the_unreadable(void **state)
{
    (void)state;
    float *got = NULL, *trunk[BLOCKS] = { NULL };
    int64_t *index = NULL, rows = 0, dim = bw_network_feature_dim(network, 2, BW_FEATURE_TRUNK);
    memory_images images = test_images;
    images.unreadable = 4;
    bw_dataset d = memory_dataset(&images, TEST, 0, NULL);
    const bw_config *config = bw_network_config(network);
    CHECK_OK(bw_embed(&got, &index, &rows, network, &d, 2, BW_FEATURE_TRUNK, 2, NULL, NULL));
    assert_int_equal(rows, TEST - 1);

    bw_extractor *extractor = NULL;
    bw_image image = { 0 };
    static float pixels[S * S * 3], want[64];
    assert_true(dim <= 64);
    trunk[2] = want;
    CHECK_OK(bw_extractor_create(&extractor, network, 1, S));
    for (int64_t i = 0; i < rows; i++) {
        assert_int_equal(index[i], i < 4 ? i : i + 1);
        CHECK_OK(bw_dataset_read(&d, index[i], &image));
        bw__normalise(pixels, image.rgb, S * S, config->augment.mean, config->augment.std);
        CHECK_OK(bw_extractor_run(extractor, NULL, trunk, pixels, 1));
        CHECK_CLOSE_F32(got + i * dim, want, (size_t)dim, 1e-4, 1e-5);
    }
    bw_extractor_free(extractor);
    bw_image_clear(&image);
    bw_free(got);
    bw_free(index);
    memory_dataset_free(&d);
}

static void more_images_than_the_network_takes_at_once_give_the_features_of_each(void **state)
{
    (void)state;
    enum { N = 7, ROOM = N + 1, DIM = 24 };
    static float images[N * S * S * 3];
    bw_target_list head = { .n = 1, .item = { { 3, BW_FEATURE_HEAD } } };
    bw_feature_arrays many, one;
    bw_rng rng = bw__rng(1, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&rng, images, N * S * S * 3);
    bw_image_pass pass = bw__image_pass_of(bw_network_config(network), 0, 0, 1);
    pass.batch = 3;
    CHECK_OK(bw__feature_arrays_create(&many, network, &head, &pass, ROOM));
    pass.batch = 1;
    CHECK_OK(bw__feature_arrays_create(&one, network, &head, &pass, ROOM));
    CHECK_OK(bw__feature_arrays_fill(&many, 1, images, N));
    for (int64_t i = 0; i < N; i++)
        CHECK_OK(bw__feature_arrays_fill(&one, 1 + i, images + i * S * S * 3, 1));
    const float *got = many.x[BW_FEATURE_HEAD][3], *want = one.x[BW_FEATURE_HEAD][3];
    CHECK_CLOSE_F32(got + DIM, want + DIM, N * DIM, 1e-4, 1e-5);
    /* Different images have different features, or the comparison would say nothing. */
    double first[DIM], last[DIM];
    for (int d = 0; d < DIM; d++) {
        first[d] = (double)want[DIM + d];
        last[d] = (double)want[N * DIM + d];
    }
    assert_false(check_is_close(first, last, DIM, 1e-3, 1e-4));
    bw__feature_arrays_clear(&many);
    bw__feature_arrays_clear(&one);
}

/* A shape [5000000, 0] takes no bytes in a file, and would take half a gigabyte here. */
static void a_file_of_classifiers_is_compared_before_memory_is_taken_for_its_classes(void **state)
{
    (void)state;
    enum { DIM = 24, MANY = 5000000 };
    const char *keys[] = { "kind", "classes", "trunk", "heads" };
    bw_st_pair pairs[4];
    bw_st_file *file = NULL;
    bw_classifier c = { 0 }, got = { 0 };
    char *folder = new_folder(), *classes = NULL;
    float bias[2] = { 0 };
    bw_st_tensor tensors[] = {
        { "blocks.1.head.classifier.weight", BW_ST_F32, 2, { MANY, 0 }, bias, 0 },
        { "blocks.1.head.classifier.bias", BW_ST_F32, 1, { 2 }, bias, sizeof bias },
    };
    assert_int_equal(bw_network_feature_dim(network, 0, BW_FEATURE_HEAD), DIM);
    CHECK_OK(bw__classifier_create(&c, 0, BW_FEATURE_HEAD, DIM, 2));
    CHECK_OK(bw__probe_file_write(in(folder, "p.safetensors"), network, &train, &c, 1));
    CHECK_OK(bw__probe_file_read(&got, &classes, in(folder, "p.safetensors"), network, 0, BW_FEATURE_HEAD));
    assert_int_equal(got.classes, 2);
    CHECK_OK(bw__st_open(&file, in(folder, "p.safetensors")));
    for (int i = 0; i < 4; i++)
        pairs[i] = (bw_st_pair){ keys[i], bw__st_metadata(file, keys[i]) };
    CHECK_OK(bw__st_write(in(folder, "q.safetensors"), tensors, 2, pairs, 4));
    tensors[0] =
        (bw_st_tensor){ tensors[0].name, BW_ST_F32, 2, { 2, DIM }, c.weight, 2 * DIM * sizeof(float) };
    tensors[1] = (bw_st_tensor){ tensors[1].name, BW_ST_F32, 2, { MANY, 0 }, bias, 0 };
    CHECK_OK(bw__st_write(in(folder, "r.safetensors"), tensors, 2, pairs, 4));
    bw__st_close(file);
    bw__classifier_clear(&got);
    bw_free(classes);
    const int64_t before = bw__peak_rss_bytes();
    const char *files[] = { "q.safetensors", "r.safetensors" }, *named[] = { "weight has", "bias has" };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            bw__probe_file_read(&got, &classes, in(folder, files[i]), network, 0, BW_FEATURE_HEAD), BW_EDATA);
        expect_line(bw_last_error(), named[i]);
        expect_line(bw_last_error(), "another shape");
    }
    assert_true(bw__peak_rss_bytes() - before < 100000000);
    bw__classifier_clear(&c);
    remove_folder(folder);
}

static void an_extractor_of_sizes_beyond_any_memory_is_refused(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {
        { 1, 1 << 20 }, { (int64_t)1 << 40, S }, { (int64_t)1 << 60, S }, { INT64_MAX, INT64_MAX }
    };
    for (int i = 0; i < 4; i++) {
        bw_extractor *extractor = NULL;
        assert_int_equal(bw_extractor_create(&extractor, network, sizes[i][0], sizes[i][1]), BW_ENOMEM);
        expect_line(bw_last_error(), "convolution 3x3/1");
        assert_null(extractor);
    }
}

/* One value of the head is enough, wherever it stands: the trunk's features stay what they are. */
static void a_head_feature_that_is_not_finite_is_refused_and_the_trunks_are_not(void **state)
{
    (void)state;
    const char *const names[] = { "blocks.4.head.conv.weight", "blocks.4.head.bn.weight" };
    bw_knn_options o = bw_knn_options_default();
    bw_knn_result *r = NULL;
    int n = 0;
    o.threads = 1;
    for (int i = 0; i < 2; i++) {
        const bw_param *p = bw__params_find(&network->params[3], names[i]);
        float *features = NULL, *value = network->params[3].values + p->offset, kept = *value;
        int64_t *index = NULL, rows = 0;
        *value = NAN;
        assert_int_equal(
            bw_embed(&features, &index, &rows, network, &test, 3, BW_FEATURE_HEAD, 1, NULL, NULL),
            BW_ENONFINITE);
        expect_line(bw_last_error(), "block 4: a feature is not finite");
        assert_null(features);
        assert_int_equal(bw_knn(&r, &n, network, &train, &test, &o, NULL, NULL), BW_ENONFINITE);
        CHECK_OK(bw_embed(&features, &index, &rows, network, &test, 3, BW_FEATURE_TRUNK, 1, NULL, NULL));
        *value = kept;
        bw_free(features);
        bw_free(index);
    }
}

static int running_threads(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

/* A thread that has ended may be listed for a moment; those of an OpenMP team wait for more work. */
static int threads_that_stay(int expected)
{
    const struct timespec moment = { .tv_nsec = 10000000 };
    for (int i = 0; i < 100 && running_threads() > expected; i++)
        (void)nanosleep(&moment, NULL);
    return running_threads();
}

typedef struct trial {
    bw_status embed, correlation;
    int left;
} trial;

/* On a thread of its own, which has no team yet. */
static void *evaluate_on_one_thread(void *out)
{
    trial *t = out;
    const int before = running_threads();
    bw_correlation_options o = bw_correlation_options_default();
    bw_correlation_result *r = NULL;
    float *features = NULL;
    int64_t *index = NULL, rows = 0;
    int n = 0;
    o.threads = 1;
    o.images = 8;
    t->embed = bw_embed(&features, &index, &rows, network, &test, 3, BW_FEATURE_HEAD, 1, NULL, NULL);
    t->correlation = bw_correlation(&r, &n, network, &test, &o, NULL, NULL);
    t->left = threads_that_stay(before) - before;
    bw_free(features);
    bw_free(index);
    bw_free(r);
    return NULL;
}

static void the_network_runs_on_the_threads_asked_for_whatever_its_config_says(void **state)
{
    (void)state;
    pthread_t thread;
    trial t = { 0 };
    network->config.threads = 3;
    assert_int_equal(pthread_create(&thread, NULL, evaluate_on_one_thread, &t), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    network->config.threads = 1;
    assert_int_equal(t.embed, BW_OK);
    assert_int_equal(t.correlation, BW_OK);
    assert_int_equal(t.left, 0);
}

static void the_callers_number_of_openmp_threads_stays(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    float *features = NULL;
    int64_t *index = NULL, rows = 0;
    bw_extractor *extractor = NULL;
    omp_set_num_threads(5);
    CHECK_OK(bw_embed(&features, &index, &rows, network, &test, 3, BW_FEATURE_HEAD, 2, NULL, NULL));
    assert_int_equal(omp_get_max_threads(), 5);
    CHECK_OK(bw_extractor_create(&extractor, network, 1, S));
    assert_int_equal(omp_get_max_threads(), 5);
    omp_set_num_threads(before);
    bw_extractor_free(extractor);
    bw_free(features);
    bw_free(index);
}

static char logged[512];

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level == BW_LOG_WARN) (void)snprintf(logged, sizeof logged, "%s", line);
}

static void images_without_label_are_left_out_and_counted(void **state)
{
    (void)state;
    bw_knn_options o = bw_knn_options_default();
    bw_knn_result *r = NULL;
    int n = 0;
    bw_dataset some = memory_dataset(&train_images, TRAIN, 3, NULL),
               all = memory_dataset(&test_images, TEST, 3, NULL);
    /* Were they used with a wrong row or label, the neighbours would be of wrong classes. */
    for (int i = 0; i < TRAIN; i += 4)
        some.labels[i] = -1;
    o.block = 1;
    o.n_k = 1;
    o.k[0] = 1;
    o.threads = 2;
    bw_set_log(keep_log, NULL);
    CHECK_OK(bw_knn(&r, &n, network, &some, &all, &o, NULL, NULL));
    bw_set_log(NULL, NULL);
    assert_string_equal(logged, "39 of 153 images have no label and are left out");
    assert_int_equal(n, 1);
    assert_true(r->block == 1 && r->top1 >= 100);
    expect_line(r->protocol, "114 training images");
    bw_free(r);
    memory_dataset_free(&some);
    memory_dataset_free(&all);
}

static void expect_probe_failure(const bw_dataset *a, const bw_dataset *b, bw_probe_options o,
                                 bw_status status, const char *words)
{
    int n = 1;
    bw_probe_result *r = (bw_probe_result *)&n;
    assert_int_equal(bw_probe(&r, &n, network, a, b, &o, NULL, NULL), status);
    assert_null(r);
    assert_int_equal(n, 0);
    expect_line(bw_last_error(), words);
}

static void senseless_questions_are_refused_with_the_reason(void **state)
{
    (void)state;
    const char *other_names[3] = { "red", "green", "grue" };
    bw_probe_options o = bw_probe_options_default();
    bw_dataset unlabelled = memory_dataset(&train_images, 9, 0, NULL),
               single = memory_dataset(&train_images, 9, 1, NULL),
               other = memory_dataset(&test_images, 9, 3, other_names);
    expect_probe_failure(&unlabelled, &test, o, BW_EDATA, "have no labels");
    expect_probe_failure(&single, &test, o, BW_EDATA, "it needs two classes");
    expect_probe_failure(&train, &other, o, BW_EDATA, "class 3 is 'blue' in the training split and 'grue'");
    o.block = BLOCKS;
    expect_probe_failure(&train, &test, o, BW_EINVAL, "block 5: this network has blocks 1 to 4");
    o.block = -1;
    o.head = false;
    expect_probe_failure(&train, &test, o, BW_EINVAL, "no feature chosen");
    o.head = true;
    o.protocol = (bw_protocol)9;
    expect_probe_failure(&train, &test, o, BW_EINVAL, "9 is no protocol");
    float *features = NULL;
    int64_t *index = NULL, rows;
    assert_int_equal(bw_embed(&features, &index, &rows, network, &test, -1, BW_FEATURE_TRUNK, 1, NULL, NULL),
                     BW_EINVAL);
    memory_dataset_free(&unlabelled);
    memory_dataset_free(&single);
    memory_dataset_free(&other);
}

/* Two classes are declared, one is all that is there. */
static void one_class_behind_two_names_is_refused_by_both_protocols(void **state)
{
    (void)state;
    bw_probe_options o = bw_probe_options_default();
    bw_dataset two = memory_dataset(&train_images, 9, 2, NULL);
    for (int i = 0; i < 9; i++)
        two.labels[i] = 1;
    o.epochs = 2;
    o.block = 0;
    expect_probe_failure(&two, &two, o, BW_EDATA, "of one class; it needs two classes");
    o.protocol = BW_PROTOCOL_AUGMENTED;
    expect_probe_failure(&two, &two, o, BW_EDATA, "of one class; it needs two classes");
    memory_dataset_free(&two);
}

typedef struct heard {
    char what[8][64];
    int pieces, calls, stop_at;
    double last;
} heard;

static int listen(void *user, const char *what, double done)
{
    heard *h = user;
    assert_true(done >= 0 && done <= 1 + 1e-9);
    if (h->pieces == 0 || strcmp(h->what[h->pieces - 1], what) != 0) {
        assert_true(h->pieces < 8);
        (void)snprintf(h->what[h->pieces++], sizeof h->what[0], "%s", what);
        h->last = 0;
    }
    assert_true(done >= h->last - 1e-9);
    h->last = done;
    return ++h->calls == h->stop_at;
}

static void progress_names_its_pieces_and_any_of_them_can_be_stopped(void **state)
{
    (void)state;
    bw_knn_options o = bw_knn_options_default();
    bw_knn_result *r = NULL;
    int n = 0;
    heard h = { .pieces = 0 };
    o.threads = 1;
    CHECK_OK(bw_knn(&r, &n, network, &train, &test, &o, listen, &h));
    bw_free(r);
    assert_int_equal(h.pieces, 3);
    assert_string_equal(h.what[0], "features of the training images");
    assert_string_equal(h.what[1], "features of the test images");
    assert_string_equal(h.what[2], "nearest neighbours");
    assert_true(fabs(h.last - 1) < 1e-9);
    int calls = h.calls;
    for (int stop = 1; stop <= calls; stop++) {
        h = (heard){ .stop_at = stop };
        assert_int_equal(bw_knn(&r, &n, network, &train, &test, &o, listen, &h), BW_EINTERRUPTED);
        assert_null(r);
        assert_int_equal(h.calls, stop);
    }
}

static void stopping_one_fit_of_the_probe_stops_them_all_with_one_message(void **state)
{
    (void)state;
    bw_probe_options o = bw_probe_options_default();
    bw_probe_result *r = NULL;
    int n = 0;
    heard h = { .pieces = 0 };
    o.epochs = 9;
    o.threads = 2;
    CHECK_OK(bw_probe(&r, &n, network, &train, &test, &o, listen, &h));
    bw_free(r);
    assert_int_equal(h.pieces, 3);
    assert_string_equal(h.what[2], "linear probe");
    assert_true(fabs(h.last - 1) < 1e-9);
    int calls = h.calls;
    for (int stop = calls - 4; stop <= calls; stop++) {
        h = (heard){ .stop_at = stop };
        assert_int_equal(bw_probe(&r, &n, network, &train, &test, &o, listen, &h), BW_EINTERRUPTED);
        assert_null(r);
        assert_int_equal(h.calls, stop);
        assert_string_equal(bw_last_error(), "linear probe: stopped on request");
    }
}

static void probe_is_the_same_side_by_side_and_one_after_the_other(void **state)
{
    (void)state;
    bw_probe_options o = bw_probe_options_default();
    bw_probe_result *r[3] = { NULL };
    const int threads[3] = { 1, 2, 9 };
    int n = 0, one;
    o.epochs = 5;
    for (int i = 0; i < 3; i++) {
        o.threads = threads[i];
        CHECK_OK(bw_probe(&r[i], &n, network, &train, &test, &o, NULL, NULL));
    }
    for (int i = 0; i < n; i++)
        for (int j = 1; j < 3; j++) {
            assert_memory_equal(&r[j][i].top1, &r[0][i].top1, 3 * sizeof(double));
            assert_string_equal(r[j][i].protocol, r[0][i].protocol);
        }
    /* And so is that of one block alone. */
    bw_probe_result *alone = NULL;
    o.block = 2;
    CHECK_OK(bw_probe(&alone, &one, network, &train, &test, &o, NULL, NULL));
    assert_int_equal(one, 1);
    assert_int_equal(alone->block, 2);
    assert_memory_equal(&alone->top1, &r[0][2].top1, 3 * sizeof(double));
    bw_free(alone);
    for (int i = 0; i < 3; i++)
        bw_free(r[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_classifiers_is_compared_before_memory_is_taken_for_its_classes),
        cmocka_unit_test(probe_reports_every_block_and_feature_then_the_concatenations),
        cmocka_unit_test(probe_takes_every_unit_of_any_order_and_all_of_them_together),
        cmocka_unit_test(augmented_probe_learns_from_crops_and_names_its_protocol),
        cmocka_unit_test(knn_reports_every_block_for_every_k),
        cmocka_unit_test(raw_pixels_need_no_network),
        cmocka_unit_test(embed_has_the_features_of_each_image_in_order_without_the_unreadable),
        cmocka_unit_test(more_images_than_the_network_takes_at_once_give_the_features_of_each),
        cmocka_unit_test(an_extractor_of_sizes_beyond_any_memory_is_refused),
        cmocka_unit_test(a_head_feature_that_is_not_finite_is_refused_and_the_trunks_are_not),
        cmocka_unit_test(the_network_runs_on_the_threads_asked_for_whatever_its_config_says),
        cmocka_unit_test(the_callers_number_of_openmp_threads_stays),
        cmocka_unit_test(images_without_label_are_left_out_and_counted),
        cmocka_unit_test(senseless_questions_are_refused_with_the_reason),
        cmocka_unit_test(one_class_behind_two_names_is_refused_by_both_protocols),
        cmocka_unit_test(progress_names_its_pieces_and_any_of_them_can_be_stopped),
        cmocka_unit_test(stopping_one_fit_of_the_probe_stops_them_all_with_one_message),
        cmocka_unit_test(probe_is_the_same_side_by_side_and_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
