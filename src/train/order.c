#include "train/order.h"
#include <stddef.h>

static bool is_listed(const bw_int_list *list, int k)
{
    if (list->n < 0) return true;
    for (int i = 0; i < list->n; i++)
        if (list->at[i] == k + 1) return true;
    return false;
}

static int count_listed(const bw_config *config, int blocks)
{
    int n = 0;
    for (int k = 0; k < blocks; k++)
        n += is_listed(&config->train.blocks, k);
    return n;
}

static bool is_sequential(const bw_config *config)
{
    return config->train.order == BW_ORDER_SEQUENTIAL;
}

int64_t bw__order_steps(const bw_config *config, int blocks, int64_t steps_per_epoch)
{
    int64_t times = config->train.epochs * (is_sequential(config) ? count_listed(config, blocks) : 1), all;
    if (__builtin_mul_overflow(times, steps_per_epoch, &all)) all = INT64_MAX;
    return config->train.steps >= 0 && config->train.steps < all ? config->train.steps : all;
}

/* floor(steps * i / n), of any number of steps. */
static int64_t share(int64_t steps, int i, int n)
{
    return steps / n * i + steps % n * i / n;
}

void bw__phases(bw_phases *out, const bw_config *config, int blocks, int64_t steps_per_epoch)
{
    int listed = count_listed(config, blocks), seen = 0;
    *out = (bw_phases){ .n = is_sequential(config) ? listed : 1,
                        .steps = bw__order_steps(config, blocks, steps_per_epoch) };
    for (int i = 0; i < out->n; i++) {
        out->at[i].begin = share(out->steps, i, out->n);
        out->at[i].end = share(out->steps, i + 1, out->n);
    }
    for (int k = 0; k < blocks; k++) {
        if (!is_listed(&config->train.blocks, k)) continue;
        bw_phase *p = &out->at[is_sequential(config) ? seen++ : 0];
        p->learns[k] = true;
        p->last = k;
    }
}

const bw_phase *bw__phase_at(const bw_phases *phases, int64_t step)
{
    int i = 0;
    while (i < phases->n - 1 && step >= phases->at[i].end)
        i++;
    return &phases->at[i];
}

int bw__phase_first(const bw_phase *phase)
{
    int k = 0;
    while (!phase->learns[k])
        k++;
    return k;
}

const bw_phase *bw__phases_of(const bw_phases *phases, int k)
{
    for (int i = 0; i < phases->n; i++)
        if (phases->at[i].learns[k]) return &phases->at[i];
    return NULL;
}
