/* Shards as data sets. An index lies beside them, so every test has a folder of its own. */
#include "dataset_check.h"
#include "tar_files.h"
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

static bw_dataset *open_tar(const char *name)
{
    return open_or_fail(in(tree, name), BW_SPLIT_TRAIN, NULL);
}

/* That image `index` has the size of fixture `which`, read twice from the shard. */
static void expect_image(const bw_dataset *d, int64_t index, int which)
{
    bw_image image = { 0 };
    for (int time = 0; time < 2; time++) {
        CHECK_OK(bw_dataset_read(d, index, &image));
        assert_int_equal(image.height, which ? 11 : 1);
    }
    bw_image_clear(&image);
}

static void entries_of_one_name_are_one_sample(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    tar_entry(&t, '5', "", "a/", "", 0);
    tar_text(&t, "__index__.json", "{}");
    tar_image(&t, "./a/0001.JPG", 0);
    tar_text(&t, "./a/0001.cls", "2\n");
    tar_text(&t, "a/0002.json", "{}");
    tar_text(&t, "a/0002.cls", "0");
    tar_image(&t, "a/0002.seg.png", 1);
    tar_text(&t, "a/._0002.png", "of another program");
    tar_text(&t, "a/0003.cls", "1");
    tar_text(&t, "a/README", "no dot");
    tar_image(&t, "a/0004.webp", 0);
    tar_end(&t);
    tar_save(&t, tree, "x.tar");
    bw_dataset *d = open_tar("x.tar");
    assert_int_equal(bw_dataset_classes(d), 3);
    assert_string_equal(bw_dataset_class_name(d, 2), "2");
    expect_image(d, 0, 0);
    expect_image(d, 1, 1);
    expect_image(d, 2, 0);
    expect_images(d, "tar", "a/0001.JPG 2; a/0002.seg.png 0; a/0004.webp -1");
}

static void folders_in_the_archive_are_classes_without_cls_files(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    tar_image(&t, "train/dog/2.jpg", 0);
    tar_image(&t, "train/cat/sub/1.png", 0);
    tar_end(&t);
    tar_save(&t, tree, "b-0.tar");
    tar_image(&t, "train/cat/0.jpg", 1);
    tar_end(&t);
    tar_save(&t, tree, "b-1.tar");
    bw_dataset *d = open_tar("b-{0..1}.tar");
    assert_string_equal(bw_dataset_class_name(d, 0), "cat");
    assert_string_equal(bw_dataset_class_name(d, 1), "dog");
    expect_image(d, 2, 1);
    expect_images(d, "tar", "train/dog/2.jpg 1; train/cat/sub/1.png 0; train/cat/0.jpg 0");
}

static void folders_that_are_no_classes_give_no_labels(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    tar_image(&t, "all/1.jpg", 0);
    tar_image(&t, "all/2.jpg", 0);
    tar_end(&t);
    tar_save(&t, tree, "one.tar");
    expect_images(open_tar("one.tar"), "tar", "all/1.jpg -1; all/2.jpg -1");
    tar_image(&t, "1.jpg", 0);
    tar_image(&t, "cat/2.jpg", 0);
    tar_end(&t);
    tar_save(&t, tree, "top.tar");
    expect_images(open_tar("top.tar"), "tar", "1.jpg -1; cat/2.jpg -1");
    tar_image(&t, "a/x/1.jpg", 0);
    tar_image(&t, "b/y/2.jpg", 0);
    tar_end(&t);
    tar_save(&t, tree, "deep.tar");
    expect_images(open_tar("deep.tar"), "tar", "a/x/1.jpg -1; b/y/2.jpg -1");
}

static void splits_inside_of_an_archive_are_refused(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    tar_image(&t, "d/train/cat/1.jpg", 0);
    tar_image(&t, "d/val/cat/2.jpg", 0);
    tar_end(&t);
    tar_save(&t, tree, "x.tar");
    expect_open_failure(in(tree, "x.tar"), BW_SPLIT_TRAIN, NULL, BW_EDATA, "one archive of each");
}

static void classes_txt_names_the_labels(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    tar_image(&t, "x/1.jpg", 0);
    tar_text(&t, "x/1.cls", "1");
    tar_end(&t);
    tar_save(&t, tree, "x.tar");
    write_text(tree, "classes.txt", "cat\ndog\nfrog\n");
    bw_dataset *d = open_tar("x.tar");
    assert_int_equal(bw_dataset_classes(d), 3);
    assert_string_equal(bw_dataset_class_name(d, 1), "dog");
    expect_images(d, "tar", "x/1.jpg 1");
    write_text(tree, "classes.txt", "cat\n");
    d = open_tar("x.tar");
    assert_int_equal(bw_dataset_classes(d), 2);
    assert_string_equal(bw_dataset_class_name(d, 1), "1");
    bw_dataset_free(d);
}

static void an_empty_classes_txt_says_that_folders_are_no_labels(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    tar_image(&t, "cat/1.jpg", 0);
    tar_image(&t, "dog/1.jpg", 0);
    tar_end(&t);
    tar_save(&t, tree, "x.tar");
    write_text(tree, "classes.txt", "");
    expect_images(open_tar("x.tar"), "tar", "cat/1.jpg -1; dog/1.jpg -1");
}

/* Data of an entry behind GNU's and pax's headers of long names, and ustar's names in two parts. */
static void long_names_are_put_together(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    char name[301], record[400], want[2000];
    size_t n;
    (void)snprintf(name, sizeof name, "%0296d.png", 7);
    tar_entry(&t, 'L', "", "././@LongLink", name, strlen(name) + 1);
    tar_image(&t, "cut", 1);
    n = (size_t)snprintf(record, sizeof record, "%d path=p%s\n", 11 + 300, name);
    assert_int_equal(n, 311);
    tar_entry(&t, 'x', "", "PaxHeaders/1", record, n);
    tar_image(&t, "cut", 0);
    (void)snprintf(record, sizeof record, "17 path=\xc3\xa9/1.jpg\n");
    tar_entry(&t, 'x', "", "PaxHeaders/2", record, 17);
    tar_image(&t, "cut", 1);
    uint8_t *bytes = read_whole(fixture_path("images/one_pixel.png"), &n);
    tar_entry(&t, '0', "in/two/parts", "1.png", bytes, n);
    free(bytes);
    tar_end(&t);
    tar_save(&t, tree, "x.tar");
    bw_dataset *d = open_tar("x.tar");
    assert_int_equal(bw_dataset_size(d), 4);
    for (int64_t i = 0; i < 4; i++)
        expect_image(d, i, i % 2 == 0);
    for (int64_t i = 0; i < 4; i++) {
        bw_dataset_name(d, i, want, sizeof want);
        (void)snprintf(record, sizeof record,
                       i == 0   ? "%s"
                       : i == 1 ? "p%s"
                       : i == 2 ? "\xc3\xa9/1.jpg"
                                : "in/two/parts/1.png",
                       name);
        assert_string_equal(want, record);
    }
    bw_dataset_free(d);
}

static void a_folder_has_its_splits_by_folder_or_by_name(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    static const char *const NAMES[] = { "f/train/a.tar", "n/x-train-0.tar" };
    static const char *const TESTS[] = { "f/val/a.tar", "n/x-val-0.tar" };
    for (int i = 0; i < 2; i++) {
        tar_image(&t, "cat/1.jpg", 0);
        tar_image(&t, "cow/2.jpg", 0);
        tar_image(&t, "dog/3.jpg", 0);
        tar_end(&t);
        tar_save(&t, tree, NAMES[i]);
        tar_image(&t, "dog/4.jpg", 0);
        tar_image(&t, "cat/5.jpg", 0);
        tar_end(&t);
        tar_save(&t, tree, TESTS[i]);
        const char *path = in(tree, i ? "n" : "f");
        expect_images(open_or_fail(path, BW_SPLIT_TRAIN, NULL), "tar",
                      "cat/1.jpg 0; cow/2.jpg 1; dog/3.jpg 2");
        bw_dataset *d = open_or_fail(path, BW_SPLIT_TEST, NULL);
        assert_int_equal(bw_dataset_classes(d), 3); /* numbered as in the training split */
        assert_string_equal(bw_dataset_class_name(d, 1), "cow");
        expect_images(d, "tar", "dog/4.jpg 2; cat/5.jpg 0");
        expect_images(open_or_fail(path, BW_SPLIT_ANY, NULL), "tar", "dog/4.jpg 2; cat/5.jpg 0");
    }
    expect_open_failure(in(tree, "f/train"), BW_SPLIT_TEST, NULL, BW_ENOSPLIT, "--test PATH");
    expect_open_failure(in(tree, "f/train/a.tar"), BW_SPLIT_TEST, NULL, BW_ENOSPLIT, "--test PATH");
    /* An archive that lies beside what was unpacked from it changes nothing. */
    copy_file(tree, "u/dog/1.png", fixture_path("images/one_pixel.png"));
    copy_file(tree, "u/pets.tar", in(tree, "f/val/a.tar"));
    expect_images(open_or_fail(in(tree, "u"), BW_SPLIT_TRAIN, NULL), "class-folders", "dog/1.png 0");
}

static void missing_and_empty_shards_are_named(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    for (int i = 0; i < 10; i += 3) {
        char name[20];
        (void)snprintf(name, sizeof name, "s-%03d.tar", i);
        tar_image(&t, "1.jpg", 0);
        tar_end(&t);
        tar_save(&t, tree, name);
    }
    expect_open_failure(
        in(tree, "s-{000..009}.tar"), BW_SPLIT_TRAIN, NULL, BW_EDATA,
        "6 of 10 shards are missing: s-001.tar, s-002.tar, s-004.tar, s-005.tar, s-007.tar, ...; copy");
    bw_dataset_free(open_tar("s-{000..009..3}.tar"));
    write_text(tree, "s-003.tar", "");
    expect_open_failure(in(tree, "s-{000..009..3}.tar"), BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "s-003.tar: the shard is empty");
    expect_open_failure(in(tree, "none-{0..1}.tar"), BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "2 of 2 shards are missing");
}

static void a_compressed_archive_is_refused_with_what_to_do(void **state)
{
    (void)state;
    write_file(tree, "x.tar.gz", "\x1f\x8b\x08\x00 and so on", 14);
    expect_open_failure(in(tree, "x.tar.gz"), BW_SPLIT_TRAIN, NULL, BW_EDATA, "unpack it with gunzip");
    write_file(tree, "x.tar", "\x28\xb5\x2f\xfd and so on", 14);
    expect_open_failure(in(tree, "x.tar"), BW_SPLIT_TRAIN, NULL, BW_EDATA, "unpack it with unzstd");
}

/* Two shards: five images, of which the second shard's lie at 0, 1024 and 2048. */
static void make_two(const char *first, const char *second, size_t keep, size_t flip)
{
    tar_bytes t = { 0 };
    tar_image(&t, "cat/1.png", 0);
    tar_image(&t, "dog/2.png", 0);
    tar_end(&t);
    tar_save(&t, tree, first);
    tar_image(&t, "cat/3.png", 0);
    tar_image(&t, "dog/4.png", 0);
    tar_image(&t, "dog/5.png", 0);
    tar_end(&t);
    if (keep) t.n = keep;
    if (flip) t.at[flip] ^= 1;
    tar_save(&t, tree, second);
}

static void entries_before_the_damage_of_a_shard_count(void **state)
{
    (void)state;
    static const struct damage {
        size_t keep, flip;
        const char *says, *images;
    } CASES[] = {
        { 2048 + 512 + 20, 0, "p-1.tar: the file ends inside of an entry at byte 2048 of 2580; the 2 images",
          "cat/1.png 0; dog/2.png 1; cat/3.png 0; dog/4.png 1" },
        { 2048 + 100, 0, "p-1.tar: the file ends inside of an entry at byte 2048 of 2148",
          "cat/1.png 0; dog/2.png 1; cat/3.png 0; dog/4.png 1" },
        { 2048, 0, "p-1.tar: the file ends without the mark of its end at byte 2048 of 2048",
          "cat/1.png 0; dog/2.png 1; cat/3.png 0; dog/4.png 1" },
        { 0, 1024 + 3, "p-1.tar: damaged header at byte 1024 of 4096; the 1 images",
          "cat/1.png 0; dog/2.png 1; cat/3.png 0" },
        { 0, 5, "p-1.tar: not a tar archive at byte 0 of 4096; the 0 images", "cat/1.png 0; dog/2.png 1" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char problem[1000];
        make_two("p-0.tar", "p-1.tar", CASES[i].keep, CASES[i].flip);
        bw_dataset *d = open_tar("p-{0..1}.tar");
        assert_true(bw_dataset_problem(d, 0, problem, sizeof problem));
        if (!strstr(problem, CASES[i].says)) fail_msg("\"%s\" does not say \"%s\"", problem, CASES[i].says);
        assert_false(bw_dataset_problem(d, 1, problem, sizeof problem));
        expect_images(d, "tar", CASES[i].images);
    }
    make_two("p-1.tar", "p-0.tar", 100, 0);
    expect_open_failure(in(tree, "p-0.tar"), BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "p-0.tar: not a tar archive at byte 0");
}

static void odd_labels_and_second_images_are_remarked(void **state)
{
    (void)state;
    char problem[1000];
    tar_bytes t = { 0 };
    tar_image(&t, "1.png", 0);
    tar_text(&t, "1.cls", "cat");
    tar_image(&t, "2.png", 0);
    tar_image(&t, "2.v2.png", 1);
    tar_text(&t, "2.cls", "-3");
    tar_image(&t, "3.png", 0);
    tar_text(&t, "3.cls", " 1 \r\n");
    tar_end(&t);
    tar_save(&t, tree, "x.tar");
    bw_dataset *d = open_tar("x.tar");
    assert_true(bw_dataset_problem(d, 0, problem, sizeof problem));
    assert_string_equal(
        problem, "2 labels (.cls) are no whole numbers from 0 and count as none, the first is x.tar: 1.cls");
    assert_true(bw_dataset_problem(d, 1, problem, sizeof problem));
    assert_non_null(strstr(problem, "1 images are left out"));
    assert_non_null(strstr(problem, "2.v2.png"));
    expect_image(d, 1, 0);
    expect_images(d, "tar", "1.png -1; 2.png -1; 3.png 1");
}

static void links_are_no_images(void **state)
{
    (void)state;
    tar_bytes t = { 0 };
    tar_image(&t, "1.png", 0);
    tar_entry(&t, '1', "", "2.png", "", 0);
    tar_entry(&t, '2', "", "3.png", "", 0);
    tar_image(&t, "4.png", 1);
    tar_end(&t);
    tar_save(&t, tree, "x.tar");
    bw_dataset *d = open_tar("x.tar");
    expect_image(d, 1, 1);
    expect_images(d, "tar", "1.png -1; 4.png -1");
}

static void a_shard_that_changes_under_the_reader_is_not_read(void **state)
{
    (void)state;
    bw_image image = { 0 };
    make_two("p-0.tar", "p-1.tar", 0, 0);
    bw_dataset *d = open_tar("p-{0..1}.tar");
    CHECK_OK(bw_dataset_read(d, 0, &image));
    make_two("p-2.tar", "p-1.tar", 2048, 0);
    assert_int_equal(bw_dataset_read(d, 4, &image), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "p-1.tar: the shard has changed"));
    bw_image_clear(&image);
    bw_dataset_free(d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(entries_of_one_name_are_one_sample),
        TEST(folders_in_the_archive_are_classes_without_cls_files),
        TEST(folders_that_are_no_classes_give_no_labels),
        TEST(splits_inside_of_an_archive_are_refused),
        TEST(classes_txt_names_the_labels),
        TEST(an_empty_classes_txt_says_that_folders_are_no_labels),
        TEST(long_names_are_put_together),
        TEST(a_folder_has_its_splits_by_folder_or_by_name),
        TEST(missing_and_empty_shards_are_named),
        TEST(a_compressed_archive_is_refused_with_what_to_do),
        TEST(entries_before_the_damage_of_a_shard_count),
        TEST(odd_labels_and_second_images_are_remarked),
        TEST(links_are_no_images),
        TEST(a_shard_that_changes_under_the_reader_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
