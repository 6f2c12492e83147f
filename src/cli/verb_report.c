/* `blockwise report`: a page about one run or several, or one that follows them. */
#include "base/error.h"
#include "base/folder.h"
#include "base/memory.h"
#include "cli/evaluation.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "formats/atomic_file.h"
#include "report/page.h"
#include "report/pictures.h"
#include "report/serve.h"
#include "report/run_data.h"

enum { DEFAULT_IMAGES = 1000, DEFAULT_PORT = 8765 };

/* The page's data. `path`, where it is to go, is tried before what takes long. The caller releases *out with
 * json_decref(). */
static bw_status collect(json_t **out, const cli_options *o, const char *path)
{
    bw_status st = BW_OK;
    bw_run_facts *facts = NULL; /* [n_arguments] */
    json_t *data = json_object(), *runs = json_array();
    const bw_pictures_options options = { .data = o->data,
                                          .format = o->format,
                                          .images = o->images == 0  ? DEFAULT_IMAGES
                                                    : o->images < 0 ? 0
                                                                    : o->images,
                                          .seed = o->seed,
                                          .threads = cli_threads(o),
                                          .progress = cli_progress_callback };
    *out = NULL;
    (void)json_object_set_new(data, "version", json_string(bw_version()));
    if (o->title) (void)json_object_set_new(data, "title", bw__json_text(o->title));
    (void)json_object_set_new(data, "runs", runs);
    BW_TRY(BW_ALLOC(&facts, o->n_arguments));
    for (int i = 0; i < o->n_arguments; i++) {
        json_t *run = NULL;
        BW_TRY(bw__run_data(&run, &facts[i], o->arguments[i], true));
        (void)json_array_append_new(runs, run);
    }
    BW_TRY(bw__atomic_try(path));
    for (int i = 0; i < o->n_arguments; i++) {
        json_t *pictures = NULL;
        BW_TRY(bw__pictures(&pictures, o->arguments[i], &facts[i], &options));
        (void)json_object_set_new(json_array_get(runs, (size_t)i), "pictures", pictures);
    }
    *out = data;
    data = NULL;
out:
    json_decref(data);
    bw__free(facts);
    return st;
}

static bw_status page_path(char **out, const cli_options *o)
{
    if (o->out) return bw__strdup(out, o->out);
    return o->n_arguments == 1 ? bw__folder_file(out, o->arguments[0], "report.html")
                               : bw__strdup(out, "report.html");
}

/* --- with --watch --- */

static void say_address(void *user, int port)
{
    (void)user;
    printf("http://127.0.0.1:%d/\n", port);
    (void)fflush(stdout);
    cli_note("open it in a browser; Ctrl-C ends");
}

static int is_interrupted(void *user)
{
    (void)user;
    return cli_interrupt_signal() != 0;
}

static int watch(const cli_options *o)
{
    const bw_serve_options options = { .runs = o->arguments,
                                       .n_runs = o->n_arguments,
                                       .title = o->title,
                                       .port = o->port < 0 ? DEFAULT_PORT : o->port,
                                       .on_ready = say_address,
                                       .stop = is_interrupted };
    if (o->out) cli_usage_error("--out: --watch serves the page and writes no file");
    return cli_finish(bw__serve(&options));
}

static int run_report(const cli_options *o)
{
    bw_status st = BW_OK;
    if (o->watch) return watch(o);
    if (o->port >= 0) cli_usage_error("--port is for --watch");
    json_t *data = NULL;
    char *path = NULL;
    BW_TRY(page_path(&path, o));
    BW_TRY(collect(&data, o, path));
    BW_TRY(bw__page_write(path, data));
    cli_progress_end();
    printf("%s\n", path);
out:
    json_decref(data);
    bw__free(path);
    return cli_finish(st);
}

const cli_verb cli_report = {
    .name = "report",
    .arguments = "RUN...",
    .min_arguments = 1,
    .max_arguments = CLI_MAX_ARGUMENTS,
    .summary = "Write a page that shows what became of one run or several",
    .notes =
        "The page is one file that needs nothing else: it opens in a browser from the disk, without network. "
        "Several runs are shown beside each other.",
    .examples = "blockwise report runs/mine\n"
                "blockwise report runs/mine runs/other --out both.html",
    .options = { CLI_REPORT_OUT, CLI_REPORT_DATA, CLI_DATA_FORMAT, CLI_REPORT_IMAGES, CLI_TITLE, CLI_WATCH,
                 CLI_PORT, CLI_SEED, CLI_THREADS, CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_report
};
