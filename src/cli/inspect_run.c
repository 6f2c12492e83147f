/* `blockwise inspect RUN`: settings, how far the run is, its checkpoints, its last metrics, what became of
 * each block. */
#include "base/error.h"
#include "base/memory.h"
#include "cli/inspect.h"
#include "cli/progress.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "cli/verdict_table.h"
#include "report/verdict_json.h"
#include "train/run_folder.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, MAX_CHECKPOINTS = 64, NAME_ROOM = 256, TAIL_BYTES = 1 << 17 };

typedef struct run_report {
    const char *folder;
    bw_config config;
    bool finished;
    int64_t steps; /* of the last line of the metrics */
    json_t *last;  /* that line, or NULL */
    int n_checkpoints;
    char checkpoints[MAX_CHECKPOINTS][NAME_ROOM];
    bw_network *network; /* NULL before the run's end */
    bw_verdict verdict;  /* of no blocks where there are no metrics */
} run_report;

static bool run_file(char path[PATH_ROOM], const char *folder, const char *name)
{
    int n = snprintf(path, PATH_ROOM, "%s/%s", folder, name);
    return n > 0 && n < PATH_ROOM && access(path, R_OK) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void list_checkpoints(run_report *r)
{
    static const char END[] = ".safetensors";
    char path[PATH_ROOM];
    DIR *dir = run_file(path, r->folder, BW_RUN_CHECKPOINTS) ? opendir(path) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir)) && r->n_checkpoints < MAX_CHECKPOINTS;) {
        size_t n = strlen(e->d_name);
        if (n < sizeof END || n >= NAME_ROOM || strcmp(e->d_name + n + 1 - sizeof END, END) != 0) continue;
        memcpy(r->checkpoints[r->n_checkpoints++], e->d_name, n + 1);
    }
    if (dir) (void)closedir(dir);
    qsort(r->checkpoints, (size_t)r->n_checkpoints, NAME_ROOM, by_name);
}

/* The last whole line of metrics.jsonl. A line that breaks off belongs to a step under way. */
static bw_status read_last_metrics(run_report *r)
{
    char path[PATH_ROOM], *tail = NULL;
    bw_status st = BW_OK;
    FILE *file = run_file(path, r->folder, BW_RUN_METRICS) ? fopen(path, "rb") : NULL;
    if (!file) return BW_OK;
    BW_TRY(BW_ALLOC(&tail, TAIL_BYTES + 1));
    if (fseek(file, -(long)TAIL_BYTES, SEEK_END) != 0) rewind(file);
    tail[fread(tail, 1, TAIL_BYTES, file)] = '\0';
    char *end = strrchr(tail, '\n');
    if (!end) goto out;
    *end = '\0';
    char *start = strrchr(tail, '\n');
    start = start ? start + 1 : tail;
    BW_TRY(bw__json_parse(&r->last, start, strlen(start), path));
    r->steps = json_integer_value(json_object_get(r->last, "step"));
out:
    bw__free(tail);
    (void)fclose(file);
    return st;
}

static json_t *config_json(const bw_config *config)
{
    json_t *object = json_object();
    bw_config_key key;
    for (int i = 0; bw_config_key_at(&key, i); i++) {
        const char *text = cli_setting(config, key.name);
        json_t *value = NULL;
        /* Numbers, true, false and lists look the same in YAML and JSON; what does not is a word. */
        if (bw__json_parse(&value, text, strlen(text), key.name) != BW_OK) value = bw__json_text(text);
        (void)json_object_set_new(object, key.name, value);
    }
    return object;
}

static bw_status print_json(const run_report *r)
{
    json_t *object = json_object(), *checkpoints = json_array();
    for (int i = 0; i < r->n_checkpoints; i++)
        (void)json_array_append_new(checkpoints, bw__json_text(r->checkpoints[i]));
    (void)json_object_set_new(object, "kind", json_string("run"));
    (void)json_object_set_new(object, "path", bw__json_text(r->folder));
    (void)json_object_set_new(object, "finished", json_boolean(r->finished));
    (void)json_object_set_new(object, "steps", json_integer(r->steps));
    (void)json_object_set_new(object, "checkpoints", checkpoints);
    if (r->last) (void)json_object_set(object, "last_metrics", r->last);
    (void)json_object_set_new(object, "verdicts", bw__verdict_json(&r->verdict));
    if (r->network) (void)json_object_set_new(object, "network", cli_network_json(r->network));
    (void)json_object_set_new(object, "config", config_json(&r->config));
    return cli_print_json(object);
}

static bw_status print_text(const run_report *r)
{
    const bw_config *c = &r->config;
    char *line = NULL, text[1024];
    bw_status st = BW_OK;
    printf("run: %s, %s after %lld steps\n", r->folder, r->finished ? "finished" : "not finished",
           (long long)r->steps);
    printf("settings: %s, %s width %lld, stem %s, %lld px, batch %lld, %lld epochs, %s, seed %llu\n",
           cli_setting(c, "train.order"), cli_setting(c, "model.arch"), (long long)c->model.width,
           cli_setting(c, "model.stem"), (long long)c->data.image_size, (long long)c->train.batch,
           (long long)c->train.epochs, cli_setting(c, "dtype"), (unsigned long long)c->seed);
    printf("checkpoints:%s\n", r->n_checkpoints > 0 ? "" : " none");
    for (int i = 0; i < r->n_checkpoints; i++)
        printf("  %s/%s/%s\n", r->folder, BW_RUN_CHECKPOINTS, r->checkpoints[i]);
    if (r->last) {
        BW_TRY(bw__json_line(&line, r->last));
        printf("last metrics: %s\n", line);
    }
    for (int i = 0; cli_verdict_line(text, sizeof text, &r->verdict, i, cli_columns(STDOUT_FILENO)); i++)
        printf("%s\n", text);
    if (r->network) cli_network_print(r->network);
out:
    bw__free(line);
    return st;
}

bw_status cli_inspect_run(const char *folder, bool as_json)
{
    char path[PATH_ROOM];
    bw_status st = BW_OK;
    run_report *r = NULL;

    if (!run_file(path, folder, BW_RUN_CONFIG)) return bw__run_refuse(folder);
    BW_TRY(BW_ALLOC(&r, 1));
    r->folder = folder;
    r->config = bw_config_default();
    st = bw_config_load_file(&r->config, path);
    if (st == BW_EINVAL) st = BW_EDATA; /* a damaged file, not the user's words */
    if (st != BW_OK) goto out;
    r->finished = run_file(path, folder, BW_RUN_FINISHED);
    list_checkpoints(r);
    BW_TRY(read_last_metrics(r));
    if (r->last) BW_TRY(bw_verdict_read(&r->verdict, folder));
    if (run_file(path, folder, BW_RUN_TRUNK)) BW_TRY(bw_network_load(&r->network, folder));
    BW_TRY(as_json ? print_json(r) : print_text(r));
out:
    if (r) {
        bw_network_free(r->network);
        json_decref(r->last);
    }
    bw__free(r);
    return st;
}
