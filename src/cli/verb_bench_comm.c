/* `blockwise bench comm`: latency and bandwidth between the ranks, of what training asks of them. */
#include "cli/bench.h"
#include "cli/bench_traffic.h"
#include "cli/progress.h"
#include "cli/ranks.h"
#include "cli/results.h"
#include "dist/comm_timing.h"

static const struct {
    bw_comm_operation operation;
    int64_t bytes;
} CASES[] = {
    { BW_COMM_TIME_SUM_F64, 8 },       { BW_COMM_TIME_SUM_F64, 2048 }, /* 64 channels: two sums of either view
                                                                        */
    { BW_COMM_TIME_SUM_F64, 65536 },                                   /* 2048 of them */
    { BW_COMM_TIME_SUM_F32, 1 << 20 }, { BW_COMM_TIME_SUM_F32, 1 << 23 }, { BW_COMM_TIME_SUM_F32, 1 << 25 },
    { BW_COMM_TIME_GATHER, 4096 },     { BW_COMM_TIME_GATHER, 1 << 20 },  { BW_COMM_TIME_SEND, 8 },
    { BW_COMM_TIME_SEND, 65536 },      { BW_COMM_TIME_SEND, 1 << 20 },    { BW_COMM_TIME_SEND, 1 << 25 },
};
enum { N_CASES = sizeof CASES / sizeof CASES[0] };
static const double LONG_S = 0.5; /* what takes longer is repeated FEW times */
enum { FEW = 3 };

static void print_table(const bw_comm_timing *timing, int machines)
{
    printf("%d ranks on %d machine%s, %s\n", bw_comm_size(cli_comm()), machines, machines == 1 ? "" : "s",
           bw_comm_library());
    printf("%-20s %12s %12s %14s %12s\n", "operation", "bytes", "median us", "sent, bytes", "Mbit/s");
    for (int i = 0; i < N_CASES; i++) {
        const bw_comm_timing *t = &timing[i];
        printf("%-20s %12lld %12.1f %14.0f %12.1f\n", bw__comm_operation_name(t->operation),
               (long long)t->bytes, t->seconds * 1e6, t->bytes_on_wire, t->bytes_on_wire * 8e-6 / t->seconds);
    }
    puts("Bytes: of a rank's values. Sent: what every rank sends at least to do it; Mbit/s is that over the "
         "time.");
}

static bw_status print_json(const bw_comm_timing *timing, int machines)
{
    json_t *object = json_object(), *rows = json_array();
    for (int i = 0; i < N_CASES; i++) {
        const bw_comm_timing *t = &timing[i];
        json_t *row = json_object();
        (void)json_object_set_new(row, "operation", json_string(bw__comm_operation_name(t->operation)));
        (void)json_object_set_new(row, "bytes", json_integer(t->bytes));
        (void)json_object_set_new(row, "repeats", json_integer(t->repeats));
        (void)json_object_set_new(row, "seconds", bw__json_real(t->seconds));
        (void)json_object_set_new(row, "bytes_sent", bw__json_real(t->bytes_on_wire));
        (void)json_object_set_new(row, "mbit_per_s", bw__json_real(t->bytes_on_wire * 8e-6 / t->seconds));
        (void)json_array_append_new(rows, row);
    }
    (void)json_object_set_new(object, "ranks", json_integer(bw_comm_size(cli_comm())));
    (void)json_object_set_new(object, "machines", json_integer(machines));
    (void)json_object_set_new(object, "mpi", json_string(bw_comm_library()));
    (void)json_object_set_new(object, "operations", rows);
    return cli_print_json(object);
}

/* Machines: counted by the ranks that come first on theirs. */
static bw_status count_machines(int *out)
{
    bw_status st = BW_OK;
    bw_comm *here = NULL;
    int64_t first;
    BW_TRY(bw__comm_split_by_machine(&here, cli_comm()));
    first = bw_comm_rank(here) == 0 ? 1 : 0;
    BW_TRY(bw__comm_sum_i64(cli_comm(), &first, 1));
    *out = (int)first;
out:
    bw__comm_free(here);
    return st;
}

static int run_bench_comm(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_comm_timing timing[N_CASES];
    int repeats = o->steps > 0 ? o->steps : CLI_BENCH_STEPS, machines = 0;
    bool speaks = bw_comm_rank(cli_comm()) == 0;

    if (bw_comm_size(cli_comm()) == 1)
        cli_usage_error("there is one rank, and nobody to talk to; start it with mpirun -np 2 or more");
    if (o->step) {
        BW_TRY(cli_bench_traffic(o));
        goto out;
    }
    BW_TRY(count_machines(&machines));
    for (int i = 0; i < N_CASES; i++) {
        bool slow = i > 0 && timing[i - 1].operation == CASES[i].operation &&
                    timing[i - 1].seconds * (double)CASES[i].bytes / (double)CASES[i - 1].bytes > LONG_S;
        BW_TRY(bw__comm_time(&timing[i], cli_comm(), CASES[i].operation, CASES[i].bytes,
                             slow && repeats > FEW ? FEW : repeats));
        if (speaks) cli_progress_show("bench comm", (double)(i + 1) / N_CASES, "");
    }
    cli_progress_end();
    if (speaks && o->json)
        BW_TRY(print_json(timing, machines));
    else if (speaks)
        print_table(timing, machines);
out:
    return cli_finish(st);
}

const cli_verb cli_bench_comm = {
    .name = "bench comm",
    .arguments = "",
    .summary = "Latency and bandwidth between ranks",
    .notes = "Started with mpirun or srun on two ranks or more. Measures what training asks of them: sums of "
             "statistics, which a step waits for; sums of gradients; embeddings gathered; messages from the "
             "first rank to the last. With --step it runs two steps of training on synthetic images instead, "
             "and counts what ranks send in the second, beside what the formula says; it takes every setting "
             "of 'pretrain' then.",
    .examples = "mpirun -np 2 blockwise bench comm\n"
                "mpirun -np 4 blockwise bench comm --step --recipe cifar10",
    .options = { CLI_RECIPE, CLI_CONFIG, CLI_SET, CLI_COUNT_STEP, CLI_STEPS, CLI_WARMUP, CLI_JSON, CLI_QUIET,
                 CLI_END },
    .on_ranks = true,
    .run = run_bench_comm
};
