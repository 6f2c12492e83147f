/** What each block learnt: features, linear probe, nearest neighbours. */
#ifndef BLOCKWISE_EVALUATE_H
#define BLOCKWISE_EVALUATE_H
#include "blockwise/dataset.h"
#include "blockwise/network.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum bw_protocol {
    BW_PROTOCOL_CACHED,   /**< features once from the evaluation transform; lr swept on a held-out tenth */
    BW_PROTOCOL_AUGMENTED /**< the authors': random crops and flips, SGD 100 epochs, lr 0.1 */
} bw_protocol;

typedef struct bw_probe_options {
    int block;        /**< from 0, or -1: all */
    bool concat;      /**< also the concatenation of all blocks */
    bool head, trunk; /**< which features */
    bw_protocol protocol;
    int epochs;         /**< 0: the protocol's default: cached 30, or what makes 3000 steps; augmented 100 */
    int64_t max_images; /**< use only the first n training images of a keyed permutation; 0: all */
    uint64_t seed;
    int threads; /**< 0: all usable cores */
} bw_probe_options;

typedef struct bw_probe_result {
    int block; /**< from 0; -1: concatenation */
    bw_feature feature;
    double top1, top5;  /**< per cent of the test split */
    double lr;          /**< the one used */
    char protocol[256]; /**< one line with everything needed to quote the number */
} bw_probe_result;

typedef struct bw_knn_result {
    int block; /**< from 0; -1: raw pixels */
    bw_feature feature;
    int k;
    double top1, top5; /**< per cent of the test split */
    char protocol[256];
} bw_knn_result;

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

/** Called now and then with the share of `what` that is done, in [0, 1]; returning non-zero stops with
 *  BW_EINTERRUPTED. One call at a time, but not always from the thread of the caller. */
typedef int (*bw_progress_fn)(void *user, const char *what, double done);

BW_API bw_probe_options bw_probe_options_default(void);
BW_API bw_knn_options bw_knn_options_default(void);

/** Linear probe of the frozen network: every chosen block in one pass over the images.
 *
 *  Protocol `cached` holds the features of all chosen blocks of both splits in memory: 4 bytes x images x the
 *  sum of their dimensions (60,000 images, 4 blocks of 512: 491 MB). `augmented` holds those of one batch and
 *  of the test split. Images without a label are left out. Same arguments, same result for any number of
 *  threads, as far as the features are.
 *
 *  @param out      [*out_n] results, the caller frees with free()
 *  @return BW_OK; BW_EDATA (no labels, fewer than two classes, different classes in the two splits,
 *          unreadable images beyond the config's data.max_bad); BW_EINVAL; BW_EINTERRUPTED;
 *          BW_ENOMEM; BW_EKERNEL; BW_ENONFINITE */
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
 *  @param out_features [*out_rows, feature_dim] f32, caller frees with free()
 *  @param out_index    [*out_rows] number of the image each row is of, caller frees; an unreadable
 *                      image has no row
 *  @return as bw_probe(); labels are not needed */
BW_API BW_MUST_CHECK
bw_status bw_embed(float **out_features, int64_t **out_index, int64_t *out_rows, const bw_network *network,
                   const bw_dataset *dataset, int block, bw_feature feature, int threads,
                   bw_progress_fn progress, void *user);
#ifdef __cplusplus
}
#endif
#endif
