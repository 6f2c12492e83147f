/* Packed images are what they were: names, labels, order, bytes. */
#include "dataset_check.h"
#include "tar_files.h"
#include "base/rng.h"
#include "data/dataset_internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static char *tree; /* of the running test */

static int set_up(void **state)
{
    (void)state;
    tree = new_folder();
    write_text(tree, "out/.keep", "");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_folder(tree);
    return 0;
}

static bw_pack_result pack_as(const char *from, const char *to, int64_t images, int64_t bytes)
{
    bw_pack_result result;
    char out[4400];
    bw_dataset *d = open_or_fail(in(tree, from), BW_SPLIT_TRAIN, NULL);
    (void)snprintf(out, sizeof out, "%s/%s", tree, to);
    const bw_pack_options options = { .out = out, .shard_images = images, .shard_bytes = bytes };
    CHECK_OK(bw_dataset_pack(&result, d, &options, NULL, NULL));
    bw_dataset_free(d);
    return result;
}

static void expect_pack_failure(const char *from, const char *to, bw_progress_fn progress, bw_status status,
                                const char *words)
{
    bw_pack_result result;
    char out[4400];
    bw_dataset *d = open_or_fail(in(tree, from), BW_SPLIT_TRAIN, NULL);
    (void)snprintf(out, sizeof out, "%s/%s", tree, to);
    const bw_pack_options options = { .out = out };
    assert_int_equal(bw_dataset_pack(&result, d, &options, progress, NULL), status);
    if (!strstr(bw_last_error(), words)) fail_msg("\"%s\" does not say \"%s\"", bw_last_error(), words);
    bw_dataset_free(d);
}

/* Names in a folder but for indices and .keep, in no order. */
static int files_in(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(in(tree, folder));
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, ".keep") &&
             !strstr(e->d_name, ".index");
    (void)closedir(dir);
    return n;
}

/* Both have the same images: labels, class names, pixels, and the encoded bytes where both have them. */
static void expect_same(const char *a, const char *b)
{
    bw_dataset *d[2] = { open_or_fail(in(tree, a), BW_SPLIT_TRAIN, NULL),
                         open_or_fail(in(tree, b), BW_SPLIT_TRAIN, NULL) };
    bw_image image[2] = { { 0 }, { 0 } };
    assert_string_equal(bw_dataset_format(d[1]), "tar");
    assert_int_equal(bw_dataset_size(d[0]), bw_dataset_size(d[1]));
    assert_int_equal(bw_dataset_classes(d[0]), bw_dataset_classes(d[1]));
    for (int c = 0; c < bw_dataset_classes(d[0]); c++)
        assert_string_equal(bw_dataset_class_name(d[0], c), bw_dataset_class_name(d[1], c));
    for (int64_t i = 0; i < bw_dataset_size(d[0]); i++) {
        uint8_t *bytes[2];
        size_t size[2];
        for (int k = 0; k < 2; k++) {
            CHECK_OK(bw_dataset_read(d[k], i, &image[k]));
            CHECK_OK(bw__dataset_encoded(d[k], i, &bytes[k], &size[k]));
        }
        assert_int_equal(bw_dataset_label(d[0], i), bw_dataset_label(d[1], i));
        assert_int_equal(image[0].height, image[1].height);
        assert_int_equal(image[0].width, image[1].width);
        assert_memory_equal(image[0].rgb, image[1].rgb, (size_t)(image[0].height * image[0].width * 3));
        if (bytes[0]) {
            assert_int_equal(size[0], size[1]);
            assert_memory_equal(bytes[0], bytes[1], size[0]);
        }
        bw__free(bytes[0]);
        bw__free(bytes[1]);
    }
    for (int k = 0; k < 2; k++) {
        bw_image_clear(&image[k]);
        bw_dataset_free(d[k]);
    }
}

static void make_folders(void)
{
    static const char *const NAMES[] = { "in/train/cat/10.jpg", "in/train/cat/9.jpg", "in/train/dog/1.png",
                                         "in/train/owl/a/b.jpg", "in/train/owl/1.webp" };
    static const char *const FROM[] = { "images/exif_1.jpg", "images/exif_6.jpg", "images/grey.png",
                                        "images/grey.jpg", "images/exif_8.webp" };
    for (int i = 0; i < 5; i++)
        copy_file(tree, NAMES[i], fixture_path(FROM[i]));
    copy_file(tree, "in/val/owl/1.jpg", fixture_path(FROM[0]));
}

static void class_folders_keep_names_labels_order_and_bytes(void **state)
{
    (void)state;
    make_folders();
    const bw_pack_result r = pack_as("in", "out/s-%03d.tar", 2, 0);
    assert_int_equal(r.images, 5);
    assert_int_equal(r.labelled, 5);
    assert_int_equal(r.shards, 3);
    assert_int_equal(r.classes, 3);
    assert_int_equal(r.renamed, 0);
    assert_int_equal(files_in("out"), 4);
    expect_same("in", "out");
    expect_images(
        open_or_fail(in(tree, "out/s-{000..002}.tar"), BW_SPLIT_TRAIN, NULL), "tar",
        "train/cat/10.jpg 0; train/cat/9.jpg 0; train/dog/1.png 1; train/owl/1.webp 2; train/owl/a/b.jpg 2");
    /* From shards to shards, in other parts. */
    write_text(tree, "again/.keep", "");
    assert_int_equal(pack_as("out", "again/one.tar", 0, 0).shards, 1);
    expect_same("in", "again");
}

static void raw_pixels_become_png_without_loss(void **state)
{
    (void)state;
    uint8_t batch[3 * 3073]; /* CIFAR-10: label, then planes of 32 x 32 */
    uint8_t grey[16 + 2 * 5 * 7] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 7 };
    for (size_t i = 0; i < sizeof batch; i++)
        batch[i] = i % 3073 == 0 ? (uint8_t)(i % 10) : (uint8_t)(i * i / 7);
    for (size_t i = 16; i < sizeof grey; i++)
        grey[i] = (uint8_t)(i * 31);
    write_file(tree, "in/data_batch_1.bin", batch, sizeof batch);
    (void)pack_as("in", "out/c-%d.tar", 0, 0);
    expect_same("in", "out");
    write_file(tree, "grey/train-images-idx3-ubyte", grey, sizeof grey);
    write_text(tree, "g/.keep", "");
    (void)pack_as("grey", "g/x.tar", 0, 0);
    expect_same("grey", "g");
    expect_images(open_or_fail(in(tree, "g"), BW_SPLIT_TRAIN, NULL), "tar",
                  "train-images-idx3-ubyte[0].png -1; train-images-idx3-ubyte[1].png -1");
}

static void images_without_labels_stay_so_in_folders_that_look_like_classes(void **state)
{
    (void)state;
    make_folders();
    write_text(tree, "list.txt", "in/train/cat/9.jpg\nin/train/dog/1.png\n");
    (void)pack_as("list.txt", "out/x.tar", 0, 0);
    expect_images(open_or_fail(in(tree, "out"), BW_SPLIT_TRAIN, NULL), "tar",
                  "in/train/cat/9.jpg -1; in/train/dog/1.png -1");
    write_text(tree, "some.txt", "in/train/cat/9.jpg 1\nin/train/dog/1.png -1\nin/train/cat/10.jpg 0\n");
    write_text(tree, "some/.keep", "");
    (void)pack_as("some.txt", "some/x.tar", 0, 0);
    expect_same("some.txt", "some");
}

/* Names that WebDataset's rules would take apart or put together. */
static void names_that_rules_cannot_hold_are_changed(void **state)
{
    (void)state;
    char list[9000], want[9000];
    copy_file(tree, "in/a.b.png", fixture_path("images/grey.png"));
    copy_file(tree, "in/a.c.png", fixture_path("images/one_pixel.png"));
    copy_file(tree, "in/k.jpg", fixture_path("images/grey.jpg"));
    copy_file(tree, "in/k.png", fixture_path("images/grey.png"));
    copy_file(tree, "in/k.webp", fixture_path("images/exif_8.webp"));
    copy_file(tree, "in/strange", fixture_path("images/exif_8.webp"));
    copy_file(tree, "__m__/1.png", fixture_path("images/grey.png"));
    copy_file(tree, "v1.2/1.png", fixture_path("images/grey.png"));
    (void)snprintf(list, sizeof list,
                   "../in/a.b.png\n../in/a.c.png\n.././in/k.jpg\n../in/k.png\n../in/k.webp\n%s/in/k.webp\n../"
                   "in/strange 0\n"
                   "../__m__/1.png\n../v1.2/1.png\n",
                   tree);
    write_text(tree, "list/list.txt", list);
    const bw_pack_result r = pack_as("list/list.txt", "out/x.tar", 0, 0);
    assert_int_equal(r.images, 9);
    assert_int_equal(r.renamed, 9);
    (void)snprintf(want, sizeof want,
                   "x__/in/a_b.png -1; x__/in/a_c.png -1; x__/in/k.jpg -1; x__/in/k_2.png -1; x__/in/k.webp "
                   "-1; %s/in/k.webp -1; "
                   "x__/in/strange.webp 0; x__/__m__/1.png -1; x__/v1.2/1.png -1",
                   tree + 1);
    expect_images(open_or_fail(in(tree, "out/x.tar"), BW_SPLIT_TRAIN, NULL), "tar", want);
}

static void long_names_and_names_in_any_language_are_kept(void **state)
{
    (void)state;
    char name[600], list[700];
    (void)snprintf(name, sizeof name, "%0120d/\xc3\xa9%0140d/%0110d.png", 1, 2, 3);
    copy_file(tree, name, fixture_path("images/grey.png"));
    (void)snprintf(list, sizeof list, "%s\n", name);
    write_text(tree, "list.txt", list);
    (void)pack_as("list.txt", "out/x.tar", 0, 0);
    bw_dataset *d = open_or_fail(in(tree, "out/x.tar"), BW_SPLIT_TRAIN, NULL);
    bw_dataset_name(d, 0, list, sizeof list);
    assert_string_equal(list, name);
    bw_dataset_free(d);
}

static void shards_end_where_they_are_told(void **state)
{
    (void)state;
    struct stat info;
    uint8_t batch[20 * 3073];
    bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 0, 0, 0); /* noise: PNG cannot make it smaller */
    for (size_t i = 0; i < sizeof batch; i++)
        batch[i] = i % 3073 == 0 ? 1 : (uint8_t)bw__rng_u32(&r);
    write_file(tree, "in/data_batch_1.bin", batch, sizeof batch);
    assert_int_equal(pack_as("in", "out/s-%d.tar", 0, 20000).shards, 7);
    for (int i = 0; i < 6; i++) { /* three images of 5 KB each and the end */
        char name[40];
        (void)snprintf(name, sizeof name, "out/s-%d.tar", i);
        assert_int_equal(stat(in(tree, name), &info), 0);
        assert_in_range(info.st_size, 16000, 20000);
    }
    /* One image is larger than the limit: shards of one image. */
    write_text(tree, "one/.keep", "");
    assert_int_equal(pack_as("in", "one/s-%d.tar", 0, 100).shards, 20);
    expect_same("in", "one");
}

static void the_same_images_give_the_same_bytes(void **state)
{
    (void)state;
    size_t n[2];
    make_folders();
    write_text(tree, "two/.keep", "");
    (void)pack_as("in", "out/x.tar", 0, 0);
    (void)pack_as("in", "two/x.tar", 0, 0);
    uint8_t *a = read_whole(in(tree, "out/x.tar"), &n[0]), *b = read_whole(in(tree, "two/x.tar"), &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(a, b, n[0]);
    /* Headers: no owner's name, number or time. */
    assert_string_equal((char *)a + 108, "0000000");
    assert_string_equal((char *)a + 116, "0000000");
    assert_string_equal((char *)a + 265, "");
    assert_string_equal((char *)a + 297, "");
    assert_memory_equal(a + 136, "00000000000", 11);
    free(a);
    free(b);
}

static void nothing_is_overwritten(void **state)
{
    (void)state;
    make_folders();
    write_text(tree, "out/s-07.tar", "something");
    expect_pack_failure("in", "out/s-%06d.tar", NULL, BW_EEXIST, "out/s-07.tar: is there already");
    expect_pack_failure("in", "out/s-07.tar", NULL, BW_EEXIST, "out/s-07.tar: is there already");
    write_text(tree, "out/classes.txt", "cat\ndog\n");
    expect_pack_failure("in", "out/t-%06d.tar", NULL, BW_EEXIST,
                        "classes.txt: is there already and names other");
    assert_int_equal(files_in("out"), 2);
    write_text(tree, "out/classes.txt", "cat\ndog\nowl\n");
    assert_int_equal(pack_as("in", "out/t-%06d.tar", 0, 0).images,
                     5); /* another split beside the first, say */
    assert_int_equal(files_in("out"), 3);
}

static void patterns_that_name_no_shards_are_refused(void **state)
{
    (void)state;
    make_folders();
    static const char *const WRONG[] = {
        "out/x",         "out/x-%s.tar", "out/x-%d-%d.tar", "out/x-%-3d.tar",
        "out/x-%0d.tgz", "out/%",        "out/x-%.tar",     "out/x%99d.tar"
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        expect_pack_failure("in", WRONG[i], NULL, BW_EINVAL, "want a name that ends in .tar");
    expect_pack_failure("in", "nowhere/x.tar", NULL, BW_EIO, "nowhere: No such file");
}

static int stop_late(void *user, const char *what, double done)
{
    (void)user;
    (void)what;
    return done > 0.7;
}

/* A limit on the size of files does what a full disk does. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void what_fails_leaves_nothing(void **state)
{
    (void)state;
    make_folders();
    const int files = open_files();
    expect_pack_failure("in", "out/x-%d.tar", stop_late, BW_EINTERRUPTED, "stopped");
    assert_int_equal(files_in("out"), 0);
    limit_files(3600);
    expect_pack_failure("in/val", "out/x-%d.tar", NULL, BW_OK, "");
    assert_int_equal(files_in("out"), 2);
    assert_int_equal(unlink(in(tree, "out/x-0.tar")), 0);
    assert_int_equal(unlink(in(tree, "out/classes.txt")), 0);
    expect_pack_failure("in", "out/x-%d.tar", NULL, BW_EIO, "x-0.tar: cannot write: File too large");
    limit_files(4); /* classes.txt has more */
    expect_pack_failure("in", "out/x-%d.tar", NULL, BW_EIO, "classes.txt: cannot write: File too large");
    limit_files(RLIM_INFINITY);
    assert_int_equal(files_in("out"), 0);
    write_text(tree, "list.txt", "in/train/cat/9.jpg\nin/gone.jpg\n");
    expect_pack_failure("list.txt", "out/x-%d.tar", NULL, BW_EDATA, "in/gone.jpg: cannot open");
    assert_int_equal(files_in("out"), 0);
    assert_int_equal(open_files(), files);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(class_folders_keep_names_labels_order_and_bytes),
        TEST(raw_pixels_become_png_without_loss),
        TEST(images_without_labels_stay_so_in_folders_that_look_like_classes),
        TEST(names_that_rules_cannot_hold_are_changed),
        TEST(long_names_and_names_in_any_language_are_kept),
        TEST(shards_end_where_they_are_told),
        TEST(the_same_images_give_the_same_bytes),
        TEST(nothing_is_overwritten),
        TEST(patterns_that_name_no_shards_are_refused),
        TEST(what_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
