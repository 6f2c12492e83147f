#include "check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *bw_last_error(void);

static bool worst_element(size_t *worst, const double *got, const double *want, size_t n, double rtol,
                          double atol)
{
    double excess = -1.0;
    *worst = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs(got[i] - want[i]) - (atol + rtol * fabs(want[i]));
        /* Written so that NaN counts as worse than anything. */
        if (!(e <= excess)) {
            excess = e;
            *worst = i;
            if (isnan(e)) break;
        }
    }
    return n > 0 && excess <= 0.0;
}

bool check_is_close(const double *got, const double *want, size_t n, double rtol, double atol)
{
    size_t worst;
    return worst_element(&worst, got, want, n, rtol, atol);
}

void check_close_(const char *file, int line, const char *what, const double *got, const double *want,
                  size_t n, double rtol, double atol)
{
    size_t worst;
    if (worst_element(&worst, got, want, n, rtol, atol)) return;
    fprintf(stderr, "%s:%d: %s: element %zu of %zu: got %.9g, want %.9g (rtol %g, atol %g)\n", file, line,
            what, worst, n, n ? got[worst] : 0.0, n ? want[worst] : 0.0, rtol, atol);
    _fail(file, line);
}

void check_close_f32_(const char *file, int line, const char *what, const float *got, const float *want,
                      size_t n, double rtol, double atol)
{
    double *g = malloc((n + 1) * sizeof *g), *w = malloc((n + 1) * sizeof *w);
    if (g && w) {
        for (size_t i = 0; i < n; i++) {
            g[i] = (double)got[i];
            w[i] = (double)want[i];
        }
        check_close_(file, line, what, g, w, n, rtol, atol);
    }
    free(g);
    free(w);
}

double check_norm_f32_(const char *file, int line, const char *what, const float *got, const double *want,
                       size_t n, double rtol)
{
    double diff = 0.0, norm = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - want[i];
        diff += d * d;
        norm += want[i] * want[i];
    }
    double err = sqrt(diff) / (sqrt(norm) + 1e-300);
    if (n > 0 && err <= rtol) return err;
    fprintf(stderr, "%s:%d: %s: relative error of %zu elements %.3g, allowed %.3g\n", file, line, what, n,
            err, rtol);
    _fail(file, line);
    return err;
}

void check_ok_(const char *file, int line, const char *what, int status)
{
    if (status == 0) return;
    fprintf(stderr, "%s:%d: %s: status %d: %s\n", file, line, what, status, bw_last_error());
    _fail(file, line);
}

const char *fixture_path(const char *name)
{
    static char path[4096];
    const char *root = getenv("BW_FIXTURES");
    (void)snprintf(path, sizeof path, "%s/%s", root ? root : "tests/fixtures", name);
    return path;
}

const char *temp_folder(void)
{
    static char path[4096];
    const char *root = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/blockwise-test-XXXXXX", root ? root : "/tmp");
    return mkdtemp(path);
}
