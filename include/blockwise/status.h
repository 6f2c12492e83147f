/** What functions answer, the message of a failure, the log. */
#ifndef BLOCKWISE_STATUS_H
#define BLOCKWISE_STATUS_H
#ifdef __cplusplus
extern "C" {
#endif

/** What a function of the library can answer. The number after each name is its value. */
#define BW_STATUS_LIST(X)                                                                                    \
    X(OK, 0, "success")                                                                                      \
    X(ENOMEM, -1, "out of memory")                                                                           \
    X(EINVAL, -2, "invalid argument or setting")                                                             \
    X(ESHAPE, -3, "model file and network do not agree")                                                     \
    X(EIO, -4, "file could not be read or written")                                                          \
    X(EDATA, -5, "input data or model file is missing, empty or damaged")                                    \
    X(ENONFINITE, -6, "a value became infinite or NaN")                                                      \
    X(EKERNEL, -7, "the compute library refused the operation")                                              \
    X(EREMOTE, -8, "another rank failed first")                                                              \
    X(EINTERRUPTED, -9, "stopped on request, state saved")                                                   \
    X(EEXIST, -10, "the output exists already")                                                              \
    X(ENOSPLIT, -11, "the data has no such split")

#define BW_STATUS_ENUM(name, value, text) BW_##name = (value),
typedef enum bw_status { BW_STATUS_LIST(BW_STATUS_ENUM) BW_STATUS_FORCE_INT = 0x7fffffff } bw_status;
#undef BW_STATUS_ENUM

#if defined(__GNUC__)
#define BW_MUST_CHECK __attribute__((warn_unused_result))
#define BW_API        __attribute__((visibility("default")))
#else
#define BW_MUST_CHECK
#define BW_API
#endif

/** A short text for a status; borrowed, never NULL. */
BW_API const char *bw_status_text(bw_status status);

/** What went wrong in the last call of this thread that did not return BW_OK: one line, with what
 *  and where. Borrowed, valid until the next call of the same thread; "" before any. */
BW_API const char *bw_last_error(void);
/** What went wrong, from a function that a program gives to the library (a rule, an image source).
 *  @param status what the function is going to return
 *  @param line   kept for bw_last_error(), at most 1023 bytes
 *  @return `status` */
BW_API bw_status bw_error_set(bw_status status, const char *line);

/** Receives each line the library has to say while it works (warnings, progress of loading).
 *  The library itself never prints. May be called from any thread, one call at a time. */
typedef enum bw_log_level { BW_LOG_DEBUG, BW_LOG_INFO, BW_LOG_WARN } bw_log_level;
typedef void (*bw_log_fn)(void *user, bw_log_level level, const char *line);

/** Sets the receiver for the process; NULL (the start value) drops all lines. */
BW_API void bw_set_log(bw_log_fn fn, void *user);

/** Called now and then with the share of `what` that is done, in [0, 1]; returning non-zero stops with
 *  BW_EINTERRUPTED. One call at a time, but not always from the thread of the caller. */
typedef int (*bw_progress_fn)(void *user, const char *what, double done);

#ifdef __cplusplus
}
#endif
#endif
