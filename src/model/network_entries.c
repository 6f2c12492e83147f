#include "model/network_entries.h"
#include "base/memory.h"
#include "formats/config_schema.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add_param(bw_entry_list *list, int block, const bw_param *p)
{
    bw_entry *e = &list->items[list->n++];
    (void)snprintf(e->name, sizeof e->name, "%s", p->name);
    e->block = block;
    e->part = p->part;
    e->ndim = p->ndim;
    memcpy(e->shape, p->dim, sizeof e->shape);
    e->offset = p->offset;
}

/* The three buffers PyTorch lists after a batch norm's weight and bias. */
static void add_batch_norm_buffers(bw_entry_list *list, const bw_params *params, int block,
                                   const bw_param *bias)
{
    static const char *const buffers[] = { "running_mean", "running_var" };
    char name[BW_ENTRY_NAME];
    int prefix = (int)(strrchr(bias->name, '.') - bias->name) + 1;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%.*s%s", prefix, bias->name, buffers[i]);
        const bw_param *p = bw__params_find(params, name);
        if (p) add_param(list, block, p);
    }
    bw_entry *e = &list->items[list->n++];
    (void)snprintf(e->name, sizeof e->name, "%.*snum_batches_tracked", prefix, bias->name);
    e->block = block;
    e->part = bias->part;
    e->counter = true;
}

bw_status bw__entries_list(bw_entry_list *list, const bw_network *network, bool heads)
{
    int64_t room = 0;
    for (int k = 0; k < network->blocks; k++)
        room += 2 * (int64_t)network->params[k].n; /* a counter for at most every parameter */
    *list = (bw_entry_list){ 0 };
    bw_status st = BW_ALLOC(&list->items, room);
    for (int k = 0; st == BW_OK && k < network->blocks; k++) {
        const bw_params *params = &network->params[k];
        for (int i = 0; i < params->n; i++) {
            const bw_param *p = &params->items[i];
            if ((p->part != BW_PART_TRUNK) != heads || !bw__param_is_trained(p)) continue;
            add_param(list, k, p);
            if (p->kind == BW_PARAM_BN_BIAS) add_batch_norm_buffers(list, params, k, p);
        }
    }
    return st;
}

/* --- writing --- */

bw_status bw__entries_write(const char *path, const bw_network *network, const bw_entry_list *list,
                            const bw_st_pair *pairs, int n_pairs)
{
    bw_st_tensor *tensors = NULL;
    bw_status st = BW_ALLOC(&tensors, list->n);
    for (int64_t i = 0; st == BW_OK && i < list->n; i++) {
        const bw_entry *e = &list->items[i];
        const bw_params *params = &network->params[e->block];
        bw_st_tensor *t = &tensors[i];
        t->name = e->name;
        t->dtype = e->counter ? BW_ST_I64 : BW_ST_F32;
        t->ndim = e->ndim;
        memcpy(t->shape, e->shape, sizeof e->shape);
        t->data = e->counter ? (const void *)&params->batches_tracked : params->values + e->offset;
        t->bytes = e->counter ? sizeof params->batches_tracked : sizeof *params->values;
        for (int d = 0; d < e->ndim; d++)
            t->bytes *= (size_t)e->shape[d];
    }
    if (st == BW_OK) st = bw__st_write(path, tensors, list->n, pairs, n_pairs);
    bw__free(tensors);
    return st;
}

/* --- comparing a file with a network --- */

void bw__shape_text(char text[BW_SHAPE_TEXT], int ndim, const int64_t *shape)
{
    size_t used = (size_t)snprintf(text, BW_SHAPE_TEXT, "[");
    for (int d = 0; d < ndim && used < BW_SHAPE_TEXT - 24; d++)
        used += (size_t)snprintf(text + used, BW_SHAPE_TEXT - used, "%s%" PRId64, d ? ", " : "", shape[d]);
    (void)snprintf(text + used, BW_SHAPE_TEXT - used, "]");
}

enum { NETWORK_TEXT = 192 };

/* What weights are asked for, and which settings ask for them. */
static const char *network_text(char text[NETWORK_TEXT], const bw_network *network)
{
    const bw_model_config *m = &network->config.model;
    (void)snprintf(text, NETWORK_TEXT,
                   "(%s of width %" PRId64
                   ", stem %s); weights fit only their own model.arch, model.width and "
                   "model.stem",
                   bw__key(bw__key_find("model.arch"))->names[m->arch], m->width,
                   bw__key(bw__key_find("model.stem"))->names[m->stem]);
    return text;
}

static bool same_shape(const bw_entry *e, const bw_st_tensor *t)
{
    if (e->counter) return t->ndim == 0 || (t->ndim == 1 && t->shape[0] == 1);
    if (e->ndim != t->ndim) return false;
    for (int d = 0; d < e->ndim; d++)
        if (e->shape[d] != t->shape[d]) return false;
    return true;
}

static bool is_type_of(const bw_entry *e, bw_st_dtype dtype)
{
    if (e->counter) return dtype == BW_ST_I64;
    return dtype == BW_ST_F32 || dtype == BW_ST_F64 || dtype == BW_ST_F16 || dtype == BW_ST_BF16;
}

static bw_status check_tensor(const bw_entry *e, const bw_st_tensor *t, const bw_network *network,
                              const char *path)
{
    char got[BW_SHAPE_TEXT], want[BW_SHAPE_TEXT], of[NETWORK_TEXT];
    if (!same_shape(e, t)) {
        bw__shape_text(got, t->ndim, t->shape);
        bw__shape_text(want, e->ndim, e->shape);
        return bw_fail(BW_ESHAPE, "%s: %s has shape %s, should be %s %s", path, e->name, got, want,
                       network_text(of, network));
    }
    if (!is_type_of(e, t->dtype))
        return bw_fail(BW_ESHAPE, "%s: %s has a type of number that cannot be used, should be %s", path,
                       e->name, e->counter ? "I64" : "F32, F64, F16 or BF16");
    return BW_OK;
}

/* A classifier of another task; torchvision's files end with one. */
static bool is_classifier(const char *name)
{
    return strncmp(name, "fc.", 3) == 0;
}

static bool is_listed(const bw_entry_list *list, const char *name)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0) return true;
    return false;
}

bw_status bw__entries_check(const bw_entry_list *list, const bw_st_file *file, const bw_network *network,
                            const char *path)
{
    char shape[BW_SHAPE_TEXT], of[NETWORK_TEXT];
    for (int64_t i = 0; i < list->n; i++) {
        const bw_entry *e = &list->items[i];
        const bw_st_tensor *t = bw__st_find(file, e->name);
        if (!t && e->counter) continue;
        if (!t) {
            bw__shape_text(shape, e->ndim, e->shape);
            return bw_fail(BW_ESHAPE, "%s: %s %s is missing %s", path, e->name, shape,
                           network_text(of, network));
        }
        bw_status st = check_tensor(e, t, network, path);
        if (st != BW_OK) return st;
    }
    for (int64_t i = 0; i < bw__st_count(file); i++) {
        const bw_st_tensor *t = bw__st_at(file, i);
        if (is_classifier(t->name) || is_listed(list, t->name)) continue;
        bw__shape_text(shape, t->ndim, t->shape);
        return bw_fail(BW_ESHAPE, "%s: %s %s is not part of the network %s", path, t->name, shape,
                       network_text(of, network));
    }
    return BW_OK;
}

/* After bw__entries_check(), which leaves nothing here that can fail. */
bw_status bw__entries_copy(bw_network *network, const bw_entry_list *list, const bw_st_file *file)
{
    bw_status st = BW_OK;
    for (int64_t i = 0; st == BW_OK && i < list->n; i++) {
        const bw_entry *e = &list->items[i];
        const bw_st_tensor *t = bw__st_find(file, e->name);
        bw_params *params = &network->params[e->block];
        if (!e->counter)
            st = bw__st_to_f32(params->values + e->offset, t);
        else if (t)
            memcpy(&params->batches_tracked, t->data, sizeof params->batches_tracked);
    }
    return st;
}

int bw__entries_keep_matching(int *out_all, bw_entry_list *list, const bw_st_file *file, const bool *alike)
{
    int64_t kept = 0;
    int matching = 0;
    *out_all = 0;
    for (int64_t first = 0, end; first < list->n; first = end) {
        const bw_entry *e = &list->items[first];
        bool all = alike[e->block];
        for (end = first; end < list->n; end++) {
            const bw_entry *next = &list->items[end];
            if (next->block != e->block || next->part != e->part) break;
            const bw_st_tensor *t = bw__st_find(file, next->name);
            if (t ? !same_shape(next, t) || !is_type_of(next, t->dtype) : !next->counter) all = false;
        }
        ++*out_all;
        if (!all) continue;
        matching++;
        memmove(&list->items[kept], e, (size_t)(end - first) * sizeof *e);
        kept += end - first;
    }
    list->n = kept;
    return matching;
}
