#include "dataset_check.h"
#include <unistd.h>

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

static bw_dataset *open_list(const char *text)
{
    write_text(tree, "list.txt", text);
    return open_or_fail(in(tree, "list.txt"), BW_SPLIT_TRAIN, NULL);
}

static void lines_are_paths_relative_to_the_list(void **state)
{
    (void)state;
    char absolute[4200];
    bw_image image = { 0 };
    copy_file(tree, "sub/b.png", fixture_path("images/one_pixel.png"));
    copy_file(tree, "a b.png", fixture_path("images/exif_6.jpg"));
    (void)snprintf(absolute, sizeof absolute, "\xef\xbb\xbf# comment\n\n  sub/b.png\r\na b.png\n%s/sub/b.png",
                   tree);
    bw_dataset *d = open_list(absolute);
    assert_string_equal(bw_dataset_format(d), "list");
    assert_int_equal(bw_dataset_size(d), 3);
    assert_int_equal(bw_dataset_classes(d), 0);
    for (int64_t i = 0; i < 3; i++) {
        CHECK_OK(bw_dataset_read(d, i, &image));
        assert_int_equal(image.height, i == 1 ? 11 : 1);
    }
    bw_image_clear(&image);
    bw_dataset_free(d);
    expect_open_failure(in(tree, "list.txt"), BW_SPLIT_TEST, NULL, BW_ENOSPLIT, "--test PATH");
}

static void a_list_in_the_working_folder_needs_no_path(void **state)
{
    (void)state;
    char before[4096];
    bw_image image = { 0 };
    copy_file(tree, "a.png", fixture_path("images/one_pixel.png"));
    write_text(tree, "list.txt", "a.png\n");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(tree), 0);
    bw_dataset *d = open_or_fail("list.txt", BW_SPLIT_ANY, NULL);
    CHECK_OK(bw_dataset_read(d, 0, &image));
    bw_image_clear(&image);
    bw_dataset_free(d);
    assert_int_equal(chdir(before), 0);
}

static void numbers_are_labels_as_they_are(void **state)
{
    (void)state;
    bw_dataset *d = open_list("a.png 3\nb c.png\t0\nd.png -1\ne.png\n");
    assert_int_equal(bw_dataset_classes(d), 4);
    assert_string_equal(bw_dataset_class_name(d, 2), "2");
    expect_images(d, "list", "a.png 3; b c.png 0; d.png -1; e.png -1");
}

static void names_are_numbered_in_bytewise_order(void **state)
{
    (void)state;
    bw_dataset *d = open_list("a.png owl\nb.png  cat\nc.png\nd.png Zebra\ne.png owl\nodd-name 7\n");
    assert_int_equal(bw_dataset_classes(d), 4);
    assert_string_equal(bw_dataset_class_name(d, 0), "7");
    assert_string_equal(bw_dataset_class_name(d, 1), "Zebra");
    assert_string_equal(bw_dataset_class_name(d, 3), "owl");
    expect_images(d, "list", "a.png 3; b.png 2; c.png -1; d.png 1; e.png 3; odd-name 0");
}

static void bad_lists_are_refused(void **state)
{
    (void)state;
    const char *path;
    write_text(tree, "list.txt", "# nothing\n\n");
    path = in(tree, "list.txt");
    expect_open_failure(path, BW_SPLIT_TRAIN, NULL, BW_EDATA, "no images found: no line names one");
    write_text(tree, "list.txt", "");
    expect_open_failure(path, BW_SPLIT_TRAIN, NULL, BW_EDATA, "no images found");
    write_text(tree, "list.txt", "\na.png 99999999999999999999999\n");
    expect_open_failure(path, BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "list.txt:2: label 99999999999999999999999 is too large");
    write_text(tree, "list.txt", "\na.png 1000000\n");
    expect_open_failure(path, BW_SPLIT_TRAIN, NULL, BW_EDATA, "list.txt:2: label 1000000 is too large");
    write_file(tree, "list.txt", "a.png\n\0b", 8);
    expect_open_failure(path, BW_SPLIT_TRAIN, "list", BW_EDATA, "list.txt:2: not a text file");
    expect_open_failure(path, BW_SPLIT_TRAIN, NULL, BW_EDATA, "not a data set of a known format");
    expect_open_failure(tree, BW_SPLIT_TRAIN, "list", BW_EDATA, "a folder");
}

static void a_listed_file_that_is_missing_fails_when_read(void **state)
{
    (void)state;
    bw_image image = { 0 };
    bw_dataset *d = open_list("gone.png\n");
    assert_int_equal(bw_dataset_read(d, 0, &image), BW_EDATA);
    assert_string_equal(bw_last_error(), "cannot open: No such file or directory");
    bw_dataset_free(d);
}

static void classes_given_apart_are_matched_by_name(void **state)
{
    (void)state;
    bw_dataset *train = open_list("a.png ant\nb.png bee\nc.png cat\n");
    bw_dataset *test = open_list("x.png cat\ny.png bee\nz.png\n");
    CHECK_OK(bw_dataset_match_classes(test, train));
    assert_int_equal(bw_dataset_classes(test), 3);
    expect_images(test, "list", "x.png 2; y.png 1; z.png -1");

    test = open_list("x.png cat\ny.png dog\n");
    assert_int_equal(bw_dataset_match_classes(test, train), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "class dog has no training images"));
    expect_images(test, "list", "x.png 0; y.png 1");
    bw_dataset_free(train);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lines_are_paths_relative_to_the_list),
        TEST(a_list_in_the_working_folder_needs_no_path),
        TEST(numbers_are_labels_as_they_are),
        TEST(names_are_numbered_in_bytewise_order),
        TEST(bad_lists_are_refused),
        TEST(a_listed_file_that_is_missing_fails_when_read),
        TEST(classes_given_apart_are_matched_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
