#include "loss/loss.h"
#include "base/memory.h"
#include "loss/rule_list.h"
#include <math.h>

#define DECLARE(end, word, name) extern const bw_loss_ops bw__loss_##name;
#define ENTRY(end, word, name)   [BW_LOSS_##end] = &bw__loss_##name,
BW_LOSS_LIST(DECLARE)
extern const bw_loss_ops bw__loss_custom;
static const bw_loss_ops *const losses[] = { BW_LOSS_LIST(ENTRY)[BW_LOSS_CUSTOM] = &bw__loss_custom };

struct bw_loss {
    const bw_loss_ops *ops;
    void *state;
    const char *const *terms;
};

bw_status bw__loss_create(bw_loss **out, bw_exec *x, const bw_loss_config *config, int64_t n, int64_t d)
{
    bw_status st = BW_OK;
    bw_loss *loss = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&loss, 1));
    loss->ops = losses[config->name];
    BW_TRY(loss->ops->create(&loss->state, x, config, n, d));
    loss->terms = bw__loss_terms(config);
    *out = loss;
    loss = NULL;
out:
    bw__loss_free(loss);
    return st;
}

void bw__loss_free(bw_loss *loss)
{
    if (!loss) return;
    if (loss->state) loss->ops->destroy(loss->state);
    bw__free(loss);
}

bw_status bw__loss_run(bw_loss *loss, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                       const int *labels)
{
    double begin = bw__profile_begin(x);
    *out = (bw_loss_value){ 0 };
    bw_status st = loss->ops->run(loss->state, x, out, diff_z, z, labels);
    bw__profile_end(x, begin, "loss", "forward and backward", bw__loss_flops(loss));
    if (st == BW_OK) st = x->remote; /* of a sum, after which nothing here means anything */
    if (st == BW_OK && !isfinite(out->total))
        st = bw_fail(BW_ENONFINITE, "the %s loss is not finite (%g)", loss->ops->name, out->total);
    return st;
}

void bw__loss_place(bw_loss *loss, uint64_t seed, int block, const int64_t *steps_done)
{
    if (loss->ops->place) loss->ops->place(loss->state, seed, block, steps_done);
}

const char *const *bw__loss_terms(const bw_loss_config *config)
{
    return config->name == BW_LOSS_CUSTOM ? bw__rule_terms(config->rule) : losses[config->name]->terms;
}

const char *const *bw__loss_own_terms(const bw_loss *loss)
{
    return loss->terms;
}

bool bw__loss_needs_labels(const bw_loss_config *config)
{
    return config->name == BW_LOSS_CUSTOM ? bw__rule_needs_labels(config->rule)
                                          : losses[config->name]->needs_labels;
}

int64_t bw__loss_flops(const bw_loss *loss)
{
    return loss->ops->flops(loss->state);
}
