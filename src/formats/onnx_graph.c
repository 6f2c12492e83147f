#include "formats/onnx_graph.h"
#include "base/memory.h"
#include "formats/atomic_file.h"
#include <inttypes.h>
#include <onnx.pb-c.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 96, MAX_INTS = 4, MAX_ATTRIBUTES = 5 };

/* Protobuf-c's messages point to each other; these hold what they point to, and are made into messages when
 * the file is written, because lists move while they grow. */
typedef struct attribute {
    char name[NAME_ROOM];
    enum { IS_INT, IS_INTS, IS_FLOAT } kind;
    int n;
    int64_t ints[MAX_INTS];
    float f;
} attribute;

typedef struct node {
    char op[NAME_ROOM], output[NAME_ROOM], input[BW_ONNX_MAX_INPUTS][NAME_ROOM];
    int inputs, attributes;
    attribute attribute[MAX_ATTRIBUTES];
} node;

typedef struct tensor {
    char name[NAME_ROOM];
    int ndim;
    int64_t dim[BW_ONNX_MAX_DIMS];
    const void *data;
    size_t bytes;
    bool is_i64;
} tensor;

typedef struct port {
    char name[NAME_ROOM], dim_name[BW_ONNX_MAX_DIMS][NAME_ROOM];
    int ndim;
    int64_t dim[BW_ONNX_MAX_DIMS];
    bool is_output;
} port;

typedef struct pair {
    char *key, *value;
} pair;

typedef struct list {
    void *items;
    int n, room;
} list;

struct bw_onnx {
    char *name;
    list nodes, tensors, ports, pairs;
    bw_status status; /* of the first call that failed */
};

static void copy_name(char to[NAME_ROOM], const char *name)
{
    BW_ASSERT(strlen(name) < NAME_ROOM);
    (void)snprintf(to, NAME_ROOM, "%s", name);
}

/* Room for one more item of `size` bytes, all zero; NULL without memory. */
static void *append(bw_onnx *o, list *l, size_t size)
{
    if (o->status != BW_OK) return NULL;
    if (l->n == l->room) {
        void *more = NULL;
        o->status = bw__alloc_array(&more, 2 * (int64_t)l->room + 16, size);
        if (o->status != BW_OK) return NULL;
        if (l->n > 0) memcpy(more, l->items, (size_t)l->n * size);
        bw__free(l->items);
        l->items = more;
        l->room = 2 * l->room + 16;
    }
    return (char *)l->items + (size_t)l->n++ * size;
}

bw_status bw__onnx_create(bw_onnx **out, const char *graph_name)
{
    bw_status st = BW_OK;
    bw_onnx *o = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&o, 1));
    BW_TRY(bw__strdup(&o->name, graph_name));
    *out = o;
    o = NULL;
out:
    bw__onnx_free(o);
    return st;
}

void bw__onnx_free(bw_onnx *o)
{
    if (!o) return;
    pair *pairs = o->pairs.items;
    for (int i = 0; i < o->pairs.n; i++) {
        bw__free(pairs[i].key);
        bw__free(pairs[i].value);
    }
    bw__free(o->nodes.items);
    bw__free(o->tensors.items);
    bw__free(o->ports.items);
    bw__free(o->pairs.items);
    bw__free(o->name);
    bw__free(o);
}

static void add_port(bw_onnx *o, const char *name, int ndim, const bw_onnx_dim *dim, bool is_output)
{
    BW_ASSERT(ndim <= BW_ONNX_MAX_DIMS);
    port *p = append(o, &o->ports, sizeof *p);
    if (!p) return;
    copy_name(p->name, name);
    p->ndim = ndim;
    p->is_output = is_output;
    for (int i = 0; i < ndim; i++) {
        p->dim[i] = dim[i].size;
        if (dim[i].name) copy_name(p->dim_name[i], dim[i].name);
    }
}

void bw__onnx_add_input(bw_onnx *onnx, const char *name, int ndim, const bw_onnx_dim *dim)
{
    add_port(onnx, name, ndim, dim, false);
}

void bw__onnx_add_output(bw_onnx *onnx, const char *name, int ndim, const bw_onnx_dim *dim)
{
    add_port(onnx, name, ndim, dim, true);
}

static void add_tensor(bw_onnx *o, const char *name, int ndim, const int64_t *dim, const void *data,
                       size_t size, bool is_i64)
{
    BW_ASSERT(ndim <= BW_ONNX_MAX_DIMS);
    tensor *t = append(o, &o->tensors, sizeof *t);
    if (!t) return;
    copy_name(t->name, name);
    t->ndim = ndim;
    t->data = data;
    t->bytes = size;
    t->is_i64 = is_i64;
    for (int i = 0; i < ndim; i++) {
        t->dim[i] = dim[i];
        t->bytes *= (size_t)dim[i];
    }
}

void bw__onnx_add_f32(bw_onnx *onnx, const char *name, int ndim, const int64_t *dim, const float *data)
{
    add_tensor(onnx, name, ndim, dim, data, sizeof *data, false);
}

void bw__onnx_add_i64(bw_onnx *onnx, const char *name, int64_t n, const int64_t *data)
{
    add_tensor(onnx, name, 1, &n, data, sizeof *data, true);
}

void bw__onnx_add_node(bw_onnx *o, const char *op, const char *output, const char *const *inputs)
{
    node *n = append(o, &o->nodes, sizeof *n);
    if (!n) return;
    copy_name(n->op, op);
    copy_name(n->output, output);
    for (; inputs[n->inputs]; n->inputs++) {
        BW_ASSERT(n->inputs < BW_ONNX_MAX_INPUTS);
        copy_name(n->input[n->inputs], inputs[n->inputs]);
    }
}

static attribute *next_attribute(bw_onnx *o, const char *name)
{
    if (o->status != BW_OK) return NULL;
    node *n = (node *)o->nodes.items + o->nodes.n - 1;
    BW_ASSERT(n->attributes < MAX_ATTRIBUTES);
    attribute *a = &n->attribute[n->attributes++];
    copy_name(a->name, name);
    return a;
}

void bw__onnx_set_int(bw_onnx *onnx, const char *name, int64_t value)
{
    attribute *a = next_attribute(onnx, name);
    if (!a) return;
    a->kind = IS_INT;
    a->ints[0] = value;
}

void bw__onnx_set_ints(bw_onnx *onnx, const char *name, int n, const int64_t *values)
{
    BW_ASSERT(n <= MAX_INTS);
    attribute *a = next_attribute(onnx, name);
    if (!a) return;
    a->kind = IS_INTS;
    a->n = n;
    memcpy(a->ints, values, (size_t)n * sizeof *values);
}

void bw__onnx_set_float(bw_onnx *onnx, const char *name, float value)
{
    attribute *a = next_attribute(onnx, name);
    if (!a) return;
    a->kind = IS_FLOAT;
    a->f = value;
}

void bw__onnx_add_metadata(bw_onnx *o, const char *key, const char *value)
{
    pair *p = append(o, &o->pairs, sizeof *p);
    if (!p) return;
    o->status = bw__strdup(&p->key, key);
    if (o->status == BW_OK) o->status = bw__strdup(&p->value, value);
}

/* --- messages --- */

/* Everything the message of a node points to. */
typedef struct node_message {
    Onnx__NodeProto proto;
    Onnx__AttributeProto attribute[MAX_ATTRIBUTES], *attribute_at[MAX_ATTRIBUTES];
    char *input[BW_ONNX_MAX_INPUTS], *output[1];
} node_message;

static void make_attribute(Onnx__AttributeProto *to, attribute *a)
{
    onnx__attribute_proto__init(to);
    to->name = a->name;
    to->has_type = true;
    if (a->kind == IS_FLOAT) {
        to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        to->has_f = true;
        to->f = a->f;
    } else if (a->kind == IS_INT) {
        to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        to->has_i = true;
        to->i = a->ints[0];
    } else {
        to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        to->n_ints = (size_t)a->n;
        to->ints = a->ints;
    }
}

static void make_node(node_message *m, node *n)
{
    onnx__node_proto__init(&m->proto);
    for (int i = 0; i < n->inputs; i++)
        m->input[i] = n->input[i];
    m->output[0] = n->output;
    for (int i = 0; i < n->attributes; i++) {
        make_attribute(&m->attribute[i], &n->attribute[i]);
        m->attribute_at[i] = &m->attribute[i];
    }
    m->proto.n_input = (size_t)n->inputs;
    m->proto.input = m->input;
    m->proto.n_output = 1;
    m->proto.output = m->output;
    m->proto.name = n->output;
    m->proto.op_type = n->op;
    m->proto.n_attribute = (size_t)n->attributes;
    m->proto.attribute = m->attribute_at;
}

static void make_tensor(Onnx__TensorProto *to, tensor *t)
{
    onnx__tensor_proto__init(to);
    to->n_dims = (size_t)t->ndim;
    to->dims = t->dim;
    to->has_data_type = true;
    to->data_type = t->is_i64 ? ONNX__TENSOR_PROTO__DATA_TYPE__INT64 : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    to->name = t->name;
    to->has_raw_data = true;
    to->raw_data.len = t->bytes;
    to->raw_data.data = (uint8_t *)(uintptr_t)t->data; /* only read */
}

typedef struct port_message {
    Onnx__ValueInfoProto proto;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dim[BW_ONNX_MAX_DIMS], *dim_at[BW_ONNX_MAX_DIMS];
} port_message;

static void make_port(port_message *m, port *p)
{
    onnx__value_info_proto__init(&m->proto);
    onnx__type_proto__init(&m->type);
    onnx__type_proto__tensor__init(&m->tensor);
    onnx__tensor_shape_proto__init(&m->shape);
    for (int i = 0; i < p->ndim; i++) {
        onnx__tensor_shape_proto__dimension__init(&m->dim[i]);
        m->dim_at[i] = &m->dim[i];
        if (p->dim_name[i][0]) {
            m->dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            m->dim[i].dim_param = p->dim_name[i];
        } else {
            m->dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            m->dim[i].dim_value = p->dim[i];
        }
    }
    m->shape.n_dim = (size_t)p->ndim;
    m->shape.dim = m->dim_at;
    m->tensor.has_elem_type = true;
    m->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    m->tensor.shape = &m->shape;
    m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    m->type.tensor_type = &m->tensor;
    m->proto.name = p->name;
    m->proto.type = &m->type;
}

/* --- the file --- */

/* Protobuf-c hands its bytes over piece by piece, so that weights are not copied. */
typedef struct file_sink {
    ProtobufCBuffer base;
    FILE *stream;
} file_sink;

static void write_piece(ProtobufCBuffer *buffer, size_t n, const uint8_t *bytes)
{
    file_sink *sink = (file_sink *)buffer;
    (void)fwrite(bytes, 1, n, sink->stream); /* an error is found at commit */
}

static bw_status write_message(const Onnx__ModelProto *model, const char *path)
{
    bw_atomic_file file;
    bw_status st = bw__atomic_open(&file, path);
    if (st != BW_OK) return st;
    file_sink sink = { .base = { .append = write_piece }, .stream = file.stream };
    (void)onnx__model_proto__pack_to_buffer(model, &sink.base);
    st = bw__atomic_commit(&file);
    bw__atomic_abandon(&file);
    return st;
}

typedef struct model_parts {
    node_message *node;
    Onnx__NodeProto **node_at;
    Onnx__TensorProto *tensor, **tensor_at;
    port_message *port;
    Onnx__ValueInfoProto **in_at, **out_at;
    Onnx__StringStringEntryProto *pair, **pair_at;
} model_parts;

static bw_status make_room(model_parts *m, const bw_onnx *o)
{
    bw_status st = BW_OK;
    BW_TRY(BW_ALLOC(&m->node, o->nodes.n + 1));
    BW_TRY(BW_ALLOC(&m->node_at, o->nodes.n + 1));
    BW_TRY(BW_ALLOC(&m->tensor, o->tensors.n + 1));
    BW_TRY(BW_ALLOC(&m->tensor_at, o->tensors.n + 1));
    BW_TRY(BW_ALLOC(&m->port, o->ports.n + 1));
    BW_TRY(BW_ALLOC(&m->in_at, o->ports.n + 1));
    BW_TRY(BW_ALLOC(&m->out_at, o->ports.n + 1));
    BW_TRY(BW_ALLOC(&m->pair, o->pairs.n + 1));
    BW_TRY(BW_ALLOC(&m->pair_at, o->pairs.n + 1));
out:
    return st;
}

static void free_parts(model_parts *m)
{
    bw__free(m->node);
    bw__free(m->node_at);
    bw__free(m->tensor);
    bw__free(m->tensor_at);
    bw__free(m->port);
    bw__free(m->in_at);
    bw__free(m->out_at);
    bw__free(m->pair);
    bw__free(m->pair_at);
}

static void make_graph(Onnx__GraphProto *graph, model_parts *m, const bw_onnx *o)
{
    for (int i = 0; i < o->nodes.n; i++) {
        make_node(&m->node[i], (node *)o->nodes.items + i);
        m->node_at[i] = &m->node[i].proto;
    }
    for (int i = 0; i < o->tensors.n; i++) {
        make_tensor(&m->tensor[i], (tensor *)o->tensors.items + i);
        m->tensor_at[i] = &m->tensor[i];
    }
    for (int i = 0; i < o->ports.n; i++) {
        port *p = (port *)o->ports.items + i;
        make_port(&m->port[i], p);
        if (p->is_output)
            m->out_at[graph->n_output++] = &m->port[i].proto;
        else
            m->in_at[graph->n_input++] = &m->port[i].proto;
    }
    graph->name = o->name;
    graph->n_node = (size_t)o->nodes.n;
    graph->node = m->node_at;
    graph->n_initializer = (size_t)o->tensors.n;
    graph->initializer = m->tensor_at;
    graph->input = m->in_at;
    graph->output = m->out_at;
}

bw_status bw__onnx_write(const bw_onnx *o, const char *path)
{
    bw_status st = o->status;
    model_parts m = { 0 };
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opset_at = &opset;
    char producer[] = "blockwise", version[32], domain[] = "";

    if (st != BW_OK) return bw_fail(st, "out of memory: the graph of %s", path);
    BW_TRY(make_room(&m, o));
    make_graph(&graph, &m, o);
    for (int i = 0; i < o->pairs.n; i++) {
        const pair *p = (const pair *)o->pairs.items + i;
        onnx__string_string_entry_proto__init(&m.pair[i]);
        m.pair[i].key = p->key;
        m.pair[i].value = p->value;
        m.pair_at[i] = &m.pair[i];
    }
    (void)snprintf(version, sizeof version, "%s", bw_version());
    opset.domain = domain;
    opset.has_version = true;
    opset.version = BW_ONNX_OPSET;
    model.has_ir_version = true;
    model.ir_version = BW_ONNX_IR_VERSION;
    model.n_opset_import = 1;
    model.opset_import = &opset_at;
    model.producer_name = producer;
    model.producer_version = version;
    model.graph = &graph;
    model.n_metadata_props = (size_t)o->pairs.n;
    model.metadata_props = m.pair_at;
    BW_TRY(write_message(&model, path));
out:
    free_parts(&m);
    return st;
}
