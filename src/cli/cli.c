#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/ranks.h"
#include <stdlib.h>
#include <string.h>

static const char *verb_name = "";

void cli_set_verb(const char *name)
{
    verb_name = name;
}

static void print_error(const char *fmt, va_list ap)
{
    char line[4096];
    int n = snprintf(line, sizeof line, "blockwise: %s%s", verb_name, verb_name[0] ? ": " : "");
    cli_progress_end();
    if (n > 0) (void)vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    cli_print_line(line);
}

void cli_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_error(fmt, ap);
    va_end(ap);
}

void cli_usage_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (cli_ranks_speaks()) print_error(fmt, ap);
    va_end(ap);
    cli_ranks_exit(CLI_EXIT_USAGE);
}

/* `agreed`: all ranks end with it. */
static int exit_code(bw_status status, bool agreed)
{
    switch (status) {
    case BW_EINVAL:
    case BW_EEXIST:
        return CLI_EXIT_USAGE;
    case BW_EDATA:
    case BW_ENOSPLIT:
    case BW_ESHAPE:
        return CLI_EXIT_DATA;
    case BW_ENONFINITE:
        return CLI_EXIT_DIVERGED;
    case BW_EINTERRUPTED:
        return 128 + (agreed ? cli_ranks_stop_signal() : cli_interrupt_signal());
    default:
        return CLI_EXIT_FAILURE;
    }
}

int cli_finish(bw_status status)
{
    cli_progress_end();
    if (status == BW_OK) return 0;
    bool agreed = bw_comm_all_failed(cli_comm());
    int code = exit_code(status == BW_EREMOTE ? bw_comm_remote_status(cli_comm()) : status, agreed);
    const char *line = bw_last_error();
    cli_ranks_say(status, line[0] ? line : bw_status_text(status));
    if (!agreed) bw_comm_abort(cli_comm(), code);
    return code;
}

char *cli_command_line(int argc, char **argv)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=+-@%";
    char *line = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&line, &bytes);
    if (!stream) return NULL;
    for (int i = 0; i < argc; i++) {
        bool quote = argv[i][0] == '\0' || argv[i][strspn(argv[i], PLAIN)] != '\0';
        fprintf(stream, "%s%s", i > 0 ? " " : "", quote ? "'" : "");
        for (const char *p = argv[i]; *p; p++)
            fprintf(stream, "%s%c", *p == '\'' ? "'\\'" : "", *p);
        fputs(quote ? "'" : "", stream);
    }
    if (fclose(stream) != 0) {
        free(line);
        return NULL;
    }
    return line;
}
