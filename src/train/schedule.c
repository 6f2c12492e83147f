#include "train/schedule.h"
#include <math.h>

#define PI 3.14159265358979323846

int64_t bw__schedule_total_steps(const bw_config *config, int64_t steps_per_epoch)
{
    int64_t all = config->train.epochs * steps_per_epoch;
    return config->train.steps >= 0 && config->train.steps < all ? config->train.steps : all;
}

bw_schedule bw__schedule(const bw_config *config, const bw_optimizer_config *o, int64_t steps_per_epoch)
{
    int64_t total = bw__schedule_total_steps(config, steps_per_epoch);
    int64_t warmup = (int64_t)(o->warmup_epochs * (double)steps_per_epoch);
    double peak = o->lr * (double)config->train.batch / 256.0;
    return (bw_schedule){ .peak = peak,
                          .end = peak * o->final_lr,
                          .warmup_steps = warmup < total / 10 ? warmup : total / 10,
                          .total_steps = total };
}

double bw__schedule_lr(const bw_schedule *s, int64_t step)
{
    if (step < s->warmup_steps) return s->peak * (double)step / (double)s->warmup_steps;
    int64_t length = s->total_steps - s->warmup_steps;
    double q = length > 0 ? 0.5 * (1.0 + cos(PI * (double)(step - s->warmup_steps) / (double)length)) : 1.0;
    return s->peak * q + s->end * (1.0 - q);
}
