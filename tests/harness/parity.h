/* Comparison with what PyTorch computed in float64: reads tests/fixtures/parity/ and repeats the formulas
 * of tests/fixtures/generate_parity.py, which says what every key holds. */
#ifndef BW_TESTS_PARITY_H
#define BW_TESTS_PARITY_H
#include "check.h"
#include "blockwise/config.h"
#include "formats/safetensors.h"
#include "model/params.h"

/* dst[i] of the tensor `name`, rounded to f32 as the generator does. */
void parity_formula(float *dst, int64_t count, const char *name, double centre, double scale);
/* Every value of a block by the formula of its name, buffers included. */
void parity_fill(bw_params *params);

/* Opens tests/fixtures/parity/NAME.safetensors; fails the test where it cannot. */
bw_st_file *parity_open(const char *name);
/* A tensor stored whole: copied to dst [count], its size checked. */
void parity_whole(double *dst, int64_t count, const bw_st_file *file, const char *key);
int64_t parity_count(const bw_st_file *file, const char *key);

/* The network and views a fixture was made from. `config` is not resolved yet. */
typedef struct parity_setting {
    bw_config config;
    int64_t image_size, batch, salt;
} parity_setting;
parity_setting parity_read_setting(const bw_st_file *file);
/* views [2, batch, S, S, 3] */
void parity_views(float *views, const parity_setting *setting);

/* Worst relative error of one kind of quantity, to be quoted: parity_report() prints it and fails the test
 * if it exceeds `allowed`, is not a number, or nothing was compared. */
typedef struct parity_worst {
    const char *what;
    int compared;
    double error;
    char key[128];
} parity_worst;

/* Norm of the difference over the norm of what is wanted, for a tensor stored as [norm, samples...]: the
 * larger of the norms' own relative difference and that over the samples, where the norm of the samples
 * is the whole tensor's times sqrt(samples / count). */
double parity_compare(parity_worst *worst, const bw_st_file *file, const char *key, const float *got,
                      int64_t count);
/* The same for a tensor stored whole. */
double parity_compare_whole(parity_worst *worst, const bw_st_file *file, const char *key, const double *got,
                            int64_t count);
/* A loss stored as [on, off, total]: the largest relative error of the three. */
double parity_compare_loss(parity_worst *worst, const bw_st_file *file, const char *key, double on,
                           double off, double total);
#define parity_report(worst, allowed) parity_report_(__FILE__, __LINE__, (worst), (allowed))
void parity_report_(const char *file, int line, const parity_worst *worst, double allowed);
#endif
