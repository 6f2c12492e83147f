/** What each block learnt: features, linear probe, nearest neighbours, and what can be drawn of them. */
#ifndef BLOCKWISE_EVALUATE_H
#define BLOCKWISE_EVALUATE_H
#include "blockwise/allocator.h"
#include "blockwise/dataset.h"
#include "blockwise/network.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum bw_protocol {
    BW_PROTOCOL_CACHED,   /**< features once from the evaluation transform; lr swept on a held-out tenth */
    BW_PROTOCOL_AUGMENTED /**< the authors': random crops and flips, SGD 100 epochs, lr 0.1 */
} bw_protocol;

/** Of bw_probe(); begin with bw_probe_options_default(). */
typedef struct bw_probe_options {
    int block;        /**< from 0, or -1: all */
    bool concat;      /**< also the concatenation of all blocks */
    bool head, trunk; /**< which features */
    bw_protocol protocol;
    int epochs;         /**< 0: the protocol's default: cached 30, or what makes 3000 steps; augmented 100 */
    int64_t max_images; /**< use only the first n training images of a keyed permutation; 0: all */
    uint64_t seed;
    int threads;      /**< 0: all usable cores */
    const char *save; /**< file for the classifiers, which bw_network_export_onnx() reads; NULL: none */
} bw_probe_options;

/** One feature of one block, by bw_probe(). */
typedef struct bw_probe_result {
    int block; /**< from 0; -1: concatenation */
    bw_feature feature;
    double top1, top5;  /**< per cent of the test split */
    double lr;          /**< the one used */
    char protocol[256]; /**< one line with everything needed to quote the number */
} bw_probe_result;

/** One feature of one block and one k, by bw_knn(). */
typedef struct bw_knn_result {
    int block; /**< from 0; -1: raw pixels */
    bw_feature feature;
    int k;
    double top1, top5; /**< per cent of the test split */
    char protocol[256];
} bw_knn_result;

/** Of bw_knn(); begin with bw_knn_options_default(). */
typedef struct bw_knn_options {
    bool raw; /**< pixels instead of features */
    int n_k;
    int k[8];           /**< 20, 200 */
    double temperature; /**< 0.07 */
    int block;          /**< from 0, or -1: all */
    bool head, trunk;
    int64_t max_images;
    uint64_t seed;
    int threads; /**< 0: all usable cores */
} bw_knn_options;

/** Of bw_robustness(); begin with bw_robustness_options_default(). */
typedef struct bw_robustness_options {
    int block;               /**< from 0; -1: all */
    bool head, trunk;        /**< which features */
    const char *corruptions; /**< names, separated by commas; NULL: all there are */
    const char *corrupted;   /**< folder in ImageNet-C's or CIFAR-10-C's layout; NULL: made here */
    int epochs;              /**< of the probe; 0: as bw_probe() */
    int64_t max_images;      /**< training images, as in bw_probe_options */
    int64_t max_test_images; /**< the same for the images of each test; 0: all */
    uint64_t seed;
    int threads; /**< 0: all usable cores */
} bw_robustness_options;

/** One corruption; severities from 1 upwards. All but the name in per cent. */
typedef struct bw_corruption_result {
    char name[64];
    double top1[BW_SEVERITIES];
    double mean_error; /**< over the severities, not normalised */
    double ce; /**< sum of the errors over the baseline's; NaN without a baseline, or where it makes none */
    double relative_ce; /**< the same with each error lessened by the error on clean images */
} bw_corruption_result;

/** One feature of one block, by bw_robustness(). */
typedef struct bw_robustness_result {
    int block; /**< from 0 */
    bw_feature feature;
    double clean_top1;
    double mean_error;        /**< over corruptions and severities, not normalised */
    double mce, relative_mce; /**< means of ce and relative_ce; NaN if one of them is */
    int n;
    bw_corruption_result *corruption; /**< [n], in the same memory as the results */
    char protocol[512];
} bw_robustness_result;

BW_API bw_probe_options bw_probe_options_default(void);
BW_API bw_knn_options bw_knn_options_default(void);
BW_API bw_robustness_options bw_robustness_options_default(void);

/** Linear probe of the frozen network: every chosen block in one pass over the images.
 *
 *  Protocol `cached` holds the features of all chosen blocks of both splits in memory: 4 bytes x images x the
 *  sum of their dimensions (60,000 images, 4 blocks of 512: 491 MB). `augmented` holds those of one batch and
 *  of the test split. Images without a label are left out. Same arguments, same result for any number of
 *  threads, as far as the features are.
 *
 *  With options->save the classifiers of all results but the concatenations are written to a safetensors
 * file: blocks.K.head.classifier.weight [classes, D] and .bias [classes] (K from 1, head or trunk), logits =
 *  weight x + bias of the feature x as bw_extractor_run() gives it, with the names of the classes.
 *
 *  @param out      [*out_n] results, the caller releases with bw_free()
 *  @param out_n    one for each chosen block and feature
 *  @param network  read, and unchanged
 *  @param train    images with labels to learn from
 *  @param test     images with labels to be scored on
 *  @param options  what to do; blocks and features that the network has
 *  @param progress called now and then, or NULL
 *  @param user     given to `progress`
 *  @return BW_OK; BW_EDATA (no labels, fewer than two classes, different classes in the two splits,
 *          unreadable images beyond the config's data.max_bad); BW_EIO (options->save); BW_EINVAL;
 *          BW_EINTERRUPTED; BW_ENOMEM; BW_EKERNEL; BW_ENONFINITE */
BW_API BW_MUST_CHECK
bw_status bw_probe(bw_probe_result **out, int *out_n, const bw_network *network, const bw_dataset *train,
                   const bw_dataset *test, const bw_probe_options *options, bw_progress_fn progress,
                   void *user);

/** Weighted nearest neighbours by cosine, weight exp(cos / temperature) (Wu et al. 2018), in chunks of
 *  bounded memory beside the features themselves (see bw_probe()).
 *
 *  Raw pixels are those of the evaluation transform, normalised by mean and std. Their size is the network's;
 *  without a network, which may be NULL then, the size of the images where they are square, all small (at
 *  most 96 pixels) and alike, else 32. Errors and ownership as bw_probe(). */
BW_API BW_MUST_CHECK
bw_status bw_knn(bw_knn_result **out, int *out_n, const bw_network *network, const bw_dataset *train,
                 const bw_dataset *test, const bw_knn_options *options, bw_progress_fn progress, void *user);

/** Features of every image of `dataset`, in its order, by the evaluation transform.
 *  @param out_features [*out_rows, feature_dim] f32, the caller releases with bw_free()
 *  @param out_index    [*out_rows] number of the image each row is of, likewise; an unreadable
 *                      image has no row
 *  @param out_rows     images that could be read
 *  @param network      read, and unchanged
 *  @param dataset      any images; no labels are needed
 *  @param block        from 0
 *  @param feature      of the block; a head that is not there is BW_EINVAL
 *  @param threads      0: all usable cores
 *  @param progress     called now and then, or NULL
 *  @param user         given to `progress`
 *  @return as bw_probe(); labels are not needed */
BW_API BW_MUST_CHECK
bw_status bw_embed(float **out_features, int64_t **out_index, int64_t *out_rows, const bw_network *network,
                   const bw_dataset *dataset, int block, bw_feature feature, int threads,
                   bw_progress_fn progress, void *user);
/** Robustness against common corruptions (Hendrycks & Dietterich 2019): the linear probe of bw_probe()
 *  (protocol `cached`), fitted once on clean training images, scored on clean and on corrupted test images in
 *  five severities.
 *
 *  Corruptions are made here from the test images, after the evaluation transform (the severities of
 *  CIFAR-10-C up to 64 pixels, else ImageNet-C's; bw_corruption_at() lists them), or read from a folder,
 * whose images are taken as they are if they have the network's size. With E(s, c) the error of corruption c
 * in severity s:
 *
 *      CE(c) = sum_s E(s, c) / sum_s E_baseline(s, c),   mCE = mean of CE over c
 *      relative CE(c): each error lessened by the same model's error on clean images
 *
 *  @param out       [*out_n] results, one for each block and feature, released with one bw_free()
 *  @param out_n     their number
 *  @param network   read, and unchanged
 *  @param baseline  errors to divide by: probe of its last block, of the same feature where it has it; NULL:
 * none
 *  @param train     clean images with labels to fit the probe on
 *  @param test      images with labels to be corrupted and scored on
 *  @param options   what to do
 *  @param progress  called now and then, or NULL
 *  @param user      given to `progress`
 *  @return as bw_probe(); BW_EINVAL for an unknown corruption; BW_EDATA for a folder that lacks a severity or
 *          a corruption asked for */
BW_API BW_MUST_CHECK
bw_status bw_robustness(bw_robustness_result **out, int *out_n, const bw_network *network,
                        const bw_network *baseline, const bw_dataset *train, const bw_dataset *test,
                        const bw_robustness_options *options, bw_progress_fn progress, void *user);

/** The `k` rows of `bank` with the largest cosine to each row of `query`, nearest first; of equal ones the
 *  earlier row. A row of zeros has the cosine 0 with all. The same for any number of threads.
 *
 *  @param out_row    [n, k] rows of `bank`, overwritten
 *  @param out_cosine [n, k], overwritten, or NULL
 *  @param query      [n, dim]
 *  @param n          rows of `query`, at least 1
 *  @param bank       [m, dim]
 *  @param m          rows of `bank`, at least 1
 *  @param dim        columns of both, at least 1
 *  @param k          1 .. m
 *  @param threads    0: all usable cores
 *  @return BW_OK; BW_EINVAL: a size below 1, or k above m; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_nearest(int64_t *out_row, float *out_cosine, const float *query, int64_t n, const float *bank,
                     int64_t m, int64_t dim, int k, int threads);

/** Principal components: features [n, dim] on the two orthogonal directions in which they vary most, columns
 *  first moved to the mean 0. Of each direction the coordinate of largest size is positive.
 *
 *  @param out_xy    [n, 2], overwritten
 *  @param out_share [2] share of the whole variance that lies in each direction, the larger first
 *  @param features  [n, dim]
 *  @param n         rows, at least 2
 *  @param dim       columns, at least 2
 *  @return BW_OK; BW_EINVAL: n or dim below 2, or all rows are the same; BW_ENONFINITE: a value is not
 *          finite; BW_EKERNEL; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_feature_map(float *out_xy, double *out_share, const float *features, int64_t n, int64_t dim);

/** Of bw_correlation(); begin with bw_correlation_options_default(). */
typedef struct bw_correlation_options {
    int64_t images; /**< at most so many of the data set, in whole batches of the loader; 0: all. 512 */
    int shown;      /**< most dimensions of the matrix that is returned, evenly spaced; 0: all. 64 */
    uint64_t seed;
    int threads; /**< 0: all usable cores */
} bw_correlation_options;

/** One block, by bw_correlation(). */
typedef struct bw_correlation_result {
    int block;           /**< from 0 */
    int64_t images, dim; /**< N and D */
    double on_diagonal;  /**< mean of C_ii */
    double off_diagonal; /**< sqrt(mean of C_ij^2, i != j); 0 where D is 1 */
    int shown;
    float *matrix; /**< [shown, shown] C at the dimensions floor(i D / shown); in the results' memory */
} bw_correlation_result;

BW_API bw_correlation_options bw_correlation_options_default(void);

/** What Barlow Twins makes small, of any loss: with A and B the embeddings of two augmented views of N images
 *  in evaluation mode, without noise, each column standardised over the N (biased variance + 1e-5),
 *  C = A^T B / N. A block without a projector (those before the last of a run end to end) has no result.
 *
 *  @param out      [*out_n] results, one for each block that has a projector, freed with one bw_free()
 *  @param out_n    their number
 *  @param network  read, and unchanged
 *  @param dataset  any images; no labels are needed
 *  @param options  what to do
 *  @param progress called now and then, or NULL
 *  @param user     given to `progress`
 *  @return BW_OK; BW_EINVAL: the network has no heads; BW_EDATA: fewer than two images, or unreadable ones
 * beyond data.max_bad; BW_EINTERRUPTED; BW_EKERNEL; BW_ENONFINITE; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_correlation(bw_correlation_result **out, int *out_n, const bw_network *network,
                         const bw_dataset *dataset, const bw_correlation_options *options,
                         bw_progress_fn progress, void *user);
#ifdef __cplusplus
}
#endif
#endif
