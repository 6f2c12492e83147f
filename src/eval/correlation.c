/* The matrix that Barlow Twins looks at, of a network that has been trained with any loss. */
#include "base/linalg.h"
#include "base/machine.h"
#include "base/memory.h"
#include "eval/features.h"
#include "model/project.h"
#include "nn/batch_norm.h"
#include <math.h>
#include <string.h>

enum { VIEWS = 2, ROWS_AT_ONCE = 128 };

bw_correlation_options bw_correlation_options_default(void)
{
    return (bw_correlation_options){ .images = 512, .shown = 64 };
}

/* Each column of x [n, d] to mean 0 and variance 1. */
static void standardise(float *x, int64_t n, int64_t d, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t j = 0; j < d; j++) {
        double mean = 0.0, square = 0.0;
        for (int64_t i = 0; i < n; i++)
            mean += (double)x[i * d + j] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += pow((double)x[i * d + j] - mean, 2.0) / (double)n;
        double scale = 1.0 / sqrt(square + BW_BN_EPS);
        for (int64_t i = 0; i < n; i++)
            x[i * d + j] = (float)(((double)x[i * d + j] - mean) * scale);
    }
}

/* What rows [first, first + rows) of C add to the sums, and those of its cells that are shown. */
static void take_rows(bw_correlation_result *r, double *on, double *off, const float *c, int64_t first,
                      int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < r->dim; j++) {
            double v = (double)c[i * r->dim + j];
            if (first + i == j)
                *on += v;
            else
                *off += v * v;
        }
    for (int s = 0; s < r->shown; s++) {
        int64_t row = s * r->dim / r->shown - first;
        if (row < 0 || row >= rows) continue;
        for (int t = 0; t < r->shown; t++)
            r->matrix[s * r->shown + t] = c[row * r->dim + t * r->dim / r->shown];
    }
}

/* a, b [n, d], standardised here. C is made some rows at a time and never stored. */
static bw_status correlate(bw_correlation_result *r, float *a, float *b, int threads)
{
    bw_status st = BW_OK;
    int64_t n = r->images, d = r->dim;
    float *c = NULL;
    double on = 0.0, off = 0.0;
    BW_TRY(BW_ALLOC(&c, ROWS_AT_ONCE * d));
    standardise(a, n, d, threads);
    standardise(b, n, d, threads);
    for (int64_t first = 0; first < d; first += ROWS_AT_ONCE) {
        int64_t rows = d - first < ROWS_AT_ONCE ? d - first : ROWS_AT_ONCE;
        bw__gemm_f32(c, d, (bw_matrix){ a + first, d, true }, (bw_matrix){ b, d, false }, rows, d, n,
                     1.0f / (float)n, 0.0f);
        take_rows(r, &on, &off, c, first, rows);
    }
    r->on_diagonal = on / (double)d;
    r->off_diagonal = d > 1 ? sqrt(off / ((double)d * (double)(d - 1))) : 0.0;
out:
    bw__free(c);
    return st;
}

/* Head features of both views, [2, images, head_dim] in each array. */
static bw_status see_views(bw_feature_arrays *arrays, const bw_dataset *dataset, const bw_image_pass *pass,
                           int64_t images, const bw_progress *progress)
{
    bw_status st = BW_OK;
    bw_loader *loader = NULL;
    const bw_batch *batch = NULL;
    const bw_loader_config config = { .mode = BW_LOADER_VIEWS,
                                      .image_size = pass->image_size,
                                      .augment = pass->augment,
                                      .batch = pass->batch,
                                      .seed = pass->seed,
                                      .threads = pass->threads,
                                      .max_bad = pass->max_bad,
                                      .end_step = images / pass->batch };
    int64_t values = 3 * pass->image_size * pass->image_size;
    BW_TRY(bw__loader_create(&loader, dataset, &config));
    for (int64_t done = 0; done < images; done += batch->n) {
        BW_TRY(bw__loader_next(loader, &batch));
        for (int v = 0; v < VIEWS; v++)
            BW_TRY(bw__feature_arrays_fill(arrays, v * images + done, batch->images + v * batch->n * values,
                                           batch->n));
        BW_TRY(bw__progress(progress, (double)(done + batch->n) / (double)images));
    }
out:
    bw__loader_free(loader);
    return st;
}

/* Results of all blocks that have a projector, with room for their matrices, in one piece. */
static bw_status make_results(bw_correlation_result **out, int *out_n, const bw_network *network,
                              int64_t images, int shown)
{
    bw_correlation_result list[BW_MAX_BLOCKS];
    int n = 0;
    size_t cells = 0;
    for (int k = 0; k < bw_network_blocks(network); k++) {
        int64_t dim = bw__projection_dim(network, k);
        int side = shown > 0 && shown < dim ? shown : (int)dim;
        if (dim == 0) continue;
        list[n++] = (bw_correlation_result){ .block = k, .images = images, .dim = dim, .shown = side };
        cells += (size_t)side * (size_t)side;
    }
    bw_status st = bw__alloc((void **)out, (size_t)n * sizeof **out + cells * sizeof(float));
    if (st != BW_OK) return st;
    float *room = (float *)(*out + n);
    for (int i = 0; i < n; i++) {
        list[i].matrix = room;
        room += (size_t)list[i].shown * (size_t)list[i].shown;
    }
    memcpy(*out, list, (size_t)n * sizeof *list);
    *out_n = n;
    return BW_OK;
}

static bw_status finish_block(bw_correlation_result *r, const bw_network *network, const float *h,
                              int threads)
{
    float *z = NULL;
    bw_status st = BW_ALLOC(&z, VIEWS * r->images * r->dim);
    if (st == BW_OK) st = bw__project(z, network, r->block, h, VIEWS * r->images, threads);
    if (st == BW_OK) st = correlate(r, z, z + r->images * r->dim, threads);
    bw__free(z);
    return st;
}

bw_status bw_correlation(bw_correlation_result **out, int *out_n, const bw_network *network,
                         const bw_dataset *dataset, const bw_correlation_options *options,
                         bw_progress_fn progress, void *user)
{
    bw_status st = BW_OK;
    bw_feature_arrays arrays = { 0 };
    bw_target_list targets;
    bw_correlation_result *results = NULL;
    int n = 0, threads = options->threads > 0 ? options->threads : bw__usable_cores();
    bw_image_pass pass =
        bw__image_pass_of(bw_network_config(network), options->images, options->seed, threads);
    int64_t images = bw__image_pass_size(&pass, dataset);
    const bw_progress told = { .fn = progress, .user = user, .what = "views" };

    *out = NULL;
    *out_n = 0;
    if (images < 2) return bw_fail(BW_EDATA, "correlation: it takes two images or more");
    if (pass.batch > images) pass.batch = images;
    images -= images % pass.batch;
    BW_TRY(bw__targets(&targets, network, -1, true, false, false));
    BW_TRY(make_results(&results, &n, network, images, options->shown));
    BW_TRY(bw__feature_arrays_create(&arrays, network, &targets, &pass, VIEWS * images));
    BW_TRY(see_views(&arrays, dataset, &pass, images, &told));
    for (int i = 0; i < n; i++)
        BW_TRY(finish_block(&results[i], network, arrays.x[BW_FEATURE_HEAD][results[i].block], threads));
    *out = results;
    *out_n = n;
    results = NULL;
out:
    bw__free(results);
    bw__feature_arrays_clear(&arrays);
    return st;
}
