/* What convolution and matrix product share: engine, primitives with their arguments, reorders. */
#include "nn/onednn.h"
#include "base/memory.h"
#include <limits.h>
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bw_status bw__onednn_fail(dnnl_status_t status, const char *what)
{
    return bw_fail(status == dnnl_out_of_memory ? BW_ENOMEM : BW_EKERNEL, "oneDNN %s refused: %s (code %d)",
                   bw__exec_library(), what, (int)status);
}

bw_status bw__onednn_check_size(const char *what, int n, const int64_t *extent)
{
    int64_t count = 1;
    for (int i = 0; i < n; i++) {
        if (extent[i] < 1) continue; /* refused by oneDNN */
        if (extent[i] > INT_MAX || count > BW_MOST_ELEMENTS / extent[i])
            return bw_fail(BW_ENOMEM,
                           "%s is too large: the compute library takes tensors of %lld elements, and extents "
                           "of %d; make the batch, the images or the layer smaller",
                           what, (long long)BW_MOST_ELEMENTS, INT_MAX);
        count *= extent[i];
    }
    return BW_OK;
}

dnnl_data_type_t bw__onednn_type(bw_type type)
{
    return type == BW_BF16 ? dnnl_bf16 : dnnl_f32;
}

int bw__exec_swap_threads(int threads)
{
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    return before;
}

/* Starts the OpenMP threads with all signals blocked, so that handlers run in the caller's thread alone: an
 * AVX2 matrix product of oneDNN uses part of the heap as its stack, and a handler there would write in front
 * of it (trainer.h). */
static void start_threads(int threads)
{
    int started = 0; /* the compiler drops a parallel region without work */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
#pragma omp parallel num_threads(threads) reduction(+ : started)
    started += 1;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bw_status bw__exec_create(bw_exec *out, int threads)
{
    bw_status st = BW_OK;
    bw_exec x = { .arena = bw__arena_dry(), .side = BW_LOW, .threads = threads };
    *out = (bw_exec){ 0 };
    start_threads(threads);
    BW_TRY(BW_ALLOC(&x.kernels, 1));
    DNNL_TRY(dnnl_engine_create(&x.kernels->engine, dnnl_cpu, 0), "an engine for this processor");
    DNNL_TRY(dnnl_stream_create(&x.kernels->stream, x.kernels->engine, dnnl_stream_default_flags),
             "a stream");
    *out = x;
    x.kernels = NULL;
out:
    bw__exec_destroy(&x);
    return st;
}

void bw__exec_destroy(bw_exec *x)
{
    if (x->kernels) {
        if (x->kernels->stream) dnnl_stream_destroy(x->kernels->stream);
        if (x->kernels->engine) dnnl_engine_destroy(x->kernels->engine);
        bw__free(x->kernels);
        bw__arena_destroy(&x->arena);
    }
    *x = (bw_exec){ 0 };
}

const char *bw__onednn_type_name(bw_type type)
{
    return type == BW_BF16 ? "bf16" : "f32";
}

bool bw__exec_has_avx2_only(void)
{
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return bw__cpu_isa_has(isa, dnnl_cpu_isa_avx2) && !bw__cpu_isa_has(isa, dnnl_cpu_isa_avx512_core);
}

const char *bw__exec_isa(void)
{
    return bw__cpu_isa_name(dnnl_get_effective_cpu_isa());
}

bw_bf16 bw__exec_bf16(void)
{
    const char *variable = getenv(BW_BF16_VARIABLE);
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if (variable && strcmp(variable, "emulate") == 0) return BW_BF16_EMULATED;
    if (bw__cpu_isa_has(isa, dnnl_cpu_isa_avx512_core_bf16)) return BW_BF16_NATIVE;
    return bw__cpu_isa_has(isa, dnnl_cpu_isa_avx512_core) ? BW_BF16_CONVERTED : BW_BF16_NONE;
}

const char *bw__exec_library(void)
{
    static _Thread_local char text[32];
    const dnnl_version_t *v = dnnl_version();
    (void)snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

void bw__primitive_clear(bw_primitive *p)
{
    for (int i = 0; i < BW_MAX_ARGS; i++)
        if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
    if (p->scratchpad) dnnl_memory_destroy(p->scratchpad);
    if (p->plain) dnnl_memory_destroy(p->plain);
    if (p->reorder) dnnl_primitive_destroy(p->reorder);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->desc) dnnl_primitive_desc_destroy(p->desc);
    memset(p, 0, sizeof *p);
}

bw_status bw__primitive_finish(bw_primitive *p, bw_exec *x, const char *what, int n_args,
                               const dnnl_query_t *query, const int *arg)
{
    bw_status st = BW_OK;
    const char *name = "";
    bw_md_view md;
    p->weights_slot = -1;
    DNNL_TRY(dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &name), what);
    if (strncmp(name, "ref", 3) == 0)
        return bw_fail(BW_EKERNEL,
                       "oneDNN %s has only its reference kernel (%s) for %s; choose sizes with channels in "
                       "multiples of 8",
                       bw__exec_library(), name, what);
    DNNL_TRY(dnnl_primitive_create(&p->primitive, p->desc), what);
    p->n_args = n_args;
    for (int i = 0; i < n_args; i++) {
        md = dnnl_primitive_desc_query_md(p->desc, query[i], 0);
        p->arg[i] = arg[i];
        DNNL_TRY(dnnl_memory_create(&p->memory[i], md, x->kernels->engine, DNNL_MEMORY_NONE), what);
    }
    md = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
    p->scratchpad_bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    if (p->scratchpad_bytes)
        DNNL_TRY(dnnl_memory_create(&p->scratchpad, md, x->kernels->engine, DNNL_MEMORY_NONE), what);
out:
    return st;
}

bw_status bw__primitive_reorder(bw_primitive *p, bw_exec *x, const char *what, int slot, bw_md_view oihw,
                                bool to_plain)
{
    bw_status st = BW_OK;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_attr_t attr = NULL;
    bw_md_view own;
    DNNL_TRY(dnnl_memory_get_memory_desc(p->memory[slot], &own), what);
    if (dnnl_memory_desc_equal(own, oihw)) goto out;
    DNNL_TRY(dnnl_primitive_attr_create(&attr), what);
    DNNL_TRY(dnnl_reorder_primitive_desc_create(&desc, to_plain ? own : oihw, x->kernels->engine,
                                                to_plain ? oihw : own, x->kernels->engine, attr),
             what);
    DNNL_TRY(dnnl_primitive_create(&p->reorder, desc), what);
    DNNL_TRY(dnnl_memory_create(&p->plain, oihw, x->kernels->engine, DNNL_MEMORY_NONE), what);
    p->weights_slot = slot;
    p->weights_bytes = dnnl_memory_desc_get_size(own);
out:
    if (attr) dnnl_primitive_attr_destroy(attr);
    if (desc) dnnl_primitive_desc_destroy(desc);
    return st;
}

static bw_status run_reorder(bw_primitive *p, bw_exec *x, bool to_plain)
{
    dnnl_exec_arg_t args[2] = { { DNNL_ARG_FROM, to_plain ? p->memory[p->weights_slot] : p->plain },
                                { DNNL_ARG_TO, to_plain ? p->plain : p->memory[p->weights_slot] } };
    dnnl_status_t ds = dnnl_primitive_execute(p->reorder, x->kernels->stream, 2, args);
    return ds == dnnl_success ? BW_OK : bw__onednn_fail(ds, "reorder of weights");
}

bw_status bw__primitive_run(bw_primitive *p, bw_exec *x, void *const *data, bool weights_out)
{
    bw_status st = BW_OK;
    size_t mark = bw__exec_mark(x);
    int slot = p->weights_slot, before = bw__exec_swap_threads(x->threads);
    void *own = slot >= 0 ? bw__arena_take(&x->arena, x->side, p->weights_bytes) : NULL;
    void *scratch = p->scratchpad_bytes ? bw__arena_take(&x->arena, x->side, p->scratchpad_bytes) : NULL;
    dnnl_exec_arg_t args[BW_MAX_ARGS + 1];
    int n = 0;
    if (bw__exec_is_dry(x)) goto out;
    for (int i = 0; i < p->n_args; i++) {
        DNNL_TRY(dnnl_memory_set_data_handle(p->memory[i], i == slot ? own : data[i]), "a buffer");
        args[n++] = (dnnl_exec_arg_t){ p->arg[i], p->memory[i] };
    }
    if (slot >= 0) DNNL_TRY(dnnl_memory_set_data_handle(p->plain, data[slot]), "a buffer");
    if (scratch) {
        DNNL_TRY(dnnl_memory_set_data_handle(p->scratchpad, scratch), "a buffer");
        args[n++] = (dnnl_exec_arg_t){ DNNL_ARG_SCRATCHPAD, p->scratchpad };
    }
    if (slot >= 0 && !weights_out) BW_TRY(run_reorder(p, x, false));
    DNNL_TRY(dnnl_primitive_execute(p->primitive, x->kernels->stream, n, args), "to run");
    if (slot >= 0 && weights_out) BW_TRY(run_reorder(p, x, true));
    DNNL_TRY(dnnl_stream_wait(x->kernels->stream), "to finish");
out:
    (void)bw__exec_swap_threads(before);
    bw__exec_release(x, mark);
    return st;
}

bw_status bw__onednn_attr(dnnl_primitive_attr_t *attr)
{
    bw_status st = BW_OK;
    *attr = NULL;
    DNNL_TRY(dnnl_primitive_attr_create(attr), "attributes");
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user), "a user scratchpad");
out:
    return st;
}
