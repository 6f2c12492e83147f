/* All memory of the library goes through the allocator a program gives it, and comes back; and a failure of
 * any single allocation is BW_ENOMEM with nothing left behind. */
#include "check.h"
#include "blockwise/blockwise.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { IMAGES = 12, SIDE = 18 };

/* --- an allocator that counts, and fails when told to --- */

static atomic_llong calls, alive, misplaced;
static long long fails_at; /* this call, from 1; 0: none */

typedef struct piece {
    void *start;
    uint64_t mark;
} piece;
#define MARK 0x626c6f636b776973u

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    assert_ptr_equal(user, &calls);
    if (++calls == fails_at) return NULL;
    char *start = malloc(bytes + alignment + sizeof(piece));
    if (!start) return NULL;
    uintptr_t at = ((uintptr_t)start + sizeof(piece) + alignment - 1) / alignment * alignment;
    piece *h = (piece *)(void *)(at - sizeof(piece));
    *h = (piece){ .start = start, .mark = MARK };
    alive++;
    return (char *)start + (at - (uintptr_t)start);
}

/* What did not come from here has no mark. */
static void release(void *user, void *memory)
{
    assert_ptr_equal(user, &calls);
    piece *h = (piece *)memory - 1;
    if (h->mark != MARK) {
        misplaced++;
        return;
    }
    h->mark = 0;
    free(h->start);
    alive--;
}

static const bw_allocator own = { .allocate = allocate, .release = release, .user = &calls };

static int setup(void **state)
{
    (void)state;
    calls = alive = misplaced = fails_at = 0;
    return bw_set_allocator(&own) == BW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return bw_set_allocator(NULL) == BW_OK ? 0 : -1;
}

/* --- work to do --- */

static char root[4096], data[4200], run[4200];

/* Images and labels in the form of MNIST. */
static void write_file(const char *name, const unsigned char *header, size_t header_bytes, int64_t bytes)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/%s", data, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(header, 1, header_bytes, f), header_bytes);
    for (int64_t i = 0; i < bytes; i++) /* labels 0 and 1; images that differ */
        assert_true(fputc(bytes == IMAGES ? (int)(i % 2) : (int)(i * (i / (SIDE * SIDE) + 3) % 251), f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void write_data(void)
{
    const unsigned char images[16] = { 0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, SIDE, 0, 0, 0, SIDE };
    const unsigned char labels[8] = { 0, 0, 8, 1, 0, 0, 0, IMAGES };
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    (void)snprintf(data, sizeof data, "%s/data", root);
    (void)snprintf(run, sizeof run, "%s/run", root);
    (void)mkdir(data, 0777);
    write_file("train-images-idx3-ubyte", images, sizeof images, (int64_t)IMAGES * SIDE * SIDE);
    write_file("train-labels-idx1-ubyte", labels, sizeof labels, IMAGES);
    write_file("t10k-images-idx3-ubyte", images, sizeof images, (int64_t)IMAGES * SIDE * SIDE);
    write_file("t10k-labels-idx1-ubyte", labels, sizeof labels, IMAGES);
}

static bw_config config;

static void make_config(void)
{
    const char *yaml =
        "threads: 1\nmodel: {arch: resnet18, stem: cifar, width: 8}\nprojector: {widths: [16]}\n"
        "train: {batch: 4, steps: 2}\ndata: {image_size: 16, threads: 2}\n";
    config = bw_config_default();
    CHECK_OK(bw_config_load(&config, yaml, strlen(yaml), "test"));
    CHECK_OK(bw_config_resolve(&config));
}

static bw_status evaluate(const bw_network *network, const bw_dataset *train, const bw_dataset *test)
{
    float *features = NULL;
    int64_t *index = NULL, rows = 0;
    bw_probe_result *probe = NULL;
    bw_knn_result *knn = NULL;
    bw_correlation_result *correlation = NULL;
    int n = 0;
    bw_correlation_options correlation_options = bw_correlation_options_default();
    bw_probe_options probe_options = bw_probe_options_default();
    bw_knn_options knn_options = bw_knn_options_default();
    probe_options.epochs = 1;
    probe_options.threads = knn_options.threads = 1;
    bw_status st = bw_embed(&features, &index, &rows, network, test, 3, BW_FEATURE_TRUNK, 1, NULL, NULL);
    if (st == BW_OK) st = bw_probe(&probe, &n, network, train, test, &probe_options, NULL, NULL);
    if (st == BW_OK) st = bw_knn(&knn, &n, network, train, test, &knn_options, NULL, NULL);
    if (st == BW_OK) {
        knn_options.raw = true;
        bw_free(knn);
        st = bw_knn(&knn, &n, network, train, test, &knn_options, NULL, NULL);
    }
    correlation_options.threads = 1;
    if (st == BW_OK) st = bw_correlation(&correlation, &n, network, test, &correlation_options, NULL, NULL);
    bw_free(correlation);
    bw_free(features);
    bw_free(index);
    bw_free(probe);
    bw_free(knn);
    return st;
}

static bw_status pretrain(void)
{
    const bw_pretrain_options options = { .config = &config, .data = data, .out = run };
    return bw_pretrain(&options);
}

static bw_status load_and_evaluate(void)
{
    bw_network *network = NULL;
    bw_dataset *train = NULL, *test = NULL;
    char *yaml = NULL;
    bw_status st = bw_network_load(&network, run);
    if (st == BW_OK) st = bw_dataset_open(&train, data, BW_SPLIT_TRAIN, NULL);
    if (st == BW_OK) st = bw_dataset_open(&test, data, BW_SPLIT_TEST, NULL);
    if (st == BW_OK) st = bw_config_to_yaml(&yaml, bw_network_config(network));
    if (st == BW_OK) st = evaluate(network, train, test);
    bw_free(yaml);
    bw_dataset_free(test);
    bw_dataset_free(train);
    bw_network_free(network);
    return st;
}

static bw_status create_and_step(void)
{
    enum { COUNT = 2 * 4 * 16 * 16 * 3 };
    static float views[COUNT];
    bw_network *network = NULL;
    bw_trainer *trainer = NULL;
    bw_step step;
    for (int i = 0; i < COUNT; i++)
        views[i] = (float)(i * 7 % 23) / 11.0f - 1.0f;
    bw_status st = bw_network_create(&network, &config);
    if (st == BW_OK) st = bw_trainer_create(&trainer, network, 4);
    if (st == BW_OK) st = bw_trainer_step(trainer, &step, views, NULL);
    bw_trainer_free(trainer);
    bw_network_free(network);
    return st;
}

/* --- facts --- */

static void everything_comes_from_the_allocator_and_goes_back(void **state)
{
    (void)state;
    write_data();
    make_config();
    CHECK_OK(pretrain());
    assert_true(calls > 100);
    assert_int_equal(alive, 0);
    CHECK_OK(load_and_evaluate());
    assert_int_equal(alive, 0);
    assert_int_equal(misplaced, 0);
}

static void an_allocator_cannot_change_while_memory_is_in_use(void **state)
{
    (void)state;
    char *yaml = NULL;
    make_config();
    CHECK_OK(bw_config_to_yaml(&yaml, &config));
    assert_int_equal(bw_set_allocator(NULL), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "1 pieces are in use"));
    bw_free(yaml);
    assert_int_equal(misplaced, 0);
    CHECK_OK(bw_set_allocator(NULL));
    const bw_allocator half = { .allocate = allocate };
    assert_int_equal(bw_set_allocator(&half), BW_EINVAL);
    CHECK_OK(bw_set_allocator(&own));
}

/* The first `each` allocations one by one, then every so many: later ones are of kinds seen before. Finding
 * out what format a folder has does without memory where there is none. */
static void fails_cleanly(const char *what, bw_status (*work)(void), int each, int step, bool opens_data)
{
    calls = fails_at = 0;
    CHECK_OK(work());
    const long long all = calls;
    for (long long at = 1; at <= all; at += at < each ? 1 : step) {
        calls = 0;
        fails_at = at;
        bw_status st = work();
        if ((st != BW_ENOMEM && !(opens_data && st == BW_OK)) || alive != 0 || misplaced != 0)
            fail_msg("%s, allocation %lld of %lld fails: status %d (%s), %lld pieces left", what, at, all, st,
                     bw_last_error(), (long long)alive);
    }
    fails_at = 0;
}

static void a_failed_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    write_data();
    make_config();
    CHECK_OK(pretrain());
    fails_cleanly("training", create_and_step, 40, 17, false);
    fails_cleanly("evaluation", load_and_evaluate, 40, 61, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_comes_from_the_allocator_and_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(an_allocator_cannot_change_while_memory_is_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_allocation_leaves_nothing_behind, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
