/* The library's memory for a test that wants some of it refused. */
#ifndef BW_FAILING_ALLOCATOR_H
#define BW_FAILING_ALLOCATOR_H
#include "blockwise/allocator.h"
#include <stddef.h>

typedef struct failing_allocator {
    int calls;    /* so far, or since it was set to 0 */
    int fails_at; /* this call, from 1; 0: none */
    size_t most;  /* bytes of a call; more are refused. 0: any */
} failing_allocator;

/* From here to failing_allocator_end() the library has its memory from `allocator`, borrowed. Where memory of
 * the library is in use at either, the test fails. */
void failing_allocator_begin(failing_allocator *allocator);
void failing_allocator_end(void);
#endif
