/* Comparison of arrays on which every numeric test rests. Tests are cmocka programs; a failed
 * comparison fails the running cmocka test and names the worst element. */
#ifndef BW_TESTS_CHECK_H
#define BW_TESTS_CHECK_H
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <cmocka.h>

/* Every element: |got - want| <= atol + rtol * |want|. A NaN fails, and so does n == 0. */
#define CHECK_CLOSE(got, want, n, rtol, atol)                                                                \
    check_close_(__FILE__, __LINE__, #got, (got), (want), (n), (rtol), (atol))
#define CHECK_CLOSE_F32(got, want, n, rtol, atol)                                                            \
    check_close_f32_(__FILE__, __LINE__, #got, (got), (want), (n), (rtol), (atol))
/* Norm of the difference over the norm of want, at most rtol. Returns the error found. */
#define CHECK_NORM_F32(what, got, want, n, rtol)                                                             \
    check_norm_f32_(__FILE__, __LINE__, (what), (got), (want), (n), (rtol))
/* A bw_status is BW_OK; prints the message otherwise. */
#define CHECK_OK(call) check_ok_(__FILE__, __LINE__, #call, (int)(call))

/* True if the arrays are close, without failing: lets a test assert that a comparison fails. */
bool check_is_close(const double *got, const double *want, size_t n, double rtol, double atol);

void check_close_(const char *file, int line, const char *what, const double *got, const double *want,
                  size_t n, double rtol, double atol);
void check_close_f32_(const char *file, int line, const char *what, const float *got, const float *want,
                      size_t n, double rtol, double atol);
double check_norm_f32_(const char *file, int line, const char *what, const float *got, const double *want,
                       size_t n, double rtol);
void check_ok_(const char *file, int line, const char *what, int status);
/* Path of a committed fixture; borrowed, overwritten by the next call. */
const char *fixture_path(const char *name);
/* A fresh empty folder below TMPDIR; borrowed. */
const char *temp_folder(void);
#endif
