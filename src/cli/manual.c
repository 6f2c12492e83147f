/* `blockwise --manual FOLDER DATE`: the manual pages, from the tables that --help and `list config` show. Run
 * when the program is built. */
#include "cli/cli.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *tag, *text;
} RUN_FOLDER[] = {
    { "config.yaml", "Every setting of the run as it was used." },
    { "environment.json", "Machine, versions, ranks and command line." },
    { "metrics.jsonl", "A line for every step: losses, gradients, rate, speed, memory, health of the blocks." },
    { "events.out.tfevents.*", "The same for TensorBoard." },
    { "checkpoints/", "What --resume continues from." },
    { "model.safetensors", "The trunk, in torchvision's names and shapes." },
    { "config.json", "What the trunk is, as timm reads it." },
    { "heads.safetensors", "Heads and projectors." },
    { "finished", "How many steps the run had; there when it is complete." },
    { "probe.json", "The last result of 'blockwise probe'." },
    { "report.html", "The page of 'blockwise report'." },
}, ENVIRONMENT[] = {
    { "BLOCKWISE_RECIPES", "Folder of recipes of your own, NAME.yaml. They come before those of the installation." },
    { "BLOCKWISE_MAX_ISA",
      "Most of the instruction set that the program's own loops use: plain, avx2 or avx512. It changes speed "
      "alone." },
    { "DNNL_MAX_CPU_ISA", "The same for the kernels of oneDNN." },
    { "NO_COLOR", "No colours on a terminal." },
    { "XDG_CACHE_HOME",
      "Where indices of .tar shards are kept whose folder cannot be written (default: .cache in the home "
      "folder)." },
    { "TMPDIR", "Where such an index lies while the program runs, if it can be kept nowhere (default: /tmp)." },
};

/* One word of text. Hyphens are real ones, since options and names are copied from the page; `first`: at the
 * beginning of a line. */
static void put_word(FILE *to, const char *word, size_t n, bool first)
{
    static const char SPECIAL[] = "\\-'^~`";
    static const char *const ESCAPED[] = { "\\e", "\\-", "\\(aq", "\\(ha", "\\(ti", "\\(ga" };
    if (first && n > 0 && word[0] == '.') fputs("\\&", to);
    for (size_t i = 0; i < n; i++) {
        const char *special = strchr(SPECIAL, word[i]);
        if (special)
            fputs(ESCAPED[special - SPECIAL], to);
        else
            fputc(word[i], to);
    }
}

static void put(FILE *to, const char *text)
{
    put_word(to, text, strlen(text), true);
}

/* A paragraph: a line for each sentence, as its readers want it, none of them long. */
static void put_text(FILE *to, const char *text)
{
    enum { WIDTH = 70 };
    size_t column = 0;
    for (const char *p = text + strspn(text, " \n"); *p;) {
        size_t n = strcspn(p, " \n");
        if (column + n > WIDTH && column > 0) {
            fputc('\n', to);
            column = 0;
        }
        if (column > 0) fputc(' ', to);
        put_word(to, p, n, column == 0);
        column += n + 1;
        bool ends = p[n - 1] == '.' || (n > 1 && p[n - 1] == ')' && p[n - 2] == '.');
        p += n;
        p += strspn(p, " \n");
        if (ends && *p) {
            fputc('\n', to);
            column = 0;
        }
    }
    fputc('\n', to);
}

static void put_entry(FILE *to, const char *tag, const char *text)
{
    fputs(".TP\n.B ", to);
    put(to, tag);
    fputc('\n', to);
    put_text(to, text);
}

/* --- pages --- */

/* Every page of a verb, "" for the program: blockwise-VERB with hyphens. */
static void page_name(char out[64], const char *verb)
{
    (void)snprintf(out, 64, "blockwise%s%s", verb[0] ? "-" : "", verb);
    for (char *c = out; *c; c++)
        if (*c == ' ') *c = '-';
}

typedef struct pages {
    const char *folder, *date;
} pages;

/* Opens NAME.SECTION and begins it. */
static FILE *begin_page(const pages *all, const char *name, int section, const char *about)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/man%d", all->folder, section);
    if (n < (int)sizeof path) (void)mkdir(path, 0777);
    n = snprintf(path, sizeof path, "%s/man%d/%s.%d", all->folder, section, name, section);
    FILE *to = n < (int)sizeof path ? fopen(path, "w") : NULL;
    if (!to) {
        cli_error("%s: %s", path, strerror(errno));
        return NULL;
    }
    fputs(".\\\" Made by blockwise from its own tables.\n.TH ", to);
    for (const char *c = name; *c; c++)
        fputs(*c == '-' ? "\\-" : (const char[2]){ (char)toupper((unsigned char)*c), '\0' }, to);
    fprintf(to, " %d %s \"blockwise %s\" \"%s\"\n.SH NAME\n", section, all->date, BW_VERSION,
            section == 1 ? "User Commands" : "File Formats");
    put(to, name);
    fputs(" \\-\n", to);
    put_text(to, about);
    return to;
}

static int end_page(FILE *to, const char *name)
{
    bool failed = ferror(to) != 0; /* before: fclose() speaks of its own part only */
    if (fclose(to) == 0 && !failed) return 0;
    cli_error("page %s: %s", name, strerror(errno));
    return CLI_EXIT_FAILURE;
}

static void put_exits(FILE *to)
{
    fputs(".SH EXIT STATUS\n", to);
    for (const cli_exit *e = CLI_EXITS; e->status; e++)
        put_entry(to, e->status, e->meaning);
}

static void put_see_also(FILE *to, const char *own)
{
    char name[64];
    const cli_verb *verb;
    fputs(".SH SEE ALSO\n", to);
    for (int i = -1; i < 0 || (verb = cli_verb_at(i)); i++) {
        page_name(name, i < 0 ? "" : verb->name);
        if (strcmp(name, own) == 0) continue;
        fputs(".BR ", to);
        put(to, name);
        fputs(" (1),\n", to);
    }
    fputs(".BR blockwise\\-config (5)\n", to);
}

static void put_option(FILE *to, const cli_option *option)
{
    fputs(".TP\n\\fB\\-\\-", to);
    put(to, option->name);
    fputs("\\fR", to);
    if (option->value) {
        fputs("=\\fI", to);
        put(to, option->value);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    put_text(to, option->help);
}

/* Command lines, one a line. */
static void put_examples(FILE *to, const char *lines)
{
    fputs(".SH EXAMPLES\n.EX\n", to);
    for (const char *p = lines; *p; p += strspn(p, "\n")) {
        size_t n = strcspn(p, "\n");
        put_word(to, p, n, true);
        fputc('\n', to);
        p += n;
    }
    fputs(".EE\n", to);
}

static int write_verb(const pages *all, const cli_verb *verb)
{
    char name[64];
    page_name(name, verb->name);
    FILE *to = begin_page(all, name, 1, verb->summary);
    if (!to) return CLI_EXIT_FAILURE;
    fprintf(to, ".SH SYNOPSIS\n.B blockwise %s\n", verb->name);
    fputs(verb->options[0] == CLI_END ? "" : "[\\fIOPTION\\fR...]\n", to);
    if (verb->arguments[0]) {
        fputs("\\fI", to);
        put(to, verb->arguments);
        fputs("\\fR\n", to);
    }
    fputs(".SH DESCRIPTION\n", to);
    put_text(to, verb->summary);
    if (verb->notes) {
        fputs(".PP\n", to);
        put_text(to, verb->notes);
    }
    fputs(".SH OPTIONS\n", to);
    for (const cli_key *key = verb->options; *key != CLI_END; key++)
        put_option(to, cli_option_of(*key));
    put_entry(to, "-?, --help", "Give a list of these options.");
    put_entry(to, "--usage", "Give a short usage message.");
    if (verb->examples) put_examples(to, verb->examples);
    put_exits(to);
    put_see_also(to, name);
    return end_page(to, name);
}

static int write_program(const pages *all)
{
    const cli_verb *verb;
    FILE *to = begin_page(all, "blockwise", 1, "pretrain residual networks block by block on CPUs");
    if (!to) return CLI_EXIT_FAILURE;
    fputs(".SH SYNOPSIS\n.B blockwise\n\\fIVERB\\fR\n[\\fIOPTION\\fR...]\n.SH DESCRIPTION\n", to);
    put_text(to,
             CLI_ABOUT " Every block of the network has its own head and loss, and no gradient crosses from "
                       "one block to the next. Results go to standard output, progress and messages to "
                       "standard error.");
    fputs(".SH VERBS\n", to);
    for (int i = 0; (verb = cli_verb_at(i)); i++)
        put_entry(to, verb->name, verb->summary);
    fputs(".SH OPTIONS\n", to);
    put_entry(to, "--help", "Give a list of the verbs.");
    put_entry(to, "--version", "Print the version of the program, of its source, and the MPI library.");
    put_exits(to);
    fputs(".SH ENVIRONMENT\n", to);
    for (size_t i = 0; i < sizeof ENVIRONMENT / sizeof *ENVIRONMENT; i++)
        put_entry(to, ENVIRONMENT[i].tag, ENVIRONMENT[i].text);
    fputs(".SH FILES\nA run folder, which\n.BR blockwise\\-pretrain (1)\nmakes, has\n", to);
    for (size_t i = 0; i < sizeof RUN_FOLDER / sizeof *RUN_FOLDER; i++)
        put_entry(to, RUN_FOLDER[i].tag, RUN_FOLDER[i].text);
    put_see_also(to, "blockwise");
    return end_page(to, "blockwise");
}

static int write_config(const pages *all)
{
    bw_config_key key;
    bw_recipe recipe;
    FILE *to = begin_page(all, "blockwise-config", 5, "settings of a run");
    if (!to) return CLI_EXIT_FAILURE;
    fputs(".SH DESCRIPTION\n", to);
    put_text(
        to, "A run is defined by settings. They come from a recipe (--recipe NAME), a YAML file (--config "
            "FILE) and single assignments (--set KEY=VALUE, the value in YAML); later wins in this order. In "
            "a file a key is written with its dots, or as nested maps.");
    fputs(".PP\n", to);
    put_text(
        to,
        "blocks[K].KEY is the value of block K alone, counted from 1, for any key of head, projector, loss, "
        "noise and optimizer. In a file extends: NAME begins with a recipe, or with another file where NAME "
        "ends in .yaml; what the file says itself wins.");
    fputs(".SH KEYS\n", to);
    for (int i = 0; bw_config_key_at(&key, i); i++) {
        put_entry(to, key.name, key.help);
        char allowed[512];
        (void)snprintf(allowed, sizeof allowed, "%s; %s; %s%s%sdefault %s", key.type, key.range,
                       *key.used_with ? "only with " : "", key.used_with, *key.used_with ? "; " : "",
                       key.default_text);
        fputs(".br\n", to);
        put_text(to, allowed);
    }
    fputs(".SH RECIPES\n", to);
    for (int i = 0; bw_recipe_at(&recipe, i); i++)
        put_entry(to, recipe.name, recipe.help);
    fputs(".SH SEE ALSO\n.BR blockwise (1),\n.BR blockwise\\-pretrain (1),\n.BR blockwise\\-list (1)\n", to);
    return end_page(to, "blockwise-config");
}

int cli_manual(const char *folder, const char *date)
{
    const pages all = { folder, date };
    const cli_verb *verb;
    int code = write_program(&all);
    for (int i = 0; code == 0 && (verb = cli_verb_at(i)); i++)
        code = write_verb(&all, verb);
    return code == 0 ? write_config(&all) : code;
}
