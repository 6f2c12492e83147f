/* A network, or its first blocks, as an ONNX graph in evaluation mode. Values have the names of the layers
 * that make them ("layer1.0.conv1"), constants those of the weight files; layouts are ONNX's (NCHW, OIHW),
 * which for weights is ours too. Batch norm stays a node of its own: runtimes fold it into the convolution.
 */
#include "base/memory.h"
#include "formats/onnx_graph.h"
#include "model/network_internal.h"
#include "model/probe_file.h"
#include "nn/batch_norm.h"
#include "nn/conv.h"
#include "nn/pool.h"
#include <stdio.h>
#include <string.h>

enum { NAME = 96 };

typedef struct walk {
    const bw_network *network;
    bw_onnx *onnx;
    const bw_params *params; /* of the block that is walked through */
    char value[NAME];        /* the newest */
    int64_t h, w;            /* of it, for images of the configured size */
    float *cells;            /* of lsp, see add_lsp() */
} walk;

/* Name of a layer: that of its weight without ".weight". */
static void layer_name(char out[NAME], const bw_params *params, int item)
{
    (void)snprintf(out, NAME, "%s", params->items[item].name);
    out[strlen(out) - strlen(".weight")] = '\0';
}

static const char *add_constant(walk *k, int item)
{
    const bw_param *p = &k->params->items[item];
    bw__onnx_add_f32(k->onnx, p->name, p->ndim, p->dim, k->params->values + p->offset);
    return p->name;
}

static void add_conv(walk *k, const bw_layer_spec *s)
{
    char name[NAME];
    const int64_t kernel[] = { s->kernel, s->kernel }, stride[] = { s->stride, s->stride },
                  pads[] = { s->pad, s->pad, s->pad, s->pad };
    layer_name(name, k->params, s->weight);
    bw__onnx_add_node(k->onnx, "Conv", name,
                      (const char *const[]){ k->value, add_constant(k, s->weight), NULL });
    bw__onnx_set_ints(k->onnx, "kernel_shape", 2, kernel);
    bw__onnx_set_ints(k->onnx, "strides", 2, stride);
    bw__onnx_set_ints(k->onnx, "pads", 4, pads);
    memcpy(k->value, name, sizeof name);
    k->h = bw__conv_out(k->h, s->kernel, s->stride, s->pad);
    k->w = bw__conv_out(k->w, s->kernel, s->stride, s->pad);
}

static void add_batch_norm(walk *k, int item)
{
    char name[NAME];
    layer_name(name, k->params, item);
    const char *const inputs[] = { k->value,
                                   add_constant(k, item),
                                   add_constant(k, item + 1),
                                   add_constant(k, item + 2),
                                   add_constant(k, item + 3),
                                   NULL };
    bw__onnx_add_node(k->onnx, "BatchNormalization", name, inputs);
    bw__onnx_set_float(k->onnx, "epsilon", (float)BW_BN_EPS);
    memcpy(k->value, name, sizeof name);
}

/* value = op(value), called NAME_op. */
static void add_unary(walk *k, const char *op, const char *suffix)
{
    char name[NAME];
    (void)snprintf(name, sizeof name, "%.80s.%s", k->value, suffix);
    bw__onnx_add_node(k->onnx, op, name, (const char *const[]){ k->value, NULL });
    memcpy(k->value, name, sizeof name);
}

static void add_unit(walk *k, const bw_unit_spec *u)
{
    char in[NAME], main[NAME], sum[NAME];
    int64_t h = k->h, w = k->w;
    memcpy(in, k->value, sizeof in);
    for (int i = 0; i < u->n_convs; i++) {
        add_conv(k, &u->conv[i]);
        add_batch_norm(k, u->conv[i].bn);
        if (i + 1 < u->n_convs) add_unary(k, "Relu", "relu");
    }
    memcpy(main, k->value, sizeof main);
    memcpy(k->value, in, sizeof in);
    if (u->has_downsample) {
        int64_t out_h = k->h, out_w = k->w;
        k->h = h;
        k->w = w;
        add_conv(k, &u->downsample);
        add_batch_norm(k, u->downsample.bn);
        BW_ASSERT(k->h == out_h && k->w == out_w);
    }
    (void)snprintf(sum, sizeof sum, "%.80s.add", main);
    bw__onnx_add_node(k->onnx, "Add", sum, (const char *const[]){ main, k->value, NULL });
    memcpy(k->value, sum, sizeof sum);
    add_unary(k, "Relu", "relu");
}

static void add_max_pool(walk *k)
{
    static const int64_t kernel[] = { 3, 3 }, stride[] = { 2, 2 }, pads[] = { 1, 1, 1, 1 };
    bw__onnx_add_node(k->onnx, "MaxPool", "maxpool", (const char *const[]){ k->value, NULL });
    bw__onnx_set_ints(k->onnx, "kernel_shape", 2, kernel);
    bw__onnx_set_ints(k->onnx, "strides", 2, stride);
    bw__onnx_set_ints(k->onnx, "pads", 4, pads);
    (void)snprintf(k->value, sizeof k->value, "maxpool");
    k->h = bw__max_pool_out(k->h);
    k->w = bw__max_pool_out(k->w);
}

static void add_trunk(walk *k, const bw_block_spec *s)
{
    if (s->has_stem) {
        add_conv(k, &s->stem);
        add_batch_norm(k, s->stem.bn);
        add_unary(k, "Relu", "relu");
        if (s->max_pool) add_max_pool(k);
    }
    for (int i = 0; i < s->n_units; i++)
        add_unit(k, &s->unit[i]);
}

static void add_flatten(walk *k, const char *name)
{
    bw__onnx_add_node(k->onnx, "Flatten", name, (const char *const[]){ k->value, NULL });
    bw__onnx_set_int(k->onnx, "axis", 1);
    (void)snprintf(k->value, sizeof k->value, "%s", name);
}

/* Local spatial pooling is a product with a matrix [positions, cells] of means, which holds for one size of
 * image: ONNX has no pooling into cells that overlap. */
static bw_status add_lsp(walk *k, const bw_block_spec *s)
{
    const int64_t rows = s->grid_rows, columns = s->grid_columns, cells = rows * columns;
    const int64_t dim[] = { k->h * k->w, cells };
    static const int64_t flat[] = { 0, 0, -1 };
    bw_status st = BW_ALLOC(&k->cells, dim[0] * cells);
    if (st != BW_OK) return st;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            int64_t y0 = r * k->h / rows, y1 = ((r + 1) * k->h + rows - 1) / rows;
            int64_t x0 = c * k->w / columns, x1 = ((c + 1) * k->w + columns - 1) / columns;
            for (int64_t y = y0; y < y1; y++)
                for (int64_t x = x0; x < x1; x++)
                    k->cells[(y * k->w + x) * cells + r * columns + c] =
                        1.0f / (float)((y1 - y0) * (x1 - x0));
        }
    bw__onnx_add_i64(k->onnx, "cells.shape", 3, flat);
    bw__onnx_add_f32(k->onnx, "cells.means", 2, dim, k->cells);
    bw__onnx_add_node(k->onnx, "Reshape", "positions",
                      (const char *const[]){ k->value, "cells.shape", NULL });
    bw__onnx_add_node(k->onnx, "MatMul", "cells", (const char *const[]){ "positions", "cells.means", NULL });
    (void)snprintf(k->value, sizeof k->value, "cells");
    return BW_OK;
}

static bw_status add_feature(walk *k, const bw_block_spec *s, bw_feature feature)
{
    bw_status st = BW_OK;
    bool head = feature == BW_FEATURE_HEAD;
    if (head && s->pool == BW_POOL_CBE) {
        add_conv(k, &s->expand);
        add_batch_norm(k, s->expand.bn);
        add_unary(k, "Relu", "relu");
    }
    if (head && s->pool == BW_POOL_LSP)
        BW_TRY(add_lsp(k, s));
    else
        add_unary(k, "GlobalAveragePool", "pool");
    add_flatten(k, "features");
out:
    return st;
}

/* logits = features weight^T + bias */
static void add_classifier(walk *k, const bw_classifier *c)
{
    const int64_t dim[] = { c->classes, c->dim };
    bw__onnx_add_f32(k->onnx, "classifier.weight", 2, dim, c->weight);
    bw__onnx_add_f32(k->onnx, "classifier.bias", 1, dim, c->bias);
    bw__onnx_add_node(k->onnx, "Gemm", "logits",
                      (const char *const[]){ k->value, "classifier.weight", "classifier.bias", NULL });
    bw__onnx_set_int(k->onnx, "transB", 1);
}

static void add_settings(walk *k, int block, bw_feature feature)
{
    const bw_config *c = &k->network->config;
    char text[160];
    (void)snprintf(text, sizeof text, "%s of block %d", feature == BW_FEATURE_HEAD ? "head" : "trunk",
                   block + 1);
    bw__onnx_add_metadata(k->onnx, "feature", text);
    bw__onnx_add_metadata(k->onnx, "input", "RGB, NCHW, (value / 255 - mean) / std");
    (void)snprintf(text, sizeof text, "[%.9g, %.9g, %.9g]", c->augment.mean[0], c->augment.mean[1],
                   c->augment.mean[2]);
    bw__onnx_add_metadata(k->onnx, "mean", text);
    (void)snprintf(text, sizeof text, "[%.9g, %.9g, %.9g]", c->augment.std[0], c->augment.std[1],
                   c->augment.std[2]);
    bw__onnx_add_metadata(k->onnx, "std", text);
    (void)snprintf(text, sizeof text, "%lld", (long long)c->data.image_size);
    bw__onnx_add_metadata(k->onnx, "image_size", text);
}

static bw_status check(const bw_network *network, int block, bw_feature feature)
{
    if (block < 0 || block >= network->blocks)
        return bw_fail(BW_EINVAL, "block %d: the model has blocks 1 to %d", block + 1, network->blocks);
    if (feature != BW_FEATURE_HEAD && feature != BW_FEATURE_TRUNK)
        return bw_fail(BW_EINVAL, "%d is no feature: head or trunk", (int)feature);
    if (feature == BW_FEATURE_HEAD && !network->has_heads && network->spec[block].pool == BW_POOL_CBE)
        return bw_fail(BW_EINVAL,
                       "block %d has no head weights (heads.safetensors was not beside the trunk); ask for "
                       "the trunk feature",
                       block + 1);
    return BW_OK;
}

bw_status bw_network_export_onnx(const bw_network *network, const char *path, int block, bw_feature feature,
                                 const char *probe)
{
    bw_status st = check(network, block, feature);
    const bw_block_spec *last = &network->spec[block < 0 || block >= network->blocks ? 0 : block];
    const int64_t size = network->config.data.image_size;
    bool fixed = feature == BW_FEATURE_HEAD && last->pool == BW_POOL_LSP;
    walk k = { .network = network, .value = "images", .h = size, .w = size };
    bw_classifier classifier = { 0 };
    char *classes = NULL;
    const bw_onnx_dim in[] = {
        { 0, "batch" }, { 3, NULL }, { size, fixed ? NULL : "height" }, { size, fixed ? NULL : "width" }
    };
    if (st != BW_OK) return st;
    const bw_onnx_dim out[] = { { 0, "batch" }, { bw_network_feature_dim(network, block, feature), NULL } };

    if (probe) BW_TRY(bw__probe_file_read(&classifier, &classes, probe, network, block, feature));
    BW_TRY(bw__onnx_create(&k.onnx, "blockwise"));
    bw__onnx_add_input(k.onnx, "images", 4, in);
    for (int b = 0; b <= block; b++) {
        k.params = &network->params[b];
        add_trunk(&k, &network->spec[b]);
    }
    BW_TRY(add_feature(&k, last, feature));
    bw__onnx_add_output(k.onnx, "features", 2, out);
    add_settings(&k, block, feature);
    if (probe) {
        add_classifier(&k, &classifier);
        bw__onnx_add_output(k.onnx, "logits", 2,
                            (const bw_onnx_dim[]){ out[0], { classifier.classes, NULL } });
        bw__onnx_add_metadata(k.onnx, "classes", classes);
    }
    BW_TRY(bw__onnx_write(k.onnx, path));
out:
    bw__onnx_free(k.onnx);
    bw__classifier_clear(&classifier);
    bw__free(classes);
    bw__free(k.cells);
    return st;
}
