#include "train/schedule.h"
#include <math.h>

#define PI 3.14159265358979323846

bw_schedule bw__schedule(const bw_config *config, const bw_optimizer_config *o, int64_t steps_per_epoch,
                         int64_t total)
{
    double warmup = o->warmup_epochs * (double)steps_per_epoch; /* may be beyond int64_t */
    double peak = o->lr * (double)config->train.batch / 256.0;
    bw_schedule s = { .name = o->schedule,
                      .peak = peak,
                      .end = peak * o->final_lr,
                      .warmup_steps = warmup < (double)(total / 10) ? (int64_t)warmup : total / 10,
                      .total_steps = total,
                      .decay_factor = o->decay_factor,
                      .decays = o->decay.n };
    for (int i = 0; i < s.decays; i++)
        s.decay_step[i] = llround(o->decay.at[i] * (double)total);
    return s;
}

static double cosine(const bw_schedule *s, int64_t step)
{
    int64_t length = s->total_steps - s->warmup_steps;
    if (step >= s->total_steps) return s->end; /* beyond it the cosine would rise again */
    double q = 0.5 * (1.0 + cos(PI * (double)(step - s->warmup_steps) / (double)length));
    return s->peak * q + s->end * (1.0 - q);
}

double bw__schedule_lr(const bw_schedule *s, int64_t step)
{
    double lr = s->peak;
    if (step < s->warmup_steps) return s->peak * (double)step / (double)s->warmup_steps;
    if (s->name == BW_SCHEDULE_COSINE) return cosine(s, step);
    for (int i = 0; s->name == BW_SCHEDULE_STEP && i < s->decays; i++)
        if (step >= s->decay_step[i]) lr *= s->decay_factor;
    return lr;
}
