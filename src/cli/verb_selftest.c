/* `blockwise selftest`: whether this machine computes right, and whether ranks together compute what one does
 * alone. */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "train/environment.h"
#include "train/selftest.h"
#include <string.h>

/* --- ranks --- */

typedef struct ranks_table {
    bool speaks;
    json_t *rows; /* NULL: a line each as they come */
    int done;
} ranks_table;

static void add_ranks_row(void *user, const bw_ranks_check *c)
{
    ranks_table *t = user;
    t->done++;
    if (!t->speaks) return;
    if (t->rows) {
        json_t *row = json_object();
        (void)json_object_set_new(row, "order", json_string(c->order));
        (void)json_object_set_new(row, "head", json_string(c->head));
        (void)json_object_set_new(row, "loss", json_string(c->loss));
        (void)json_object_set_new(row, "by_loss", bw__json_real(c->by_loss));
        (void)json_object_set_new(row, "by_statistics", bw__json_real(c->by_statistics));
        (void)json_object_set_new(row, "by_weights", bw__json_real(c->by_weights));
        (void)json_object_set_new(row, "moved", bw__json_real(c->moved));
        (void)json_object_set_new(row, "tries", json_integer(c->tries));
        (void)json_object_set_new(row, "passed", json_boolean(c->passed));
        (void)json_array_append_new(t->rows, row);
    } else {
        cli_progress_end();
        printf("%-12s  %-11s  %-14s %10.1e %10.1e %10.1e %7.1f%%  %s\n", c->order, c->head, c->loss,
               c->by_loss, c->by_statistics, c->by_weights, 1e2 * c->moved, c->passed ? "ok" : "WRONG");
        (void)fflush(stdout);
    }
    cli_progress_show("selftest", (double)t->done / bw__selftest_ranks_checks(), "");
}

static bw_status print_ranks_verdict(const ranks_table *t, int ranks, bool passed)
{
    if (!t->rows) {
        printf("%d ranks %s what one rank alone does (limit %g)\n", ranks,
               passed ? "compute" : "DO NOT compute", BW_SELFTEST_RANKS_LIMIT);
        return BW_OK;
    }
    json_t *object = json_object();
    (void)json_object_set_new(object, "ranks", json_integer(ranks));
    (void)json_object_set_new(object, "limit", bw__json_real(BW_SELFTEST_RANKS_LIMIT));
    (void)json_object_set(object, "checks", t->rows);
    (void)json_object_set_new(object, "passed", json_boolean(passed));
    return cli_print_json(object);
}

static int check_ranks(const cli_options *o)
{
    bw_status st = BW_OK;
    int ranks = bw_comm_size(cli_comm());
    ranks_table t = { .speaks = bw_comm_rank(cli_comm()) == 0, .rows = o->json ? json_array() : NULL };
    bool passed = false;
    if (ranks == 1)
        cli_usage_error("--ranks compares several ranks with one: start it as 'mpirun -np 2 blockwise "
                        "selftest --ranks'%s",
                        strcmp(bw_comm_library(), "none") == 0 ? " with a build that has MPI" : "");
    if (t.speaks && !o->json)
        printf("One rank with a batch, and %d with a share of it each, after 5 steps. Largest difference of\n"
               "losses to the loss, of running statistics and weights to the way they went; how far the\n"
               "weights went.\n\n%-12s  %-11s  %-14s %10s %10s %10s %8s\n",
               ranks, "order", "head", "loss", "by loss", "by stat.", "by weights", "moved");
    BW_TRY(bw__selftest_ranks(&passed, cli_comm(), BW_RANKS_RIGHT, add_ranks_row, &t));
    cli_progress_end();
    if (t.speaks) BW_TRY(print_ranks_verdict(&t, ranks, passed));
out:
    json_decref(t.rows);
    if (st != BW_OK) return cli_finish(st);
    return passed ? 0 : CLI_EXIT_FAILURE;
}

/* --- this machine --- */

static void add_machine_row(void *user, const bw_machine_check *c)
{
    json_t *rows = user;
    if (rows) {
        json_t *row = json_object();
        (void)json_object_set_new(row, "check", json_string(c->what));
        (void)json_object_set_new(row, "difference", bw__json_real(c->difference));
        (void)json_object_set_new(row, "limit", bw__json_real(c->limit));
        (void)json_object_set_new(row, "passed", json_boolean(c->passed));
        (void)json_array_append_new(rows, row);
    } else {
        printf("%-46s %10.1e %8.0e  %s\n", c->what, c->difference, c->limit, c->passed ? "ok" : "WRONG");
        (void)fflush(stdout);
    }
}

static int check_machine(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config config = bw_config_default();
    json_t *rows = o->json ? json_array() : NULL;
    bool passed = false;
    if (bw_launched_ranks() > 1)
        cli_usage_error(
            "checks one machine, but %d ranks were started; with --ranks they are compared with one",
            bw_launched_ranks());
    BW_TRY(bw_config_resolve(&config));
    bw__environment_say(&config);
    if (!rows) printf("%-46s %10s %8s\n", "check", "difference", "limit");
    BW_TRY(bw__selftest_machine(&passed, config.threads, add_machine_row, rows));
    if (rows) {
        json_t *object = json_object();
        (void)json_object_set_new(object, "threads", json_integer(config.threads));
        (void)json_object_set(object, "checks", rows);
        (void)json_object_set_new(object, "passed", json_boolean(passed));
        BW_TRY(cli_print_json(object));
    } else {
        printf("this machine %s\n", passed ? "computes right" : "DOES NOT compute right");
    }
out:
    json_decref(rows);
    if (st != BW_OK) return cli_finish(st);
    return passed ? 0 : CLI_EXIT_FAILURE;
}

static int run_selftest(const cli_options *o)
{
    return o->ranks ? check_ranks(o) : check_machine(o);
}

const cli_verb cli_selftest = {
    .name = "selftest",
    .arguments = "",
    .summary = "Whether this machine computes right, or ranks what one does",
    .notes = "Without --ranks: kernels against plain loops, gradients against the slope "
             "of their loss, all threads against one. With it, under mpirun: a batch "
             "on one rank against the same batch shared by all, for every loss, head "
             "and order. Exit status 0 if all is right, 1 if not.",
    .examples = "blockwise selftest\n"
                "mpirun -np 2 blockwise selftest --ranks",
    .options = { CLI_RANKS, CLI_JSON, CLI_QUIET, CLI_END },
    .on_ranks = true,
    .run = run_selftest
};
