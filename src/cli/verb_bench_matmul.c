/* `blockwise bench matmul`: what this machine's matrix products reach. */
#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"

/* Squares, and the 1x1 convolutions of ResNet-50 at 224 px as products: pixels x channels x channels. */
static const struct {
    int64_t m, n, k;
} SHAPES[] = { { 512, 512, 512 }, { 1024, 1024, 1024 }, { 2048, 2048, 2048 }, { 3136, 256, 64 },
               { 784, 512, 128 }, { 784, 2048, 256 },   { 196, 1024, 256 },   { 256, 2048, 2048 } };
enum { N_SHAPES = sizeof SHAPES / sizeof SHAPES[0] };

static bw_status print_results(const double *gflops, const bw_config *c, bool as_json)
{
    if (!as_json) {
        printf("%8s %8s %8s  GFLOP/s (%d threads, %s)\n", "m", "n", "k", c->threads, cli_setting(c, "dtype"));
        for (int i = 0; i < N_SHAPES; i++)
            printf("%8lld %8lld %8lld  %7.1f\n", (long long)SHAPES[i].m, (long long)SHAPES[i].n,
                   (long long)SHAPES[i].k, gflops[i]);
        return BW_OK;
    }
    json_t *array = json_array();
    for (int i = 0; i < N_SHAPES; i++) {
        json_t *entry = json_object();
        (void)json_object_set_new(entry, "m", json_integer(SHAPES[i].m));
        (void)json_object_set_new(entry, "n", json_integer(SHAPES[i].n));
        (void)json_object_set_new(entry, "k", json_integer(SHAPES[i].k));
        (void)json_object_set_new(entry, "dtype", json_string(cli_setting(c, "dtype")));
        (void)json_object_set_new(entry, "threads", json_integer(c->threads));
        (void)json_object_set_new(entry, "gflops", bw__json_real(gflops[i]));
        (void)json_array_append_new(array, entry);
    }
    return cli_print_json(array);
}

static int run_bench_matmul(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config config;
    double gflops[N_SHAPES];
    int repeats = o->steps > 0 ? o->steps : CLI_BENCH_STEPS;

    BW_TRY(cli_bench_settings(&config, o));
    for (int i = 0; i < N_SHAPES; i++) {
        BW_TRY(bw_bench_matmul(&gflops[i], config.dtype, SHAPES[i].m, SHAPES[i].n, SHAPES[i].k, repeats,
                               config.threads));
        if (cli_progress_callback(NULL, "bench matmul", (double)(i + 1) / N_SHAPES)) {
            st = bw_fail(BW_EINTERRUPTED, "stopped by a signal");
            goto out;
        }
    }
    cli_progress_end();
    BW_TRY(print_results(gflops, &config, o->json));
out:
    return cli_finish(st);
}

const cli_verb cli_bench_matmul = { .name = "bench matmul",
                                    .arguments = "",
                                    .summary = "Speed of matrix products on this machine",
                                    .notes = NULL,
                                    .examples = "blockwise bench matmul --set dtype=bf16",
                                    .options = { CLI_SET, CLI_STEPS, CLI_JSON, CLI_QUIET, CLI_END },
                                    .interruptible = true,
                                    .run = run_bench_matmul };
