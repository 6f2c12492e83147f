#include "base/memory.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static atomic_llong allocations, alive; /* since the start, and not yet freed */

/* --- where it comes from --- */

static void *take(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    void *p = NULL;
    return posix_memalign(&p, alignment, bytes) == 0 ? p : NULL;
}

static void give_back(void *user, void *p)
{
    (void)user;
    free(p);
}

static const bw_allocator STANDARD = { .allocate = take, .release = give_back };
static bw_allocator source = { .allocate = take, .release = give_back };

bw_status bw_set_allocator(const bw_allocator *allocator)
{
    if (!allocator) allocator = &STANDARD;
    if (!allocator->allocate || !allocator->release)
        return bw_fail(BW_EINVAL, "an allocator needs both of its functions");
    if (alive > 0)
        return bw_fail(BW_EINVAL,
                       "the allocator can change only while the library holds no memory, and %lld pieces are "
                       "in use; set it first, or free every handle and result before",
                       (long long)alive);
    source = *allocator;
    return BW_OK;
}

void bw_free(void *memory)
{
    bw__free(memory);
}

/* --- taking and freeing --- */

bw_status bw__alloc_untouched(void **out, size_t bytes)
{
    *out = NULL;
    void *p = NULL;
    if (bytes <= SIZE_MAX / 2) p = source.allocate(source.user, bw__round_up(bytes ? bytes : 1), BW_ALIGN);
    if (!p) return bw_fail(BW_ENOMEM, "out of memory: cannot allocate %zu bytes", bytes);
    allocations++;
    alive++;
    *out = p;
    return BW_OK;
}

int64_t bw__alloc_count(void)
{
    return allocations;
}

bw_status bw__alloc(void **out, size_t bytes)
{
    bw_status st = bw__alloc_untouched(out, bytes);
    if (st == BW_OK) memset(*out, 0, bytes);
    return st;
}

bw_status bw__alloc_array(void **out, int64_t n, size_t size)
{
    size_t bytes;
    *out = NULL;
    if (n < 0 || __builtin_mul_overflow((size_t)n, size, &bytes))
        return bw_fail(BW_ENOMEM, "out of memory: %lld elements of %zu bytes", (long long)n, size);
    return bw__alloc(out, bytes);
}

void bw__free(void *p)
{
    if (!p) return;
    alive--;
    source.release(source.user, p);
}

bw_status bw__strdup(char **out, const char *s)
{
    size_t n = strlen(s) + 1;
    bw_status st = bw__alloc((void **)out, n);
    if (st == BW_OK) memcpy(*out, s, n);
    return st;
}

int64_t bw__peak_rss_bytes(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (int64_t)u.ru_maxrss * 1024 : 0;
}
