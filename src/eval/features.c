#include "eval/features.h"
#include "base/memory.h"
#include "model/network_internal.h"
#include <inttypes.h>
#include <string.h>

/* --- what is wanted --- */

bw_status bw__targets(bw_target_list *out, const bw_network *network, int block, bool head, bool trunk,
                      bool concat)
{
    int blocks = bw_network_blocks(network);
    *out = (bw_target_list){ 0 };
    if (block < -1 || block >= blocks)
        return bw_fail(BW_EINVAL, "block %d: this network has blocks 1 to %d", block + 1, blocks);
    if (!head && !trunk) return bw_fail(BW_EINVAL, "no feature chosen: head, trunk or both");
    if (head && !bw_network_has_heads(network))
        return bw_fail(BW_EINVAL,
                       "the model has no heads (heads.safetensors does not lie beside it): choose the "
                       "trunk feature");
    for (int k = 0; k < blocks; k++) {
        if (block >= 0 && block != k) continue;
        if (head) out->item[out->n++] = (bw_target){ k, BW_FEATURE_HEAD };
        if (trunk) out->item[out->n++] = (bw_target){ k, BW_FEATURE_TRUNK };
    }
    if (concat && head) out->item[out->n++] = (bw_target){ -1, BW_FEATURE_HEAD };
    if (concat && trunk) out->item[out->n++] = (bw_target){ -1, BW_FEATURE_TRUNK };
    return BW_OK;
}

/* --- arrays --- */

/* Half a gigabyte need not be cleared first. */
static bw_status new_array(void **out, int64_t n, int64_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow((size_t)n, (size_t)size, &bytes) || bw__alloc_untouched(out, bytes) != BW_OK)
        return bw_fail(BW_ENOMEM, "out of memory: features of %" PRId64 " images, %" PRId64 " bytes each", n,
                       size);
    return BW_OK;
}

bw_status bw__feature_arrays_create(bw_feature_arrays *arrays, const bw_network *network,
                                    const bw_target_list *targets, const bw_image_pass *pass, int64_t room)
{
    bw_status st = BW_OK;
    *arrays = (bw_feature_arrays){ .network = network, .batch = pass->batch, .image_size = pass->image_size };
    BW_TRY(
        bw__extractor_create_on(&arrays->extractor, network, pass->batch, pass->image_size, pass->threads));
    for (int t = 0; t < targets->n; t++) {
        bw_target want = targets->item[t];
        int first = want.block < 0 ? 0 : want.block;
        int end = want.block < 0 ? bw_network_blocks(network) : want.block + 1;
        for (int k = first; k < end; k++) {
            int64_t dim = bw_network_feature_dim(network, k, want.feature);
            if (!arrays->x[want.feature][k])
                BW_TRY(new_array((void **)&arrays->x[want.feature][k], room, dim * (int64_t)sizeof(float)));
        }
    }
out:
    return st;
}

void bw__feature_arrays_clear(bw_feature_arrays *arrays)
{
    bw_extractor_free(arrays->extractor);
    for (int f = 0; f < 2; f++)
        for (int k = 0; k < BW_MAX_BLOCKS; k++)
            bw__free(arrays->x[f][k]);
    *arrays = (bw_feature_arrays){ 0 };
}

bw_columns bw__feature_columns(const bw_feature_arrays *arrays, bw_target target)
{
    bw_columns c = { 0 };
    for (int k = 0; k < bw_network_blocks(arrays->network); k++) {
        if (target.block >= 0 && target.block != k) continue;
        c.x[c.parts] = arrays->x[target.feature][k];
        c.dim[c.parts++] = bw_network_feature_dim(arrays->network, k, target.feature);
    }
    return c;
}

/* Every array that is wanted: feature f of block k. */
#define FOR_EACH_ARRAY(arrays, f, k)                                                                         \
    for (int f = 0; f < 2; f++)                                                                              \
        for (int k = 0; k < bw_network_blocks((arrays)->network); k++)                                       \
            if ((arrays)->x[f][k])

static bw_status run(bw_feature_arrays *arrays, int64_t row, const float *images, int64_t n)
{
    float *place[2][BW_MAX_BLOCKS] = { { NULL } };
    bool any[2] = { false, false };
    FOR_EACH_ARRAY(arrays, f, k)
    {
        place[f][k] = arrays->x[f][k] + row * bw_network_feature_dim(arrays->network, k, (bw_feature)f);
        any[f] = true;
    }
    return bw_extractor_run(arrays->extractor, any[BW_FEATURE_HEAD] ? place[BW_FEATURE_HEAD] : NULL,
                            any[BW_FEATURE_TRUNK] ? place[BW_FEATURE_TRUNK] : NULL, images, n);
}

bw_status bw__feature_arrays_fill(bw_feature_arrays *arrays, int64_t row, const float *images, int64_t n)
{
    bw_status st = BW_OK;
    int64_t values = arrays->image_size * arrays->image_size * 3;
    for (int64_t i = 0; st == BW_OK && i < n; i += arrays->batch)
        st = run(arrays, row + i, images + i * values, n - i < arrays->batch ? n - i : arrays->batch);
    return st;
}

static void move_row(bw_feature_arrays *arrays, int64_t to, int64_t from)
{
    FOR_EACH_ARRAY(arrays, f, k)
    {
        int64_t dim = bw_network_feature_dim(arrays->network, k, (bw_feature)f);
        memmove(arrays->x[f][k] + to * dim, arrays->x[f][k] + from * dim, (size_t)dim * sizeof(float));
    }
}

/* --- a data set --- */

typedef struct filling {
    bw_feature_set *set;
    const bw_dataset *dataset;
    bool labelled;
} filling;

static bw_status take_batch(void *user, const bw_batch *batch)
{
    filling *f = user;
    bw_feature_set *set = f->set;
    int64_t row = set->n;
    bw_status st = bw__feature_arrays_fill(&set->arrays, row, batch->images, batch->n);
    if (st != BW_OK) return st;
    for (int64_t i = 0; i < batch->n; i++) {
        int label = bw_dataset_label(f->dataset, batch->index[i]);
        if (f->labelled && label < 0) {
            set->unlabelled++;
            continue;
        }
        if (set->n != row + i) move_row(&set->arrays, set->n, row + i);
        set->index[set->n] = batch->index[i];
        set->label[set->n++] = label;
    }
    return BW_OK;
}

bw_status bw__feature_set_fill(bw_feature_set *set, const bw_network *network, const bw_dataset *dataset,
                               const bw_target_list *targets, const bw_image_pass *pass, bool labelled,
                               const bw_progress *progress)
{
    bw_status st = BW_OK;
    int64_t room = bw__image_pass_size(pass, dataset);
    filling f = { .set = set, .dataset = dataset, .labelled = labelled };

    BW_TRY(new_array((void **)&set->index, room, sizeof *set->index));
    BW_TRY(new_array((void **)&set->label, room, sizeof *set->label));
    BW_TRY(bw__feature_arrays_create(&set->arrays, network, targets, pass, room));
    BW_TRY(bw__image_pass(pass, dataset, take_batch, &f, progress));
    if (set->unlabelled > 0)
        bw_log(BW_LOG_WARN, "%" PRId64 " of %" PRId64 " images have no label and are left out",
               set->unlabelled, room);
out:
    return st;
}

void bw__feature_set_clear(bw_feature_set *set)
{
    bw__feature_arrays_clear(&set->arrays);
    bw__free(set->index);
    bw__free(set->label);
    *set = (bw_feature_set){ 0 };
}
