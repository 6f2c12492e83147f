/* The program: finds the verb, runs it, and makes sure that what it printed has arrived. */
#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/ranks.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_verb *const VERBS[] = {
    &cli_pretrain,     &cli_probe,        &cli_knn,        &cli_finetune,   &cli_robustness, &cli_embed,
    &cli_export,       &cli_inspect,      &cli_list,       &cli_data_check, &cli_data_pack,  &cli_bench_step,
    &cli_bench_loader, &cli_bench_matmul, &cli_bench_comm, &cli_plan,       &cli_selftest,   &cli_report
};
enum { N_VERBS = sizeof VERBS / sizeof VERBS[0] };

const cli_verb *cli_verb_at(int index)
{
    return index >= 0 && index < N_VERBS ? VERBS[index] : NULL;
}

const cli_exit CLI_EXITS[] = {
    { "0", "Done" },
    { "1", "The system failed: no memory, a file that cannot be written, another rank" },
    { "2", "Wrong usage or setting; also a run folder that is there already" },
    { "3", "Input data or model file: missing, damaged, of wrong shape" },
    { "4", "Training diverged: a value is not finite" },
    { "130, 143", "Interrupted by SIGINT or SIGTERM, with the state saved" },
    { NULL, NULL },
};

static void print_overview(FILE *to)
{
    fputs("Usage: blockwise VERB [OPTION...]\n" CLI_ABOUT "\n\nVerbs:\n", to);
    for (int i = 0; i < N_VERBS; i++)
        fprintf(to, "  %-14s %s\n", VERBS[i]->name, VERBS[i]->summary);
    fputs(
        "\nFirst steps with images of your own, in folders or archives:\n"
        "  blockwise data check PATH\n"
        "  blockwise pretrain --data PATH --out RUN --recipe pictures     others: 'blockwise list recipes'\n"
        "  blockwise report RUN\n",
        to);
    fputs("\n'blockwise VERB --help' shows the options of a verb and their defaults.\n"
          "  --help         this text\n"
          "  --version      version of the program and of its source\n\n"
          "Results go to standard output, progress and messages to standard error. Exit status:\n",
          to);
    for (const cli_exit *e = CLI_EXITS; e->status; e++)
        fprintf(to, "  %-14s %s\n", e->status, e->meaning);
}

/* A disk that is full or a pipe that is closed must not look like success. */
static void flush_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return;
    fprintf(stderr, "blockwise: cannot write to standard output: %s\n", strerror(errno));
    _exit(CLI_EXIT_FAILURE);
}

/* Descriptors 0 to 2 closed by the caller would go to the first files that are opened, and what is
 * printed would end in them. Standard output is opened for reading, so that printing still fails. */
static void fill_closed_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1) continue;
        if (open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd) _exit(CLI_EXIT_FAILURE);
    }
}

/* The part of a verb's name after its first word, NULL for a name of one word; false if the first word is
 * not `word`. */
static bool split_name(const char **second, const cli_verb *verb, const char *word)
{
    size_t n = strcspn(verb->name, " ");
    if (strlen(word) != n || strncmp(verb->name, word, n) != 0) return false;
    *second = verb->name[n] == ' ' ? verb->name + n + 1 : NULL;
    return true;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* The verb that argv[1] and perhaps argv[2] name; *words says how many. Does not return if there is
 * none. */
static const cli_verb *find_verb(int *words, int argc, char **argv)
{
    const char *first[N_VERBS], *second[N_VERBS];
    int n_second = 0;
    for (int i = 0; i < N_VERBS; i++) {
        const char *rest = NULL;
        first[i] = VERBS[i]->name;
        if (!split_name(&rest, VERBS[i], argv[1])) continue;
        *words = rest ? 2 : 1;
        if (!rest || (argc > 2 && strcmp(rest, argv[2]) == 0)) return VERBS[i];
        second[n_second++] = rest;
    }
    if (n_second == 0) {
        const char *near = bw__nearest(argv[1], first, N_VERBS);
        cli_usage_error("unknown verb '%s'%s%.*s%s; see 'blockwise --help'", argv[1],
                        near ? ", the nearest is '" : "", near ? (int)strcspn(near, " ") : 0,
                        near ? near : "", near ? "'" : "");
    }
    cli_set_verb(argv[1]);
    if (argc < 3) {
        char all[128] = "";
        for (int i = 0; i < n_second; i++)
            (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "|" : "", second[i]);
        cli_usage_error("needs %s; see 'blockwise %s --help'", all, argv[1]);
    }
    if (is_help(argv[2])) {
        const char *rest;
        for (int i = 0; i < N_VERBS; i++)
            if (split_name(&rest, VERBS[i], argv[1])) cli_print_help(VERBS[i]);
        exit(0);
    }
    const char *near = bw__nearest(argv[2], second, n_second);
    cli_usage_error("unknown '%s'%s%s%s; see 'blockwise %s --help'", argv[2],
                    near ? ", the nearest is '" : "", near ? near : "", near ? "'" : "", argv[1]);
}

/* `help VERB` becomes `VERB --help`. */
static void help_behind_verb(int argc, char **argv)
{
    static char help[] = "--help";
    for (int i = 1; i + 1 < argc; i++)
        argv[i] = argv[i + 1];
    argv[argc - 1] = help;
}

/* An option where the verb should be. */
_Noreturn static void option_first(int argc, char **argv)
{
    static const char *const own[] = { "--help", "--version" };
    const char *near = bw__nearest(argv[1], own, 2), *rest;
    for (int i = 2; i < argc; i++)
        for (int v = 0; v < N_VERBS; v++)
            if (split_name(&rest, VERBS[v], argv[i]))
                cli_usage_error("%s: the verb comes first: blockwise %s ...", argv[1], VERBS[v]->name);
    if (near) cli_usage_error("unknown option %s, the nearest is %s", argv[1], near);
    cli_usage_error("unknown option %s; the verb comes first, see 'blockwise --help'", argv[1]);
}

int main(int argc, char **argv)
{
    cli_options options;
    int words = 1;

    fill_closed_descriptors();
    atexit(flush_output);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is then an error of the write */
    cli_ranks_begin();
    if (argc < 2) {
        if (cli_ranks_speaks()) print_overview(stderr);
        cli_usage_error("needs a verb");
    }
    if (is_help(argv[1]) && argc > 2) help_behind_verb(argc, argv);
    if (is_help(argv[1])) {
        print_overview(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("blockwise %s (%s)\nMPI: %s\n", BW_VERSION, BW_GIT, bw_comm_library());
        return 0;
    }
    if (strcmp(argv[1], "--complete") == 0) return cli_complete(argc - 2, argv + 2);
    if (strcmp(argv[1], "--manual") == 0 && argc == 4) return cli_manual(argv[2], argv[3]);
    if (argv[1][0] == '-') option_first(argc, argv);

    const cli_verb *verb = find_verb(&words, argc, argv);
    char *command = cli_command_line(argc, argv);
    cli_set_verb(verb->name);
    cli_options_parse(&options, verb, argc - words, argv + words);
    options.command = command;
    cli_progress_setup(verb->name, options.quiet, options.verbose);
    if (verb->interruptible) cli_interrupt_install(!options.quiet && cli_ranks_speaks());
    if (verb->check) verb->check(&options);
    cli_ranks_join(verb);
    int code = verb->run(&options);
    cli_ranks_leave();
    cli_options_clear(&options);
    free(command);
    return code;
}
