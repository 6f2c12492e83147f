/* Files of weights. The trunk has torchvision's names, shapes and order, so that it loads there with
 * strict=True; heads and projectors are in a file of their own. */
#include "base/memory.h"
#include "base/folder.h"
#include "base/nearest.h"
#include "formats/config_schema.h"
#include "formats/safetensors.h"
#include "model/network_entries.h"
#include "model/portable_config.h"
#include "model/torch_weights.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HINT_ROOM = 2048 };
#define MAX_UNITS 64 /* residual units of a stage; ResNet-152 has 36 */

static const char *const arch_names[] = { "resnet18", "resnet34", "resnet50", "resnet101" };
static const char *const stem_names[] = { "imagenet", "cifar" };
static const char *const order_names[] = { "simultaneous", "end-to-end", "sequential" };

static void triple_text(char *text, size_t size, const double v[3])
{
    (void)snprintf(text, size, "[%.9g, %.9g, %.9g]", v[0], v[1], v[2]);
}

bw_status bw_network_save(const bw_network *network, const char *trunk_path, const char *heads_path)
{
    const bw_config *c = &network->config;
    bw_status st = BW_OK;
    bw_entry_list list = { 0 };
    char *config = NULL;
    char width[24], blocks[24], size[24], mean[96], std[96], steps[24], seed[24], cuts[BW_KEY_TEXT];

    if (heads_path && !bw_network_has_projectors(network))
        return bw_fail(BW_EINVAL, "%s: this network has no %s to write", heads_path,
                       network->has_heads ? "projectors" : "heads");
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
        BW_TRY(bw__entries_list(&list, network, true));
        BW_TRY(bw__entries_write(heads_path, network, &list, pairs, n_pairs));
        bw__free(list.items);
    }
    BW_TRY(bw__entries_list(&list, network, false));
    BW_TRY(bw__entries_write(trunk_path, network, &list, pairs, n_pairs));
out:
    bw__free(list.items);
    bw__free(config);
    return st;
}

/* --- which network a file holds --- */

/* Number of residual units of a stage, from the names. */
static int count_units(const bw_st_file *file, int stage)
{
    char name[64];
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
    char shape[BW_SHAPE_TEXT];
    const bw_st_tensor *conv1 = bw__st_find(file, "conv1.weight");
    if (!conv1)
        return bw_fail(BW_ESHAPE, "%s: conv1.weight is missing: not a network with torchvision's names",
                       path);
    const int64_t *d = conv1->shape;
    bool cifar = d[2] == 3 && d[3] == 3;
    if (conv1->ndim != 4 || d[1] != 3 || d[0] < 8 || d[0] % 8 != 0 || !(cifar || (d[2] == 7 && d[3] == 7))) {
        bw__shape_text(shape, conv1->ndim, d);
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
    const char *heads = bw__st_metadata(file, BW_TORCH_HEADS);
    if (st == BW_OK && heads) st = bw_config_load(config, heads, strlen(heads), "the shapes of its heads");
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

    if (stat(path, &info) != 0) {
        char hint[HINT_ROOM] = "";
        const int reason = errno; /* the hint looks for files of its own */
        if (reason == ENOENT) bw__missing_hint(hint, sizeof hint, path);
        return bw_fail(BW_EDATA, "%s: %s%s%s", path, strerror(reason), hint,
                       hint[0] && hint[strlen(hint) - 1] == '?'
                           ? ""
                           : "; give a run folder, a .safetensors file or one of torch.save()");
    }
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
    bw_torch_weights *torch;   /* which both are views of, or NULL */
} files;

static void close_files(files *f)
{
    bw__st_close(f->trunk);
    bw__st_close(f->heads);
    bw__torch_weights_close(f->torch);
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
    if (bw__torch_looks_like(path)) {
        BW_TRY(bw__strdup(&f->trunk_path, path));
        BW_TRY(bw__strdup(&f->heads_path, path));
        return bw__torch_weights_open(&f->torch, &f->trunk, &f->heads, path);
    }
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

static void drop_projectors(bw_entry_list *list)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < list->n; i++)
        if (list->items[i].part == BW_PART_HEAD) list->items[kept++] = list->items[i];
    list->n = kept;
}

/* What of a network the files hold. */
typedef struct wanted {
    bw_entry_list trunk, heads;
} wanted;

static void clear_wanted(wanted *w)
{
    bw__free(w->trunk.items);
    bw__free(w->heads.items);
    *w = (wanted){ 0 };
}

/* Compares the files with a network that has no values yet: a small file can claim a large one. Heads that do
 * not fit are left out. */
static bw_status check_files(wanted *w, bw_network *network, files *f)
{
    bw_status st = BW_OK;
    BW_TRY(bw__entries_list(&w->trunk, network, false));
    BW_TRY(bw__entries_check(&w->trunk, f->trunk, network, f->trunk_path));
    if (!network->has_heads) goto out;
    BW_TRY(bw__entries_list(&w->heads, network, true));
    network->no_projectors = f->torch && !bw__torch_weights_have_projectors(f->torch);
    if (network->no_projectors) drop_projectors(&w->heads);
    if (bw__entries_check(&w->heads, f->heads, network, f->heads_path) != BW_OK) leave_heads_out(f);
out:
    return st;
}

/* The network of the config with as much of it as the files have; without values. */
static bw_status match_files(bw_network **out, wanted *w, files *f, const bw_config *config)
{
    bw_status st = BW_OK;
    /* Without a config nobody knows which projectors stood on this trunk. */
    bool with_heads = f->heads && (f->torch || bw__st_metadata(f->trunk, "config"));
    BW_TRY(bw__network_list_for_evaluation(out, config, with_heads));
    BW_TRY(check_files(w, *out, f));
    if (!with_heads || f->heads) goto out;
    clear_wanted(w);
    bw_network_free(*out);
    BW_TRY(bw__network_list_for_evaluation(out, config, false));
    BW_TRY(check_files(w, *out, f));
out:
    return st;
}

bw_status bw_network_load(bw_network **out, const char *path)
{
    bw_status st = BW_OK;
    files f = { 0 };
    bw_network *network = NULL;
    bw_config config;
    wanted w = { 0 };

    *out = NULL;
    BW_TRY(open_files(&f, path));
    BW_TRY(config_of_file(&config, f.trunk, f.trunk_path));
    BW_TRY(match_files(&network, &w, &f, &config));
    BW_TRY(bw__network_allocate(network));
    if (network->has_heads) BW_TRY(bw__entries_copy(network, &w.heads, f.heads));
    BW_TRY(bw__entries_copy(network, &w.trunk, f.trunk)); /* last: the counters are the trunk's */
    const char *steps = bw__st_metadata(f.trunk, "steps");
    network->steps = steps ? (int64_t)strtoll(steps, NULL, 10) : 0;
    *out = network;
    network = NULL;
out:
    clear_wanted(&w);
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
static void keep_chosen(bw_entry_list *list, const bw_config *config)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < list->n; i++)
        if (takes_weights(config, list->items[i].block)) list->items[kept++] = list->items[i];
    list->n = kept;
}

/* With train.init_blocks: one line for each block. */
static void say_chosen(const bw_network *network, const bw_entry_list *heads, const char *path)
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

/* Heads go by the number of their block, which says little where the file's network is cut elsewhere: a head
 * is taken only if the block of that number ends with the same unit there. A file without a config has no
 * cuts to compare; its names are trusted. */
static bw_status find_alike(bool alike[BW_MAX_BLOCKS], const bw_network *network, const files *f)
{
    bw_config theirs;
    bw_status st = config_of_file(&theirs, f->trunk, f->trunk_path);
    if (st != BW_OK) return st;
    bool known = f->torch || bw__st_metadata(f->trunk, "config");
    bool whole = network->config.train.order == BW_ORDER_END_TO_END;
    for (int k = 0; k < network->blocks; k++) {
        int named =
            whole ? bw__config_cut_blocks(&network->config) - 1 : k; /* as names of tensors count it */
        alike[k] = !known || (named < bw__config_cut_blocks(&theirs) &&
                              bw__cut_block_units(&network->config.model, named).end ==
                                  bw__cut_block_units(&theirs.model, named).end);
    }
    return BW_OK;
}

bw_status bw_network_init_from(bw_network *network, const char *path)
{
    bw_status st = BW_OK;
    files f = { 0 };
    bw_entry_list trunk = { 0 }, heads = { 0 };
    bool alike[BW_MAX_BLOCKS];
    int taken = 0, all = 0;

    BW_TRY(open_files(&f, path));
    BW_TRY(bw__entries_list(&trunk, network, false));
    BW_TRY(bw__entries_check(&trunk, f.trunk, network, f.trunk_path));
    if (f.heads && network->has_heads) {
        BW_TRY(bw__entries_list(&heads, network, true));
        BW_TRY(find_alike(alike, network, &f));
        taken = bw__entries_keep_matching(&all, &heads, f.heads, alike);
        keep_chosen(&heads, &network->config);
        BW_TRY(bw__entries_copy(network, &heads, f.heads));
    }
    keep_chosen(&trunk, &network->config);
    BW_TRY(bw__entries_copy(network, &trunk, f.trunk)); /* last: the counters are the trunk's */
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
