#include "dataset_check.h"

enum { PIXELS = 32 * 32 };

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

/* Byte p of colour c of image i is a mix of all three. */
static uint8_t value(int i, int c, int p)
{
    return (uint8_t)(31 * i + 101 * c + 7 * p);
}

/* Records with the given labels; with `coarse`, a byte of 19 stands before each label. */
static void write_batch(const char *name, const uint8_t *labels, int n, bool coarse, int first)
{
    size_t size = 0;
    uint8_t *bytes = malloc((size_t)n * (3 * PIXELS + 2));
    assert_non_null(bytes);
    for (int i = 0; i < n; i++) {
        if (coarse) bytes[size++] = 19;
        bytes[size++] = labels[i];
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < PIXELS; p++)
                bytes[size++] = value(first + i, c, p);
    }
    write_file(tree, name, bytes, size);
    free(bytes);
}

static void check_pixels(const bw_dataset *d, int64_t n)
{
    bw_image image = { 0 };
    for (int64_t i = 0; i < n; i++) {
        CHECK_OK(bw_dataset_read(d, i, &image));
        assert_int_equal(image.height, 32);
        assert_int_equal(image.width, 32);
        for (int p = 0; p < PIXELS; p++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(image.rgb[3 * p + c], value((int)i, c, p));
    }
    bw_image_clear(&image);
}

static void batches_follow_each_other_in_the_order_of_their_names(void **state)
{
    (void)state;
    write_batch("data_batch_2.bin", (const uint8_t[]){ 9 }, 1, false, 2);
    write_batch("data_batch_1.bin", (const uint8_t[]){ 3, 0 }, 2, false, 0);
    write_batch("test_batch.bin", (const uint8_t[]){ 5 }, 1, false, 7);
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TRAIN, NULL);
    check_pixels(d, 3);
    assert_int_equal(bw_dataset_classes(d), 10);
    assert_string_equal(bw_dataset_class_name(d, 3), "3");
    expect_images(d, "cifar10", "data_batch_1.bin[0] 3; data_batch_1.bin[1] 0; data_batch_2.bin[0] 9");
    expect_images(open_or_fail(tree, BW_SPLIT_TEST, NULL), "cifar10", "test_batch.bin[0] 5");
    expect_images(open_or_fail(tree, BW_SPLIT_ANY, NULL), "cifar10", "test_batch.bin[0] 5");
    d = open_or_fail(in(tree, "data_batch_2.bin"), BW_SPLIT_TRAIN, NULL);
    expect_images(d, "cifar10", "data_batch_2.bin[0] 9");
}

static void cifar_100_has_fine_labels_with_names(void **state)
{
    (void)state;
    char names[1000] = "";
    for (int i = 0; i < 100; i++)
        (void)snprintf(names + strlen(names), sizeof names - strlen(names), "class-%d\n", i);
    write_batch("train.bin", (const uint8_t[]){ 99, 4 }, 2, true, 0);
    write_text(tree, "fine_label_names.txt", names);
    bw_dataset *d = open_or_fail(tree, BW_SPLIT_TRAIN, NULL);
    check_pixels(d, 2);
    assert_int_equal(bw_dataset_classes(d), 100);
    assert_string_equal(bw_dataset_class_name(d, 99), "class-99");
    expect_images(d, "cifar100", "train.bin[0] 99; train.bin[1] 4");
    expect_open_failure(tree, BW_SPLIT_TEST, NULL, BW_ENOSPLIT, "--test PATH");
}

static void any_file_can_be_forced(void **state)
{
    (void)state;
    write_batch("part-7", (const uint8_t[]){ 6, 6 }, 2, false, 0);
    bw_dataset *d = open_or_fail(in(tree, "part-7"), BW_SPLIT_ANY, "cifar10");
    expect_images(d, "cifar10", "part-7[0] 6; part-7[1] 6");
}

static void damaged_files_are_named(void **state)
{
    (void)state;
    uint8_t bytes[3072] = { 0 };
    write_file(tree, "data_batch_1.bin", bytes, sizeof bytes);
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "data_batch_1.bin: 3072 bytes, but CIFAR-10 has records of 3073 bytes");
    write_file(tree, "data_batch_1.bin", "", 0);
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA, "data_batch_1.bin: 0 bytes");
    write_batch("data_batch_1.bin", (const uint8_t[]){ 9, 10 }, 2, false, 0);
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "data_batch_1.bin: record 1 has label 10, CIFAR-10 ends at 9");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(batches_follow_each_other_in_the_order_of_their_names),
        TEST(cifar_100_has_fine_labels_with_names),
        TEST(any_file_can_be_forced),
        TEST(damaged_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
