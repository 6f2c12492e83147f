/* YAML over the schema: libyaml's events one by one, so that every key has its line. */
#include "base/memory.h"
#include "formats/config_schema.h"
#include "formats/config_source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { PATH_ROOM = 128, MAX_DEPTH = 8, MAX_ITEMS = 64, WHERE_ROOM = 300, MAX_KEYS = BW_KEY_WORDS * 64 };
static const char EXTENDS[] = "extends";

typedef struct reader {
    yaml_parser_t parser;
    const bw_config_source *source;
    bw_config config;
    int extends_line;                         /* where EXTENDS was given in this text; 0: not yet */
    int line_of[1 + BW_MAX_BLOCKS][MAX_KEYS]; /* the same for every key, of the run and of each block */
} reader;

/* "my.yaml:7: " before the message that is kept. */
static bw_status at_line(const reader *r, size_t line, bw_status st)
{
    if (!r->source->has_lines) return bw_fail_prefix(st, "%s", r->source->origin);
    return bw_fail_prefix(st, "%s:%zu", r->source->origin, line);
}

static bw_status next_event(reader *r, yaml_event_t *event)
{
    const yaml_parser_t *p = &r->parser;
    if (yaml_parser_parse(&r->parser, event)) return BW_OK;
    memset(event, 0, sizeof *event);
    if (p->error == YAML_MEMORY_ERROR) return bw_fail(BW_ENOMEM, "%s: out of memory", r->source->origin);
    bw_status st = bw_fail(BW_EINVAL, "not valid YAML: %s", p->problem ? p->problem : "unknown error");
    return at_line(r, p->problem_mark.line + 1, st);
}

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static bw_status given_twice(const reader *r, const char *name, int *before, size_t line)
{
    int first = *before;
    *before = (int)line;
    if (first == 0) return BW_OK;
    bw_status st = bw_fail(BW_EINVAL, "%s is given twice, first in line %d", name, first);
    return at_line(r, line, st);
}

/* One key of those that a path names. With "auto" the run's value is not given: what it follows from says
 * what it is, whatever a text before this one gave. */
static bw_status assign_key(reader *r, int index, int block, const char *const *items, int n, bool list)
{
    char name[BW_KEY_NAME];
    bw_key key = bw__key_of_block(name, index, block);
    bool follows = block == BW_OF_RUN && !list && key.auto_word && strcmp(items[0], key.auto_word) == 0;
    bw_status st = bw__key_assign(&r->config, &key, items, n, list);
    if (st != BW_OK) return st;
    bw__key_mark(&r->config, index, block, !follows);
    uint64_t bit = (uint64_t)1 << (index % 64), *told = &r->config.is_told[index / 64];
    if (block == BW_OF_RUN) *told = !r->source->has_lines && !follows ? *told | bit : *told & ~bit;
    return BW_OK;
}

/* Its value was read before everything else (begin_with()). */
static bw_status check_extends(reader *r, const char *value, size_t line)
{
    if (!r->source->has_lines)
        return at_line(r, line, bw_fail(BW_EINVAL, "extends is for files; give the recipe with --recipe"));
    if (!value || value[0] == '\0')
        return at_line(r, line,
                       bw_fail(BW_EINVAL, "extends: the name of a recipe or of a .yaml file is wanted"));
    return given_twice(r, EXTENDS, &r->extends_line, line);
}

static bw_status assign(reader *r, const char *path, const char *const *items, int n, bool list, size_t line)
{
    bw_key_match m = bw__key_match(path);
    if (strcmp(path, EXTENDS) == 0) return check_extends(r, list ? NULL : items[0], line);
    /* "train:" with everything below it commented out. */
    if (m.n == 0 && !list && r->source->has_lines && items[0][0] == '\0' && bw__key_is_group(path))
        return BW_OK;
    if (m.n == 0) return at_line(r, line, bw__key_unknown(path));
    for (int i = 0; i < m.n; i++) {
        bw_status st = assign_key(r, m.index[i], m.block, items, n, list);
        if (st != BW_OK) return at_line(r, line, st);
        /* Both views at once, then one of them apart, is a way to write. */
        if (m.n == 1) st = given_twice(r, path, &r->line_of[1 + m.block][m.index[i]], line);
        if (st != BW_OK) return st;
    }
    return BW_OK;
}

static const char *scalar_text(const yaml_event_t *event)
{
    return (const char *)event->data.scalar.value;
}

/* libyaml's strings may have '\0' inside. */
static bool has_nul(const yaml_event_t *event)
{
    return strlen(scalar_text(event)) != event->data.scalar.length;
}

static bw_status read_sequence(reader *r, const char *path, size_t line)
{
    bw_status st = BW_OK;
    char *items[MAX_ITEMS] = { NULL };
    int n = 0;
    yaml_event_t event = { 0 };

    for (;;) {
        BW_TRY(next_event(r, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT) break;
        if (event.type != YAML_SCALAR_EVENT || n == MAX_ITEMS) {
            if (bw__key_match(path).n == 0 && strcmp(path, EXTENDS) != 0)
                BW_TRY(at_line(r, line, bw__key_unknown(path)));
            BW_TRY(at_line(
                r, line_of(&event),
                bw_fail(BW_EINVAL, "%s: a list of at most %d plain values is wanted", path, MAX_ITEMS)));
        }
        BW_TRY(bw__strdup(&items[n], has_nul(&event) ? "\\0" : scalar_text(&event)));
        n++;
        yaml_event_delete(&event);
    }
    BW_TRY(assign(r, path, (const char *const *)items, n, true, line));
out:
    yaml_event_delete(&event);
    for (int i = 0; i < n; i++)
        bw__free(items[i]);
    return st;
}

static bw_status read_map(reader *r, const char *path, int depth);

/* The value of `path`, whose first event was read. `line` is that of its key. */
static bw_status read_value(reader *r, const char *path, const yaml_event_t *event, int depth, size_t line)
{
    const char *text;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        text = has_nul(event) ? "\\0" : scalar_text(event);
        return assign(r, path, &text, 1, false, line);
    case YAML_SEQUENCE_START_EVENT:
        return read_sequence(r, path, line);
    case YAML_MAPPING_START_EVENT:
        if (depth < MAX_DEPTH) return read_map(r, path, depth + 1);
        return at_line(r, line, bw_fail(BW_EINVAL, "maps are nested too deeply"));
    default:
        return at_line(r, line, bw_fail(BW_EINVAL, "%s: anchors and aliases are not supported", path));
    }
}

static bw_status read_map(reader *r, const char *path, int depth)
{
    bw_status st = BW_OK;
    yaml_event_t key = { 0 }, value = { 0 };
    char below[PATH_ROOM];

    for (;;) {
        BW_TRY(next_event(r, &key));
        if (key.type == YAML_MAPPING_END_EVENT) break;
        size_t line = line_of(&key);
        if (key.type != YAML_SCALAR_EVENT || has_nul(&key))
            BW_TRY(at_line(r, line, bw_fail(BW_EINVAL, "a key is wanted here, a plain word")));
        (void)snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", scalar_text(&key));
        BW_TRY(next_event(r, &value));
        BW_TRY(read_value(r, below, &value, depth, line));
        yaml_event_delete(&key);
        yaml_event_delete(&value);
    }
out:
    yaml_event_delete(&key);
    yaml_event_delete(&value);
    return st;
}

/* The whole text: nothing, or one document that is the value of `path` ("" for the top of a file). */
static bw_status read_stream(reader *r, const char *path)
{
    bw_status st = BW_OK;
    yaml_event_t event = { 0 };
    bool done = false;
    int documents = 0;

    while (!done) {
        BW_TRY(next_event(r, &event));
        switch (event.type) {
        case YAML_STREAM_END_EVENT:
            done = true;
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (documents++ > 0)
                BW_TRY(at_line(r, line_of(&event), bw_fail(BW_EINVAL, "a second document is not read")));
            break;
        case YAML_SCALAR_EVENT:
            if (*path == '\0' && event.data.scalar.length == 0) break; /* "---" alone */
            /* fall through */
        default:
            if (*path == '\0' && event.type != YAML_MAPPING_START_EVENT)
                BW_TRY(at_line(r, line_of(&event),
                               bw_fail(BW_EINVAL, "keys with values are wanted, KEY: VALUE")));
            BW_TRY(read_value(r, path, &event, 0, line_of(&event)));
        }
        yaml_event_delete(&event);
    }
    /* Spaces or a comment in place of a value. */
    if (documents == 0 && *path != '\0') st = assign(r, path, &(const char *){ "" }, 1, false, 1);
out:
    yaml_event_delete(&event);
    return st;
}

/* What stands behind EXTENDS at the top of the text, wherever that is; NULL without one. A text that is not
 * valid is left to the reader. */
static bw_status find_extends(char **out, size_t *line, const char *yaml, size_t length)
{
    bw_status st = BW_OK;
    yaml_parser_t parser;
    yaml_event_t event = { 0 };
    int depth = 0;
    bool is_value = false, wanted = false;

    *out = NULL;
    if (!yaml_parser_initialize(&parser)) return bw_fail(BW_ENOMEM, "out of memory: settings");
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, length);
    while (!*out && yaml_parser_parse(&parser, &event) && event.type != YAML_STREAM_END_EVENT) {
        bool opens = event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT;
        bool closes = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
        depth -= closes;
        if (event.type == YAML_SCALAR_EVENT && wanted) {
            *line = line_of(&event);
            BW_TRY(bw__strdup(out, scalar_text(&event)));
        }
        bool at_top = depth == 1 && (closes || opens || event.type == YAML_SCALAR_EVENT);
        wanted = at_top && !is_value && event.type == YAML_SCALAR_EVENT &&
                 strcmp(scalar_text(&event), EXTENDS) == 0;
        if (at_top && !opens) is_value = closes ? false : !is_value;
        depth += opens;
        yaml_event_delete(&event);
        event = (yaml_event_t){ 0 };
    }
out:
    yaml_event_delete(&event);
    yaml_parser_delete(&parser);
    return st;
}

/* The recipe or file that this text extends goes below everything it says itself. */
static bw_status begin_with(reader *r, const char *yaml, size_t length)
{
    char *name = NULL;
    size_t line = 0;
    bw_status st = find_extends(&name, &line, yaml, length);
    if (st == BW_OK && name && *name) {
        st = bw__config_extend(&r->config, name, r->source);
        if (st != BW_OK) st = at_line(r, line, st);
    }
    bw__free(name);
    return st;
}

bw_status bw__config_load_text(bw_config *config, const bw_config_source *source, const char *key,
                               const char *yaml, size_t length)
{
    bw_status st = BW_OK;
    reader *r = NULL;
    BW_TRY(BW_ALLOC(&r, 1));
    r->source = source;
    r->config = *config;
    if (source->has_lines) BW_TRY(begin_with(r, yaml, length));
    if (!yaml_parser_initialize(&r->parser)) {
        st = bw_fail(BW_ENOMEM, "%s: out of memory", source->origin);
        goto out;
    }
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)yaml, length);
    st = read_stream(r, key);
    yaml_parser_delete(&r->parser);
    if (st == BW_OK) *config = r->config;
out:
    bw__free(r);
    return st;
}

bw_status bw_config_load(bw_config *config, const char *yaml, size_t length, const char *origin)
{
    const bw_config_source source = { .origin = origin, .has_lines = true };
    return bw__config_load_text(config, &source, "", yaml, length);
}

bw_status bw_config_load_file(bw_config *config, const char *path)
{
    const bw_config_source source = { .origin = path, .path = path, .has_lines = true };
    return bw__config_load_source(config, &source);
}

bw_status bw_config_set(bw_config *config, const char *assignment)
{
    char origin[WHERE_ROOM], key[PATH_ROOM];
    const char *equals = strchr(assignment, '=');
    size_t n = equals ? (size_t)(equals - assignment) : 0;

    (void)snprintf(origin, sizeof origin, "--set %s", assignment);
    for (char *p = origin; *p; p++)
        if ((unsigned char)*p < ' ') *p = ' ';
    while (n > 0 && assignment[n - 1] == ' ')
        n--;
    if (n == 0 || n >= sizeof key)
        return bw_fail(BW_EINVAL, "%s: an assignment is wanted, KEY=VALUE", origin);
    memcpy(key, assignment, n);
    key[n] = '\0';
    const bw_config_source source = { .origin = origin };
    return bw__config_load_text(config, &source, key, equals + 1, strlen(equals + 1));
}

/* Groups of `name` that `before` did not open yet, each on a line of its own, and the last word. */
static void print_name(FILE *f, const char *name, const char *before)
{
    int depth = 0;
    bool same = true;
    for (const char *dot; (dot = strchr(name, '.')); name = dot + 1, depth++) {
        size_t n = (size_t)(dot - name) + 1;
        same = same && strncmp(name, before, n) == 0;
        if (same)
            before += n;
        else
            (void)fprintf(f, "%*s%.*s:\n", 2 * depth, "", (int)(n - 1), name);
    }
    (void)fprintf(f, "%*s%s: ", 2 * depth, "", name);
}

/* The keys of the run, or of one block as far as they were given. */
static void print_keys(FILE *f, const bw_config *config, int block)
{
    char value[BW_KEY_TEXT], name[BW_KEY_NAME], before[BW_KEY_NAME] = "";
    for (int i = 0; i < bw__keys(); i++) {
        if (block != BW_OF_RUN && !bw__key_is_set(config, i, block)) continue;
        bw_key key = bw__key_of_block(name, i, block);
        bw__key_format(value, config, &key);
        print_name(f, key.name, before);
        (void)fprintf(f, "%s\n", value);
        (void)snprintf(before, sizeof before, "%s", key.name);
    }
}

bw_status bw_config_to_yaml(char **out, const bw_config *config)
{
    char *text = NULL;
    size_t bytes = 0;

    *out = NULL;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return bw_fail(BW_ENOMEM, "out of memory: configuration as YAML");
    for (int block = BW_OF_RUN; block < BW_MAX_BLOCKS; block++)
        print_keys(f, config, block);
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0) failed = true;
    bw_status st =
        failed ? bw_fail(BW_ENOMEM, "out of memory: configuration as YAML") : bw__strdup(out, text);
    free(text);
    return st;
}
