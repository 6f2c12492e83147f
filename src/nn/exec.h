/* Where layers run: oneDNN engine and stream, number of threads, and the arena for everything a step needs.
 * Over a dry arena every layer takes its memory but computes nothing. */
#ifndef BW_NN_EXEC_H
#define BW_NN_EXEC_H
#include "dist/collective.h"
#include "nn/arena.h"
#include "nn/profile.h"
#include "nn/type.h"

typedef struct bw_kernels bw_kernels; /* oneDNN's engine and stream; onednn.h */

struct bw_exec {
    bw_arena arena;
    bw_side side; /* where the running block keeps what it saves; scratch is taken here too */
    int threads;
    bw_type type; /* of activations and their gradients in trunks and heads; BW_F32 unless changed */
    bw_kernels *kernels;
    bw_profile *profile; /* borrowed; NULL: not measured */
    bw_comm *comm;       /* borrowed: ranks that share the batch, the same number of images on each; NULL: all
                            of it is here */
    bw_status remote;    /* of the first sum over them that failed; whoever steps looks at it */
};

/* Starts the threads that will run layers, for the calling thread. The caller's number of OpenMP threads
 * stays what it is: ours holds only while a kernel is made or run. */
BW_MUST_CHECK
bw_status bw__exec_create(bw_exec *out, int threads);
void bw__exec_destroy(bw_exec *x);

/* oneDNN takes as many threads as OpenMP would give to the calling thread: changes their number, and returns
 * what it was, to be given back by a second call. */
int bw__exec_swap_threads(int threads);

static inline bool bw__exec_is_dry(const bw_exec *x)
{
    return bw__arena_is_dry(&x->arena);
}
/* Ranks that share the batch. */
static inline int bw__exec_ranks(const bw_exec *x)
{
    return bw_comm_size(x->comm);
}
/* Sums over them, in place, on every rank; nothing alone or over a dry arena. A failure goes to x->remote. */
void bw__exec_sum_f32(bw_exec *x, float *values, int64_t n);
void bw__exec_sum_f64(bw_exec *x, double *values, int64_t n);
/* Means and biased variances, moments [2, n], of as many values on each of them become those of all values;
 * `more` doubles behind them are summed in the same message. */
void bw__exec_join_moments(bw_exec *x, double *moments, int64_t n, int64_t more);
static inline float *bw__exec_take_f32(bw_exec *x, int64_t count)
{
    return bw__arena_take(&x->arena, x->side, (size_t)count * sizeof(float));
}
/* Elements of x->type. */
static inline void *bw__exec_take(bw_exec *x, int64_t count)
{
    return bw__arena_take(&x->arena, x->side, (size_t)count * bw__type_size(x->type));
}
static inline size_t bw__exec_mark(const bw_exec *x)
{
    return bw__arena_mark(&x->arena, x->side);
}
static inline void bw__exec_release(bw_exec *x, size_t mark)
{
    bw__arena_release(&x->arena, x->side, mark);
}
/* Instruction set oneDNN uses on this processor, e.g. "AVX2". Borrowed. */
const char *bw__exec_isa(void);
/* Whether that is AVX2 without AVX-512: where matrix products over tiles beat its convolutions. */
bool bw__exec_has_avx2_only(void);
/* Version of oneDNN, e.g. "2.6.3". Borrowed. */
const char *bw__exec_library(void);

/* Environment variable for tests: where its value is "emulate", convolutions and products of bf16 are those
 * of f32 on converted operands, with the result rounded. Slow, on any processor. */
#define BW_BF16_VARIABLE "BLOCKWISE_BF16"

typedef enum bw_bf16 {
    BW_BF16_NONE,      /* oneDNN has no such convolutions for this processor */
    BW_BF16_EMULATED,  /* by BLOCKWISE_BF16 */
    BW_BF16_CONVERTED, /* AVX-512 without arithmetic for it: oneDNN converts, slower than f32 */
    BW_BF16_NATIVE     /* AVX-512 with bf16, or AMX */
} bw_bf16;

/* What bf16 is here, by the instruction set oneDNN uses. */
bw_bf16 bw__exec_bf16(void);
#endif
