/* What the parts of a run's pictures share: networks, images, features, and the value they add to. */
#ifndef BW_REPORT_GALLERY_H
#define BW_REPORT_GALLERY_H
#include "eval/features.h"
#include "report/pictures.h"

/* Images that are looked at, and their features in one network. */
typedef struct bw_sample {
    bw_dataset *images; /* a subset of one of the data sets */
    bw_feature_set features;
    bw_feature_set random; /* in the network of random weights */
} bw_sample;

typedef struct bw_gallery {
    const bw_pictures_options *options;
    const bw_run_facts *facts;
    json_t *out;
    bw_network *network, *random, *random_view; /* network: as the run ended, or as far as it is */
    bw_network *restored;                       /* of a run under way: what `network` shows; else NULL */
    int64_t step;                               /* of `network` */
    bw_dataset *train, *test;                   /* test: NULL where there are no splits */
    bool has_labels;
    bw_feature feature;
    bw_sample bank, asked;
    json_t *images; /* [] of thumbs and labels: what "image" numbers mean */
} bw_gallery;

static inline const float *bw__gallery_features(const bw_feature_set *set, const bw_gallery *g, int block)
{
    return set->arrays.x[g->feature][block];
}

/* Features of the images of `s` in `network`; set->... is cleared by the caller. */
BW_MUST_CHECK
bw_status bw__gallery_see(bw_feature_set *set, const bw_gallery *g, const bw_dataset *images,
                          const bw_network *network, const char *what);

/* Adds "knn" at the end and at random initialisation, and "knn_over_time" from the checkpoints that the run
 * has kept; nothing without labels. */
BW_MUST_CHECK
bw_status bw__gallery_knn(bw_gallery *g, const char *run);

/* Adds "neighbours", and the thumbs it shows to "images". */
BW_MUST_CHECK
bw_status bw__gallery_neighbours(bw_gallery *g);
#endif
