#include "cli/progress.h"
#include "base/clock.h"
#include "blockwise/status.h"
#include "cli/interrupt.h"
#include "cli/ranks.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 20, LINE_MAX_CHARS = 512 };
static const double REDRAW_S = 0.1, PLAIN_EVERY_S = 10.0, PLAIN_AT_MOST_S = 1.0, PLAIN_EVERY_SHARE = 0.05;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the log comes from any thread */
static struct {
    bool quiet, verbose, terminal, colour;
    bool silent; /* another rank speaks for this one */
    bool drawn;  /* a bar stands on the current line of the terminal */
    char what[64];
    double start_s, start_done; /* when and where `what` began */
    double shown_s, shown_done;
} bar;

static void clear_bar(void)
{
    if (bar.drawn) fputs("\r\033[K", stderr);
    bar.drawn = false;
}

static void on_log(void *user, bw_log_level level, const char *line)
{
    (void)user;
    pthread_mutex_lock(&lock);
    bool wanted = level == BW_LOG_WARN || (level == BW_LOG_INFO && !bar.quiet) || bar.verbose;
    if (wanted && !bar.silent) {
        clear_bar();
        fprintf(stderr, "%s%s\n", level == BW_LOG_WARN ? "warning: " : "", line);
    }
    pthread_mutex_unlock(&lock);
}

void cli_progress_setup(bool quiet, bool verbose)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    pthread_mutex_lock(&lock);
    bar.silent = !cli_ranks_speaks();
    bar.quiet = quiet || bar.silent;
    bar.verbose = verbose && !bar.quiet;
    bar.terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    bar.colour = bar.terminal && !(no_color && no_color[0]);
    pthread_mutex_unlock(&lock);
    bw_set_log(on_log, NULL);
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

static void format_time(char *text, size_t size, double seconds)
{
    long s = seconds < 1e8 ? (long)(seconds + 0.5) : 99999999;
    if (s >= 3600)
        (void)snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        (void)snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
}

static void draw_bar(double done, const char *line)
{
    int columns = terminal_columns();
    int cells = columns >= 60 ? BAR_CELLS : 0;
    int full = (int)(done * cells);
    fputs("\r\033[K", stderr);
    if (cells > 0) {
        fprintf(stderr, "%s[", bar.colour ? "\033[32m" : "");
        for (int i = 0; i < cells; i++)
            fputc(i < full ? '#' : '-', stderr);
        fprintf(stderr, "]%s ", bar.colour ? "\033[0m" : "");
    }
    /* One column stays free: a full line would wrap on some terminals. */
    int room = columns - 1 - (cells > 0 ? cells + 3 : 0);
    fprintf(stderr, "%.*s", room > 0 ? room : 0, line);
    fflush(stderr);
    bar.drawn = true;
}

void cli_progress_show(const char *what, double done, const char *detail)
{
    char line[LINE_MAX_CHARS], left[32] = "";
    double now = bw__now_s();
    if (!(done >= 0.0)) done = 0.0;
    if (done > 1.0) done = 1.0;

    pthread_mutex_lock(&lock);
    bool fresh = strncmp(bar.what, what, sizeof bar.what - 1) != 0;
    if (fresh) {
        (void)snprintf(bar.what, sizeof bar.what, "%s", what);
        bar.start_s = bar.shown_s = now;
        bar.start_done = bar.shown_done = done;
    }
    double waited = now - bar.shown_s, gained = done - bar.shown_done;
    bool finished = done >= 1.0 && (fresh || gained > 0.0);
    bool moved = gained >= PLAIN_EVERY_SHARE && waited >= PLAIN_AT_MOST_S;
    bool due = finished || (bar.terminal ? fresh || waited >= REDRAW_S : moved || waited >= PLAIN_EVERY_S);
    if (due && !bar.quiet) {
        double progress = done - bar.start_done;
        if (progress > 0.0 && done < 1.0) {
            char text[24];
            format_time(text, sizeof text, (now - bar.start_s) * (1.0 - done) / progress);
            (void)snprintf(left, sizeof left, ", %s left", text);
        }
        (void)snprintf(line, sizeof line, "%s %3.0f %%%s%s%s", what, 100.0 * done, left,
                       detail[0] ? ", " : "", detail);
        if (bar.terminal)
            draw_bar(done, line);
        else
            fprintf(stderr, "%s\n", line);
        bar.shown_s = now;
        bar.shown_done = done;
    }
    pthread_mutex_unlock(&lock);
}

void cli_progress_end(void)
{
    pthread_mutex_lock(&lock);
    if (bar.drawn) fputc('\n', stderr);
    bar.drawn = false;
    bar.what[0] = '\0';
    pthread_mutex_unlock(&lock);
}

void cli_note(const char *fmt, ...)
{
    va_list ap;
    pthread_mutex_lock(&lock);
    if (!bar.quiet) {
        clear_bar();
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
    }
    pthread_mutex_unlock(&lock);
}

int cli_progress_callback(void *user, const char *what, double done)
{
    (void)user;
    cli_progress_show(what, done, "");
    return cli_interrupt_signal() != 0;
}
