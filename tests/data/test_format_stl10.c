#include "dataset_check.h"

enum { SIDE = 96, BYTES = 3 * SIDE * SIDE };

static char *tree; /* of the running test */

static int set_up(void **state)
{
    (void)state;
    tree = new_folder();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_folder(tree);
    return 0;
}

static uint8_t value(int i, int c, int y, int x)
{
    return (uint8_t)(50 * i + 101 * c + 3 * y + x);
}

static void write_images(const char *name, int n, int first)
{
    uint8_t *bytes = malloc((size_t)n * BYTES), *p = bytes;
    assert_non_null(bytes);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            for (int x = 0; x < SIDE; x++)
                for (int y = 0; y < SIDE; y++)
                    *p++ = value(first + i, c, y, x);
    write_file(tree, name, bytes, (size_t)n * BYTES);
    free(bytes);
}

static void columns_become_rows_and_unlabelled_images_come_last(void **state)
{
    (void)state;
    bw_image image = { 0 };
    write_images("train_X.bin", 2, 0);
    write_file(tree, "train_y.bin", "\x0a\x01", 2);
    write_images("unlabeled_X.bin", 1, 2);
    write_images("test_X.bin", 1, 5);
    write_file(tree, "test_y.bin", "\x02", 1);
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TRAIN, NULL);
    for (int64_t i = 0; i < 3; i++) {
        CHECK_OK(bw_dataset_read(d, i, &image));
        assert_int_equal(image.height, SIDE);
        assert_int_equal(image.width, SIDE);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(image.rgb[(y * SIDE + x) * 3 + c], value((int)i, c, y, x));
    }
    bw_image_clear(&image);
    assert_int_equal(bw_dataset_classes(d), 10);
    expect_images(d, "stl10", "train_X.bin[0] 9; train_X.bin[1] 0; unlabeled_X.bin[0] -1");
    expect_images(open_or_fail(tree, BW_SPLIT_TEST, NULL), "stl10", "test_X.bin[0] 1");
    d = open_or_fail(in(tree, "unlabeled_X.bin"), BW_SPLIT_TRAIN, NULL);
    assert_int_equal(bw_dataset_classes(d), 0);
    expect_images(d, "stl10", "unlabeled_X.bin[0] -1");
}

static void pixels_that_look_like_gzip_are_pixels(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(1, BYTES);
    bw_image image = { 0 };
    assert_non_null(bytes);
    bytes[0] = 0x1f;
    bytes[1] = 0x8b;
    write_file(tree, "unlabeled_X.bin", bytes, BYTES);
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TRAIN, NULL);
    CHECK_OK(bw_dataset_read(d, 0, &image));
    assert_int_equal(image.rgb[0], 0x1f);
    assert_int_equal(image.rgb[SIDE * 3], 0x8b);
    bw_image_clear(&image);
    bw_dataset_free(d);
    free(bytes);
}

static void class_names_are_read_where_they_are(void **state)
{
    (void)state;
    write_images("test_X.bin", 1, 0);
    write_file(tree, "test_y.bin", "\x02", 1);
    write_text(tree, "class_names.txt", "airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n");
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TEST, NULL);
    assert_string_equal(bw_dataset_class_name(d, bw_dataset_label(d, 0)), "bird");
    bw_dataset_free(d);
    write_text(tree, "class_names.txt", "airplane\nbird\n");
    d = open_or_fail(tree, BW_SPLIT_TEST, NULL);
    assert_string_equal(bw_dataset_class_name(d, 1), "1");
    bw_dataset_free(d);
}

static void damaged_files_are_named(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(1, BYTES);
    assert_non_null(bytes);
    write_file(tree, "train_X.bin", bytes, BYTES - 1);
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "train_X.bin: 27647 bytes, but an image of STL-10 has 27648");
    write_file(tree, "train_X.bin", bytes, BYTES);
    write_file(tree, "train_y.bin", "\x01\x01", 2);
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "train_y.bin holds 2 labels, but train_X.bin 1 images");
    write_file(tree, "train_y.bin", "\0", 1);
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA, "train_y.bin: label 0 of image 0");
    expect_open_failure(tree, BW_SPLIT_TEST, NULL, BW_ENOSPLIT, "--test PATH");
    free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(columns_become_rows_and_unlabelled_images_come_last),
        TEST(pixels_that_look_like_gzip_are_pixels),
        TEST(class_names_are_read_where_they_are),
        TEST(damaged_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
