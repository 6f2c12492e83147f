/* `blockwise list`: what can be chosen from. */
#include "cli/cli.h"
#include <string.h>

typedef struct choice {
    const char *name, *help;
} choice;

static void print_choices(const choice *choices, int n)
{
    for (int i = 0; i < n; i++)
        printf("%-14s %s\n", choices[i].name, choices[i].help);
}

static bw_status list_losses(void)
{
    static const choice LOSSES[] = { { "barlow-twins",
                                       "cross-correlation of two views towards the identity" } };
    print_choices(LOSSES, sizeof LOSSES / sizeof LOSSES[0]);
    return BW_OK;
}

static bw_status list_archs(void)
{
    static const choice ARCHS[] = { { "resnet18", "basic units 2-2-2-2" },
                                    { "resnet34", "basic units 3-4-6-3" },
                                    { "resnet50", "bottleneck units 3-4-6-3" },
                                    { "resnet101", "bottleneck units 3-4-23-3" } };
    print_choices(ARCHS, sizeof ARCHS / sizeof ARCHS[0]);
    return BW_OK;
}

typedef struct subject {
    const char *name;
    bw_status (*print)(void);
} subject;
static const subject SUBJECTS[] = { { "losses", list_losses }, { "archs", list_archs } };
enum { N_SUBJECTS = sizeof SUBJECTS / sizeof SUBJECTS[0] };

static int run_list(const cli_options *options)
{
    const char *word = options->arguments[0], *names[N_SUBJECTS];
    for (int i = 0; i < N_SUBJECTS; i++) {
        names[i] = SUBJECTS[i].name;
        if (strcmp(names[i], word) == 0) return cli_finish(SUBJECTS[i].print());
    }
    const char *near = cli_nearest(word, names, N_SUBJECTS);
    cli_error("nothing called '%s' to list%s%s%s; see 'blockwise list --help'", word,
              near ? ", the nearest is '" : "", near ? near : "", near ? "'" : "");
    return CLI_EXIT_USAGE;
}

const cli_verb cli_list = { .name = "list",
                            .arguments = "losses|archs",
                            .min_arguments = 1,
                            .max_arguments = 1,
                            .summary = "Show what can be chosen from",
                            .notes = NULL,
                            .options = { CLI_END },
                            .run = run_list };
