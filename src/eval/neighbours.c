#include "eval/neighbours.h"
#include "base/linalg.h"
#include "base/machine.h"
#include "base/memory.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Cosines are made in tiles of this many test rows by this many training rows: 256 KB, half a core's
 * second-level cache. Fixed, so that the shape of each product does not depend on the thread count. */
enum { TEST_TILE = 128, TRAIN_TILE = 512 };
/* Tiles of test rows per thread between two reports of progress. */
enum { TILES_PER_REPORT = 4 };
enum { MAX_K_VALUES = 64 };

typedef struct neighbour {
    float cosine;
    int64_t row; /* of the training rows */
} neighbour;

/* What one thread works with. */
typedef struct scratch {
    float *cosines;   /* [TEST_TILE, TRAIN_TILE] */
    neighbour *heaps; /* [TEST_TILE, k_max]; the farthest of the nearest is on top */
    double *votes;    /* [classes] */
} scratch;

void bw__l2_normalise(float *x, int64_t n, int64_t dim, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float *row = x + i * dim;
        double sum = 0;
        for (int64_t d = 0; d < dim; d++)
            sum += (double)row[d] * (double)row[d];
        if (sum <= 0) continue;
        float scale = (float)(1.0 / sqrt(sum));
        for (int64_t d = 0; d < dim; d++)
            row[d] *= scale;
    }
}

static int nearer(const neighbour *a, const neighbour *b)
{
    return a->cosine > b->cosine || (a->cosine >= b->cosine && a->row < b->row);
}

static void sift_down(neighbour *heap, int64_t n, int64_t i)
{
    neighbour moving = heap[i];
    for (int64_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && nearer(&heap[child], &heap[child + 1])) child++;
        if (!nearer(&moving, &heap[child])) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moving;
}

/* Takes the cosines of training rows [first, first + n) into the heap of one test row. */
static void take_nearest(neighbour *heap, int64_t k, const float *cosine, int64_t first, int64_t n)
{
    int64_t j = 0;
    for (; j < n && first + j < k; j++) {
        heap[first + j] = (neighbour){ cosine[j], first + j };
        if (first + j == k - 1)
            for (int64_t i = k / 2 - 1; i >= 0; i--)
                sift_down(heap, k, i);
    }
    for (; j < n; j++)
        if (cosine[j] > heap[0].cosine) {
            heap[0] = (neighbour){ cosine[j], first + j };
            sift_down(heap, k, 0);
        }
}

static int by_nearness(const void *a, const void *b)
{
    return nearer(a, b) ? -1 : 1;
}

/* Place of class `label` by votes, from 0; `classes` if it has none. */
static int place_of(const double *votes, int classes, int label)
{
    if (!(votes[label] > 0)) return classes;
    int place = 0;
    for (int c = 0; c < classes; c++)
        place += votes[c] > votes[label] || (c < label && votes[c] >= votes[label]);
    return place;
}

/* hits[2 * i] counts first places for k[i], hits[2 * i + 1] places among the first five. */
static void vote(int64_t *hits, const neighbour *sorted, int64_t n, const int *train_label, int label,
                 const bw_knn_query *query, double *votes)
{
    for (int i = 0; i < query->n_k; i++) {
        for (int c = 0; c < query->classes; c++)
            votes[c] = 0;
        for (int64_t j = 0; j < n && j < query->k[i]; j++) {
            /* Relative to the nearest: a common factor of all votes, and no overflow at a low temperature. */
            double distance = (double)sorted[j].cosine - (double)sorted[0].cosine;
            votes[train_label[sorted[j].row]] += exp(distance / query->temperature);
        }
        int place = place_of(votes, query->classes, label);
        hits[2 * i] += place == 0;
        hits[2 * i + 1] += place < 5 && place < query->classes;
    }
}

/* The k nearest training rows of up to TEST_TILE test rows from `first` on, each sorted in its heap. Returns
 * the number of test rows. */
static int64_t find_nearest(scratch *work, int64_t first, const bw_labelled_rows *train,
                            const bw_labelled_rows *test, int64_t dim, int64_t k)
{
    int64_t m = test->n - first < TEST_TILE ? test->n - first : TEST_TILE;
    bw_matrix a = { test->x + first * dim, dim, false };
    for (int64_t t = 0; t < train->n; t += TRAIN_TILE) {
        int64_t n = train->n - t < TRAIN_TILE ? train->n - t : TRAIN_TILE;
        bw_matrix b = { train->x + t * dim, dim, true };
        bw__gemm_f32(work->cosines, TRAIN_TILE, a, b, m, n, dim, 1.0f, 0.0f);
        for (int64_t i = 0; i < m; i++)
            take_nearest(work->heaps + i * k, k, work->cosines + i * TRAIN_TILE, t, n);
    }
    for (int64_t i = 0; i < m; i++)
        qsort(work->heaps + i * k, (size_t)k, sizeof *work->heaps, by_nearness);
    return m;
}

static void classify_tile(int64_t *hits, int64_t first, const bw_labelled_rows *train,
                          const bw_labelled_rows *test, const bw_knn_query *query, int64_t k, scratch *work)
{
    int64_t m = find_nearest(work, first, train, test, query->dim, k);
    for (int64_t i = 0; i < m; i++)
        vote(hits, work->heaps + i * k, k, train->label, test->label[first + i], query, work->votes);
}

static bw_status check_query(const bw_labelled_rows *train, const bw_labelled_rows *test,
                             const bw_knn_query *query)
{
    if (train->n < 1 || test->n < 1)
        return bw_fail(BW_EINVAL,
                       "nearest neighbours: %lld training and %lld test rows; each must be 1 or more",
                       (long long)train->n, (long long)test->n);
    if (query->n_k < 1 || query->n_k > MAX_K_VALUES)
        return bw_fail(BW_EINVAL, "nearest neighbours: %d values of k; give 1 to %d", query->n_k,
                       MAX_K_VALUES);
    for (int i = 0; i < query->n_k; i++)
        if (query->k[i] < 1)
            return bw_fail(BW_EINVAL, "nearest neighbours: k is %d; it must be 1 or more", query->k[i]);
    if (!(query->temperature > 0))
        return bw_fail(BW_EINVAL, "nearest neighbours: temperature is %g; it must be above 0",
                       query->temperature);
    return BW_OK;
}

static bw_status scratch_create(scratch *work, int threads, int64_t k, int classes)
{
    bw_status st = BW_OK;
    for (int t = 0; t < threads; t++) {
        BW_TRY(BW_ALLOC(&work[t].cosines, TEST_TILE * TRAIN_TILE));
        BW_TRY(BW_ALLOC(&work[t].heaps, TEST_TILE * k));
        BW_TRY(BW_ALLOC(&work[t].votes, classes));
    }
out:
    return st;
}

static void scratch_free(scratch *work, int threads)
{
    for (int t = 0; work && t < threads; t++) {
        bw__free(work[t].cosines);
        bw__free(work[t].heaps);
        bw__free(work[t].votes);
    }
    bw__free(work);
}

bw_status bw__knn_classify(double *top1, double *top5, const bw_labelled_rows *train,
                           const bw_labelled_rows *test, const bw_knn_query *query,
                           const bw_progress *progress)
{
    bw_status st = BW_OK;
    int threads = query->threads > 0 ? query->threads : 1;
    scratch *work = NULL;
    int64_t hits[2 * MAX_K_VALUES] = { 0 }, k = 1;

    BW_TRY(check_query(train, test, query));
    for (int i = 0; i < query->n_k; i++)
        if (query->k[i] > k) k = query->k[i];
    if (k > train->n) k = train->n;
    BW_TRY(BW_ALLOC(&work, threads));
    BW_TRY(scratch_create(work, threads, k, query->classes));

    int64_t group = (int64_t)TEST_TILE * threads * TILES_PER_REPORT;
    for (int64_t start = 0; start < test->n; start += group) {
        int64_t end = start + group < test->n ? start + group : test->n;
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(+ : hits)
        for (int64_t first = start; first < end; first += TEST_TILE)
            classify_tile(hits, first, train, test, query, k, &work[omp_get_thread_num()]);
        BW_TRY(bw__progress(progress, (double)end / (double)test->n));
    }
    for (int i = 0; i < query->n_k; i++) {
        top1[i] = 100.0 * (double)hits[2 * i] / (double)test->n;
        top5[i] = 100.0 * (double)hits[2 * i + 1] / (double)test->n;
    }
out:
    scratch_free(work, threads);
    return st;
}

/* A copy with rows of length 1. */
static bw_status normalised(float **out, const float *x, int64_t n, int64_t dim, int threads)
{
    bw_status st = BW_ALLOC(out, n * dim);
    if (st != BW_OK) return st;
    memcpy(*out, x, (size_t)(n * dim) * sizeof **out);
    bw__l2_normalise(*out, n, dim, threads);
    return BW_OK;
}

bw_status bw_nearest(int64_t *out_row, float *out_cosine, const float *query, int64_t n, const float *bank,
                     int64_t m, int64_t dim, int k, int threads)
{
    bw_status st = BW_OK;
    float *unit_query = NULL, *unit_bank = NULL;
    scratch *work = NULL;
    if (threads < 1) threads = bw__usable_cores();
    if (n < 1 || m < 1 || dim < 1 || k < 1 || k > m)
        return bw_fail(BW_EINVAL, "nearest rows: %lld of %lld rows of %lld values and %d of each wanted",
                       (long long)n, (long long)m, (long long)dim, k);
    BW_TRY(normalised(&unit_query, query, n, dim, threads));
    BW_TRY(normalised(&unit_bank, bank, m, dim, threads));
    BW_TRY(BW_ALLOC(&work, threads));
    BW_TRY(scratch_create(work, threads, k, 1));
    const bw_labelled_rows queries = { unit_query, NULL, n }, rows = { unit_bank, NULL, m };
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t first = 0; first < n; first += TEST_TILE) {
        scratch *own = &work[omp_get_thread_num()];
        int64_t found = find_nearest(own, first, &rows, &queries, dim, k);
        for (int64_t i = 0; i < found * k; i++) {
            out_row[first * k + i] = own->heaps[i].row;
            if (out_cosine) out_cosine[first * k + i] = own->heaps[i].cosine;
        }
    }
out:
    scratch_free(work, threads);
    bw__free(unit_query);
    bw__free(unit_bank);
    return st;
}
