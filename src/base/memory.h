#ifndef BW_BASE_MEMORY_H
#define BW_BASE_MEMORY_H
#include "base/error.h"
#include "blockwise/allocator.h"
#include <stddef.h>
#include <stdint.h>

#define BW_ALIGN 64

/* 64-byte aligned and zeroed; the owner calls bw__free(). BW_ENOMEM names the size. */
BW_MUST_CHECK
bw_status bw__alloc(void **out, size_t bytes);
/* The same without clearing: pages are not touched, so they cost nothing until used. */
BW_MUST_CHECK
bw_status bw__alloc_untouched(void **out, size_t bytes);
void bw__free(void *p);
/* Allocations so far, by all threads: a training step must not add to it. */
int64_t bw__alloc_count(void);
BW_MUST_CHECK
bw_status bw__strdup(char **out, const char *s);
/* Array of n elements of `size` bytes, with the product checked. */
BW_MUST_CHECK
bw_status bw__alloc_array(void **out, int64_t n, size_t size);

#define BW_ALLOC(ptr, n) bw__alloc_array((void **)(ptr), (int64_t)(n), sizeof **(ptr))

/* An aligned address for what only counts memory: it is not NULL, and nobody reads or writes there. */
static inline void *bw__untouchable(void)
{
    return (void *)(uintptr_t)BW_ALIGN;
}

static inline size_t bw__round_up(size_t bytes)
{
    return (bytes + BW_ALIGN - 1) / BW_ALIGN * BW_ALIGN;
}
/* Highest resident memory of this process so far, in bytes. */
int64_t bw__peak_rss_bytes(void);
#endif
