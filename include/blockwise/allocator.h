/** Memory that the library takes, and how a program can provide it. */
#ifndef BLOCKWISE_ALLOCATOR_H
#define BLOCKWISE_ALLOCATOR_H
#include "blockwise/status.h"
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif

/** Where the library takes its memory from. Both functions are called from several threads at once. */
typedef struct bw_allocator {
    /** `bytes` (at least 1) at an address that is a multiple of `alignment`, a power of two; need not be
     *  cleared. NULL: there is none, and the call of the library ends with BW_ENOMEM. */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory); /**< of `allocate`, never NULL */
    void *user;                                /**< given to both */
} bw_allocator;

/** From now on all memory of the library comes from `allocator`, weights and activations included. What
 *  other libraries take for themselves does not: kernels of oneDNN, decoders of images, MPI, LAPACK, JSON,
 *  YAML, and buffers and threads of the C library.
 *  @param allocator copied; NULL: the C library's aligned memory again, as at the start
 *  @return BW_OK; BW_EINVAL: a function is missing, or memory of the library is in use, results that a
 *          program has not released with bw_free() included. Not while another thread uses the library. */
BW_API BW_MUST_CHECK
bw_status bw_set_allocator(const bw_allocator *allocator);

/** Releases a result that the library has handed over to the caller; its description says so. NULL is fine.
 *  @param memory of such a result; free() of the C library is not for it */
BW_API void bw_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
