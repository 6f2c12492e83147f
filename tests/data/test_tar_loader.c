/* The loader over shards of unequal sizes, read by several threads. label: tsan */
#include "dataset_check.h"
#include "tar_files.h"
#include "data/loader.h"

enum { IMAGES = 23, PIXELS = 6, SAMPLE = PIXELS * PIXELS * 3 };

static char *tree;

/* 1, 15, 0, 2 and 5 images; the third shard has a text alone. */
static int make_shards(void **state)
{
    (void)state;
    static const int SIZES[] = { 1, 15, 0, 2, 5 };
    tree = new_folder();
    for (int i = 0, image = 0; i < 5; i++) {
        char name[40];
        tar_bytes t = { 0 };
        for (int k = 0; k < SIZES[i]; k++, image++) {
            (void)snprintf(name, sizeof name, "%02d.png", image);
            tar_image(&t, name, image & 1);
            (void)snprintf(name, sizeof name, "%02d.cls", image);
            tar_text(&t, name, image % 3 == 0 ? "0" : image % 3 == 1 ? "1" : "2");
        }
        if (SIZES[i] == 0) tar_text(&t, "remark.txt", "nothing");
        tar_end(&t);
        (void)snprintf(name, sizeof name, "s-%d.tar", i);
        tar_save(&t, tree, name);
    }
    return 0;
}

static int remove_shards(void **state)
{
    (void)state;
    remove_folder(tree);
    return 0;
}

static const bw_augment_config AUGMENT = {
    .view = { { .crop_scale = { 0.3, 1.0 }, .crop_ratio = { 1.0, 1.0 }, .flip_prob = 0.5 },
              { .crop_scale = { 0.3, 1.0 }, .crop_ratio = { 1.0, 1.0 }, .flip_prob = 0.5 } },
    .std = { 1.0, 1.0, 1.0 }
};

static bw_loader *start(const bw_dataset *d, bw_loader_mode mode, int64_t first, int64_t count)
{
    bw_loader *loader;
    const bw_loader_config config = { .mode = mode,
                                      .image_size = PIXELS,
                                      .augment = &AUGMENT,
                                      .batch = 6,
                                      .first = first,
                                      .count = count,
                                      .seed = 9,
                                      .threads = 3,
                                      .end_step = mode == BW_LOADER_CENTER ? 0 : 12 };
    CHECK_OK(bw__loader_create(&loader, d, &config));
    return loader;
}

/* Ranks with their own view of the shards and slices of 1, 3 and 2 images: together exactly one rank's
 * batches, and as many of them, for three epochs. */
static void slices_of_ranks_are_together_the_batches_of_one(void **state)
{
    (void)state;
    static const int64_t FIRST[] = { 0, 1, 4 }, COUNT[] = { 1, 3, 2 };
    static const bw_loader_mode MODES[] = { BW_LOADER_VIEWS, BW_LOADER_PROBE };
    for (int m = 0; m < 2; m++) {
        bw_dataset *d[4];
        bw_loader *loader[4];
        const bw_batch *whole, *part;
        int64_t steps = 0, images = 0;
        for (int r = 0; r < 4; r++) {
            d[r] = open_or_fail(in(tree, "s-{0..4}.tar"), BW_SPLIT_TRAIN, NULL);
            assert_int_equal(bw_dataset_size(d[r]), IMAGES);
            loader[r] = start(d[r], MODES[m], r < 3 ? FIRST[r] : 0, r < 3 ? COUNT[r] : 0);
            assert_int_equal(bw__loader_steps_per_epoch(loader[r]), m ? 4 : 3);
        }
        for (;; steps++) {
            CHECK_OK(bw__loader_next(loader[3], &whole));
            for (int r = 0; r < 3; r++) {
                CHECK_OK(bw__loader_next(loader[r], &part));
                assert_int_equal(part == NULL, whole == NULL);
                if (!whole) continue;
                assert_int_equal(part->step, whole->step);
                assert_int_equal(part->epoch, whole->epoch);
                images += part->n;
                for (int64_t i = 0; i < part->n; i++) {
                    const int64_t at = FIRST[r] + i;
                    assert_int_equal(part->index[i], whole->index[at]);
                    assert_int_equal(part->labels[i], whole->labels[at]);
                    assert_int_equal(part->labels[i], part->index[i] % 3);
                    for (int v = 0; v < whole->views; v++)
                        assert_memory_equal(part->images + (v * part->n + i) * SAMPLE,
                                            whole->images + (v * whole->n + at) * SAMPLE,
                                            SAMPLE * sizeof(float));
                }
            }
            if (!whole) break;
        }
        assert_int_equal(steps, 12);
        assert_int_equal(images, m ? 3 * IMAGES : 12 * 6);
        for (int r = 0; r < 4; r++) {
            bw__loader_free(loader[r]);
            bw_dataset_free(d[r]);
        }
    }
}

/* In the order of the data set, which reads records ahead while others read here and there. */
static void every_image_comes_once_in_order(void **state)
{
    (void)state;
    const bw_batch *b;
    int64_t next = 0;
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TRAIN, NULL);
    bw_loader *other = start(d, BW_LOADER_VIEWS, 0, 0), *loader = start(d, BW_LOADER_CENTER, 0, 0);
    for (;;) {
        CHECK_OK(bw__loader_next(loader, &b));
        if (!b) break;
        for (int64_t i = 0; i < b->n; i++, next++) {
            assert_int_equal(b->index[i], next);
            assert_int_equal(b->labels[i], next % 3);
        }
        CHECK_OK(bw__loader_next(other, &b));
    }
    assert_int_equal(next, IMAGES);
    bw__loader_free(loader);
    bw__loader_free(other);
    bw_dataset_free(d);
}

/* The last shard was cut off behind its second image: it is taken for as large as the largest, of 15 images.
 */
static void a_damaged_shard_counts_against_max_bad(void **state)
{
    (void)state;
    size_t size;
    bw_loader *loader = NULL;
    uint8_t *bytes = read_whole(in(tree, "s-4.tar"), &size);
    write_file(tree, "s-4.tar", bytes, size - 6400);
    free(bytes);
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TRAIN, NULL);
    bw_loader_config config = { .mode = BW_LOADER_VIEWS,
                                .image_size = PIXELS,
                                .augment = &AUGMENT,
                                .batch = 6,
                                .seed = 9,
                                .threads = 1,
                                .max_bad = 0.01 };
    assert_int_equal(bw__loader_create(&loader, d, &config), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "s-4.tar: the file ends inside of an entry at byte"));
    assert_non_null(strstr(bw_last_error(), "more than data.max_bad 0.01 allows"));
    config.max_bad = 0.3;
    assert_int_equal(bw__loader_create(&loader, d, &config), BW_EDATA);
    config.max_bad = 0.5;
    CHECK_OK(bw__loader_create(&loader, d, &config));
    bw__loader_free(loader);
    bw_dataset_free(d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shards, remove_shards)
    const struct CMUnitTest tests[] = {
        TEST(slices_of_ranks_are_together_the_batches_of_one),
        TEST(every_image_comes_once_in_order),
        TEST(a_damaged_shard_counts_against_max_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
