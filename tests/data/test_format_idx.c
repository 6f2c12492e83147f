#include "dataset_check.h"
#include <zlib.h>

enum { N = 3, H = 4, W = 5 };

/* A header of big-endian extents and a ramp behind it: byte i is 7 i mod 256. */
static size_t idx_bytes(uint8_t *out, int type, int dims, const uint32_t *extent, size_t data)
{
    size_t n = 0;
    out[n++] = 0;
    out[n++] = 0;
    out[n++] = (uint8_t)type;
    out[n++] = (uint8_t)dims;
    for (int i = 0; i < dims; i++)
        for (int shift = 24; shift >= 0; shift -= 8)
            out[n++] = (uint8_t)(extent[i] >> shift);
    for (size_t i = 0; i < data; i++)
        out[n++] = (uint8_t)(7 * i);
    return n;
}

static void write_idx(const char *folder, const char *name, int dims, const uint32_t *extent, size_t data)
{
    uint8_t bytes[4096];
    write_file(folder, name, bytes, idx_bytes(bytes, 8, dims, extent, data));
}

static void write_images(const char *folder, const char *name, uint32_t n)
{
    uint32_t extent[] = { n, H, W };
    write_idx(folder, name, 3, extent, n * H * W);
}

static void write_labels(const char *folder, const char *name, const uint8_t *labels, uint32_t n)
{
    uint8_t bytes[64];
    size_t size = idx_bytes(bytes, 8, 1, &n, 0);
    memcpy(bytes + size, labels, n);
    write_file(folder, name, bytes, size + n);
}

static void compress_file(const char *folder, const char *name)
{
    size_t size;
    uint8_t *bytes = read_whole(in(folder, name), &size);
    char packed[4096];
    (void)snprintf(packed, sizeof packed, "%s/%s.gz", folder, name);
    gzFile f = gzopen(packed, "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(f), Z_OK);
    assert_int_equal(remove(in(folder, name)), 0);
    free(bytes);
}

static void check_images(const char *path, int64_t n)
{
    bw_dataset *d = NULL;
    bw_image image = { 0 };
    CHECK_OK(bw_dataset_open(&d, path, BW_SPLIT_TRAIN, NULL));
    assert_string_equal(bw_dataset_format(d), "idx");
    assert_int_equal(bw_dataset_size(d), n);
    for (int64_t i = 0; i < n; i++) {
        CHECK_OK(bw_dataset_read(d, i, &image));
        assert_int_equal(image.height, H);
        assert_int_equal(image.width, W);
        for (int64_t p = 0; p < H * W; p++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(image.rgb[3 * p + c], (uint8_t)(7 * (i * H * W + p)));
    }
    bw_image_clear(&image);
    bw_dataset_free(d);
}

static void grey_images_are_replicated_to_rgb_in_order(void **state)
{
    (void)state;
    char *dir = new_folder();
    write_images(dir, "train-images-idx3-ubyte", N);
    check_images(dir, N);
    check_images(in(dir, "train-images-idx3-ubyte"), N);
    remove_folder(dir);
}

static void gzip_files_are_read_like_plain_ones(void **state)
{
    (void)state;
    char *dir = new_folder();
    write_images(dir, "train-images-idx3-ubyte", N);
    compress_file(dir, "train-images-idx3-ubyte");
    check_images(dir, N);
    remove_folder(dir);
}

static void colour_images_have_a_fourth_dimension(void **state)
{
    (void)state;
    char *dir = new_folder();
    uint32_t extent[] = { 2, 2, 3, 3 };
    bw_dataset *d;
    bw_image image = { 0 };
    write_idx(dir, "train-images-idx4-ubyte", 4, extent, 2 * 2 * 3 * 3);
    CHECK_OK(bw_dataset_open(&d, dir, BW_SPLIT_TRAIN, NULL));
    CHECK_OK(bw_dataset_read(d, 1, &image));
    for (int i = 0; i < 18; i++)
        assert_int_equal(image.rgb[i], (uint8_t)(7 * (18 + i)));
    bw_image_clear(&image);
    bw_dataset_free(d);
    remove_folder(dir);
}

static void splits_are_found_by_name_with_their_labels(void **state)
{
    (void)state;
    char *dir = new_folder();
    bw_dataset *d;
    char name[100];
    write_images(dir, "train-images-idx3-ubyte", 3);
    write_images(dir, "t10k-images-idx3-ubyte", 2);
    write_labels(dir, "train-labels-idx1-ubyte", (const uint8_t[]){ 4, 0, 2 }, 3);
    write_labels(dir, "t10k-labels-idx1-ubyte", (const uint8_t[]){ 1, 3 }, 2);
    compress_file(dir, "train-labels-idx1-ubyte");

    CHECK_OK(bw_dataset_open(&d, dir, BW_SPLIT_TRAIN, NULL));
    assert_int_equal(bw_dataset_size(d), 3);
    assert_int_equal(bw_dataset_classes(d), 5);
    assert_int_equal(bw_dataset_label(d, 0), 4);
    assert_int_equal(bw_dataset_label(d, 2), 2);
    assert_string_equal(bw_dataset_class_name(d, 4), "4");
    bw_dataset_name(d, 2, name, sizeof name);
    assert_string_equal(name, "train-images-idx3-ubyte[2]");
    bw_dataset_free(d);

    for (int split = BW_SPLIT_TEST; split <= BW_SPLIT_ANY; split++) {
        CHECK_OK(bw_dataset_open(&d, dir, (bw_split)split, NULL));
        assert_int_equal(bw_dataset_size(d), 2);
        assert_int_equal(bw_dataset_label(d, 1), 3);
        bw_dataset_free(d);
    }
    remove_folder(dir);
}

static void images_without_a_label_file_have_no_labels(void **state)
{
    (void)state;
    char *dir = new_folder();
    bw_dataset *d;
    write_images(dir, "train-images-idx3-ubyte", N);
    CHECK_OK(bw_dataset_open(&d, dir, BW_SPLIT_ANY, NULL));
    assert_int_equal(bw_dataset_classes(d), 0);
    assert_int_equal(bw_dataset_label(d, 0), -1);
    bw_dataset_free(d);
    expect_open_failure(dir, BW_SPLIT_TEST, NULL, BW_ENOSPLIT, "--test PATH");
    /* There, and damaged: another failure. */
    write_idx(dir, "t10k-images-idx3-ubyte", 3, (uint32_t[]){ 4, H, W }, 60);
    expect_open_failure(dir, BW_SPLIT_TEST, NULL, BW_EDATA, "promises 96 bytes, the file holds only 76");
    remove_folder(dir);
}

static void header_that_lies_is_named_with_both_sizes(void **state)
{
    (void)state;
    char *dir = new_folder();
    uint32_t extent[] = { 4, H, W }, huge[] = { 0xffffffffu, 0xffffffffu, 0xffffffffu };
    for (int packed = 0; packed < 2; packed++) {
        /* Too little, too much, and more than there can be. */
        write_idx(dir, "train-images-idx3-ubyte", 3, extent, 60);
        if (packed) compress_file(dir, "train-images-idx3-ubyte");
        expect_open_failure(dir, BW_SPLIT_TRAIN, NULL, BW_EDATA, "promises 96 bytes, the file holds only 76");
        write_idx(dir, "train-images-idx3-ubyte", 3, extent, 200);
        if (packed) compress_file(dir, "train-images-idx3-ubyte");
        expect_open_failure(dir, BW_SPLIT_TRAIN, NULL, BW_EDATA,
                            "promises 96 bytes, the file holds at least");
        write_idx(dir, "train-images-idx3-ubyte", 3, huge, 60);
        if (packed) compress_file(dir, "train-images-idx3-ubyte");
        expect_open_failure(dir, BW_SPLIT_TRAIN, NULL, BW_EDATA, "impossible");
        if (!packed) assert_int_equal(remove(in(dir, "train-images-idx3-ubyte")), 0);
    }
    remove_folder(dir);
}

static void labels_must_be_as_many_as_images(void **state)
{
    (void)state;
    char *dir = new_folder();
    write_images(dir, "train-images-idx3-ubyte", N);
    write_labels(dir, "train-labels-idx1-ubyte", (const uint8_t[]){ 4, 0 }, 2);
    expect_open_failure(dir, BW_SPLIT_TRAIN, NULL, BW_EDATA, "holds 2 labels");
    assert_non_null(strstr(bw_last_error(), "3 images"));
    remove_folder(dir);
}

static void other_idx_files_are_refused_by_name(void **state)
{
    (void)state;
    char *dir = new_folder();
    uint8_t bytes[256];
    uint32_t extent[] = { 1, 2, 2 }, none[] = { 0, 28, 28 };
    write_file(dir, "floats", bytes, idx_bytes(bytes, 0x0d, 3, extent, 16));
    expect_open_failure(in(dir, "floats"), BW_SPLIT_TRAIN, NULL, BW_EDATA, "0x0d");
    write_labels(dir, "train-labels-idx1-ubyte", (const uint8_t[]){ 4, 0 }, 2);
    expect_open_failure(in(dir, "train-labels-idx1-ubyte"), BW_SPLIT_TRAIN, NULL, BW_EDATA,
                        "these are labels");
    write_file(dir, "none", bytes, idx_bytes(bytes, 8, 3, none, 0));
    expect_open_failure(in(dir, "none"), BW_SPLIT_TRAIN, NULL, BW_EDATA, "no images");
    write_file(dir, "short", "\0\0\x08\x03\0\0", 6);
    expect_open_failure(in(dir, "short"), BW_SPLIT_TRAIN, NULL, BW_EDATA, "truncated");
    write_text(dir, "text", "hello");
    expect_open_failure(in(dir, "text"), BW_SPLIT_TRAIN, "idx", BW_EDATA, "not an IDX file");
    remove_folder(dir);
}

static void truncated_gzip_is_an_error(void **state)
{
    (void)state;
    char *dir = new_folder();
    size_t size;
    uint32_t extent[] = { 8, H, W };
    write_idx(dir, "train-images-idx3-ubyte", 3, extent, 8 * H * W);
    compress_file(dir, "train-images-idx3-ubyte");
    uint8_t *bytes = read_whole(in(dir, "train-images-idx3-ubyte.gz"), &size);
    write_file(dir, "train-images-idx3-ubyte.gz", bytes, size - 12);
    expect_open_failure(dir, BW_SPLIT_TRAIN, NULL, BW_EDATA, "train-images-idx3-ubyte.gz: truncated gzip");
    for (size_t i = 20; i < size; i++)
        bytes[i] ^= 0x55;
    write_file(dir, "train-images-idx3-ubyte.gz", bytes, size);
    expect_open_failure(dir, BW_SPLIT_TRAIN, NULL, BW_EDATA, "train-images-idx3-ubyte.gz: ");
    free(bytes);
    remove_folder(dir);
}

static void fashion_mnist_of_debian_opens(void **state)
{
    (void)state;
    bw_dataset *d;
    struct stat info;
    if (stat("/usr/share/datasets/fashion-mnist", &info) != 0) skip();
    CHECK_OK(bw_dataset_open(&d, "/usr/share/datasets/fashion-mnist", BW_SPLIT_TEST, NULL));
    assert_int_equal(bw_dataset_size(d), 10000);
    assert_int_equal(bw_dataset_classes(d), 10);
    assert_int_equal(bw_dataset_label(d, 0), 9);
    bw_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grey_images_are_replicated_to_rgb_in_order),
        cmocka_unit_test(gzip_files_are_read_like_plain_ones),
        cmocka_unit_test(colour_images_have_a_fourth_dimension),
        cmocka_unit_test(splits_are_found_by_name_with_their_labels),
        cmocka_unit_test(images_without_a_label_file_have_no_labels),
        cmocka_unit_test(header_that_lies_is_named_with_both_sizes),
        cmocka_unit_test(labels_must_be_as_many_as_images),
        cmocka_unit_test(other_idx_files_are_refused_by_name),
        cmocka_unit_test(truncated_gzip_is_an_error),
        cmocka_unit_test(fashion_mnist_of_debian_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
