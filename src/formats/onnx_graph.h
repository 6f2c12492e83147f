/* Models as ONNX files (onnx.ai, the onnx.proto that libonnx-dev has): a graph of nodes, put together name by
 * name and written whole. Opset and version of the format are those of ONNX 1.8, which runtimes of 2021 and
 * later read, OpenCV's among them. Knows nothing of networks. */
#ifndef BW_FORMATS_ONNX_GRAPH_H
#define BW_FORMATS_ONNX_GRAPH_H
#include "base/error.h"
#include <stdint.h>

enum { BW_ONNX_OPSET = 13, BW_ONNX_IR_VERSION = 7, BW_ONNX_MAX_DIMS = 4, BW_ONNX_MAX_INPUTS = 5 };

typedef struct bw_onnx bw_onnx;

BW_MUST_CHECK
bw_status bw__onnx_create(bw_onnx **out, const char *graph_name);
void bw__onnx_free(bw_onnx *onnx);

/* What is added is checked when the file is written: a call that found no memory makes that fail. Names are
 * copied, at most 95 bytes; data is borrowed until then. */

/* A side of an input or output: a number, or with a name one that is known only when the model runs. */
typedef struct bw_onnx_dim {
    int64_t size;
    const char *name;
} bw_onnx_dim;

/* f32 tensors that go in and come out. */
void bw__onnx_add_input(bw_onnx *onnx, const char *name, int ndim, const bw_onnx_dim *dim);
void bw__onnx_add_output(bw_onnx *onnx, const char *name, int ndim, const bw_onnx_dim *dim);
/* Constants: f32, and lists of int64. */
void bw__onnx_add_f32(bw_onnx *onnx, const char *name, int ndim, const int64_t *dim, const float *data);
void bw__onnx_add_i64(bw_onnx *onnx, const char *name, int64_t n, const int64_t *data);

/* A node with one output; inputs end with NULL, at most BW_ONNX_MAX_INPUTS. */
void bw__onnx_add_node(bw_onnx *onnx, const char *op, const char *output, const char *const *inputs);
/* Attributes of the node added last. */
void bw__onnx_set_int(bw_onnx *onnx, const char *name, int64_t value);
void bw__onnx_set_ints(bw_onnx *onnx, const char *name, int n, const int64_t *values);
void bw__onnx_set_float(bw_onnx *onnx, const char *name, float value);

/* A line of the model's own metadata, as netron shows it. */
void bw__onnx_add_metadata(bw_onnx *onnx, const char *key, const char *value);

/* Same graph, same bytes. BW_ENOMEM; BW_EIO. */
BW_MUST_CHECK
bw_status bw__onnx_write(const bw_onnx *onnx, const char *path);
#endif
