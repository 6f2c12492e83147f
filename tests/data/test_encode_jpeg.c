/* JPEG files of any size, and memory that ends at any point of making one. */
#include "check.h"
#include "base/memory.h"
#include "base/rng.h"
#include "blockwise/dataset.h"
#include "data/encode_jpeg.h"
#include "failing_allocator.h"
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 203, WIDTH = 310 };

static uint8_t noise[HEIGHT * WIDTH * 3]; /* does not get smaller */
static failing_allocator memory;

static int setup(void **state)
{
    (void)state;
    bw_rng rng = bw__rng(5, BW_RNG_SYNTHETIC, 0, 0, 0);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)bw__rng_u32(&rng);
    failing_allocator_begin(&memory);
    return 0;
}

static void an_image_that_takes_many_buffers_reads_back(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t size;
    bw_image image = { 0 };
    double off = 0.0;
    CHECK_OK(bw__encode_jpeg(&bytes, &size, noise, HEIGHT, WIDTH, 100));
    assert_in_range(size, sizeof noise / 4, sizeof noise);
    assert_true(bytes[size - 2] == 0xff && bytes[size - 1] == 0xd9); /* the end of every JPEG */
    CHECK_OK(bw_image_decode(&image, bytes, size));
    assert_true(image.height == HEIGHT && image.width == WIDTH);
    for (size_t i = 0; i < sizeof noise; i += 3) /* brightness, which is stored at every pixel */
        off += abs((noise[i] + 2 * noise[i + 1]) - (image.rgb[i] + 2 * image.rgb[i + 1])) / 3.0;
    assert_true(off / (HEIGHT * WIDTH) < 30.0);
    bw_image_clear(&image);
    bw__free(bytes);
}

static void memory_that_ends_at_any_point_is_said_and_given_back(void **state)
{
    (void)state;
    uint8_t *bytes = noise;
    size_t size;
    bw_status st = BW_ENOMEM;
    int most = 0;
    while (st != BW_OK) {
        assert_in_range(most, 0, 100);
        memory.calls = 0;
        memory.fails_at = ++most;
        st = bw__encode_jpeg(&bytes, &size, noise, HEIGHT, WIDTH, 100);
        if (st == BW_OK) break;
        assert_int_equal(st, BW_ENOMEM);
        assert_null(bytes);
        assert_non_null(strstr(bw_last_error(), "out of memory"));
    }
    memory.fails_at = 0;
    assert_true(most > 3); /* the buffer has grown, and each time failed once */
    bw__free(bytes);
    failing_allocator_end(); /* refused while anything is held */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_that_takes_many_buffers_reads_back),
        cmocka_unit_test(memory_that_ends_at_any_point_is_said_and_given_back),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
