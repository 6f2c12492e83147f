#include "data/memory_dataset.h"
#include "eval/pixels.h"
#include <math.h>

enum { S = 5, PIXELS = S * S, TRAIN = 7, TEST = 4 };

static void noise(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x, bw_rng *rng)
{
    (void)dataset, (void)index, (void)y, (void)x;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)bw__rng_below(rng, 256);
}

static void grey_noise(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x,
                       bw_rng *rng)
{
    noise(rgb, dataset, index, y, x, rng);
    rgb[1] = rgb[2] = rgb[0];
}

/* Grey but for one pixel of the last image. */
static void nearly_grey(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x,
                        bw_rng *rng)
{
    grey_noise(rgb, dataset, index, y, x, rng);
    if (index == dataset->size - 1 && y == S - 1 && x == 2) rgb[2] ^= 1;
}

static const bw_augment_config AUGMENT = { .mean = { 0.4, 0.5, 0.2 }, .std = { 0.25, 0.2, 0.3 } };
static const bw_image_pass PASS = {
    .image_size = S, .keep_exact = true, .augment = &AUGMENT, .batch = 3, .threads = 2, .max_bad = 0.5
};

/* Scalar product of the normalised tensors of two images. */
static double product(const bw_dataset *a, int64_t i, const bw_dataset *b, int64_t j)
{
    bw_image p = { 0 }, q = { 0 };
    double sum = 0;
    CHECK_OK(bw_dataset_read(a, i, &p));
    CHECK_OK(bw_dataset_read(b, j, &q));
    for (int k = 0; k < PIXELS * 3; k++) {
        double u = p.rgb[k] / 255.0, v = q.rgb[k] / 255.0;
        sum +=
            (u - AUGMENT.mean[k % 3]) / AUGMENT.std[k % 3] * ((v - AUGMENT.mean[k % 3]) / AUGMENT.std[k % 3]);
    }
    bw_image_clear(&p);
    bw_image_clear(&q);
    return sum;
}

static void expect_products(memory_images *train_images, memory_images *test_images, int64_t dim)
{
    bw_pixel_set a = { 0 }, b = { 0 };
    bw_dataset train = memory_dataset(train_images, TRAIN, 3, NULL),
               test = memory_dataset(test_images, TEST, 2, NULL);
    CHECK_OK(bw__pixel_sets_fill(&a, &train, &PASS, &b, &test, &PASS, NULL, NULL));
    assert_int_equal(a.n, TRAIN);
    assert_int_equal(b.n, TEST);
    assert_int_equal(a.dim, dim);
    assert_int_equal(b.dim, dim);
    for (int i = 0; i < TRAIN; i++) {
        assert_int_equal(a.label[i], i % 3);
        for (int j = 0; j < TEST; j++) {
            double got = 0, want = product(&train, i, &test, j);
            for (int64_t d = 0; d < dim; d++)
                got += (double)a.x[i * dim + d] * (double)b.x[j * dim + d];
            CHECK_CLOSE(&got, &want, 1, 1e-5, 1e-4);
        }
    }
    bw__pixel_set_clear(&a);
    bw__pixel_set_clear(&b);
    memory_dataset_free(&train);
    memory_dataset_free(&test);
}

static void grey_images_give_the_products_of_their_tensors_in_a_third_of_the_length(void **state)
{
    (void)state;
    memory_images a = { S, S, grey_noise, -1, 1 }, b = { S, S, grey_noise, -1, 2 };
    expect_products(&a, &b, PIXELS + 1);
}

static void one_coloured_pixel_anywhere_makes_both_sets_coloured(void **state)
{
    (void)state;
    memory_images grey = { S, S, grey_noise, -1, 1 }, nearly = { S, S, nearly_grey, -1, 2 },
                  colour = { S, S, noise, -1, 2 };
    expect_products(&grey, &nearly, PIXELS * 3);
    expect_products(&nearly, &grey, PIXELS * 3);
    expect_products(&colour, &colour, PIXELS * 3);
}

static void images_without_label_and_unreadable_ones_have_no_row(void **state)
{
    (void)state;
    memory_images images = { S, S, grey_noise, 2, 1 };
    bw_dataset d = memory_dataset(&images, TRAIN, 5, NULL);
    bw_pixel_set a = { 0 }, b = { 0 };
    d.labels[4] = -1;
    CHECK_OK(bw__pixel_sets_fill(&a, &d, &PASS, &b, &d, &PASS, NULL, NULL));
    const int want[5] = { 0, 1, 3, 0, 1 };
    assert_int_equal(a.n, 5);
    assert_int_equal(a.unlabelled, 1);
    assert_memory_equal(a.label, want, sizeof want);
    bw__pixel_set_clear(&a);
    bw__pixel_set_clear(&b);
    memory_dataset_free(&d);
}

static int64_t size_for(int64_t h1, int64_t w1, int64_t h2, int64_t w2)
{
    int64_t size = -1;
    memory_images a = { h1, w1, noise, -1, 1 }, b = { h2, w2, noise, -1, 1 };
    bw_dataset train = memory_dataset(&a, 2, 0, NULL), test = memory_dataset(&b, 2, 0, NULL);
    CHECK_OK(bw__pixel_size(&size, &train, &test));
    return size;
}

static void size_is_that_of_small_square_images_and_32_for_others(void **state)
{
    (void)state;
    assert_int_equal(size_for(28, 28, 28, 28), 28);
    assert_int_equal(size_for(96, 96, 96, 96), 96);
    assert_int_equal(size_for(97, 97, 97, 97), 32);
    assert_int_equal(size_for(28, 27, 28, 27), 32);
    assert_int_equal(size_for(28, 28, 30, 30), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grey_images_give_the_products_of_their_tensors_in_a_third_of_the_length),
        cmocka_unit_test(one_coloured_pixel_anywhere_makes_both_sets_coloured),
        cmocka_unit_test(images_without_label_and_unreadable_ones_have_no_row),
        cmocka_unit_test(size_is_that_of_small_square_images_and_32_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
