/* `blockwise bench step`: time of one training step on synthetic images. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "train/environment.h"

static bw_status time_steps(double *seconds, bw_trainer *trainer, const float *views, int warmup, int steps)
{
    bw_step step;
    for (int i = -warmup; i < steps; i++) {
        double start = bw__now_s();
        bw_status st = bw_trainer_step(trainer, &step, views);
        if (st != BW_OK) return st;
        if (i >= 0) seconds[i] = bw__now_s() - start;
        if (cli_progress_callback(NULL, "bench step", (double)(i + warmup + 1) / (double)(warmup + steps)))
            return bw_fail(BW_EINTERRUPTED, "stopped by a signal");
    }
    return BW_OK;
}

static bw_status print_result(const bw_config *c, double step_s, int64_t flops, bool as_json)
{
    double rate = (double)c->train.batch / step_s, gflops = (double)flops / step_s * 1e-9;
    double peak_mb = (double)bw__peak_rss_bytes() / 1e6;
    if (!as_json) {
        printf("%s %s, %lld px, batch %lld, %s, %d threads\n", cli_setting(c, "train.order"),
               cli_setting(c, "model.arch"), (long long)c->data.image_size, (long long)c->train.batch,
               cli_setting(c, "dtype"), c->threads);
        printf("step %.4f s (median), %.2f samples/s, %.1f GFLOP/s, peak memory %.0f MB\n", step_s, rate,
               gflops, peak_mb);
        return BW_OK;
    }
    json_t *object = json_object();
    (void)json_object_set_new(object, "order", json_string(cli_setting(c, "train.order")));
    (void)json_object_set_new(object, "arch", json_string(cli_setting(c, "model.arch")));
    (void)json_object_set_new(object, "image_size", json_integer(c->data.image_size));
    (void)json_object_set_new(object, "batch", json_integer(c->train.batch));
    (void)json_object_set_new(object, "dtype", json_string(cli_setting(c, "dtype")));
    (void)json_object_set_new(object, "threads", json_integer(c->threads));
    (void)json_object_set_new(object, "step_s_median", bw__json_real(step_s));
    (void)json_object_set_new(object, "samples_per_s", bw__json_real(rate));
    (void)json_object_set_new(object, "gflops", bw__json_real(gflops));
    (void)json_object_set_new(object, "peak_rss_mb", bw__json_real(peak_mb));
    return cli_print_json(object);
}

static int run_bench_step(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config config;
    bw_network *network = NULL;
    bw_trainer *trainer = NULL;
    float *views = NULL;
    double *seconds = NULL;
    int steps = o->steps > 0 ? o->steps : CLI_BENCH_STEPS;
    int warmup = o->warmup >= 0 ? o->warmup : CLI_BENCH_WARMUP;

    BW_TRY(cli_bench_settings(&config, o));
    bw__environment_say(&config);
    int64_t floats = BW_VIEWS * config.train.batch * config.data.image_size * config.data.image_size * 3;
    BW_TRY(BW_ALLOC(&views, floats));
    BW_TRY(BW_ALLOC(&seconds, steps));
    bw_rng rng = bw__rng(config.seed, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&rng, views, floats);
    BW_TRY(bw_network_create(&network, &config));
    BW_TRY(bw_trainer_create(&trainer, network, 1000));
    BW_TRY(time_steps(seconds, trainer, views, warmup, steps));
    cli_progress_end();
    BW_TRY(print_result(&config, cli_median(seconds, steps), bw_trainer_flops(trainer), o->json));
out:
    bw_trainer_free(trainer);
    bw_network_free(network);
    bw__free(views);
    bw__free(seconds);
    return cli_finish(st);
}

const cli_verb cli_bench_step = { .name = "bench step",
                                  .arguments = "",
                                  .summary = "Time of one training step on synthetic images",
                                  .notes = "Takes every setting of 'pretrain'. Without a recipe or a setting "
                                           "that says otherwise train.batch is 8.",
                                  .options = { CLI_RECIPE, CLI_CONFIG, CLI_SET, CLI_STEPS, CLI_WARMUP,
                                               CLI_JSON, CLI_QUIET, CLI_VERBOSE, CLI_END },
                                  .interruptible = true,
                                  .run = run_bench_step };
