#include "cli/plan_nodes.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A way scales as long as its nodes do at least this share of what they do alone. */
static const double SCALES = 0.5;

typedef struct unit {
    const char *name;
    double factor;
} unit;

/* `text` [n]: a decimal number and a unit; NaN where it is none. */
static double with_unit(const char *text, size_t n, const unit *units, int count)
{
    char word[64], *end;
    if (n >= sizeof word) return (double)NAN;
    memcpy(word, text, n);
    word[n] = '\0';
    if (strpbrk(word, "xX")) return (double)NAN; /* strtod() takes 0x10 too */
    double value = strtod(word, &end);
    if (end == word) return (double)NAN;
    for (int i = 0; i < count; i++)
        if (strcasecmp(end, units[i].name) == 0) return value * units[i].factor;
    return value == 0.0 && *end == '\0' ? 0.0 : (double)NAN;
}

bw_link cli_parse_network(const char *text)
{
    static const unit RATES[] = { { "bit", 1.0 / 8 },
                                  { "kbit", 1e3 / 8 },
                                  { "mbit", 1e6 / 8 },
                                  { "gbit", 1e9 / 8 },
                                  { "tbit", 1e12 / 8 } },
                      TIMES[] = { { "s", 1.0 }, { "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 } };
    const char *comma = strchr(text, ',');
    if (!comma)
        cli_usage_error("--network %s: want RATE,DELAY, 1gbit,50us say, with half of a round trip for DELAY",
                        text);
    bw_link link = { with_unit(text, (size_t)(comma - text), RATES, sizeof RATES / sizeof *RATES),
                     with_unit(comma + 1, strlen(comma + 1), TIMES, sizeof TIMES / sizeof *TIMES) };
    if (!(link.bytes_per_s >= RATES[0].factor) || !isfinite(link.bytes_per_s))
        cli_usage_error("--network %s: the rate is not a number with kbit, mbit or gbit, of at least 1bit",
                        text);
    if (!(link.delay_s >= 0.0) || !isfinite(link.delay_s))
        cli_usage_error("--network %s: the delay is not a number with us, ms or s", text);
    return link;
}

static bool is_there(const bw_simulated *grid)
{
    return grid->rows > 0;
}

static void try_grid(const cli_scaling *s, bw_simulated *out, int data, int rows)
{
    if (rows > bw_simulation_blocks(s->simulation) ||
        bw_simulation_grid(s->simulation, out, data, rows) != BW_OK)
        *out = (bw_simulated){ 0 };
}

static void work_out_count(cli_scaling *s, int nodes)
{
    cli_node_count *c = &s->count[s->counts++];
    c->nodes = nodes;
    try_grid(s, &c->data, nodes, 1);
    try_grid(s, &c->block, 1, nodes);
    if (bw_simulation_best(s->simulation, &c->best, nodes) != BW_OK) c->best = (bw_simulated){ 0 };
}

bw_status cli_scaling_work_out(cli_scaling *s, const bw_simulation *simulation, const bw_link *link,
                               const bw_config *config, int nodes, int64_t steps)
{
    bw_simulated best;
    bw_status st = bw_simulation_best(simulation, &best, nodes);
    *s = (cli_scaling){
        .config = config, .link = link, .simulation = simulation, .nodes = nodes, .steps = steps
    };
    if (st != BW_OK) return st;
    for (int rows = 1; rows <= nodes && rows <= CLI_MAX_GRIDS; rows++) {
        if (nodes % rows != 0) continue;
        try_grid(s, &s->grid[s->grids], nodes / rows, rows);
        if (is_there(&s->grid[s->grids])) s->grids++;
    }
    for (int n = 1; n < nodes; n *= 2)
        work_out_count(s, n);
    work_out_count(s, nodes);
    return BW_OK;
}

static int nodes_of(const bw_simulated *g)
{
    return g->data * g->rows;
}

/* Share of what as many nodes would do if each did as much as one alone. */
static double efficiency(const cli_scaling *s, const bw_simulated *g)
{
    return s->count[0].data.step_s / (nodes_of(g) * g->step_s);
}

/* The pipeline is empty when the last step begins. */
static double run_hours(const cli_scaling *s, const bw_simulated *g)
{
    return g->step_s * (double)(s->steps + g->rows - 1) / 3600.0;
}

static const bw_simulated *way_of(const cli_node_count *c, int way)
{
    return way == 0 ? &c->data : way == 1 ? &c->block : &c->best;
}

/* The most of the counted nodes with which a way scales. */
static int scales_to(const cli_scaling *s, int way)
{
    int most = 1;
    for (int i = 0; i < s->counts; i++) {
        const bw_simulated *g = way_of(&s->count[i], way);
        if (is_there(g) && efficiency(s, g) >= SCALES) most = s->count[i].nodes;
    }
    return most;
}

/* --- as text --- */

const char *cli_rows_text(char *text, size_t size, const bw_simulated *g)
{
    size_t used = 0;
    text[0] = '\0';
    for (int r = 0; r < g->rows && used < size; r++) {
        const int first = g->begin[r] + 1, last = g->begin[r + 1];
        const char *bar = r > 0 ? " | " : "";
        int n = first == last ? snprintf(text + used, size - used, "%s%d", bar, first)
                              : snprintf(text + used, size - used, "%s%d-%d", bar, first, last);
        if (n < 0) break;
        used += (size_t)n;
    }
    return text;
}

const char *cli_hours_text(char *text, size_t size, double hours)
{
    if (hours >= 48.0)
        (void)snprintf(text, size, "%.1f days", hours / 24.0);
    else if (hours >= 1.0)
        (void)snprintf(text, size, "%.1f hours", hours);
    else
        (void)snprintf(text, size, "%.1f minutes", hours * 60.0);
    return text;
}

static void print_grids(const cli_scaling *s)
{
    char time[32], rows[128];
    printf("\n%-12s %10s %10s %9s %11s %9s %9s %12s  %s\n", "data x block", "step s", "samples/s",
           "efficient", "computing s", "sums s", "grads s", "sent MB", "run; blocks of each row");
    for (int i = 0; i < s->grids; i++) {
        const bw_simulated *g = &s->grid[i];
        char grid[32];
        (void)snprintf(grid, sizeof grid, "%d x %d", g->data, g->rows);
        printf("%-12s %10.4g %10.4g %7.0f %% %11.4g %9.3g %9.3g %12.1f  %s; %s\n", grid, g->step_s,
               (double)s->config->train.batch / g->step_s, 100.0 * efficiency(s, g), g->compute_s,
               g->statistics_s, g->gradients_s, g->sent_bytes * 1e-6,
               cli_hours_text(time, sizeof time, run_hours(s, g)), cli_rows_text(rows, sizeof rows, g));
    }
    puts("Of the slowest row's step: computing, waiting for sums of statistics and losses, and for "
         "gradients;\n"
         "what is left waits for activations to be sent. Sent: by all nodes in a step.");
}

static void print_way(const cli_scaling *s, const bw_simulated *g)
{
    if (is_there(g))
        printf(" %10.4g %4.0f %%", g->step_s, 100.0 * efficiency(s, g));
    else
        printf(" %10s %6s", "-", "");
}

static void print_counts(const cli_scaling *s)
{
    char time[32];
    printf("\n%7s %17s %17s %17s  %s\n", "nodes", "data parallel s", "block parallel s", "best grid s", "");
    for (int i = 0; i < s->counts; i++) {
        const cli_node_count *c = &s->count[i];
        printf("%7d", c->nodes);
        for (int way = 0; way < 3; way++)
            print_way(s, way_of(c, way));
        if (is_there(&c->best))
            printf("  %d x %d, %s", c->best.data, c->best.rows,
                   cli_hours_text(time, sizeof time, run_hours(s, &c->best)));
        puts("");
    }
    printf(
        "Nodes do at least %.0f %% of what they do alone: data parallel up to %d of them, block parallel up "
        "to %d (of %d blocks), in the best grid up to %d.\n",
        100.0 * SCALES, scales_to(s, 0), scales_to(s, 1), bw_simulation_blocks(s->simulation),
        scales_to(s, 2));
}

void cli_scaling_print(const cli_scaling *s)
{
    const double measured_s = bw_simulation_measured_s(s->simulation);
    printf("\n%d nodes on links of %.4g Mbit/s, %.4g us: ", s->nodes, s->link->bytes_per_s * 8e-6,
           s->link->delay_s * 1e6);
    if (measured_s > 0.0)
        printf("blocks measured here in %.1f s\n", measured_s);
    else
        printf("blocks by their operations at %.0f %% of the rate that --gflops says\n",
               100.0 * BW_PLAN_SHARE);
    print_grids(s);
    print_counts(s);
}

/* --- as JSON --- */

static json_t *grid_json(const cli_scaling *s, const bw_simulated *g)
{
    if (!is_there(g)) return json_null();
    json_t *o = json_object(), *rows = json_array();
    (void)json_object_set_new(o, "data", json_integer(g->data));
    (void)json_object_set_new(o, "block", json_integer(g->rows));
    for (int r = 0; r < g->rows; r++) {
        json_t *row = json_object();
        (void)json_object_set_new(row, "first_block", json_integer(g->begin[r] + 1));
        (void)json_object_set_new(row, "last_block", json_integer(g->begin[r + 1]));
        (void)json_object_set_new(row, "step_s", bw__json_real(g->row_s[r]));
        (void)json_array_append_new(rows, row);
    }
    (void)json_object_set_new(o, "rows", rows);
    (void)json_object_set_new(o, "step_s", bw__json_real(g->step_s));
    (void)json_object_set_new(o, "efficiency", bw__json_real(efficiency(s, g)));
    (void)json_object_set_new(o, "compute_s", bw__json_real(g->compute_s));
    (void)json_object_set_new(o, "statistics_s", bw__json_real(g->statistics_s));
    (void)json_object_set_new(o, "gradients_s", bw__json_real(g->gradients_s));
    (void)json_object_set_new(o, "link_s", bw__json_real(g->link_s));
    (void)json_object_set_new(o, "sent_bytes", bw__json_real(g->sent_bytes));
    (void)json_object_set_new(o, "run_hours", bw__json_real(run_hours(s, g)));
    return o;
}

json_t *cli_scaling_json(const cli_scaling *s)
{
    json_t *o = json_object(), *grids = json_array(), *counts = json_array(), *scales = json_object();
    static const char *const WAYS[] = { "data", "block", "best" };
    (void)json_object_set_new(o, "bits_per_s", bw__json_real(s->link->bytes_per_s * 8.0));
    (void)json_object_set_new(o, "delay_s", bw__json_real(s->link->delay_s));
    (void)json_object_set_new(o, "measured_s", bw__json_real(bw_simulation_measured_s(s->simulation)));
    for (int i = 0; i < s->grids; i++)
        (void)json_array_append_new(grids, grid_json(s, &s->grid[i]));
    (void)json_object_set_new(o, "grids", grids);
    for (int i = 0; i < s->counts; i++) {
        json_t *count = json_object();
        (void)json_object_set_new(count, "nodes", json_integer(s->count[i].nodes));
        for (int way = 0; way < 3; way++)
            (void)json_object_set_new(count, WAYS[way], grid_json(s, way_of(&s->count[i], way)));
        (void)json_array_append_new(counts, count);
    }
    (void)json_object_set_new(o, "counts", counts);
    for (int way = 0; way < 3; way++)
        (void)json_object_set_new(scales, WAYS[way], json_integer(scales_to(s, way)));
    (void)json_object_set_new(o, "scales_to", scales);
    return o;
}
