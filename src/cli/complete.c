/* `blockwise --complete WORD...`: what a shell may offer in place of the last word. The scripts in
 * completions/ ask it, so what they know is what this program takes. */
#include "cli/cli.h"
#include "formats/config_schema.h"
#include <string.h>

/* Each line of the answer is a word, a tab and its meaning, or this alone: names of files. A word that ends
 * with '=', '.' or ',' is not whole. */
static const char FILES[] = ":files";

/* The last word: up to `rest` it stays as it is, what is offered replaces the rest. */
typedef struct asked {
    const char *word, *rest;
} asked;

/* Offers `text` [n] and `end` behind it where the word begins so. */
static void offer(const asked *a, const char *text, size_t n, const char *end, const char *help)
{
    size_t given = strlen(a->rest);
    if (given > n || strncmp(a->rest, text, given) != 0) return;
    printf("%.*s%.*s%s\t%s\n", (int)(a->rest - a->word), a->word, (int)n, text, end, help);
}

static void offer_word(const asked *a, const char *text, const char *help)
{
    offer(a, text, strlen(text), "", help);
}

/* Offers the words of "a|b" or "a, b" that stand for themselves: placeholders are in capitals. */
static void offer_choices(const asked *a, const char *list)
{
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, "|,");
        if (!(p[0] >= 'A' && p[0] <= 'Z')) offer(a, p, n, "", "");
        p += n;
        p += strspn(p, "|, ");
    }
}

static void offer_recipes(const asked *a)
{
    bw_recipe recipe;
    for (int i = 0; bw_recipe_at(&recipe, i); i++)
        offer_word(a, recipe.name, recipe.help);
}

static void offer_formats(const asked *a)
{
    const char *name, *help;
    for (int i = 0; bw_dataset_format_at(&name, &help, i); i++)
        offer_word(a, name, help);
}

/* A list: what stands before the last comma stays. */
static void offer_corruptions(asked a)
{
    const char *comma = strrchr(a.rest, ','), *name, *help;
    if (comma) a.rest = comma + 1;
    for (int i = 0; bw_corruption_at(&name, &help, i); i++)
        offer_word(&a, name, help);
}

static void offer_setting_value(const asked *a, const char *path)
{
    bw_key_match match = bw__key_match(path);
    bw_config_key key;
    if (match.n == 0 || !bw_config_key_at(&key, match.index[0])) return;
    if (strcmp(key.type, "word") == 0 || strcmp(key.type, "boolean") == 0)
        offer_choices(a, key.range);
    else if (strstr(key.range, "auto"))
        offer_word(a, "auto", "");
}

/* KEY=VALUE, with KEY one of the run or of a single block. */
static void offer_setting(asked a)
{
    char path[BW_KEY_NAME];
    const char *equals = strchr(a.rest, '=');
    int block;
    const char *rest;
    if (equals) {
        (void)snprintf(path, sizeof path, "%.*s", (int)(equals - a.rest), a.rest);
        a.rest = equals + 1;
        offer_setting_value(&a, path);
        return;
    }
    bool of_block = bw__block_path(&block, &rest, a.rest) == BW_BLOCK_PATH_GOOD;
    if (of_block) a.rest = rest;
    for (int i = 0; i < bw__keys(); i++) {
        const bw_key *key = bw__key(i);
        if (!of_block || bw__key_has_block_form(i)) offer(&a, key->name, strlen(key->name), "=", key->help);
    }
}

/* How values are called that are files or folders: FILE.npy too. */
static const char *const NAMES_OF_FILES[] = { "PATH", "DIR", "FILE", "RUN", "MODEL", "NAME" };

static void offer_value(const asked *a, const cli_option *option)
{
    switch (option->key) {
    case CLI_RECIPE:
        offer_recipes(a);
        return;
    case CLI_SET:
        offer_setting(*a);
        return;
    case CLI_DATA_FORMAT:
        offer_formats(a);
        return;
    case CLI_CORRUPTIONS:
        offer_corruptions(*a);
        return;
    default:
        break;
    }
    if (strchr(option->value, '|')) offer_choices(a, option->value);
    for (size_t i = 0; i < sizeof NAMES_OF_FILES / sizeof *NAMES_OF_FILES; i++)
        if (strncmp(option->value, NAMES_OF_FILES[i], strlen(NAMES_OF_FILES[i])) == 0) puts(FILES);
}

/* The option of `verb` that `word` names: "--NAME" or "--NAME=...", in full. */
static const cli_option *option_named(const cli_verb *verb, const char *word)
{
    if (strncmp(word, "--", 2) != 0) return NULL;
    size_t n = strcspn(word + 2, "=");
    for (const cli_key *key = verb->options; *key != CLI_END; key++) {
        const cli_option *option = cli_option_of(*key);
        if (strlen(option->name) == n && strncmp(option->name, word + 2, n) == 0) return option;
    }
    return NULL;
}

static bool is_given(const cli_option *option, const cli_verb *verb, int n, char **words)
{
    for (int i = 0; i < n; i++)
        if (option_named(verb, words[i]) == option) return true;
    return false;
}

/* "--NAME" for every option that would still be heard: all but --set may stand once. */
static void offer_options(const asked *a, const cli_verb *verb, int n, char **words)
{
    char name[64];
    for (const cli_key *key = verb->options; *key != CLI_END; key++) {
        const cli_option *option = cli_option_of(*key);
        if (option->key != CLI_SET && is_given(option, verb, n, words)) continue;
        (void)snprintf(name, sizeof name, "--%s", option->name);
        offer_word(a, name, option->help);
    }
    offer_word(a, "--help", "Give this help list");
}

/* `words` [n]: those behind the verb, the last of them the one to be completed. */
static void complete_verb(const cli_verb *verb, int n, char **words)
{
    asked a = { words[n - 1], words[n - 1] };
    int arguments = 0;
    bool only_arguments = false;
    const cli_option *before = NULL; /* takes the next word as its value */
    for (int i = 0; i + 1 < n; i++) {
        const cli_option *option = before || only_arguments ? NULL : option_named(verb, words[i]);
        if (!before && !option) {
            bool ends_options = strcmp(words[i], "--") == 0;
            arguments += words[i][0] != '-' || (only_arguments && !ends_options);
            only_arguments = only_arguments || ends_options;
        }
        before = option && option->value && !strchr(words[i], '=') ? option : NULL;
    }
    const cli_option *own = only_arguments ? NULL : option_named(verb, a.word);
    const char *equals = strchr(a.word, '=');
    if (before) {
        offer_value(&a, before);
    } else if (own && own->value && equals) {
        a.rest = equals + 1;
        offer_value(&a, own);
    } else if (a.word[0] == '-' && !only_arguments) {
        offer_options(&a, verb, n - 1, words);
    } else if (arguments >= verb->max_arguments) {
        if (a.word[0] == '\0') offer_options(&a, verb, n - 1, words);
    } else if (verb->arguments[0] >= 'a' && verb->arguments[0] <= 'z') {
        offer_choices(&a, verb->arguments);
    } else {
        puts(FILES);
    }
}

/* First words of verbs, each once, or second words of those that begin with `first`. */
static void offer_verbs(const asked *a, const char *first)
{
    const cli_verb *verb, *last = NULL;
    for (int i = 0; (verb = cli_verb_at(i)); i++) {
        const char *second = strchr(verb->name, ' ');
        size_t n = strcspn(verb->name, " ");
        if (first) {
            if (second && strlen(first) == n && strncmp(first, verb->name, n) == 0)
                offer_word(a, second + 1, verb->summary);
            continue;
        }
        bool again = last && second && strncmp(last->name, verb->name, n + 1) == 0;
        if (!again) offer(a, verb->name, n, "", second ? "" : verb->summary);
        last = verb;
    }
}

int cli_complete(int n, char **words)
{
    const cli_verb *verb;
    if (n < 1) return CLI_EXIT_USAGE;
    asked a = { words[n - 1], words[n - 1] };
    if (n == 1) {
        offer_verbs(&a, NULL);
        offer_word(&a, "--help", "Give a list of the verbs");
        offer_word(&a, "--version", "Version of the program and of its source");
        return 0;
    }
    for (int i = 0; (verb = cli_verb_at(i)); i++) {
        const char *second = strchr(verb->name, ' ');
        size_t first = strcspn(verb->name, " ");
        if (strlen(words[0]) != first || strncmp(words[0], verb->name, first) != 0) continue;
        if (!second) complete_verb(verb, n - 1, words + 1);
        if (second && n > 2 && strcmp(words[1], second + 1) == 0) complete_verb(verb, n - 2, words + 2);
    }
    if (n == 2) offer_verbs(&a, words[0]);
    return 0;
}
