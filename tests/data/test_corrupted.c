/* Folders of published corrupted images: both layouts, and what is wrong with a damaged one. */
#include "base/error.h"
#include "base/memory.h"
#include "data/corrupted.h"
#include "data/encode_jpeg.h"
#include "formats/npy.h"
#include "temp_files.h"

/* A grey JPEG of 8 x 8 pixels. */
static void write_image(const char *folder, const char *name, int value)
{
    uint8_t pixels[8 * 8 * 3], *bytes = NULL;
    size_t size = 0;
    memset(pixels, value, sizeof pixels);
    CHECK_OK(bw__encode_jpeg(&bytes, &size, pixels, 8, 8, 95));
    write_file(folder, name, bytes, size);
    bw__free(bytes);
}

/* Two classes in severities first to last; the value of the image is 40 * severity. */
static void write_corruption(const char *folder, const char *name, int first, int last)
{
    for (int s = first; s <= last; s++) {
        char path[100];
        (void)snprintf(path, sizeof path, "%s/%d/cat/a.jpg", name, s);
        write_image(folder, path, 40 * s);
        (void)snprintf(path, sizeof path, "%s/%d/dog/b.jpg", name, s);
        write_image(folder, path, 40 * s);
    }
}

static char logged[512];

static void keep_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level == BW_LOG_WARN) (void)snprintf(logged, sizeof logged, "%s", line);
}

static void expect_failure(bw_status got, const char *words)
{
    assert_int_equal(got, BW_EDATA);
    if (!strstr(bw_last_error(), words)) fail_msg("\"%s\" does not say \"%s\"", bw_last_error(), words);
}

static void folders_and_groups_of_folders_are_corruptions_by_name(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_corrupted *c = NULL;
    bw_dataset *d = NULL;
    bw_image image = { 0 };
    write_corruption(folder, "weather/snow", 1, 5);
    write_corruption(folder, "blur/defocus_blur", 1, 5);
    write_corruption(folder, "pixelate", 1, 5);
    write_text(folder, "notes/readme", "nothing here");
    bw_set_log(keep_log, NULL);
    CHECK_OK(bw__corrupted_open(&c, folder));
    bw_set_log(NULL, NULL);
    assert_non_null(strstr(logged, "notes: neither a corruption"));
    assert_int_equal(bw__corrupted_count(c), 3);
    assert_string_equal(bw__corrupted_name(c, 0), "defocus_blur");
    assert_string_equal(bw__corrupted_name(c, 1), "pixelate");
    assert_string_equal(bw__corrupted_name(c, 2), "snow");
    for (int i = 0; i < 3; i++)
        CHECK_OK(bw__corrupted_check(c, i));
    CHECK_OK(bw__corrupted_images(&d, c, 2, 4));
    assert_int_equal(bw_dataset_size(d), 2);
    assert_string_equal(bw_dataset_class_name(d, 1), "dog");
    CHECK_OK(bw_dataset_read(d, 1, &image));
    assert_in_range(image.rgb[0], 158, 162);
    bw_image_clear(&image);
    bw_dataset_free(d);
    bw__corrupted_free(c);
    remove_folder(folder);
}

static void missing_severity_is_named(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_corrupted *c = NULL;
    write_corruption(folder, "fog", 1, 3);
    write_corruption(folder, "fog", 5, 5);
    CHECK_OK(bw__corrupted_open(&c, folder));
    expect_failure(bw__corrupted_check(c, 0), "fog: severity 4 is missing");
    bw__corrupted_free(c);
    remove_folder(folder);
}

static void folder_without_corruptions_is_refused(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_corrupted *c = (bw_corrupted *)folder;
    write_text(folder, "a/b/c", "x");
    expect_failure(bw__corrupted_open(&c, folder), "no corrupted images there");
    assert_null(c);
    expect_failure(bw__corrupted_open(&c, in(folder, "nowhere")), "nowhere: cannot read");
    remove_folder(folder);
}

enum { N = 3, H = 4, W = 5 };

static void write_array(const char *path, int64_t images)
{
    static uint8_t pixels[8 * N * H * W * 3];
    const int64_t shape[4] = { images, H, W, 3 };
    for (int64_t i = 0; i < images; i++)
        memset(pixels + i * H * W * 3, (int)(10 * i), H * W * 3);
    CHECK_OK(bw__npy_write(path, BW_NPY_U8, pixels, 4, shape));
}

static void arrays_hold_the_severities_one_after_the_other(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_corrupted *c = NULL;
    bw_dataset *d = NULL;
    bw_image image = { 0 };
    const int64_t all[5 * N] = { 0, 1, 2, 1, 1, 0, 2, 2, 1, 0, 0, 1, 1, 0, 2 }, n = 5 * N;
    write_array(in(folder, "fog.npy"), n);
    CHECK_OK(bw__npy_write(in(folder, "labels.npy"), BW_NPY_I64, all, 1, &n));
    CHECK_OK(bw__corrupted_open(&c, folder));
    assert_int_equal(bw__corrupted_count(c), 1);
    assert_string_equal(bw__corrupted_name(c, 0), "fog");
    assert_true(bw__corrupted_has_numbers(c));
    CHECK_OK(bw__corrupted_check(c, 0));
    for (int s = 1; s <= 5; s++) {
        CHECK_OK(bw__corrupted_images(&d, c, 0, s));
        assert_int_equal(bw_dataset_size(d), N);
        for (int64_t i = 0; i < N; i++) {
            CHECK_OK(bw_dataset_read(d, i, &image));
            assert_int_equal(image.height, H);
            assert_int_equal(image.width, W);
            assert_int_equal(image.rgb[H * W * 3 - 1], 10 * ((s - 1) * N + i));
            assert_int_equal(bw_dataset_label(d, i), all[(s - 1) * N + i]);
        }
        bw_dataset_free(d);
    }
    /* Labels of one severity serve all. */
    const uint8_t few[N] = { 2, 0, 1 };
    const int64_t one = N;
    CHECK_OK(bw__npy_write(in(folder, "labels.npy"), BW_NPY_U8, few, 1, &one));
    CHECK_OK(bw__corrupted_images(&d, c, 0, 5));
    assert_int_equal(bw_dataset_label(d, 0), 2);
    bw_dataset_free(d);
    bw_image_clear(&image);
    bw__corrupted_free(c);
    remove_folder(folder);
}

static void damaged_arrays_are_named(void **state)
{
    (void)state;
    char *folder = new_folder();
    bw_corrupted *c = NULL;
    bw_dataset *d = NULL;
    size_t size;
    const int64_t n = N + 1, labels[N + 1] = { 0 };
    write_array(in(folder, "fog.npy"), 5 * N);
    expect_failure(bw__corrupted_open(&c, folder), "no labels.npy there");
    CHECK_OK(bw__npy_write(in(folder, "labels.npy"), BW_NPY_I64, labels, 1, &n));
    CHECK_OK(bw__corrupted_open(&c, folder));
    expect_failure(bw__corrupted_images(&d, c, 0, 1), "labels.npy: 4 labels for 3 images");
    assert_null(d);
    write_array(in(folder, "fog.npy"), 5 * N + 1);
    expect_failure(bw__corrupted_check(c, 0), "fog.npy: 16 images, which are not 5 severities");
    uint8_t *bytes = read_whole(in(folder, "fog.npy"), &size);
    write_file(folder, "fog.npy", bytes, size - 7);
    free(bytes);
    expect_failure(bw__corrupted_check(c, 0), "fog.npy: number of bytes does not fit");
    CHECK_OK(bw__npy_write(in(folder, "fog.npy"), BW_NPY_I64, labels, 1, &n));
    expect_failure(bw__corrupted_check(c, 0), "fog.npy: not an array of images");
    bw__corrupted_free(c);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_and_groups_of_folders_are_corruptions_by_name),
        cmocka_unit_test(missing_severity_is_named),
        cmocka_unit_test(folder_without_corruptions_is_refused),
        cmocka_unit_test(arrays_hold_the_severities_one_after_the_other),
        cmocka_unit_test(damaged_arrays_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
