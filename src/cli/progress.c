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

enum { LEAST_CELLS = 4, MOST_CELLS = 20, LEAST_WRAPPED = 30, LINE_MAX_CHARS = 512, TEXT_MAX_CHARS = 4096 };
static const double REDRAW_S = 0.1, PLAIN_EVERY_S = 10.0, PLAIN_AT_MOST_S = 1.0, PLAIN_EVERY_SHARE = 0.05;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the log comes from any thread */
static struct {
    bool quiet, verbose, terminal, colour;
    bool silent;   /* another rank speaks for this one */
    bool drawn;    /* a bar stands on the current line of the terminal */
    char verb[32]; /* its own progress needs no name on a terminal */
    char what[64];
    double start_s, start_done; /* when and where `what` began */
    double shown_s, shown_done;
} bar;

static void clear_bar(void)
{
    if (bar.drawn) fputs("\r\033[K", stderr);
    bar.drawn = false;
}

/* Columns of the terminal that `fd` is; 0 where it is none. */
int cli_columns(int fd)
{
    const int usual = 80;
    struct winsize size;
    if (!isatty(fd)) return 0;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
}

/* Bytes of `text` that fill at most `columns`, up to the end of a word where there is one. */
static size_t fitting(const char *text, int columns)
{
    enum { CONTINUES = 0x80, MASK = 0xc0 }; /* bytes of UTF-8 that begin no character */
    size_t word = 0, i = 0;
    for (int used = 0; text[i]; i++) {
        if (((unsigned char)text[i] & MASK) != CONTINUES && used++ == columns) break;
        if (text[i] == ' ' && i > 0 && text[i - 1] != ' ') word = i;
    }
    return text[i] && word > 0 ? word : i;
}

static bool draws(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

/* In one piece, so that lines of several ranks do not mix. */
void cli_print_line(const char *line)
{
    char text[2 * TEXT_MAX_CHARS];
    const char *indent = "";
    size_t used = 0;
    int columns = draws() ? cli_columns(STDERR_FILENO) : 0;
    while (columns >= LEAST_WRAPPED && used < TEXT_MAX_CHARS) {
        size_t n = fitting(line, columns - 1 - (int)strlen(indent));
        if (!line[n]) break;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s\n", indent, (int)n, line);
        line += n;
        while (*line == ' ')
            line++;
        indent = "  ";
    }
    (void)snprintf(text + used, sizeof text - used, "%s%s\n", indent, line);
    fputs(text, stderr);
}

static void on_log(void *user, bw_log_level level, const char *line)
{
    char text[TEXT_MAX_CHARS];
    (void)user;
    pthread_mutex_lock(&lock);
    bool wanted = level == BW_LOG_WARN || (level == BW_LOG_INFO && !bar.quiet) || bar.verbose;
    if (wanted && !bar.silent) {
        (void)snprintf(text, sizeof text, "%s%s", level == BW_LOG_WARN ? "warning: " : "", line);
        clear_bar();
        cli_print_line(text);
    }
    pthread_mutex_unlock(&lock);
}

void cli_progress_setup(const char *verb, bool quiet, bool verbose)
{
    const char *no_color = getenv("NO_COLOR");
    pthread_mutex_lock(&lock);
    (void)snprintf(bar.verb, sizeof bar.verb, "%s", verb);
    bar.silent = !cli_ranks_speaks();
    bar.quiet = quiet || bar.silent;
    bar.verbose = verbose && !bar.quiet;
    bar.terminal = draws();
    bar.colour = bar.terminal && !(no_color && no_color[0]);
    pthread_mutex_unlock(&lock);
    bw_set_log(on_log, NULL);
}

static void format_time(char *text, size_t size, double seconds)
{
    long s = seconds < 1e8 ? (long)(seconds + 0.5) : 99999999;
    if (s >= 3600)
        (void)snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        (void)snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
}

/* As many of the parts of `detail`, which are in the order of their worth, as there is room for. */
static void add_parts(char *line, size_t size, size_t room, const char *detail)
{
    for (const char *part = detail; *part;) {
        const char *end = strstr(part, ", ");
        size_t n = end ? (size_t)(end - part) : strlen(part), used = strlen(line);
        if (used + 2 + n <= room) (void)snprintf(line + used, size - used, ", %.*s", (int)n, part);
        part += end ? n + 2 : n;
    }
}

/* One line that never wraps: the bar has what the text leaves. */
static void draw_bar(const char *what, double done, const char *left, const char *detail)
{
    enum { FRAME = 3 };
    char line[LINE_MAX_CHARS];
    int room = cli_columns(STDERR_FILENO) - 1; /* a full line would wrap on some terminals */
    bool named = strcmp(what, bar.verb) != 0;
    if (room > LINE_MAX_CHARS - 1) room = LINE_MAX_CHARS - 1;
    int n = snprintf(line, sizeof line, "%s%s%3.0f %%%s", named ? what : "", named ? " " : "", 100.0 * done,
                     left);
    int text_room = room - LEAST_CELLS - FRAME;
    add_parts(line, sizeof line, text_room > n ? (size_t)text_room : 0, detail);
    int cells = room - FRAME - (int)strlen(line);
    if (cells > MOST_CELLS) cells = MOST_CELLS;
    fputs("\r\033[K", stderr);
    if (cells >= LEAST_CELLS) {
        fprintf(stderr, "%s[", bar.colour ? "\033[32m" : "");
        for (int i = 0; i < cells; i++)
            fputc(i < (int)(done * cells) ? '#' : '-', stderr);
        fprintf(stderr, "]%s ", bar.colour ? "\033[0m" : "");
    }
    fprintf(stderr, "%.*s", room > 0 ? room : 0, line);
    fflush(stderr);
    bar.drawn = true;
}

/* ", 1:05 left", or at the end ", took 12:10"; "" where nothing is known. */
static void say_time(char *text, size_t size, double passed_s, double gained, double done)
{
    char time[24];
    if (!(gained > 0.0)) return;
    format_time(time, sizeof time, done < 1.0 ? passed_s * (1.0 - done) / gained : passed_s);
    if (done < 1.0)
        (void)snprintf(text, size, ", %s left", time);
    else
        (void)snprintf(text, size, ", took %s", time);
}

void cli_progress_show(const char *what, double done, const char *detail)
{
    char left[32] = "";
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
        say_time(left, sizeof left, now - bar.start_s, done - bar.start_done, done);
        if (bar.terminal)
            draw_bar(what, done, left, detail);
        else
            fprintf(stderr, "%s %3.0f %%%s%s%s\n", what, 100.0 * done, left, detail[0] ? ", " : "", detail);
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
    char text[TEXT_MAX_CHARS];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&lock);
    if (!bar.quiet) {
        clear_bar();
        cli_print_line(text);
    }
    pthread_mutex_unlock(&lock);
}

int cli_progress_callback(void *user, const char *what, double done)
{
    (void)user;
    cli_progress_show(what, done, "");
    return cli_interrupt_signal() != 0;
}
