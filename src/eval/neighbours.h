/* Classification by weighted nearest neighbours, on plain arrays of features. */
#ifndef BW_EVAL_NEIGHBOURS_H
#define BW_EVAL_NEIGHBOURS_H
#include "eval/eval_progress.h"
#include <stdint.h>

/* Divides each row of x [n, dim] by its Euclidean norm; a row of zeros stays as it is. */
void bw__l2_normalise(float *x, int64_t n, int64_t dim, int threads);

typedef struct bw_labelled_rows {
    const float *x;   /* [n, dim], rows of norm 1 */
    const int *label; /* [n], in [0, classes) */
    int64_t n;
} bw_labelled_rows;

typedef struct bw_knn_query {
    int64_t dim;
    int classes;
    int n_k;
    const int *k; /* [n_k]; more neighbours than training rows means all of them */
    double temperature;
    int threads;
} bw_knn_query;

/* For each test row and each k: the k training rows of highest cosine vote for their class with weight
 * exp(cos / temperature) (Wu et al. 2018, "Unsupervised feature learning via non-parametric instance
 * discrimination", section 3.4). Equal cosines: the earlier training row is the nearer one. Equal votes: the
 * lower class wins. A class without votes is never among the first five.
 *
 * top1, top5 [n_k], per cent of the test rows. Memory does not grow with the number of rows. The same bits
 * for any number of threads.
 * BW_EINVAL: no rows, a k below 1, a temperature that is not positive. BW_EINTERRUPTED. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__knn_classify(double *top1, double *top5, const bw_labelled_rows *train,
                           const bw_labelled_rows *test, const bw_knn_query *query,
                           const bw_progress *progress);
#endif
