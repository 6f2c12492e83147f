/* `blockwise pretrain`: a whole run, or the rest of one. */
#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/ranks.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "cli/verdict_table.h"
#include "report/verdict_json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_LOSSES = 8, PATH_ROOM = 4096 };

typedef struct pretrain_state {
    const cli_options *options;
    const char *base;
    char found[128];         /* what the images are */
    const bw_config *config; /* resolved */
    int64_t total_steps;
    double samples_per_s;        /* smoothed: single steps vary too much to read */
    double probe[BW_MAX_BLOCKS]; /* per cent: of batches, until test images have been scored */
    bool scored;
} pretrain_state;

static void on_data(void *user, const bw_dataset *images)
{
    pretrain_state *s = user;
    const int classes = bw_dataset_classes(images);
    if (classes > 0)
        (void)snprintf(s->found, sizeof s->found, "%s, %d classes, ", bw_dataset_format(images), classes);
    else
        (void)snprintf(s->found, sizeof s->found, "%s, no labels, ", bw_dataset_format(images));
}

/* One line with all that decides how the run will go. */
static void on_start(void *user, int64_t total_steps, int64_t first_step, int64_t images)
{
    pretrain_state *s = user;
    const bw_config *c = s->config;
    char origin_text[256], default_text[128], start[64] = "";
    s->total_steps = total_steps;
    const char *origin =
        cli_settings_origin(origin_text, sizeof origin_text, s->options, s->base, "optimizer.lr");
    (void)snprintf(default_text, sizeof default_text, "default of %.16s at batch %lld; optimizer.lr sets it",
                   cli_setting(c, "optimizer.name"), (long long)c->train.batch);
    if (first_step > 0) (void)snprintf(start, sizeof start, "; from step %lld", (long long)first_step);
    cli_note("data: %s%lld images; network: %s width %lld, stem %s, %s, %lld px; "
             "lr %g x %lld/256 = %g (%s); %lld steps%s",
             s->found, (long long)images, cli_setting(c, "model.arch"), (long long)c->model.width,
             cli_setting(c, "model.stem"), cli_setting(c, "train.order"), (long long)c->data.image_size,
             c->optimizer.lr, (long long)c->train.batch, c->optimizer.lr * (double)c->train.batch / 256.0,
             origin ? origin : default_text, (long long)total_steps, start);
}

/* Three digits, so that a line has room for four blocks. */
static const char *short_number(char *text, size_t size, double x)
{
    double value = fabs(x);
    int decimals = value < 0.9995 ? 3 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    if (value > 0.0 && (value < 0.001 || value >= 1e5))
        (void)snprintf(text, size, "%.2g", x);
    else
        (void)snprintf(text, size, "%.*f", decimals, x);
    return text;
}

/* Every block's, or from the least to the largest where they would not fit into a line. */
static void add_losses(char *text, size_t size, const bw_step *step)
{
    char number[2][32];
    double least = 0.0, largest = 0.0;
    int n = 0, trained = 0, last = 0;
    for (int k = 0; k < step->blocks; k++) {
        double loss = step->loss[k];
        if (step->blocks <= SHOWN_LOSSES)
            n += snprintf(text + n, size - (size_t)n, " %s",
                          isnan(loss) ? "-" : short_number(number[0], sizeof number[0], loss));
        if (isnan(loss)) continue;
        if (trained == 0 || loss < least) least = loss;
        if (trained == 0 || loss > largest) largest = loss;
        trained++;
        last = k + 1;
    }
    if (step->blocks <= SHOWN_LOSSES || trained == 0) return;
    const char *from = short_number(number[0], sizeof number[0], least);
    if (trained == 1)
        (void)snprintf(text, size, " %s of block %d", from, last);
    else
        (void)snprintf(text, size, " of %d blocks %s to %s", trained, from,
                       short_number(number[1], sizeof number[1], largest));
}

/* Of a block that was never trained it stays 0. */
static void note_probe(pretrain_state *s, const bw_step *step)
{
    const double *from = step->has_probe_test ? step->probe_top1 : step->probe_top1_train;
    if (s->scored && !step->has_probe_test) return;
    s->scored = step->has_probe_test;
    for (int k = 0; k < step->blocks; k++)
        if (!isnan(from[k])) s->probe[k] = from[k];
}

/* Of test images once they have been scored, until then of batches. */
static void add_probe(pretrain_state *s, char *text, size_t size, const bw_step *step)
{
    note_probe(s, step);
    for (int k = 0; k < step->blocks && step->blocks <= SHOWN_LOSSES; k++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, size - used, "%s %.0f", k ? "" : ", probe %", s->probe[k]);
    }
}

/* Parts in the order of their worth: a narrow terminal has room for the first. */
static void on_step(void *user, const bw_step *step)
{
    pretrain_state *s = user;
    char detail[400] = "loss", number[32];
    const bool large = step->peak_rss_mb >= 9999.5;
    double keep = s->samples_per_s > 0.0 ? 0.9 : 0.0;
    s->samples_per_s = keep * s->samples_per_s + (1.0 - keep) * step->samples_per_s;
    add_losses(detail + strlen(detail), sizeof detail - strlen(detail), step);
    if (step->has_probe) add_probe(s, detail, sizeof detail, step);
    size_t n = strlen(detail);
    (void)snprintf(detail + n, sizeof detail - n, ", %s samples/s, %.*f %s, step %lld/%lld, epoch %lld",
                   short_number(number, sizeof number, s->samples_per_s), large,
                   large ? step->peak_rss_mb / 1000.0 : step->peak_rss_mb, large ? "GB" : "MB",
                   (long long)step->step, (long long)s->total_steps, (long long)step->epoch);
    cli_progress_show("pretrain", (double)step->step / (double)(s->total_steps > 0 ? s->total_steps : 1),
                      detail);
}

static bw_request request(void *user)
{
    (void)user;
    if (cli_interrupt_signal() != 0) return BW_SAVE_AND_STOP;
    return cli_interrupt_take_save() ? BW_SAVE_AND_GO_ON : BW_GO_ON;
}

/* The others need not be waited for: they end with this rank. */
static void on_failure(void *user, bw_status status)
{
    (void)user;
    exit(cli_finish(status));
}

static void show_verdict(const bw_verdict *verdict)
{
    char line[1024];
    for (int i = 0; cli_verdict_line(line, sizeof line, verdict, i, cli_columns(STDERR_FILENO)); i++)
        cli_note("%s", line);
}

/* loss: means over the last few steps, as the verdicts have them. */
static bw_status print_json(const cli_options *o, const bw_verdict *v)
{
    char path[PATH_ROOM];
    double loss[BW_MAX_BLOCKS];
    json_t *object = json_object();
    for (int k = 0; k < v->blocks; k++)
        loss[k] = v->block[k].loss[1];
    (void)json_object_set_new(object, "run", bw__json_text(o->out));
    (void)json_object_set_new(object, "steps", json_integer(v->steps));
    (void)json_object_set_new(object, "loss", bw__json_reals(loss, v->blocks));
    (void)json_object_set_new(object, "blocks", bw__verdict_json(v));
    (void)snprintf(path, sizeof path, "%s/model.safetensors", o->out);
    (void)json_object_set_new(object, "weights", bw__json_text(path));
    (void)snprintf(path, sizeof path, "%s/heads.safetensors", o->out);
    (void)json_object_set_new(object, "heads", bw__json_text(path));
    return cli_print_json(object);
}

/* What became of a run, also of one that was finished before. Rank 0 alone sees its folder. */
static bw_status show_result(const pretrain_state *s, const cli_options *o)
{
    bw_verdict verdict = { 0 };
    bw_status st = BW_OK;
    if (!cli_ranks_speaks()) return BW_OK;
    if (s->total_steps > 0 || o->json) BW_TRY(bw_verdict_read(&verdict, o->out));
    if (s->total_steps > 0) show_verdict(&verdict);
    if (o->json) return print_json(o, &verdict);
    printf("%s/model.safetensors\n", o->out);
out:
    return st;
}

static void check_pretrain(const cli_options *o)
{
    const bool data = o->data || o->train;
    if (data && o->out) return;
    cli_usage_error(
        "needs %s%s%s; see 'blockwise pretrain --help', and 'blockwise list recipes' for settings "
        "that go together",
        data ? "" : "--data PATH, the images to learn from", data || o->out ? "" : ", and ",
        o->out ? "" : "--out RUN, the folder to create");
}

/* Of rank 0, whose settings are the run's: other hosts need not have the files. */
static bw_status load_config(bw_config *config, const cli_options *o, const char *base)
{
    *config = bw_config_default();
    if (bw_comm_rank(cli_comm()) > 0) return BW_OK;
    bw_status st = cli_settings_load(config, o, base);
    return st == BW_OK ? bw_config_resolve(config) : st;
}

static int run_pretrain(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config config;
    char base_path[PATH_ROOM];
    pretrain_state state = { .options = o, .config = &config };

    int n = snprintf(base_path, sizeof base_path, "%s/config.yaml", o->out);
    bool is_run = n > 0 && n < (int)sizeof base_path && access(base_path, R_OK) == 0;
    if (o->resume && !o->recipe && !o->config && is_run) state.base = base_path;

    BW_TRY(cli_ranks_agree(load_config(&config, o, state.base)));
    bw_pretrain_options pretrain = { .config = &config,
                                     .comm = cli_comm(),
                                     .data = o->data ? o->data : o->train,
                                     .format = o->format,
                                     .out = o->out,
                                     .resume = o->resume,
                                     .init = o->init,
                                     .command = o->command,
                                     .user = &state,
                                     .on_data = on_data,
                                     .on_start = on_start,
                                     .on_step = on_step,
                                     .request = request,
                                     .on_failure = on_failure };
    BW_TRY(bw_pretrain(&pretrain));
    cli_progress_end();
    BW_TRY(show_result(&state, o));
out:
    return cli_finish(st);
}

const cli_verb cli_pretrain = {
    .name = "pretrain",
    .arguments = "",
    .summary = "Pretrain a network block by block; prints the path of the weights",
    .notes =
        "Settings: default < recipe < file < --set. SIGINT and SIGTERM save and stop (exit status 130, 143; "
        "continue with --resume), SIGUSR1 saves and goes on.",
    .examples = "blockwise pretrain --recipe pictures --data photos/ --out runs/mine\n"
                "blockwise pretrain --recipe cifar10 --data cifar/ --out runs/cifar\n"
                "blockwise pretrain --data photos/ --out runs/mine --resume\n"
                "mpirun -np 4 blockwise pretrain --recipe pictures --data photos/ --out runs/mine",
    .options = { CLI_DATA, CLI_TRAIN_ALIAS, CLI_RUN_OUT, CLI_RECIPE, CLI_CONFIG, CLI_SET, CLI_RESUME,
                 CLI_INIT, CLI_DATA_FORMAT, CLI_JSON, CLI_QUIET, CLI_VERBOSE, CLI_END },
    .interruptible = true,
    .on_ranks = true,
    .check = check_pretrain,
    .run = run_pretrain
};
