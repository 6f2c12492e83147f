#include "temp_files.h"
#include "data/decode.h"
#include <jpeglib.h>
#include <pthread.h>
#include <zlib.h>

/* Every fixture but the animated one; tests/fixtures/generate_images.py writes them and what PIL makes of
 * them. */
static const char *const fixtures[] = {
    "rgb.jpg",        "rgb_444.jpg",      "progressive.jpg",  "grey.jpg",       "cmyk.jpg",
    "one_pixel.jpg",  "exif_1.jpg",       "exif_2.jpg",       "exif_3.jpg",     "exif_4.jpg",
    "exif_5.jpg",     "exif_6.jpg",       "exif_7.jpg",       "exif_8.jpg",     "rgb.png",
    "rgba.png",       "grey.png",         "grey_alpha.png",   "one_pixel.png",  "exif_6.png",
    "grey_1bit.png",  "grey_2bit.png",    "grey_4bit.png",    "rgb_16bit.png",  "rgba_16bit.png",
    "grey_16bit.png", "palette_4bit.png", "palette_8bit.png", "interlaced.png", "colour_key.png",
    "rgb.webp",       "lossless.webp",    "rgba.webp",        "exif_8.webp",    "exif_5_prefix.webp",
};
#define N_FIXTURES (sizeof fixtures / sizeof *fixtures)

static uint8_t *read_fixture(const char *name, size_t *size)
{
    char path[200];
    (void)snprintf(path, sizeof path, "images/%s", name);
    return read_whole(fixture_path(path), size);
}

static void expect_failure(const uint8_t *bytes, size_t size, const char *name, const char *message)
{
    bw_image image = { 0 };
    assert_int_equal(bw__decode(&image, bytes, size, name), BW_EDATA);
    if (!strstr(bw_last_error(), message)) fail_msg("\"%s\" does not say \"%s\"", bw_last_error(), message);
    bw_image_clear(&image);
}

static void every_kind_gives_the_pixels_of_pil(void **state)
{
    (void)state;
    bw_image image = { 0 };
    for (size_t i = 0; i < N_FIXTURES; i++) {
        char name[100];
        size_t size, want_size;
        int w, h, at = 0;
        (void)snprintf(name, sizeof name, "%s.ppm", fixtures[i]);
        uint8_t *bytes = read_fixture(fixtures[i], &size), *want = read_fixture(name, &want_size);
        want[want_size] = '\0';
        assert_int_equal(sscanf((const char *)want, "P6 %d %d 255%n", &w, &h, &at), 2);
        CHECK_OK(bw__decode(&image, bytes, size, NULL));
        if (image.width != w || image.height != h)
            fail_msg("%s: %d x %d instead of %d x %d", fixtures[i], (int)image.width, (int)image.height, w,
                     h);
        assert_int_equal(want_size, (size_t)(at + 1 + w * h * 3));
        for (int j = 0; j < w * h * 3; j++)
            if (image.rgb[j] != want[at + 1 + j])
                fail_msg("%s: byte %d is %d, PIL has %d", fixtures[i], j, image.rgb[j], want[at + 1 + j]);
        free(bytes);
        free(want);
    }
    bw_image_clear(&image);
}

/* Adobe's files of four inks: stored inverted, and mostly as YCCK. */
static void ycck_gives_the_colours_of_cmyk(void **state)
{
    (void)state;
    enum { W = 16, H = 8 };
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    unsigned char *bytes = NULL, row[W * 4];
    unsigned long size = 0;
    bw_image image = { 0 };
    jpeg.err = jpeg_std_error(&error);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = W;
    jpeg.image_height = H;
    jpeg.input_components = 4;
    jpeg.in_color_space = JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, JCS_YCCK);
    jpeg_set_quality(&jpeg, 100, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    /* No ink but a third of magenta (stored 170), and half of black (stored 128). */
    for (int x = 0; x < W; x++) {
        const unsigned char pixel[4] = { 255, 170, 255, 128 };
        memcpy(row + 4 * x, pixel, 4);
    }
    JSAMPROW rows[1] = { row };
    for (int y = 0; y < H; y++)
        (void)jpeg_write_scanlines(&jpeg, rows, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);

    CHECK_OK(bw__decode(&image, bytes, size, NULL));
    const int want[3] = { 128, 85, 128 };
    for (int i = 0; i < W * H * 3; i++)
        assert_in_range(image.rgb[i], want[i % 3] - 2, want[i % 3] + 2);
    bw_image_clear(&image);
    free(bytes);
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    const char *const names[] = { "rgb.jpg",        "progressive.jpg", "cmyk.jpg",     "grey.png",
                                  "interlaced.png", "rgb.webp",        "lossless.webp" };
    bw_image image = { 0 };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size;
        uint8_t *bytes = read_fixture(names[i], &size);
        /* A PNG has all its pixels before its last 16 bytes: a checksum and the chunk of the end. */
        size_t needed = strstr(names[i], ".png") ? size - 16 : size;
        for (size_t n = 0; n < needed; n++) {
            /* A copy of its own, so that a read past the end is seen by the sanitizer. */
            uint8_t *part = malloc(n ? n : 1);
            assert_non_null(part);
            memcpy(part, bytes, n);
            if (bw__decode(&image, part, n, NULL) != BW_EDATA)
                fail_msg("%s cut to %zu of %zu bytes decodes", names[i], n, size);
            free(part);
        }
        free(bytes);
    }
    bw_image_clear(&image);
}

static void messages_say_what_is_missing(void **state)
{
    (void)state;
    size_t size;
    const uint8_t *text = (const uint8_t *)"<html>not found</html>";
    expect_failure(text, 22, "cat/0017.jpg", "not an image (JPEG header missing)");
    expect_failure(text, 22, "cat/0017.PNG", "not an image (PNG header missing)");
    expect_failure(text, 22, NULL, "not an image (JPEG, PNG or WebP header missing)");
    expect_failure(text, 0, "cat/0017.jpg", "empty");
    uint8_t *bytes = read_fixture("rgb.jpg", &size);
    expect_failure(bytes, size / 2, NULL, "truncated JPEG");
    free(bytes);
    bytes = read_fixture("rgb_16bit.png", &size);
    expect_failure(bytes, size / 2, NULL, "truncated PNG");
    bytes[50] ^= 1;
    expect_failure(bytes, size, NULL, "damaged PNG");
    free(bytes);
    bytes = read_fixture("rgb.webp", &size);
    expect_failure(bytes, size / 2, NULL, "truncated WebP");
    free(bytes);
    bytes = read_fixture("animated.webp", &size);
    expect_failure(bytes, size, NULL, "animated");
    free(bytes);
}

static void a_kind_is_known_by_its_bytes_not_its_name(void **state)
{
    (void)state;
    size_t size;
    bw_image image = { 0 };
    uint8_t *bytes = read_fixture("rgb.png", &size);
    CHECK_OK(bw__decode(&image, bytes, size, "a.jpg"));
    assert_int_equal(image.width, 23);
    bw_image_clear(&image);
    free(bytes);
}

static void a_size_the_file_cannot_hold_is_refused_before_memory_is_taken(void **state)
{
    (void)state;
    size_t size, at = 0;
    /* Height and width of a JPEG stand 5 bytes behind the SOF0 marker. */
    uint8_t *bytes = read_fixture("rgb.jpg", &size);
    while (bytes[at] != 0xff || bytes[at + 1] != 0xc0)
        at++;
    const uint8_t large[] = { 0x10, 0, 0x20, 0 };
    memcpy(bytes + at + 5, large, sizeof large);
    expect_failure(bytes, size, NULL, "bytes cannot hold 8192 x 4096 pixels");
    free(bytes);
    /* In a PNG they are the first 8 bytes of IHDR, with a checksum behind it. */
    uint8_t png[33] = { 0x89, 'P', 'N', 'G',  '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D',
                        'R',  0,   0,   0x20, 0,    0,    0,    0x10, 0, 8, 2, 0,  0,   0 };
    unsigned long crc = crc32(0, png + 12, 17);
    for (int i = 0; i < 4; i++)
        png[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    expect_failure(png, sizeof png, NULL, "33 bytes cannot hold 8192 x 4096 pixels");
}

static void a_size_past_the_limit_is_refused(void **state)
{
    (void)state;
    bw_image image = { 0 };
    assert_int_equal(bw_image_resize(&image, 1 << 20, 1 << 20), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "1048576 x 1048576 pixels; the limit is 178956970"));
    assert_int_equal(bw_image_resize(&image, INT64_MAX, INT64_MAX), BW_EDATA);
    assert_int_equal(bw_image_resize(&image, 0, 5), BW_EDATA);
    assert_int_equal(image.capacity, 0);
}

static void exif_reader_stays_inside_its_bytes(void **state)
{
    (void)state;
    /* One entry; then every cut, and directories that point outside. */
    const uint8_t good[] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0 };
    assert_int_equal(bw__exif_orientation(good, sizeof good), 6);
    for (size_t n = 0; n < sizeof good; n++) {
        uint8_t *part = malloc(n ? n : 1);
        assert_non_null(part);
        memcpy(part, good, n);
        assert_int_equal(bw__exif_orientation(part, n), 1);
        free(part);
    }
    uint8_t bad[sizeof good];
    memcpy(bad, good, sizeof bad);
    memset(bad + 4, 0xff, 4);
    assert_int_equal(bw__exif_orientation(bad, sizeof bad), 1);
    memcpy(bad, good, sizeof bad);
    bad[19] = 9;
    assert_int_equal(bw__exif_orientation(bad, sizeof bad), 1);
}

typedef struct reading {
    const bw_dataset *dataset;
    uint64_t sums[N_FIXTURES];
    bool ok;
} reading;

static void *read_all(void *argument)
{
    reading *r = argument;
    bw_image image = { 0 };
    r->ok = true;
    for (int round = 0; round < 5; round++)
        for (int64_t i = 0; i < bw_dataset_size(r->dataset); i++) {
            uint64_t sum = 0;
            r->ok = r->ok && bw_dataset_read(r->dataset, i, &image) == BW_OK;
            for (int64_t j = 0; r->ok && j < image.height * image.width * 3; j++)
                sum = sum * 31 + image.rgb[j];
            r->ok = r->ok && (round == 0 || r->sums[i] == sum);
            r->sums[i] = sum;
        }
    bw_image_clear(&image);
    return NULL;
}

static void threads_that_read_at_once_get_the_same_pixels(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    char list[4096] = "";
    pthread_t threads[THREADS];
    static reading readings[THREADS];
    for (size_t i = 0; i < N_FIXTURES; i++) {
        size_t n = strlen(list);
        (void)snprintf(list + n, sizeof list - n, "%s\n", fixtures[i]);
    }
    char *folder = new_folder();
    for (size_t i = 0; i < N_FIXTURES; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "images/%s", fixtures[i]);
        copy_file(folder, fixtures[i], fixture_path(name));
    }
    write_text(folder, "list.txt", list);
    bw_dataset *dataset = NULL;
    CHECK_OK(bw_dataset_open(&dataset, in(folder, "list.txt"), BW_SPLIT_ANY, NULL));
    assert_int_equal(bw_dataset_size(dataset), N_FIXTURES);
    for (int t = 0; t < THREADS; t++) {
        readings[t].dataset = dataset;
        assert_int_equal(pthread_create(&threads[t], NULL, read_all, &readings[t]), 0);
    }
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_join(threads[t], NULL), 0);
    for (int t = 0; t < THREADS; t++) {
        assert_true(readings[t].ok);
        assert_memory_equal(readings[t].sums, readings[0].sums, sizeof readings[0].sums);
    }
    bw_dataset_free(dataset);
    remove_folder(folder);
}

static void one_buffer_serves_images_of_any_size(void **state)
{
    (void)state;
    size_t size, small_size;
    bw_image image = { 0 };
    uint8_t *large = read_fixture("rgb.png", &size), *small = read_fixture("one_pixel.jpg", &small_size);
    CHECK_OK(bw__decode(&image, large, size, NULL));
    uint8_t *before = image.rgb;
    CHECK_OK(bw__decode(&image, small, small_size, NULL));
    assert_int_equal(image.width, 1);
    CHECK_OK(bw__decode(&image, large, size, NULL));
    assert_int_equal(image.width, 23);
    assert_ptr_equal(image.rgb, before);
    bw_image_clear(&image);
    assert_null(image.rgb);
    free(large);
    free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_the_pixels_of_pil),
        cmocka_unit_test(ycck_gives_the_colours_of_cmyk),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(messages_say_what_is_missing),
        cmocka_unit_test(a_kind_is_known_by_its_bytes_not_its_name),
        cmocka_unit_test(a_size_the_file_cannot_hold_is_refused_before_memory_is_taken),
        cmocka_unit_test(a_size_past_the_limit_is_refused),
        cmocka_unit_test(exif_reader_stays_inside_its_bytes),
        cmocka_unit_test(threads_that_read_at_once_get_the_same_pixels),
        cmocka_unit_test(one_buffer_serves_images_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
