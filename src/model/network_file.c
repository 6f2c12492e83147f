/* Files of weights. The trunk has torchvision's names, shapes and order, so that it loads there with
 * strict=True; heads and projectors are in a file of their own. */
#include "base/memory.h"
#include "base/folder.h"
#include "formats/config_schema.h"
#include "formats/safetensors.h"
#include "model/network_internal.h"
#include "model/portable_config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_ROOM  128
#define SHAPE_ROOM 96
#define MAX_UNITS  64 /* residual units of a stage; ResNet-152 has 36 */

static const char *const arch_names[] = { "resnet18", "resnet34", "resnet50", "resnet101" };
static const char *const stem_names[] = { "imagenet", "cifar" };
static const char *const order_names[] = { "simultaneous", "end-to-end", "sequential" };

/* --- the tensors of a file --- */

/* One tensor as the file has it, and where it lives in the network. */
typedef struct entry {
    char name[NAME_ROOM];
    int block;
    bw_part part;
    int ndim;
    int64_t shape[4];
    bool counter;   /* num_batches_tracked, one for all batch norms of a block; or */
    int64_t offset; /* in the block's values */
} entry;

typedef struct entry_list {
    entry *items;
    int64_t n;
} entry_list;

static void add_param(entry_list *list, int block, const bw_param *p)
{
    entry *e = &list->items[list->n++];
    (void)snprintf(e->name, sizeof e->name, "%s", p->name);
    e->block = block;
    e->part = p->part;
    e->ndim = p->ndim;
    memcpy(e->shape, p->dim, sizeof e->shape);
    e->offset = p->offset;
}

/* The three buffers PyTorch lists after a batch norm's weight and bias. */
static void add_batch_norm_buffers(entry_list *list, const bw_params *params, int block, const bw_param *bias)
{
    static const char *const buffers[] = { "running_mean", "running_var" };
    char name[NAME_ROOM];
    int prefix = (int)(strrchr(bias->name, '.') - bias->name) + 1;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%.*s%s", prefix, bias->name, buffers[i]);
        const bw_param *p = bw__params_find(params, name);
        if (p) add_param(list, block, p);
    }
    entry *e = &list->items[list->n++];
    (void)snprintf(e->name, sizeof e->name, "%.*snum_batches_tracked", prefix, bias->name);
    e->block = block;
    e->part = bias->part;
    e->counter = true;
}

/* Every tensor of the trunk's file, or of the heads' file, in the order of PyTorch's state_dict. */
static bw_status list_entries(entry_list *list, const bw_network *network, bool heads)
{
    int64_t room = 0;
    for (int k = 0; k < network->blocks; k++)
        room += 2 * (int64_t)network->params[k].n; /* a counter for at most every parameter */
    *list = (entry_list){ 0 };
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

static bw_status write_entries(const char *path, const bw_network *network, const entry_list *list,
                               const bw_st_pair *pairs, int n_pairs)
{
    bw_st_tensor *tensors = NULL;
    bw_status st = BW_ALLOC(&tensors, list->n);
    for (int64_t i = 0; st == BW_OK && i < list->n; i++) {
        const entry *e = &list->items[i];
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

static void triple_text(char *text, size_t size, const double v[3])
{
    (void)snprintf(text, size, "[%.9g, %.9g, %.9g]", v[0], v[1], v[2]);
}

bw_status bw_network_save(const bw_network *network, const char *trunk_path, const char *heads_path)
{
    const bw_config *c = &network->config;
    bw_status st = BW_OK;
    entry_list list = { 0 };
    char *config = NULL;
    char width[24], blocks[24], size[24], mean[96], std[96], steps[24], seed[24], cuts[BW_KEY_TEXT];

    if (heads_path && !network->has_heads)
        return bw_fail(BW_EINVAL, "%s: this network has no heads to write", heads_path);
    BW_TRY(bw__config_portable_yaml(&config, c));
    (void)snprintf(width, sizeof width, "%" PRId64, c->model.width);
    (void)snprintf(blocks, sizeof blocks, "%d", bw__config_cut_blocks(c)); /* that loading gives */
    (void)snprintf(size, sizeof size, "%" PRId64, c->data.image_size);
    (void)snprintf(steps, sizeof steps, "%" PRId64, network->steps);
    (void)snprintf(seed, sizeof seed, "%" PRIu64, c->seed);
    bw__key_format(cuts, c, bw__key(bw__key_find("model.cuts")));
    triple_text(mean, sizeof mean, c->augment.mean);
    triple_text(std, sizeof std, c->augment.std);
    const bw_st_pair pairs[] = {
        { "format", "pt" },
        { "arch", arch_names[c->model.arch] },
        { "width", width },
        { "stem", stem_names[c->model.stem] },
        { "cuts", cuts },
        { "order", order_names[c->train.order] },
        { "blocks", blocks },
        { "image_size", size },
        { "mean", mean },
        { "std", std },
        { "steps", steps },
        { "seed", seed },
        { "version", bw_version() },
        { "config", config },
    };
    int n_pairs = (int)(sizeof pairs / sizeof *pairs);

    /* The heads first: who finds the trunk finds its heads beside it. */
    if (heads_path) {
        BW_TRY(list_entries(&list, network, true));
        BW_TRY(write_entries(heads_path, network, &list, pairs, n_pairs));
        bw__free(list.items);
    }
    BW_TRY(list_entries(&list, network, false));
    BW_TRY(write_entries(trunk_path, network, &list, pairs, n_pairs));
out:
    bw__free(list.items);
    free(config);
    return st;
}

/* --- comparing a file with a network --- */

static void shape_text(char text[SHAPE_ROOM], int ndim, const int64_t *shape)
{
    size_t used = (size_t)snprintf(text, SHAPE_ROOM, "[");
    for (int d = 0; d < ndim && used < SHAPE_ROOM - 24; d++)
        used += (size_t)snprintf(text + used, SHAPE_ROOM - used, "%s%" PRId64, d ? ", " : "", shape[d]);
    (void)snprintf(text + used, SHAPE_ROOM - used, "]");
}

static bool same_shape(const entry *e, const bw_st_tensor *t)
{
    if (e->counter) return t->ndim == 0 || (t->ndim == 1 && t->shape[0] == 1);
    if (e->ndim != t->ndim) return false;
    for (int d = 0; d < e->ndim; d++)
        if (e->shape[d] != t->shape[d]) return false;
    return true;
}

static bool is_type_of(const entry *e, bw_st_dtype dtype)
{
    if (e->counter) return dtype == BW_ST_I64;
    return dtype == BW_ST_F32 || dtype == BW_ST_F64 || dtype == BW_ST_F16 || dtype == BW_ST_BF16;
}

static bw_status check_tensor(const entry *e, const bw_st_tensor *t, const bw_network *network,
                              const char *path)
{
    char got[SHAPE_ROOM], want[SHAPE_ROOM];
    if (!same_shape(e, t)) {
        shape_text(got, t->ndim, t->shape);
        shape_text(want, e->ndim, e->shape);
        return bw_fail(BW_ESHAPE, "%s: %s has shape %s, should be %s (%s of width %" PRId64 ")", path,
                       e->name, got, want, arch_names[network->config.model.arch],
                       network->config.model.width);
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

static bool is_listed(const entry_list *list, const char *name)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0) return true;
    return false;
}

/* All of the list is in the file, and nothing else. Counters may be missing: PyTorch before 0.4.1 had none.
 */
static bw_status check_file(const entry_list *list, const bw_st_file *file, const bw_network *network,
                            const char *path)
{
    char shape[SHAPE_ROOM];
    for (int64_t i = 0; i < list->n; i++) {
        const entry *e = &list->items[i];
        const bw_st_tensor *t = bw__st_find(file, e->name);
        if (!t && e->counter) continue;
        if (!t) {
            shape_text(shape, e->ndim, e->shape);
            return bw_fail(BW_ESHAPE, "%s: %s %s is missing (%s of width %" PRId64 ")", path, e->name, shape,
                           arch_names[network->config.model.arch], network->config.model.width);
        }
        bw_status st = check_tensor(e, t, network, path);
        if (st != BW_OK) return st;
    }
    for (int64_t i = 0; i < bw__st_count(file); i++) {
        const bw_st_tensor *t = bw__st_at(file, i);
        if (is_classifier(t->name) || is_listed(list, t->name)) continue;
        shape_text(shape, t->ndim, t->shape);
        return bw_fail(BW_ESHAPE, "%s: %s %s is not part of the network (%s of width %" PRId64 ")", path,
                       t->name, shape, arch_names[network->config.model.arch], network->config.model.width);
    }
    return BW_OK;
}

/* After check_file(), which leaves nothing here that can fail. */
static bw_status copy_file(bw_network *network, const entry_list *list, const bw_st_file *file)
{
    bw_status st = BW_OK;
    for (int64_t i = 0; st == BW_OK && i < list->n; i++) {
        const entry *e = &list->items[i];
        const bw_st_tensor *t = bw__st_find(file, e->name);
        bw_params *params = &network->params[e->block];
        if (!e->counter)
            st = bw__st_to_f32(params->values + e->offset, t);
        else if (t)
            memcpy(&params->batches_tracked, t->data, sizeof params->batches_tracked);
    }
    return st;
}

/* --- which network a file holds --- */

/* Number of residual units of a stage, from the names. */
static int count_units(const bw_st_file *file, int stage)
{
    char name[NAME_ROOM];
    for (int n = 0; n < MAX_UNITS; n++) {
        (void)snprintf(name, sizeof name, "layer%d.%d.conv1.weight", stage, n);
        if (!bw__st_find(file, name)) return n;
    }
    return MAX_UNITS;
}

static bw_status arch_from_names(bw_arch *out, const bw_st_file *file, const char *path)
{
    bool bottleneck = bw__st_find(file, "layer1.0.conv3.weight") != NULL;
    int units[BW_STAGES];
    for (int s = 0; s < BW_STAGES; s++)
        units[s] = count_units(file, s + 1);
    for (int i = 0; bw__architecture((bw_arch)i); i++) {
        const bw_architecture *known = bw__architecture((bw_arch)i);
        if (known->bottleneck != bottleneck || memcmp(known->units, units, sizeof units) != 0) continue;
        *out = (bw_arch)i;
        return BW_OK;
    }
    return bw_fail(BW_ESHAPE,
                   "%s: stages of %d, %d, %d and %d %s units are no architecture known here; it takes "
                   "resnet18, 34, 50 and 101 with torchvision's names",
                   path, units[0], units[1], units[2], units[3], bottleneck ? "bottleneck" : "basic");
}

static bw_status config_from_names(bw_config *config, const bw_st_file *file, const char *path)
{
    char shape[SHAPE_ROOM];
    const bw_st_tensor *conv1 = bw__st_find(file, "conv1.weight");
    if (!conv1)
        return bw_fail(BW_ESHAPE, "%s: conv1.weight is missing: not a network with torchvision's names",
                       path);
    const int64_t *d = conv1->shape;
    bool cifar = d[2] == 3 && d[3] == 3;
    if (conv1->ndim != 4 || d[1] != 3 || d[0] < 8 || d[0] % 8 != 0 || !(cifar || (d[2] == 7 && d[3] == 7))) {
        shape_text(shape, conv1->ndim, d);
        return bw_fail(BW_ESHAPE,
                       "%s: conv1.weight has shape %s, should be [width, 3, 7, 7] or [width, 3, 3, 3] with a "
                       "width that is a multiple of 8",
                       path, shape);
    }
    config->model.width = d[0];
    config->model.stem = cifar ? BW_STEM_CIFAR : BW_STEM_IMAGENET;
    return arch_from_names(&config->model.arch, file, path);
}

static bw_status config_of_file(bw_config *config, const bw_st_file *file, const char *path)
{
    const char *yaml = bw__st_metadata(file, "config");
    const char *kind = bw__st_metadata(file, "kind");
    *config = bw_config_default();
    if (kind && strcmp(kind, "blockwise-checkpoint") == 0)
        return bw_fail(BW_ESHAPE,
                       "%s: a checkpoint, not a model; give the run's folder or its "
                       "model.safetensors",
                       path);
    bw_status st = yaml ? bw_config_load(config, yaml, strlen(yaml), "its config")
                        : config_from_names(config, file, path);
    if (st == BW_OK) st = bw_config_resolve(config);
    /* What would be a user's mistake in a settings file is a damaged file here. */
    return st == BW_EINVAL ? bw_fail_prefix(BW_EDATA, "%s", path) : st;
}

/* --- places --- */

/* The trunk's file at `path` (a file, or a run folder), and heads.safetensors beside it, or NULL. */
static bw_status find_files(char **out_trunk, char **out_heads, const char *path)
{
    bw_status st = BW_OK;
    struct stat info;

    if (stat(path, &info) != 0)
        return bw_fail(BW_EDATA, "%s: %s; give a run folder or a .safetensors file", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) {
        BW_TRY(bw__folder_file(out_trunk, path, "model.safetensors"));
        if (stat(*out_trunk, &info) != 0)
            return bw_fail(BW_EDATA,
                           "%s: no model.safetensors in it: not a finished run (pretrain --resume "
                           "goes on with one)",
                           path);
        BW_TRY(bw__folder_file(out_heads, path, "heads.safetensors"));
    } else {
        BW_TRY(bw__strdup(out_trunk, path));
        BW_TRY(bw__folder_beside(out_heads, path, "heads.safetensors"));
    }
    if (stat(*out_heads, &info) != 0) {
        bw__free(*out_heads);
        *out_heads = NULL;
    }
out:
    return st;
}

/* --- loading --- */

typedef struct files {
    char *trunk_path, *heads_path;
    bw_st_file *trunk, *heads; /* heads: NULL where there are none */
} files;

static void close_files(files *f)
{
    bw__st_close(f->trunk);
    bw__st_close(f->heads);
    bw__free(f->trunk_path);
    bw__free(f->heads_path);
}

/* Heads that cannot be used are said in the log and left out: the trunk alone is a model too. */
static void leave_heads_out(files *f)
{
    bw_log(BW_LOG_WARN, "%s; the heads are not used", bw_last_error());
    bw__st_close(f->heads);
    f->heads = NULL;
}

static bw_status open_files(files *f, const char *path)
{
    bw_status st = BW_OK;
    BW_TRY(find_files(&f->trunk_path, &f->heads_path, path));
    BW_TRY(bw__st_open(&f->trunk, f->trunk_path));
    if (f->heads_path) {
        st = bw__st_open(&f->heads, f->heads_path);
        if (st != BW_OK && st != BW_ENOMEM) {
            leave_heads_out(f);
            st = BW_OK;
        }
    }
out:
    return st;
}

/* Leaves in the list the heads and projectors that are in the file as a whole, each tensor with its shape.
 * Returns how many; *out_all: how many there were. */
static int keep_matching(int *out_all, entry_list *list, const bw_st_file *file)
{
    int64_t kept = 0;
    int matching = 0;
    *out_all = 0;
    for (int64_t first = 0, end; first < list->n; first = end) {
        const entry *e = &list->items[first];
        bool all = true;
        for (end = first; end < list->n; end++) {
            const entry *next = &list->items[end];
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

/* Copies trunk and heads of the files, all or nothing. */
static bw_status read_files(bw_network *network, files *f, bool *out_heads)
{
    bw_status st = BW_OK;
    entry_list trunk = { 0 }, heads = { 0 };

    *out_heads = false;
    BW_TRY(list_entries(&trunk, network, false));
    BW_TRY(check_file(&trunk, f->trunk, network, f->trunk_path));
    if (f->heads && network->has_heads) {
        BW_TRY(list_entries(&heads, network, true));
        if (check_file(&heads, f->heads, network, f->heads_path) != BW_OK) leave_heads_out(f);
    }
    if (f->heads && network->has_heads) {
        BW_TRY(copy_file(network, &heads, f->heads));
        *out_heads = true;
    }
    BW_TRY(copy_file(network, &trunk, f->trunk)); /* last: the counters are the trunk's */
out:
    bw__free(trunk.items);
    bw__free(heads.items);
    return st;
}

bw_status bw_network_load(bw_network **out, const char *path)
{
    bw_status st = BW_OK;
    files f = { 0 };
    bw_network *network = NULL;
    bw_config config;
    bool heads = false;

    *out = NULL;
    BW_TRY(open_files(&f, path));
    BW_TRY(config_of_file(&config, f.trunk, f.trunk_path));
    /* Without a config nobody knows which projectors stood on this trunk. */
    bool try_heads = f.heads && bw__st_metadata(f.trunk, "config");
    BW_TRY(bw__network_build_for_evaluation(&network, &config, try_heads));
    BW_TRY(read_files(network, &f, &heads));
    if (try_heads && !heads) {
        bw_network_free(network);
        network = NULL;
        BW_TRY(bw__network_build_for_evaluation(&network, &config, false));
        BW_TRY(read_files(network, &f, &heads));
    }
    const char *steps = bw__st_metadata(f.trunk, "steps");
    network->steps = steps ? (int64_t)strtoll(steps, NULL, 10) : 0;
    *out = network;
    network = NULL;
out:
    bw_network_free(network);
    close_files(&f);
    return st;
}

static bool takes_weights(const bw_config *config, int block)
{
    const bw_int_list *list = &config->train.init_blocks;
    for (int i = 0; i < list->n; i++)
        if (list->at[i] == block + 1) return true;
    return list->n < 0;
}

/* Leaves in the list what belongs to blocks of train.init_blocks. */
static void keep_chosen(entry_list *list, const bw_config *config)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < list->n; i++)
        if (takes_weights(config, list->items[i].block)) list->items[kept++] = list->items[i];
    list->n = kept;
}

/* With train.init_blocks: one line for each block. */
static void say_chosen(const bw_network *network, const entry_list *heads, const char *path)
{
    for (int k = 0; k < network->blocks; k++) {
        bool head = false, projector = false;
        for (int64_t i = 0; i < heads->n; i++) {
            if (heads->items[i].block != k) continue;
            head = head || heads->items[i].part == BW_PART_HEAD;
            projector = projector || heads->items[i].part == BW_PART_PROJECTOR;
        }
        if (takes_weights(&network->config, k))
            bw_log(BW_LOG_INFO, "block %d: trunk%s%s of %s", k + 1, head ? ", head" : "",
                   projector ? ", projector" : "", path);
        else
            bw_log(BW_LOG_INFO, "block %d: begins afresh (train.init_blocks)", k + 1);
    }
}

bw_status bw_network_init_from(bw_network *network, const char *path)
{
    bw_status st = BW_OK;
    files f = { 0 };
    entry_list trunk = { 0 }, heads = { 0 };
    int taken = 0, all = 0;

    BW_TRY(open_files(&f, path));
    BW_TRY(list_entries(&trunk, network, false));
    BW_TRY(check_file(&trunk, f.trunk, network, f.trunk_path));
    if (f.heads && network->has_heads) {
        BW_TRY(list_entries(&heads, network, true));
        taken = keep_matching(&all, &heads, f.heads);
        keep_chosen(&heads, &network->config);
        BW_TRY(copy_file(network, &heads, f.heads));
    }
    keep_chosen(&trunk, &network->config);
    BW_TRY(copy_file(network, &trunk, f.trunk)); /* last: the counters are the trunk's */
    if (network->config.train.init_blocks.n > 0)
        say_chosen(network, &heads, path);
    else if (taken == all || taken == 0)
        bw_log(BW_LOG_INFO, "%s: %s", f.trunk_path,
               taken ? "trunk and heads taken over" : "trunk taken over, heads start anew");
    else
        bw_log(BW_LOG_INFO, "%s: trunk and %d of %d heads and projectors taken over, the others start anew",
               f.trunk_path, taken, all);
out:
    bw__free(trunk.items);
    bw__free(heads.items);
    close_files(&f);
    return st;
}
