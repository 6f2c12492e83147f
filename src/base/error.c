#include "base/error.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char last_error[1024];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static bw_log_fn log_fn;
static void *log_user;

const char *bw_status_text(bw_status status)
{
    switch (status) {
#define BW_STATUS_CASE(name, value, text)                                                                    \
    case BW_##name:                                                                                          \
        return text;
        BW_STATUS_LIST(BW_STATUS_CASE)
#undef BW_STATUS_CASE
    default:
        return "unknown status";
    }
}

const char *bw_last_error(void)
{
    return last_error;
}

const char *bw_version(void)
{
    return BW_VERSION;
}

/* Messages quote names out of files. What would steer a terminal (control characters, and those of two bytes
 * in UTF-8) becomes '?'. */
static void make_printable(char *line)
{
    for (unsigned char *p = (unsigned char *)line; *p; p++) {
        bool wide = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        if (wide) p[1] = '?';
        if (wide || *p < 0x20 || *p == 0x7f) *p = '?';
    }
}

bw_status bw_fail(bw_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    /* Formatted aside first: an argument may be the kept line itself. */
    char line[sizeof last_error];
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    make_printable(line);
    memcpy(last_error, line, sizeof line);
    return status;
}

bw_status bw_error_set(bw_status status, const char *line)
{
    return bw_fail(status, "%s", line);
}

bw_status bw__fail_of_program(bw_status status)
{
    bool known = false;
#define IS_KNOWN(name, value, text) known = known || status == BW_##name;
    BW_STATUS_LIST(IS_KNOWN)
#undef IS_KNOWN
    if (last_error[0] == '\0')
        (void)bw_fail(status, "it returned %d (%s)", (int)status, bw_status_text(status));
    return !known || status == BW_EINTERRUPTED || status == BW_EEXIST ? BW_EINVAL : status;
}

bw_status bw_fail_prefix(bw_status status, const char *fmt, ...)
{
    char prefix[512], old[sizeof last_error];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    memcpy(old, last_error, sizeof old);
    return bw_fail(status, "%s: %s", prefix, old);
}

void bw_set_log(bw_log_fn fn, void *user)
{
    pthread_mutex_lock(&log_lock);
    log_fn = fn;
    log_user = user;
    pthread_mutex_unlock(&log_lock);
}

void bw_log(bw_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    make_printable(line);
    pthread_mutex_lock(&log_lock);
    if (log_fn) log_fn(log_user, level, line);
    pthread_mutex_unlock(&log_lock);
}

void bw__assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "blockwise: internal error: %s (%s:%d)\n", cond, file, line);
    abort();
}
