/* `blockwise list`: what can be chosen from. */
#include "base/nearest.h"
#include "cli/cli.h"
#include "formats/config_schema.h"
#include <string.h>

static void list_recipes(void)
{
    bw_recipe recipe;
    for (int i = 0; bw_recipe_at(&recipe, i); i++)
        printf("%-28s %s\n", recipe.name, recipe.help);
}

static void list_formats(void)
{
    const char *name, *help;
    for (int i = 0; bw_dataset_format_at(&name, &help, i); i++)
        printf("%-14s %s\n", name, help);
}

static void list_corruptions(void)
{
    const char *name, *help;
    for (int i = 0; bw_corruption_at(&name, &help, i); i++)
        printf("%-17s %s\n", name, help);
}

static void list_config(void)
{
    bw_config_key key;
    for (int i = 0; bw_config_key_at(&key, i); i++)
        printf("%s: %s\n    %s; %s; %s%s%sdefault %s\n", key.name, key.help, key.type, key.range,
               *key.used_with ? "only with " : "", key.used_with, *key.used_with ? "; " : "",
               key.default_text);
    puts("blocks[k].KEY: block k, counted from 1, has a value of its own for KEY\n"
         "    any key of head, projector, loss, noise and optimizer, as in blocks[2].head.pool\n"
         "extends: in a file: a recipe, or a file named from the folder of this one, to begin with\n"
         "    word; NAME or FILE.yaml; what the file says itself wins");
}

/* The words that a setting takes. */
static void list_words(const char *key)
{
    const char *const *names = bw__key(bw__key_find(key))->names;
    for (int i = 0; names[i]; i++)
        puts(names[i]);
}

static void list_losses(void)
{
    list_words("loss.name");
}

static void list_archs(void)
{
    list_words("model.arch");
}

typedef struct subject {
    const char *name;
    void (*print)(void);
} subject;
static const subject SUBJECTS[] = {
    { "recipes", list_recipes }, { "losses", list_losses },           { "archs", list_archs },
    { "formats", list_formats }, { "corruptions", list_corruptions }, { "config", list_config }
};
enum { N_SUBJECTS = sizeof SUBJECTS / sizeof SUBJECTS[0] };

static int run_list(const cli_options *options)
{
    const char *word = options->arguments[0], *names[N_SUBJECTS];
    for (int i = 0; i < N_SUBJECTS; i++) {
        names[i] = SUBJECTS[i].name;
        if (strcmp(names[i], word) != 0) continue;
        SUBJECTS[i].print();
        return 0;
    }
    const char *near = bw__nearest(word, names, N_SUBJECTS);
    cli_error("nothing called '%s' to list%s%s%s; see 'blockwise list --help'", word,
              near ? ", the nearest is '" : "", near ? near : "", near ? "'" : "");
    return CLI_EXIT_USAGE;
}

const cli_verb cli_list = { .name = "list",
                            .arguments = "recipes|losses|archs|formats|corruptions|config",
                            .min_arguments = 1,
                            .max_arguments = 1,
                            .summary =
                                "List recipes, losses, architectures, formats of images, corruptions, or "
                                "every setting",
                            .notes = NULL,
                            .examples = "blockwise list recipes\n"
                                        "blockwise list config",
                            .options = { CLI_END },
                            .run = run_list };
