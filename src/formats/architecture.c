#include "formats/architecture.h"
#include "base/error.h"

static const bw_architecture archs[] = {
    [BW_ARCH_RESNET18] = { { 2, 2, 2, 2 }, false },
    [BW_ARCH_RESNET34] = { { 3, 4, 6, 3 }, false },
    [BW_ARCH_RESNET50] = { { 3, 4, 6, 3 }, true },
    [BW_ARCH_RESNET101] = { { 3, 4, 23, 3 }, true },
};

#define BOTTLENECK_EXPANSION 4

const bw_architecture *bw__architecture(bw_arch arch)
{
    return (size_t)arch < sizeof archs / sizeof *archs ? &archs[arch] : NULL;
}

int bw__arch_units(bw_arch arch)
{
    int sum = 0;
    for (int s = 0; s < BW_STAGES; s++)
        sum += archs[arch].units[s];
    return sum;
}

int bw__arch_stage(bw_arch arch, int unit, int *index)
{
    int stage = 0;
    for (; stage < BW_STAGES - 1 && unit >= archs[arch].units[stage]; stage++)
        unit -= archs[arch].units[stage];
    if (index) *index = unit;
    return stage;
}

int64_t bw__stage_channels(const bw_model_config *model, int stage)
{
    return (model->width << stage) * (archs[model->arch].bottleneck ? BOTTLENECK_EXPANSION : 1);
}

bw_status bw__cuts_check(const bw_model_config *model)
{
    int units = bw__arch_units(model->arch);
    for (int i = 0; i < model->cuts.n; i++) {
        int64_t cut = model->cuts.at[i];
        if (cut >= units)
            return bw_fail(BW_EINVAL,
                           "model.cuts: there is nothing to cut behind unit %lld: this network has %d "
                           "residual units, so a cut is one of 1..%d",
                           (long long)cut, units, units - 1);
    }
    return BW_OK;
}

int bw__config_cut_blocks(const bw_config *config)
{
    const bw_model_config *m = &config->model;
    return m->cuts.n == BW_CUTS_STAGES  ? BW_STAGES
           : m->cuts.n == BW_CUTS_UNITS ? bw__arch_units(m->arch)
                                        : m->cuts.n + 1;
}

bw_unit_range bw__cut_block_units(const bw_model_config *model, int k)
{
    const bw_int_list *cuts = &model->cuts;
    bw_unit_range r = { 0, 0 };
    if (cuts->n == BW_CUTS_UNITS) return (bw_unit_range){ k, k + 1 };
    if (cuts->n == BW_CUTS_STAGES) {
        for (int s = 0; s <= k; s++) {
            r.first = r.end;
            r.end += archs[model->arch].units[s];
        }
        return r;
    }
    r.first = k > 0 ? (int)cuts->at[k - 1] : 0;
    r.end = k < cuts->n ? (int)cuts->at[k] : bw__arch_units(model->arch);
    return r;
}

int bw__config_blocks(const bw_config *config)
{
    return config->train.order == BW_ORDER_END_TO_END ? 1 : bw__config_cut_blocks(config);
}

bw_unit_range bw__config_block_units(const bw_config *config, int k)
{
    if (config->train.order == BW_ORDER_END_TO_END)
        return (bw_unit_range){ 0, bw__arch_units(config->model.arch) };
    return bw__cut_block_units(&config->model, k);
}

int64_t bw__unit_channels(const bw_config *config, int unit)
{
    return bw__stage_channels(&config->model, bw__arch_stage(config->model.arch, unit, NULL));
}

/* Every kernel that strides by two has half its size as padding. */
static int64_t halved(int64_t size)
{
    return (size + 1) / 2;
}

int64_t bw__unit_size(const bw_config *config, int unit)
{
    int64_t size = config->data.image_size;
    if (config->model.stem == BW_STEM_IMAGENET) size = halved(halved(size)); /* convolution, max pool */
    for (int s = bw__arch_stage(config->model.arch, unit, NULL); s > 0; s--)
        size = halved(size);
    return size;
}
