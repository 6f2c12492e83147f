/* The correlation of embeddings against plain sums in double, over a tiny network and images in memory. */
#include "data/memory_dataset.h"
#include "base/memory.h"
#include "blockwise/evaluate.h"
#include "data/loader.h"
#include "eval/image_pass.h"
#include "model/network_internal.h"
#include "model/project.h"
#include <math.h>

enum { S = 12, SIZE = 70, N = 64, BLOCKS = 4, D = 6, HIDDEN = 5, HEAD = 24 };

static void noisy(uint8_t rgb[3], const bw_dataset *dataset, int64_t index, int64_t y, int64_t x, bw_rng *rng)
{
    (void)dataset;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(((y * (index % 5 + 1) + x * (index % 3)) * 9 + 40 * c) % 160 +
                           (int)bw__rng_below(rng, 60));
}

static memory_images images = { S, S, noisy, -1, 1 };
static bw_dataset dataset;

static bw_network *make_network(const char *order, const char *extra)
{
    const char *const settings[] = { "model.arch=resnet18",
                                     "model.width=8",
                                     "model.stem=cifar",
                                     "head.dim=24",
                                     "data.image_size=12",
                                     "projector.widths=[5, 6]",
                                     "threads=1",
                                     order,
                                     extra };
    bw_network *network = NULL;
    bw_config config = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (settings[i]) CHECK_OK(bw_config_set(&config, settings[i]));
    CHECK_OK(bw_config_resolve(&config));
    CHECK_OK(bw_network_create(&network, &config));
    /* Running statistics that are not those of a new network. */
    for (int k = 0; k < bw_network_blocks(network); k++)
        for (int i = 0; i < network->params[k].n; i++) {
            const bw_param *p = &network->params[k].items[i];
            for (int64_t j = 0;
                 p->kind == BW_PARAM_RUNNING_MEAN && p->part == BW_PART_PROJECTOR && j < p->count; j++)
                network->params[k].values[p->offset + j] = 0.01f * (float)(j - 2);
        }
    return network;
}

static int setup(void **state)
{
    (void)state;
    dataset = memory_dataset(&images, SIZE, 0, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    memory_dataset_free(&dataset);
    return 0;
}

/* Linear, batch norm by running statistics, ReLU, linear: one row. */
static void plain_projector(double z[D], const bw_network *network, int k, const float *h)
{
    const float *w0 = NULL, *w1 = NULL, *gain = NULL, *bias = NULL, *mean = NULL, *var = NULL;
    const bw_params *params = &network->params[k];
    for (int i = 0; i < params->n; i++) { /* in the order in which they stand behind each other */
        const bw_param *p = &params->items[i];
        const float *v = params->values + p->offset;
        if (p->part != BW_PART_PROJECTOR) continue;
        if (p->kind == BW_PARAM_LINEAR) *(w0 ? &w1 : &w0) = v;
        if (p->kind == BW_PARAM_BN_WEIGHT) gain = v;
        if (p->kind == BW_PARAM_BN_BIAS) bias = v;
        if (p->kind == BW_PARAM_RUNNING_MEAN) mean = v;
        if (p->kind == BW_PARAM_RUNNING_VAR) var = v;
    }
    double a[HIDDEN];
    for (int i = 0; i < HIDDEN; i++) {
        double y = 0.0;
        for (int j = 0; j < HEAD; j++)
            y += (double)w0[i * HEAD + j] * (double)h[j];
        y = (y - (double)mean[i]) / sqrt((double)var[i] + 1e-5) * (double)gain[i] + (double)bias[i];
        a[i] = y > 0.0 ? y : 0.0;
    }
    for (int i = 0; i < D; i++) {
        z[i] = 0.0;
        for (int j = 0; j < HIDDEN; j++)
            z[i] += (double)w1[i * HIDDEN + j] * a[j];
    }
}

/* z [2, N, D] of the images that the loader gives first. */
static void plain_embeddings(double *z, const bw_network *network, int k, uint64_t seed)
{
    float h[BLOCKS][N * HEAD], *place[BLOCKS];
    const bw_batch *batch = NULL;
    bw_loader *loader = NULL;
    bw_extractor *extractor = NULL;
    const bw_config *c = bw_network_config(network);
    const bw_loader_config config = { .mode = BW_LOADER_VIEWS,
                                      .image_size = S,
                                      .augment = &c->augment,
                                      .batch = N,
                                      .seed = seed,
                                      .threads = 1,
                                      .end_step = 1 };
    for (int b = 0; b < BLOCKS; b++)
        place[b] = h[b];
    CHECK_OK(bw_extractor_create(&extractor, network, N, S));
    CHECK_OK(bw__loader_create(&loader, &dataset, &config));
    CHECK_OK(bw__loader_next(loader, &batch));
    for (int v = 0; v < 2; v++) {
        CHECK_OK(bw_extractor_run(extractor, place, NULL, batch->images + v * N * S * S * 3, N));
        for (int i = 0; i < N; i++)
            plain_projector(z + (v * N + i) * D, network, k, h[k] + i * HEAD);
    }
    bw__loader_free(loader);
    bw_extractor_free(extractor);
}

static void plain_correlation(double c[D * D], double *z)
{
    for (int v = 0; v < 2; v++)
        for (int j = 0; j < D; j++) {
            double mean = 0.0, var = 0.0, *x = z + v * N * D + j;
            for (int i = 0; i < N; i++)
                mean += x[i * D] / N;
            for (int i = 0; i < N; i++)
                var += (x[i * D] - mean) * (x[i * D] - mean) / N;
            for (int i = 0; i < N; i++)
                x[i * D] = (x[i * D] - mean) / sqrt(var + 1e-5);
        }
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            c[i * D + j] = 0.0;
            for (int r = 0; r < N; r++)
                c[i * D + j] += z[r * D + i] * z[(N + r) * D + j] / N;
        }
}

static void correlation_is_the_plain_sum_over_both_views(void **state)
{
    (void)state;
    static double z[2 * N * D];
    double want[D * D], got[D * D], on = 0.0, off = 0.0;
    bw_network *network = make_network("train.order=simultaneous", NULL);
    bw_correlation_result *results = NULL;
    bw_correlation_options options = bw_correlation_options_default();
    int n = 0;
    options.seed = 5;
    options.threads = 2;
    CHECK_OK(bw_correlation(&results, &n, network, &dataset, &options, NULL, NULL));
    assert_int_equal(n, BLOCKS);
    for (int k = 0; k < BLOCKS; k++) {
        assert_int_equal(results[k].block, k);
        assert_int_equal(results[k].images, N); /* whole batches of 70 images */
        assert_int_equal(results[k].dim, D);
        assert_int_equal(results[k].shown, D);
        plain_embeddings(z, network, k, 5);
        plain_correlation(want, z);
        on = off = 0.0;
        for (int i = 0; i < D * D; i++) {
            got[i] = (double)results[k].matrix[i];
            if (i % (D + 1) == 0)
                on += want[i] / D;
            else
                off += want[i] * want[i] / (D * (D - 1));
        }
        CHECK_CLOSE(got, want, D * D, 1e-3, 1e-3);
        CHECK_CLOSE(&results[k].on_diagonal, &on, 1, 1e-3, 1e-3);
        CHECK_CLOSE(&results[k].off_diagonal, &(double){ sqrt(off) }, 1, 1e-3, 1e-3);
    }
    bw_free(results);
    bw_network_free(network);
}

static void a_part_of_the_matrix_is_shown_and_the_figures_are_of_all(void **state)
{
    (void)state;
    bw_network *network = make_network("train.order=simultaneous", NULL);
    bw_correlation_result *all = NULL, *part = NULL;
    bw_correlation_options options = bw_correlation_options_default();
    int n = 0;
    CHECK_OK(bw_correlation(&all, &n, network, &dataset, &options, NULL, NULL));
    options.shown = 4; /* of 6: numbers 0, 1, 3, 4 */
    CHECK_OK(bw_correlation(&part, &n, network, &dataset, &options, NULL, NULL));
    const int at[] = { 0, 1, 3, 4 };
    assert_int_equal(part[2].shown, 4);
    assert_true(part[2].off_diagonal == all[2].off_diagonal && part[2].on_diagonal == all[2].on_diagonal);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            assert_true(part[2].matrix[i * 4 + j] == all[2].matrix[at[i] * D + at[j]]);
    bw_free(all);
    bw_free(part);
    bw_network_free(network);
}

/* The blocks in front of the trained head have no projector. */
static void a_run_end_to_end_has_a_result_of_its_last_block(void **state)
{
    (void)state;
    bw_network *trained = make_network("train.order=end-to-end", "head.pool=cbe"), *network = NULL;
    bw_correlation_result *results = NULL;
    bw_correlation_options options = bw_correlation_options_default();
    int n = 0;
    CHECK_OK(bw__network_view(&network, trained));
    CHECK_OK(bw_correlation(&results, &n, network, &dataset, &options, NULL, NULL));
    assert_int_equal(n, 1);
    assert_int_equal(results[0].block, 3);
    bw_free(results);
    bw_network_free(network);
    bw_network_free(trained);
}

static int stop(void *user, const char *what, double done)
{
    (void)user, (void)what, (void)done;
    return 1;
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    bw_network *network = make_network("train.order=simultaneous", NULL), *bare = NULL;
    bw_correlation_result *results = NULL;
    bw_correlation_options options = bw_correlation_options_default();
    int n = 0;
    assert_int_equal(bw_correlation(&results, &n, network, &dataset, &options, stop, NULL), BW_EINTERRUPTED);
    options.images = 1;
    assert_int_equal(bw_correlation(&results, &n, network, &dataset, &options, NULL, NULL), BW_EDATA);
    options.images = 8;
    CHECK_OK(bw__network_build(&bare, bw_network_config(network), false));
    assert_int_equal(bw_correlation(&results, &n, bare, &dataset, &options, NULL, NULL), BW_EINVAL);
    assert_null(results);
    bw_network_free(bare);
    bw_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(correlation_is_the_plain_sum_over_both_views),
        cmocka_unit_test(a_part_of_the_matrix_is_shown_and_the_figures_are_of_all),
        cmocka_unit_test(a_run_end_to_end_has_a_result_of_its_last_block),
        cmocka_unit_test(what_cannot_be_done_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
