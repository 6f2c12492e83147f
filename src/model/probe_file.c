#include "model/probe_file.h"
#include "base/memory.h"
#include "formats/checksum.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/network_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 64, SUM = 24 };
#define KIND "blockwise-probe"

bw_status bw__classifier_create(bw_classifier *out, int block, bw_feature feature, int64_t dim,
                                int64_t classes)
{
    bw_status st = BW_OK;
    bw_classifier c = { .block = block, .feature = feature, .dim = dim, .classes = classes };
    *out = (bw_classifier){ 0 };
    BW_TRY(BW_ALLOC(&c.weight, dim * classes));
    BW_TRY(BW_ALLOC(&c.bias, classes));
    *out = c;
    c = (bw_classifier){ 0 };
out:
    bw__classifier_clear(&c);
    return st;
}

void bw__classifier_clear(bw_classifier *c)
{
    bw__free(c->weight);
    bw__free(c->bias);
    *c = (bw_classifier){ 0 };
}

static const char *feature_word(bw_feature feature)
{
    return feature == BW_FEATURE_HEAD ? "head" : "trunk";
}

static void tensor_name(char out[NAME], int block, bw_feature feature, const char *what)
{
    (void)snprintf(out, NAME, "blocks.%d.%s.classifier.%s", block + 1, feature_word(feature), what);
}

/* Of all values of one part, running statistics included. */
static void sum_part(char out[SUM], const bw_network *network, bw_part part)
{
    uint64_t sum[2] = { 0, 0 }; /* so far, and of a tensor */
    for (int k = 0; k < network->blocks; k++)
        for (int i = 0; i < network->params[k].n; i++) {
            const bw_param *p = &network->params[k].items[i];
            if (p->part != part) continue;
            sum[1] = bw__checksum(network->params[k].values + p->offset, (size_t)p->count * sizeof(float));
            sum[0] = bw__checksum(sum, sizeof sum);
        }
    (void)snprintf(out, SUM, "%016" PRIx64, sum[0]);
}

static bw_status class_names(char **out, const bw_dataset *dataset)
{
    json_t *names = json_array();
    for (int i = 0; i < bw_dataset_classes(dataset); i++)
        (void)json_array_append_new(names, bw__json_text(bw_dataset_class_name(dataset, i)));
    bw_status st = bw__json_line(out, names);
    json_decref(names);
    return st;
}

bw_status bw__probe_file_write(const char *path, const bw_network *network, const bw_dataset *dataset,
                               const bw_classifier *classifiers, int n)
{
    bw_status st = BW_OK;
    bw_st_tensor *tensors = NULL;
    char(*name)[NAME] = NULL, *classes = NULL, trunk[SUM], heads[SUM];
    BW_TRY(BW_ALLOC(&tensors, 2 * (int64_t)n));
    BW_TRY(BW_ALLOC(&name, 2 * (int64_t)n));
    BW_TRY(class_names(&classes, dataset));
    sum_part(trunk, network, BW_PART_TRUNK);
    sum_part(heads, network, BW_PART_HEAD);
    for (int i = 0; i < n; i++) {
        const bw_classifier *c = &classifiers[i];
        size_t rows = (size_t)c->classes * sizeof(float);
        tensor_name(name[2 * i], c->block, c->feature, "weight");
        tensor_name(name[2 * i + 1], c->block, c->feature, "bias");
        tensors[2 * i] =
            (bw_st_tensor){ name[2 * i],          BW_ST_F32, 2, { c->classes, c->dim }, c->weight,
                            rows * (size_t)c->dim };
        tensors[2 * i + 1] = (bw_st_tensor){ name[2 * i + 1], BW_ST_F32, 1, { c->classes }, c->bias, rows };
    }
    const bw_st_pair pairs[] = { { "format", "pt" }, { "kind", KIND },   { "classes", classes },
                                 { "trunk", trunk }, { "heads", heads }, { "version", bw_version() } };
    BW_TRY(bw__st_write(path, tensors, 2 * (int64_t)n, pairs, sizeof pairs / sizeof *pairs));
out:
    bw__free(tensors);
    bw__free(name);
    bw__free(classes);
    return st;
}

static bw_status check_network(const bw_st_file *file, const char *path, const bw_network *network,
                               bw_feature feature)
{
    char sum[SUM];
    for (int part = BW_PART_TRUNK; part <= (feature == BW_FEATURE_HEAD ? BW_PART_HEAD : BW_PART_TRUNK);
         part++) {
        const char *theirs = bw__st_metadata(file, part == BW_PART_TRUNK ? "trunk" : "heads");
        sum_part(sum, network, (bw_part)part);
        if (!theirs || strcmp(theirs, sum) != 0)
            return bw_fail(BW_ESHAPE,
                           "%s: was fitted on another network: its %s have other weights; probe this "
                           "one with --save",
                           path, part == BW_PART_TRUNK ? "blocks" : "heads");
    }
    return BW_OK;
}

/* Before memory is taken for so many classes as a shape without bytes can claim. */
static bw_status check_shapes(const bw_st_tensor *weight, const bw_st_tensor *bias, const char *path,
                              const char *weight_name, const char *bias_name, int64_t dim)
{
    if (weight->ndim != 2 || weight->shape[0] < 2 || weight->shape[1] != dim)
        return bw_fail(BW_EDATA, "%s: damaged: %s has another shape", path, weight_name);
    if (!bias || bias->ndim != 1 || bias->shape[0] != weight->shape[0])
        return bw_fail(BW_EDATA, "%s: damaged: %s has another shape", path, bias_name);
    return BW_OK;
}

bw_status bw__probe_file_read(bw_classifier *out, char **out_classes, const char *path,
                              const bw_network *network, int block, bw_feature feature)
{
    bw_status st = BW_OK;
    bw_st_file *file = NULL;
    char weight[NAME], bias[NAME];
    *out = (bw_classifier){ 0 };
    *out_classes = NULL;
    BW_TRY(bw__st_open(&file, path));
    const char *kind = bw__st_metadata(file, "kind"), *classes = bw__st_metadata(file, "classes");
    if (!kind || strcmp(kind, KIND) != 0 || !classes)
        BW_TRY(bw_fail(BW_EDATA, "%s: no classifiers; blockwise probe --save FILE writes them", path));
    tensor_name(weight, block, feature, "weight");
    tensor_name(bias, block, feature, "bias");
    const bw_st_tensor *w = bw__st_find(file, weight), *b = bw__st_find(file, bias);
    const int64_t dim = bw_network_feature_dim(network, block, feature);
    if (!w)
        BW_TRY(bw_fail(BW_EDATA, "%s: no classifier of the %s of block %d; probe it with --save", path,
                       feature_word(feature), block + 1));
    BW_TRY(check_network(file, path, network, feature));
    BW_TRY(check_shapes(w, b, path, weight, bias, dim));
    BW_TRY(bw__classifier_create(out, block, feature, dim, w->shape[0]));
    BW_TRY(bw__st_to_f32(out->weight, w));
    BW_TRY(bw__st_to_f32(out->bias, b));
    BW_TRY(bw__strdup(out_classes, classes));
out:
    if (st != BW_OK) bw__classifier_clear(out);
    bw__st_close(file);
    return st;
}
