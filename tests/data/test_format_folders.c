#include "dataset_check.h"
#include <unistd.h>

static char *tree; /* of the running test */

static void add(const char *name)
{
    copy_file(tree, name, fixture_path("images/one_pixel.png"));
}

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

static bw_dataset *open_tree(bw_split split, const char *format)
{
    return open_or_fail(tree, split, format);
}

static void class_folders_come_in_the_order_of_imagefolder(void **state)
{
    (void)state;
    /* sorted(os.walk()) puts "b/sub-x" before "b/sub/deep"; upper case sorts before lower case. */
    add("b/2.png");
    add("b/10.png");
    add("b/sub/deep/y.png");
    add("b/sub-x/z.png");
    add("b-1/0.png");
    add("Zebra/A.JPEG");
    add("Zebra/a.jpg");
    bw_dataset *d = open_tree(BW_SPLIT_TRAIN, NULL);
    assert_int_equal(bw_dataset_classes(d), 3);
    assert_string_equal(bw_dataset_class_name(d, 0), "Zebra");
    assert_string_equal(bw_dataset_class_name(d, 1), "b");
    assert_string_equal(bw_dataset_class_name(d, 2), "b-1");
    expect_images(
        d, "class-folders",
        "Zebra/A.JPEG 0; Zebra/a.jpg 0; b/10.png 1; b/2.png 1; b/sub-x/z.png 1; b/sub/deep/y.png 1; "
        "b-1/0.png 2");
}

static void images_in_the_root_mean_no_labels(void **state)
{
    (void)state;
    add("cat/1.png");
    add("dog/1.png");
    add("stray.webp");
    expect_images(open_tree(BW_SPLIT_ANY, NULL), "folder", "stray.webp -1; cat/1.png -1; dog/1.png -1");
    expect_open_failure(tree, BW_SPLIT_ANY, "class-folders", BW_EDATA, "stray.webp lies in no class folder");
}

static void folders_of_folders_mean_no_labels(void **state)
{
    (void)state;
    add("2023/may/1.png");
    add("2024/1.png");
    expect_images(open_tree(BW_SPLIT_TRAIN, NULL), "folder", "2023/may/1.png -1; 2024/1.png -1");
    expect_images(open_tree(BW_SPLIT_TRAIN, "class-folders"), "class-folders",
                  "2023/may/1.png 0; 2024/1.png 1");
}

static void forced_format_drops_the_labels(void **state)
{
    (void)state;
    add("cat/1.png");
    add("dog/1.png");
    bw_dataset *d = open_tree(BW_SPLIT_TRAIN, "folder");
    assert_int_equal(bw_dataset_classes(d), 0);
    expect_images(d, "folder", "cat/1.png -1; dog/1.png -1");
}

static void hidden_and_other_files_and_empty_folders_are_passed_over(void **state)
{
    (void)state;
    add("cat/1.png");
    add("cat/.hidden.png");
    add(".cache/2.png");
    write_text(tree, "README.md", "text");
    write_text(tree, "notes/a.txt", "text");
    bw_dataset *d = open_tree(BW_SPLIT_TRAIN, NULL);
    assert_int_equal(bw_dataset_classes(d), 1);
    expect_images(d, "class-folders", "cat/1.png 0");
}

static void keep_line(void *user, bw_log_level level, const char *line)
{
    if (level == BW_LOG_WARN) (void)snprintf(user, 200, "%s", line);
}

static void images_of_other_kinds_are_left_out_with_a_warning(void **state)
{
    (void)state;
    char line[200] = "";
    bw_set_log(keep_line, line);
    add("cat/1.png");
    add("cat/notes.txt");
    expect_images(open_tree(BW_SPLIT_TRAIN, NULL), "class-folders", "cat/1.png 0");
    assert_string_equal(line, "");
    add("cat/2.TIFF");
    add("cat/3.bmp");
    expect_images(open_tree(BW_SPLIT_TRAIN, NULL), "class-folders", "cat/1.png 0");
    bw_set_log(NULL, NULL);
    assert_non_null(strstr(line, ": 2 images are left out"));
}

static void train_and_val_are_splits(void **state)
{
    (void)state;
    add("train/cat/1.png");
    add("train/dog/1.png");
    add("train/owl/1.png");
    add("val/dog/7.png");
    add("val/owl/7.png");
    add("test/owl/9.png");
    expect_images(open_tree(BW_SPLIT_TRAIN, NULL), "class-folders",
                  "train/cat/1.png 0; train/dog/1.png 1; train/owl/1.png 2");
    /* The numbers are those of the training classes, although val/ has no cat. */
    const char *want = "val/dog/7.png 1; val/owl/7.png 2";
    expect_images(open_tree(BW_SPLIT_ANY, NULL), "class-folders", want);
    bw_dataset *d = open_tree(BW_SPLIT_TEST, NULL);
    assert_int_equal(bw_dataset_classes(d), 3);
    assert_string_equal(bw_dataset_class_name(d, 0), "cat");
    expect_images(d, "class-folders", want);

    add("val/fox/7.png");
    expect_open_failure(tree, BW_SPLIT_TEST, NULL, BW_EDATA, "/val: class fox has no training images");
}

static void test_folder_is_the_test_split_without_val(void **state)
{
    (void)state;
    add("train/1.png");
    add("train/deep/2.png");
    add("test/3.png");
    expect_images(open_tree(BW_SPLIT_TRAIN, NULL), "folder", "train/1.png -1; train/deep/2.png -1");
    expect_images(open_tree(BW_SPLIT_TEST, NULL), "folder", "test/3.png -1");
}

static void train_may_be_a_class_among_others(void **state)
{
    (void)state;
    add("bus/1.png");
    add("train/1.png");
    expect_images(open_tree(BW_SPLIT_TRAIN, NULL), "class-folders", "bus/1.png 0; train/1.png 1");
}

static void missing_split_says_how_to_give_one(void **state)
{
    (void)state;
    add("cat/1.png");
    expect_open_failure(tree, BW_SPLIT_TEST, NULL, BW_ENOSPLIT, "give them with --test PATH");
    (void)rename(in(tree, "cat"), in(tree, "val"));
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_ENOSPLIT, "give them with --train PATH");
    expect_images(open_tree(BW_SPLIT_ANY, NULL), "folder", "val/1.png -1");
}

static void links_are_followed_but_not_in_circles(void **state)
{
    (void)state;
    add("store/1.png");
    assert_int_equal(mkdir(in(tree, "a"), 0777), 0);
    assert_int_equal(symlink("../store/1.png", in(tree, "a/link.png")), 0);
    assert_int_equal(symlink("..", in(tree, "a/up")), 0);
    assert_int_equal(symlink("nowhere", in(tree, "a/dangling.png")), 0);
    assert_int_equal(symlink("store", in(tree, "b")), 0);
    expect_images(open_tree(BW_SPLIT_ANY, NULL), "class-folders", "a/link.png 0; b/1.png 1; store/1.png 2");
}

static void images_are_decoded_by_name(void **state)
{
    (void)state;
    copy_file(tree, "a/wide.jpg", fixture_path("images/exif_6.jpg"));
    write_text(tree, "a/bad.jpg", "<html>");
    write_file(tree, "b/empty.png", "", 0);
    bw_dataset *d = open_tree(BW_SPLIT_ANY, NULL);
    bw_image image = { 0 };
    assert_int_equal(bw_dataset_size(d), 3);
    assert_int_equal(bw_dataset_read(d, 0, &image), BW_EDATA);
    assert_string_equal(bw_last_error(), "not an image (JPEG header missing)");
    CHECK_OK(bw_dataset_read(d, 1, &image));
    assert_int_equal(image.height, 11);
    assert_int_equal(image.width, 6);
    assert_int_equal(bw_dataset_read(d, 2, &image), BW_EDATA);
    assert_int_equal(remove(in(tree, "a/wide.jpg")), 0);
    assert_int_equal(bw_dataset_read(d, 1, &image), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "No such file"));
    bw_image_clear(&image);
    bw_dataset_free(d);
}

static void nothing_there_is_said(void **state)
{
    (void)state;
    expect_open_failure(in(tree, "none"), BW_SPLIT_ANY, NULL, BW_EDATA, "none: no such file or folder");
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA, "no images found: the folder is empty");
    write_text(tree, "a/notes.txt", "text");
    expect_open_failure(tree, BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "no images found: 1 files, but none is named .jpg");
    expect_open_failure(tree, BW_SPLIT_TRAIN, "no-such", BW_EINVAL,
                        "format no-such is unknown; there are tar, idx, ");
    write_file(tree, "image.jpg", "\xff\xd8\xff\xe0", 4);
    expect_open_failure(in(tree, "image.jpg"), BW_SPLIT_TRAIN, "folder", BW_EDATA, "not a folder");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(class_folders_come_in_the_order_of_imagefolder),
        TEST(images_in_the_root_mean_no_labels),
        TEST(folders_of_folders_mean_no_labels),
        TEST(forced_format_drops_the_labels),
        TEST(hidden_and_other_files_and_empty_folders_are_passed_over),
        TEST(images_of_other_kinds_are_left_out_with_a_warning),
        TEST(train_and_val_are_splits),
        TEST(test_folder_is_the_test_split_without_val),
        TEST(train_may_be_a_class_among_others),
        TEST(missing_split_says_how_to_give_one),
        TEST(links_are_followed_but_not_in_circles),
        TEST(images_are_decoded_by_name),
        TEST(nothing_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
