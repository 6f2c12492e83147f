#include "failing_allocator.h"
#include "check.h"
#include <stdlib.h>

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    failing_allocator *a = user;
    void *p = NULL;
    if (++a->calls == a->fails_at || (a->most > 0 && bytes > a->most)) return NULL;
    return posix_memalign(&p, alignment, bytes) == 0 ? p : NULL;
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

void failing_allocator_begin(failing_allocator *allocator)
{
    const bw_allocator own = { .allocate = allocate, .release = release, .user = allocator };
    CHECK_OK(bw_set_allocator(&own));
}

void failing_allocator_end(void)
{
    CHECK_OK(bw_set_allocator(NULL));
}
