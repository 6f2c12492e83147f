#define _XOPEN_SOURCE 700 /* realpath */
#include "report/run_data.h"
#include "base/folder.h"
#include "base/memory.h"
#include "blockwise/plan.h"
#include "formats/architecture.h"
#include "formats/config_schema.h"
#include "formats/file.h"
#include "report/curves.h"
#include "report/verdict_json.h"
#include "train/order.h"
#include "train/run_folder.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_CONFIG_BYTES = 1 << 20 };

/* Path of a file of the run, or NULL where it is not there; the caller owns it. */
static bw_status find_file(char **out, const char *run, const char *name)
{
    *out = NULL;
    bw_status st = bw__folder_file(out, run, name);
    if (st == BW_OK && access(*out, R_OK) != 0) {
        bw__free(*out);
        *out = NULL;
    }
    return st;
}

/* The last part of the folder's name, of "." too. */
static json_t *name_json(const char *run)
{
    char *path = realpath(run, NULL);
    const char *whole = path ? path : run, *slash = strrchr(whole, '/');
    json_t *name = bw__json_text(slash && slash[1] ? slash + 1 : whole);
    free(path);
    return name;
}

static bw_status load_config(bw_config *config, json_t *o, const char *run)
{
    bw_status st = BW_OK;
    char *path = NULL, *text = NULL;
    size_t bytes;
    *config = bw_config_default();
    BW_TRY(find_file(&path, run, BW_RUN_CONFIG));
    if (!path) BW_TRY(bw__run_refuse(run));
    st = bw_config_load_file(config, path);
    if (st == BW_EINVAL) st = BW_EDATA; /* a damaged file, not the user's words */
    if (st != BW_OK) goto out;
    BW_TRY(bw__file_read(&text, &bytes, path, MOST_CONFIG_BYTES));
    (void)json_object_set_new(o, "config", bw__json_text(text));
out:
    bw__free(path);
    bw__free(text);
    return st;
}

static json_t *settings_json(const bw_config *config)
{
    json_t *o = json_object();
    for (int i = 0; i < bw__keys(); i++) {
        char text[BW_KEY_TEXT];
        bw__key_format(text, config, bw__key(i));
        (void)json_object_set_new(o, bw__key(i)->name, bw__json_text(text));
    }
    return o;
}

/* A JSON file of the run under `key`; nothing where it is not there. */
static bw_status add_file(json_t *o, const char *key, const char *run, const char *name)
{
    char *path = NULL;
    json_t *value = NULL;
    bw_status st = find_file(&path, run, name);
    if (st == BW_OK && path) st = bw__json_load(&value, path);
    if (value) (void)json_object_set_new(o, key, value);
    bw__free(path);
    return st;
}

static bw_status add_metrics(json_t *o, const char *run)
{
    bw_status st = BW_OK;
    char *path = NULL;
    json_t *curves = NULL;
    bw_verdict *verdict = NULL;
    int64_t steps = 0;
    BW_TRY(find_file(&path, run, BW_RUN_METRICS));
    if (path) {
        BW_TRY(BW_ALLOC(&verdict, 1));
        BW_TRY(bw_verdict_read(verdict, run));
        BW_TRY(bw__curves_read(&curves, path));
        steps = verdict->steps;
        (void)json_object_set_new(o, "verdicts", bw__verdict_json(verdict));
        (void)json_object_set_new(o, "curves", curves);
    }
    (void)json_object_set_new(o, "steps", json_integer(steps));
out:
    bw__free(path);
    bw__free(verdict);
    return st;
}

static json_t *block_cost_json(const bw_plan_block *b)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, "trunk_parameters", json_integer(b->trunk_parameters));
    (void)json_object_set_new(o, "head_parameters", json_integer(b->head_parameters));
    (void)json_object_set_new(o, "projector_parameters", json_integer(b->projector_parameters));
    (void)json_object_set_new(o, "flops", json_integer(b->flops));
    (void)json_object_set_new(o, "saved_bytes", json_integer(b->saved_bytes));
    (void)json_object_set_new(o, "arena_bytes", json_integer(b->arena_bytes));
    return o;
}

/* What the blocks cost, counted from the settings as `plan` does. A page without it is better than none, so a
 * machine that cannot run these settings is no failure. */
static void add_cost(json_t *o, const bw_config *config)
{
    bw_plan plan;
    if (bw_plan_make(&plan, config) != BW_OK) return;
    json_t *list = json_array(), *whole = json_object();
    for (int k = 0; k < plan.blocks; k++)
        (void)json_array_append_new(list, block_cost_json(&plan.block[k]));
    (void)json_object_set_new(whole, "parameters", json_integer(plan.parameters));
    (void)json_object_set_new(whole, "flops", json_integer(plan.flops));
    (void)json_object_set_new(whole, "weight_bytes", json_integer(plan.weight_bytes));
    (void)json_object_set_new(whole, "arena_bytes", json_integer(plan.arena_bytes));
    (void)json_object_set_new(o, "cost", list);
    (void)json_object_set_new(o, "plan", whole);
}

/* Known where the environment says how many images there were. */
static void add_total_steps(json_t *o, const bw_config *config)
{
    json_int_t images = json_integer_value(json_object_get(json_object_get(o, "environment"), "images"));
    int64_t steps_per_epoch = config->train.batch > 0 ? images / config->train.batch : 0;
    if (steps_per_epoch < 1) return;
    (void)json_object_set_new(
        o, "total_steps", json_integer(bw__order_steps(config, bw__config_blocks(config), steps_per_epoch)));
}

bw_status bw__run_data(json_t **out, bw_run_facts *facts, const char *run, bool with_cost)
{
    bw_status st = BW_OK;
    bw_config config;
    char *finished = NULL;
    json_t *o = json_object();
    *out = NULL;
    (void)json_object_set_new(o, "name", name_json(run));
    (void)json_object_set_new(o, "path", bw__json_text(run));
    BW_TRY(load_config(&config, o, run));
    BW_TRY(find_file(&finished, run, BW_RUN_FINISHED));
    (void)json_object_set_new(o, "finished", json_boolean(finished != NULL));
    (void)json_object_set_new(o, "settings", settings_json(&config));
    BW_TRY(add_metrics(o, run));
    BW_TRY(add_file(o, "environment", run, BW_RUN_ENVIRONMENT));
    BW_TRY(add_file(o, "probe", run, BW_RUN_PROBE));
    add_total_steps(o, &config);
    if (with_cost) add_cost(o, &config);
    if (facts)
        *facts = (bw_run_facts){ .config = config,
                                 .finished = finished != NULL,
                                 .steps = json_integer_value(json_object_get(o, "steps")),
                                 .environment = json_object_get(o, "environment") };
    *out = o;
    o = NULL;
out:
    bw__free(finished);
    json_decref(o);
    return st;
}
