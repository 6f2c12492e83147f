/* How library code reports failure: the place that detects it calls bw_fail(), which keeps one
 * line for the thread; everyone above only cleans up and passes the status on. */
#ifndef BW_BASE_ERROR_H
#define BW_BASE_ERROR_H
#include "blockwise/status.h"
#include "blockwise/version.h"

/* Keeps the line and returns `status`. */
bw_status bw_fail(bw_status status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the kept line (where a caller knows the file or the step). */
bw_status bw_fail_prefix(bw_status status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a function of the program (a rule, an image source) that returned `status`, not BW_OK, has failed
 * with: BW_EINVAL for a number that is no status, and for BW_EINTERRUPTED and BW_EEXIST, which mean other
 * things to callers. Keeps a line about it where the function has kept none since the line was emptied before
 * it. */
bw_status bw__fail_of_program(bw_status status);

/* Sends one line to the receiver set with bw_set_log(). */
void bw_log(bw_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Inside a function with a variable `st` and a label `out`. The only macro that hides a jump. */
#define BW_TRY(call)                                                                                         \
    do {                                                                                                     \
        st = (call);                                                                                         \
        if (st != BW_OK) goto out;                                                                           \
    } while (0)

/* Our own bug, not the world's: on in every build, no side effects in the condition. */
#define BW_ASSERT(cond)                                                                                      \
    do {                                                                                                     \
        if (!(cond)) bw__assert_failed(#cond, __FILE__, __LINE__);                                           \
    } while (0)
_Noreturn void bw__assert_failed(const char *cond, const char *file, int line);
#endif
