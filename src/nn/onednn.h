/* The ground on which convolution and matrix product stand: a oneDNN primitive with its arguments and, where
 * the weights want one, a private layout. Only files of this folder include it. */
#ifndef BW_NN_ONEDNN_H
#define BW_NN_ONEDNN_H
#include "nn/exec.h"
#include "nn/onednn_version.h"
#include "nn/type.h"

struct bw_kernels {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

enum { BW_MAX_ARGS = 4 };

typedef struct bw_primitive {
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t desc; /* the caller makes it; everything else is bw__primitive_finish()'s */
    int n_args;
    int arg[BW_MAX_ARGS];
    dnnl_memory_t memory[BW_MAX_ARGS]; /* created without data; handles are set for each run */
    size_t scratchpad_bytes;
    dnnl_memory_t scratchpad;
    /* OIHW -> the primitive's weights (forward, backward data), or its diff weights -> OIHW. */
    dnnl_primitive_t reorder;
    dnnl_memory_t plain; /* OIHW side of the reorder */
    int weights_slot;    /* index of the reordered argument, or -1 */
    size_t weights_bytes;
} bw_primitive;

/* Keeps what was refused as the message; BW_ENOMEM or BW_EKERNEL. */
bw_status bw__onednn_fail(dnnl_status_t status, const char *what);

/* oneDNN counts extents and blocks of channels in ints without looking: beyond that its kernels divide by 0
 * when they are made. BW_ENOMEM, naming `what`, for a tensor of more elements than this (64 GB of f32) or a
 * larger extent than INT_MAX. Random shapes were all taken up to twice as many elements, and not beyond. */
#define BW_MOST_ELEMENTS ((int64_t)1 << 34)
BW_MUST_CHECK
bw_status bw__onednn_check_size(const char *what, int n, const int64_t *extent);

#define DNNL_TRY(call, what)                                                                                 \
    do {                                                                                                     \
        dnnl_status_t ds_ = (call);                                                                          \
        if (ds_ != dnnl_success) {                                                                           \
            st = bw__onednn_fail(ds_, (what));                                                               \
            goto out;                                                                                        \
        }                                                                                                    \
    } while (0)

dnnl_data_type_t bw__onednn_type(bw_type type);
const char *bw__onednn_type_name(bw_type type);
/* Attributes with a scratchpad that the caller provides; to be destroyed. */
BW_MUST_CHECK
bw_status bw__onednn_attr(dnnl_primitive_attr_t *attr);
/* oneDNN takes every buffer as void *, also those it only reads. */
static inline void *bw__onednn_readable(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = { p };
    return u.out;
}

void bw__primitive_clear(bw_primitive *p);
/* Creates primitive and memory objects for the arguments named by query and argument, from p->desc. Refuses a
 * reference kernel. */
BW_MUST_CHECK
bw_status bw__primitive_finish(bw_primitive *p, bw_exec *x, const char *what, int n_args,
                               const dnnl_query_t *query, const int *arg);
/* Adds the reorder between OIHW and argument `slot`, unless the primitive uses OIHW itself. */
BW_MUST_CHECK
bw_status bw__primitive_reorder(bw_primitive *p, bw_exec *x, const char *what, int slot, bw_md_view oihw,
                                bool to_plain);
/* Runs with data[i] for argument i. `weights_out`: the reordered argument is an output. */
BW_MUST_CHECK
bw_status bw__primitive_run(bw_primitive *p, bw_exec *x, void *const *data, bool weights_out);
#endif
