/* The loader over a data set in memory, in which any image can be made unreadable. label: tsan */
#include "check.h"
#include "base/error.h"
#include "data/augment.h"
#include "data/dataset_internal.h"
#include "data/loader.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIZE = 23, BATCH = 5, PIXELS = 9, SAMPLE = PIXELS * PIXELS * 3 };

typedef struct memory_source {
    bw_status status[SIZE]; /* what reading this image answers */
    int64_t slow;           /* this image's number + 1: reading it takes long */
} memory_source;

static bw_status memory_read(const bw_dataset *dataset, int64_t index, bw_image *image)
{
    const memory_source *source = dataset->source;
    if (source->slow == index + 1) (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    if (source->status[index] != BW_OK)
        return bw_fail(source->status[index], "reason %lld", (long long)index);
    image->width = 14 + index % 7;
    image->height = 11 + index % 5;
    const size_t bytes = (size_t)(image->width * image->height * 3);
    if (image->capacity < bytes) {
        bw_image_clear(image);
        void *mem = NULL;
        bw_status st = bw__alloc(&mem, bytes);
        if (st != BW_OK) return st;
        image->rgb = mem;
        image->capacity = bytes;
        image->width = 14 + index % 7;
        image->height = 11 + index % 5;
    }
    for (size_t i = 0; i < bytes; i++)
        image->rgb[i] = (uint8_t)((i * i + i * (size_t)index * 31 + (size_t)index) % 251);
    return BW_OK;
}

static void memory_name(const bw_dataset *dataset, int64_t index, char *name, size_t size)
{
    (void)dataset;
    (void)snprintf(name, size, "picture-%02lld", (long long)index);
}

static void memory_close(void *source)
{
    (void)source;
}

static const bw_data_store memory_store = { .read = memory_read, .name = memory_name, .close = memory_close };

static const bw_augment_config PAPER = { .view = { { { 0.08, 1.0 },
                                                     { 0.75, 1.333 },
                                                     BW_INTERPOLATION_BICUBIC,
                                                     0.5,
                                                     0.8,
                                                     0.4,
                                                     0.4,
                                                     0.2,
                                                     0.1,
                                                     0.2,
                                                     1.0,
                                                     { 0.1, 2.0 },
                                                     0.0,
                                                     128 },
                                                   { { 0.08, 1.0 },
                                                     { 0.75, 1.333 },
                                                     BW_INTERPOLATION_BICUBIC,
                                                     0.5,
                                                     0.8,
                                                     0.4,
                                                     0.4,
                                                     0.2,
                                                     0.1,
                                                     0.2,
                                                     0.1,
                                                     { 0.1, 2.0 },
                                                     0.2,
                                                     128 } },
                                         .mean = { 0.485, 0.456, 0.406 },
                                         .std = { 0.229, 0.224, 0.225 } };

static bw_loader_config config_of(bw_loader_mode mode)
{
    return (bw_loader_config){ .mode = mode,
                               .image_size = PIXELS,
                               .augment = &PAPER,
                               .batch = BATCH,
                               .seed = 77,
                               .threads = 2,
                               .max_bad = 0.5 };
}

/* All that a loader gives, one batch after the other. */
typedef struct record {
    bw_status status; /* of the last call */
    char message[512];
    int64_t batches, samples, bad, values;
    int64_t index[400], n[100], step[100], epoch[100];
    float *images;
} record;

static record *run(const memory_source *source, const bw_loader_config *config)
{
    bw_dataset dataset = { .store = &memory_store, .source = (void *)(uintptr_t)source, .size = SIZE };
    record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->images = malloc(400 * 2 * SAMPLE * sizeof *r->images);
    assert_non_null(r->images);
    bw_loader *loader = NULL;
    r->status = bw__loader_create(&loader, &dataset, config);
    const bw_batch *b = NULL;
    while (r->status == BW_OK) {
        r->status = bw__loader_next(loader, &b);
        if (r->status != BW_OK) assert_null(b);
        if (!b) break;
        assert_true(r->batches < 100 && r->samples + b->n <= 400);
        r->n[r->batches] = b->n;
        r->step[r->batches] = b->step;
        r->epoch[r->batches++] = b->epoch;
        memcpy(r->images + r->values, b->images, (size_t)(b->views * b->n * SAMPLE) * sizeof(float));
        r->values += b->views * b->n * SAMPLE;
        memcpy(r->index + r->samples, b->index, (size_t)b->n * sizeof *b->index);
        r->samples += b->n;
    }
    (void)snprintf(r->message, sizeof r->message, "%s", r->status == BW_OK ? "" : bw_last_error());
    r->bad = loader ? bw__loader_bad(loader) : 0;
    if (loader && r->status != BW_OK) {
        assert_int_equal(bw__loader_next(loader, &b), r->status);
        assert_string_equal(bw_last_error(), r->message);
    }
    bw__loader_free(loader);
    return r;
}

static void drop(record *r)
{
    free(r->images);
    free(r);
}

static void check_same(const record *a, const record *b)
{
    assert_int_equal(a->status, b->status);
    assert_string_equal(a->message, b->message);
    assert_int_equal(a->batches, b->batches);
    assert_int_equal(a->bad, b->bad);
    assert_int_equal(a->values, b->values);
    assert_memory_equal(a->index, b->index, sizeof a->index);
    assert_memory_equal(a->n, b->n, sizeof a->n);
    assert_memory_equal(a->images, b->images, (size_t)a->values * sizeof(float));
}

static void batches_are_the_same_for_1_2_and_8_threads(void **state)
{
    (void)state;
    const memory_source some_bad = { .status = { [3] = BW_EDATA, [4] = BW_EDATA, [20] = BW_EDATA } };
    for (int mode = BW_LOADER_VIEWS; mode <= BW_LOADER_PROBE; mode++) {
        bw_loader_config c = config_of((bw_loader_mode)mode);
        c.end_step = 13;
        c.threads = 1;
        record *one = run(&some_bad, &c);
        assert_int_equal(one->batches, 13);
        assert_int_equal(one->bad, 3);
        for (int threads = 2; threads <= 8; threads += 6) {
            c.threads = threads;
            record *more = run(&some_bad, &c);
            check_same(one, more);
            drop(more);
        }
        drop(one);
    }
}

static void views_are_the_augmentations_keyed_by_seed_epoch_image_and_view(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    const bw_dataset dataset = { .store = &memory_store, .source = (void *)(uintptr_t)&good, .size = SIZE };
    bw_loader_config c = config_of(BW_LOADER_VIEWS);
    c.start_step = 5; /* epoch 1 */
    c.end_step = 6;
    record *r = run(&good, &c);
    assert_int_equal(r->epoch[0], 1);
    bw_image image = { 0 };
    bw_augment_work work = { 0 };
    uint8_t bytes[SAMPLE];
    float want[SAMPLE];
    for (int v = 0; v < 2; v++)
        for (int64_t i = 0; i < BATCH; i++) {
            CHECK_OK(bw_dataset_read(&dataset, r->index[i], &image));
            bw_rng rng = bw__rng(77, BW_RNG_AUGMENT, 1, (uint64_t)r->index[i], (uint32_t)v);
            bw_augment_params params;
            bw__augment_draw(&params, &PAPER.view[v], image.height, image.width, &rng);
            CHECK_OK(bw__augment_apply(bytes, PIXELS, &image, &params, &PAPER.view[v], &work));
            bw__normalise(want, bytes, PIXELS * PIXELS, PAPER.mean, PAPER.std);
            assert_memory_equal(r->images + (v * BATCH + i) * SAMPLE, want, sizeof want);
        }
    bw_image_clear(&image);
    bw__augment_work_clear(&work);
    drop(r);
}

static void probe_batch_is_a_bilinear_crop_and_flip_and_centre_batch_the_evaluation_transform(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    const bw_dataset dataset = { .store = &memory_store, .source = (void *)(uintptr_t)&good, .size = SIZE };
    const bw_view_config view = { .crop_scale = { 0.08, 1.0 },
                                  .crop_ratio = { 0.75, 4.0 / 3.0 },
                                  .interpolation = BW_INTERPOLATION_BILINEAR,
                                  .flip_prob = 0.5 };
    bw_loader_config c = config_of(BW_LOADER_PROBE);
    c.end_step = 1;
    record *probe = run(&good, &c);
    c.mode = BW_LOADER_CENTER;
    record *center = run(&good, &c);
    bw_image image = { 0 };
    bw_augment_work work = { 0 };
    uint8_t bytes[SAMPLE];
    float want[SAMPLE];
    for (int64_t i = 0; i < BATCH; i++) {
        CHECK_OK(bw_dataset_read(&dataset, probe->index[i], &image));
        bw_rng rng = bw__rng(77, BW_RNG_AUGMENT, 0, (uint64_t)probe->index[i], 0);
        bw_augment_params params;
        bw__augment_draw(&params, &view, image.height, image.width, &rng);
        CHECK_OK(bw__augment_apply(bytes, PIXELS, &image, &params, &view, &work));
        bw__normalise(want, bytes, PIXELS * PIXELS, PAPER.mean, PAPER.std);
        assert_memory_equal(probe->images + i * SAMPLE, want, sizeof want);
        CHECK_OK(bw_dataset_read(&dataset, i, &image));
        CHECK_OK(bw__eval_transform(bytes, PIXELS, &image, false, &work));
        bw__normalise(want, bytes, PIXELS * PIXELS, PAPER.mean, PAPER.std);
        assert_memory_equal(center->images + i * SAMPLE, want, sizeof want);
    }
    bw_image_clear(&image);
    bw__augment_work_clear(&work);
    drop(probe);
    drop(center);
}

static void corruption_is_done_between_transform_and_normalisation_for_any_threads(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    const bw_dataset dataset = { .store = &memory_store, .source = (void *)(uintptr_t)&good, .size = SIZE };
    bw_loader_config c = config_of(BW_LOADER_CENTER);
    c.corruption = bw__corruption_named("speckle_noise");
    c.severity = 4;
    record *r = run(&good, &c);
    c.threads = 1;
    record *one = run(&good, &c);
    check_same(r, one);
    bw_image image = { 0 };
    bw_augment_work work = { 0 };
    uint8_t bytes[SAMPLE];
    float want[SAMPLE];
    for (int64_t i = 0; i < SIZE; i++) {
        CHECK_OK(bw_dataset_read(&dataset, i, &image));
        CHECK_OK(bw__eval_transform(bytes, PIXELS, &image, false, &work));
        CHECK_OK(bw__corrupt(bytes, PIXELS, c.corruption, 4, 77, i));
        bw__normalise(want, bytes, PIXELS * PIXELS, PAPER.mean, PAPER.std);
        assert_memory_equal(r->images + i * SAMPLE, want, sizeof want);
    }
    bw_image_clear(&image);
    bw__augment_work_clear(&work);
    drop(r);
    drop(one);
}

static void a_later_start_gives_the_same_batches_as_skipping(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    bw_loader_config c = config_of(BW_LOADER_VIEWS);
    c.end_step = 11;
    record *whole = run(&good, &c);
    c.start_step = 6;
    record *rest = run(&good, &c);
    assert_int_equal(rest->batches, 5);
    assert_int_equal(rest->step[0], 6);
    assert_memory_equal(rest->index, whole->index + 6 * BATCH, 5 * BATCH * sizeof *rest->index);
    assert_memory_equal(rest->images, whole->images + 6 * 2 * BATCH * SAMPLE,
                        5 * 2 * BATCH * SAMPLE * sizeof *rest->images);
    drop(whole);
    drop(rest);
}

static void views_drop_the_last_smaller_batch_and_the_probe_keeps_it(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    bw_loader_config c = config_of(BW_LOADER_VIEWS);
    c.end_step = 5;
    record *views = run(&good, &c);
    const int64_t epochs[5] = { 0, 0, 0, 0, 1 };
    assert_memory_equal(views->epoch, epochs, sizeof epochs);
    assert_int_equal(views->n[3], BATCH);
    c.mode = BW_LOADER_PROBE;
    record *probe = run(&good, &c);
    assert_int_equal(probe->epoch[4], 0);
    assert_int_equal(probe->n[3], BATCH);
    assert_int_equal(probe->n[4], SIZE - 4 * BATCH);
    int seen[SIZE] = { 0 };
    for (int64_t i = 0; i < probe->samples; i++)
        seen[probe->index[i]]++;
    for (int i = 0; i < SIZE; i++)
        assert_int_equal(seen[i], 1);
    drop(views);
    drop(probe);
}

static void centre_gives_every_image_once_in_order_and_leaves_out_unreadable_ones(void **state)
{
    (void)state;
    const memory_source bad = { .status = { [0] = BW_EDATA, [7] = BW_EDATA, [22] = BW_EDATA } };
    bw_loader_config c = config_of(BW_LOADER_CENTER);
    record *r = run(&bad, &c);
    assert_int_equal(r->status, BW_OK);
    assert_int_equal(r->batches, 5);
    assert_int_equal(r->n[0], 4);
    assert_int_equal(r->n[1], 4);
    assert_int_equal(r->n[2], 5);
    assert_int_equal(r->n[4], 2);
    int64_t at = 0;
    for (int64_t i = 0; i < SIZE; i++)
        if (bad.status[i] == BW_OK) assert_int_equal(r->index[at++], i);
    assert_int_equal(at, r->samples);
    drop(r);
}

static void batch_of_unreadable_images_only_is_passed_over(void **state)
{
    (void)state;
    memory_source bad = { 0 };
    for (int i = 5; i < 10; i++)
        bad.status[i] = BW_EDATA;
    bw_loader_config c = config_of(BW_LOADER_CENTER);
    record *r = run(&bad, &c);
    assert_int_equal(r->batches, 4);
    assert_int_equal(r->step[1], 2);
    assert_int_equal(r->index[5], 10);
    drop(r);
}

static char logged[8][256];
static int lines;

static void keep_line(void *user, bw_log_level level, const char *line)
{
    (void)user;
    (void)level;
    if (lines < 8) (void)snprintf(logged[lines], sizeof logged[0], "%s", line);
    lines++;
}

static void unreadable_image_is_replaced_by_the_next_readable_one_and_told_once(void **state)
{
    (void)state;
    memory_source source = { 0 };
    bw_loader_config c = config_of(BW_LOADER_PROBE);
    c.end_step = 10; /* two epochs */
    record *clean = run(&source, &c);
    /* Two neighbours in the middle of epoch 0, and its last image, whose successor is the first. */
    source.status[clean->index[6]] = source.status[clean->index[7]] = BW_EDATA;
    source.status[clean->index[SIZE - 1]] = BW_EDATA;
    char first[256];
    (void)snprintf(first, sizeof first, "picture-%02d: reason %d; 1 of %d skipped", (int)clean->index[6],
                   (int)clean->index[6], SIZE);
    lines = 0;
    bw_set_log(keep_line, NULL);
    record *r = run(&source, &c);
    bw_set_log(NULL, NULL);
    assert_int_equal(r->index[5], clean->index[5]);
    assert_int_equal(r->index[6], clean->index[8]);
    assert_int_equal(r->index[7], clean->index[8]);
    assert_int_equal(r->index[8], clean->index[8]);
    assert_int_equal(r->index[SIZE - 1], clean->index[0]);
    assert_int_equal(r->samples, 2 * SIZE);
    assert_int_equal(r->bad, 3);
    assert_int_equal(lines, 3);
    assert_string_equal(logged[0], first);
    drop(clean);
    drop(r);
}

static void more_unreadable_images_than_allowed_end_the_run_at_the_same_step_for_any_threads(void **state)
{
    (void)state;
    memory_source source = { 0 };
    bw_loader_config c = config_of(BW_LOADER_PROBE);
    c.end_step = 5;
    record *clean = run(&source, &c);
    for (int i = 0; i < 3; i++)
        source.status[clean->index[2 + 6 * i]] = BW_EDATA; /* places 2, 8, 14 */
    c.max_bad = 3.0 / SIZE - 1e-15;                        /* as a decimal fraction may be rounded */
    record *allowed = run(&source, &c);
    assert_int_equal(allowed->status, BW_OK);
    assert_int_equal(allowed->bad, 3);
    c.max_bad = 0.1; /* 2.3 images */
    for (c.threads = 1; c.threads <= 8; c.threads += 7) {
        record *r = run(&source, &c);
        assert_int_equal(r->status, BW_EDATA);
        assert_int_equal(r->batches, 2);
        char name[64];
        (void)snprintf(name, sizeof name, "picture-%02d: reason %d", (int)clean->index[14],
                       (int)clean->index[14]);
        assert_non_null(strstr(r->message, name));
        assert_non_null(strstr(r->message, "3 of 23"));
        assert_non_null(strstr(r->message, "data.max_bad"));
        drop(r);
    }
    drop(allowed);
    drop(clean);
}

static void unreadable_images_of_one_batch_count_in_its_order_however_long_they_take(void **state)
{
    (void)state;
    memory_source source = { 0 };
    bw_loader_config c = config_of(BW_LOADER_PROBE);
    c.end_step = 5;
    c.threads = 8;
    record *clean = run(&source, &c);
    for (int place = 11; place < 14; place++)
        source.status[clean->index[place]] = BW_EDATA;
    source.slow = clean->index[11] + 1;
    c.max_bad = 0.1; /* two images */
    record *r = run(&source, &c);
    char name[64];
    (void)snprintf(name, sizeof name, "the last one: picture-%02d:", (int)clean->index[13]);
    assert_non_null(strstr(r->message, name));
    drop(clean);
    drop(r);
}

static void nothing_readable_is_an_error_even_if_all_may_be_bad(void **state)
{
    (void)state;
    memory_source source;
    for (int i = 0; i < SIZE; i++)
        source.status[i] = BW_EDATA;
    for (int mode = BW_LOADER_VIEWS; mode <= BW_LOADER_PROBE; mode++) {
        bw_loader_config c = config_of((bw_loader_mode)mode);
        c.max_bad = 1.0;
        c.threads = 3;
        record *r = run(&source, &c);
        assert_int_equal(r->status, BW_EDATA);
        assert_int_equal(r->batches, 0);
        assert_non_null(strstr(r->message, "none of the 23 images"));
        drop(r);
    }
    source.status[11] = BW_OK;
    bw_loader_config c = config_of(BW_LOADER_PROBE);
    c.max_bad = 1.0;
    c.end_step = 5;
    record *r = run(&source, &c);
    assert_int_equal(r->status, BW_OK);
    assert_int_equal(r->samples, SIZE);
    for (int i = 0; i < SIZE; i++)
        assert_int_equal(r->index[i], 11);
    drop(r);
}

static void failure_that_is_not_the_images_comes_back_with_its_message(void **state)
{
    (void)state;
    memory_source source = { 0 };
    bw_loader_config c = config_of(BW_LOADER_CENTER);
    source.status[12] = source.status[14] = BW_ENOMEM;
    for (c.threads = 1; c.threads <= 8; c.threads += 7) {
        record *r = run(&source, &c);
        assert_int_equal(r->status, BW_ENOMEM);
        assert_int_equal(r->batches, 2);
        assert_string_equal(r->message, "reason 12");
        drop(r);
    }
}

static void limited_images_are_a_fixed_part_chosen_by_the_seed(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    bw_loader_config c = config_of(BW_LOADER_PROBE);
    c.images = 12;
    c.end_step = 6; /* two epochs of 5 + 5 + 2 */
    record *r = run(&good, &c);
    int seen[SIZE] = { 0 }, used = 0;
    for (int64_t i = 0; i < r->samples; i++)
        seen[r->index[i]]++;
    for (int i = 0; i < SIZE; i++) {
        assert_true(seen[i] == 0 || seen[i] == 2);
        used += seen[i] > 0;
    }
    assert_int_equal(used, 12);
    memory_source last_bad = { 0 };
    last_bad.status[r->index[11]] = BW_EDATA;
    record *replaced = run(&last_bad, &c);
    assert_int_equal(replaced->index[11], r->index[0]);
    drop(replaced);
    c.mode = BW_LOADER_CENTER;
    c.end_step = 0;
    record *center = run(&good, &c);
    assert_int_equal(center->samples, 12);
    for (int64_t i = 0; i < 12; i++) {
        assert_true(seen[center->index[i]] > 0);
        assert_true(i == 0 || center->index[i] > center->index[i - 1]);
    }
    c.seed = 78;
    record *other = run(&good, &c);
    assert_memory_not_equal(center->index, other->index, 12 * sizeof *other->index);
    drop(r);
    drop(center);
    drop(other);
}

static void slices_of_ranks_together_are_the_whole_batch(void **state)
{
    (void)state;
    const memory_source bad = { .status = { [9] = BW_EDATA } };
    bw_loader_config c = config_of(BW_LOADER_PROBE);
    c.end_step = 5;
    record *whole = run(&bad, &c);
    c.count = 2;
    record *left = run(&bad, &c);
    c.first = 2;
    c.count = 3;
    record *right = run(&bad, &c);
    int64_t a = 0, b = 0, w = 0;
    for (int s = 0; s < 5; s++) {
        assert_int_equal(left->n[s] + right->n[s], whole->n[s]);
        assert_memory_equal(left->index + a, whole->index + w, (size_t)left->n[s] * sizeof(int64_t));
        assert_memory_equal(left->images + a * SAMPLE, whole->images + w * SAMPLE,
                            (size_t)(left->n[s] * SAMPLE) * sizeof(float));
        w += left->n[s];
        a += left->n[s];
        assert_memory_equal(right->images + b * SAMPLE, whole->images + w * SAMPLE,
                            (size_t)(right->n[s] * SAMPLE) * sizeof(float));
        w += right->n[s];
        b += right->n[s];
    }
    /* A slice that lies behind the last, smaller batch is empty, and no step is left out. */
    c.first = 4;
    c.count = 1;
    record *empty = run(&bad, &c);
    assert_int_equal(empty->batches, 5);
    assert_int_equal(empty->n[4], 0);
    drop(whole);
    drop(left);
    drop(right);
    drop(empty);
}

static void batch_larger_than_the_data_set_is_refused_with_both_numbers(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    bw_loader_config c = config_of(BW_LOADER_VIEWS);
    c.batch = SIZE + 1;
    record *r = run(&good, &c);
    assert_int_equal(r->status, BW_EINVAL);
    assert_non_null(strstr(r->message, "24"));
    assert_non_null(strstr(r->message, "23"));
    c.mode = BW_LOADER_PROBE;
    c.end_step = 1;
    record *probe = run(&good, &c);
    assert_int_equal(probe->n[0], SIZE);
    c.first = 20;
    c.count = 5;
    record *slice = run(&good, &c);
    assert_int_equal(slice->status, BW_EINVAL);
    drop(r);
    drop(probe);
    drop(slice);
}

static void loader_can_be_freed_at_any_moment(void **state)
{
    (void)state;
    const memory_source good = { 0 };
    const bw_dataset dataset = { .store = &memory_store, .source = (void *)(uintptr_t)&good, .size = SIZE };
    bw_loader_config c = config_of(BW_LOADER_VIEWS);
    for (int i = 0; i < 60; i++) {
        c.threads = 1 + i % 5;
        bw_loader *loader = NULL;
        const bw_batch *b;
        CHECK_OK(bw__loader_create(&loader, &dataset, &c));
        for (int s = 0; s < i % 3; s++)
            CHECK_OK(bw__loader_next(loader, &b));
        assert_int_equal(bw__loader_steps_per_epoch(loader), 4);
        assert_true(bw__loader_wait_s(loader) >= 0.0);
        bw__loader_free(loader);
    }
    bw__loader_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_the_same_for_1_2_and_8_threads),
        cmocka_unit_test(views_are_the_augmentations_keyed_by_seed_epoch_image_and_view),
        cmocka_unit_test(probe_batch_is_a_bilinear_crop_and_flip_and_centre_batch_the_evaluation_transform),
        cmocka_unit_test(corruption_is_done_between_transform_and_normalisation_for_any_threads),
        cmocka_unit_test(a_later_start_gives_the_same_batches_as_skipping),
        cmocka_unit_test(views_drop_the_last_smaller_batch_and_the_probe_keeps_it),
        cmocka_unit_test(centre_gives_every_image_once_in_order_and_leaves_out_unreadable_ones),
        cmocka_unit_test(batch_of_unreadable_images_only_is_passed_over),
        cmocka_unit_test(unreadable_image_is_replaced_by_the_next_readable_one_and_told_once),
        cmocka_unit_test(more_unreadable_images_than_allowed_end_the_run_at_the_same_step_for_any_threads),
        cmocka_unit_test(unreadable_images_of_one_batch_count_in_its_order_however_long_they_take),
        cmocka_unit_test(nothing_readable_is_an_error_even_if_all_may_be_bad),
        cmocka_unit_test(failure_that_is_not_the_images_comes_back_with_its_message),
        cmocka_unit_test(limited_images_are_a_fixed_part_chosen_by_the_seed),
        cmocka_unit_test(slices_of_ranks_together_are_the_whole_batch),
        cmocka_unit_test(batch_larger_than_the_data_set_is_refused_with_both_numbers),
        cmocka_unit_test(loader_can_be_freed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
