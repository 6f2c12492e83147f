/* Linear classifiers over features of a network, as a file: what bw_probe() fitted and what goes behind a
 * network elsewhere. A safetensors file with blocks.K.FEATURE.classifier.weight [classes, D] and .bias
 * [classes], K from 1, FEATURE head or trunk: logits = weight x + bias of the plain feature x. Its metadata
 * has the names of the classes and checksums of the weights below, so that no classifier meets another
 * network. */
#ifndef BW_MODEL_PROBE_FILE_H
#define BW_MODEL_PROBE_FILE_H
#include "blockwise/dataset.h"
#include "blockwise/network.h"

typedef struct bw_classifier {
    int block; /* from 0 */
    bw_feature feature;
    int64_t dim, classes;
    float *weight, *bias; /* [classes, dim], [classes] */
} bw_classifier;

/* Memory for one, all zero. */
BW_MUST_CHECK
bw_status bw__classifier_create(bw_classifier *out, int block, bw_feature feature, int64_t dim,
                                int64_t classes);
void bw__classifier_clear(bw_classifier *classifier);

/* Names of the classes are those of `dataset`. Same input, same bytes. BW_EIO; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__probe_file_write(const char *path, const bw_network *network, const bw_dataset *dataset,
                               const bw_classifier *classifiers, int n);

/* The classifier of one feature, and the names of its classes as a JSON array, both the caller's. BW_EDATA:
 * no such file, no file of classifiers, or none of this feature; BW_ESHAPE: of other weights than the
 * network's. */
BW_MUST_CHECK
bw_status bw__probe_file_read(bw_classifier *out, char **out_classes, const char *path,
                              const bw_network *network, int block, bw_feature feature);
#endif
