/* One block of memory used as two stacks that grow towards each other.
 *
 *     low end                                                      high end
 *     | taken on BW_LOW ... -> |            free            | <- ... taken on BW_HIGH |
 *
 * A block's input lies on one side with everything the block saves above it; its output lies on the other
 * side and survives when the whole first side is released. The next block then works on the other side.
 *
 * A dry arena (no memory, bw__arena_dry) hands out addresses that must not be touched and only counts: the
 * step itself run over a dry arena gives the exact size of the real one. */
#ifndef BW_NN_ARENA_H
#define BW_NN_ARENA_H
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bw_side { BW_LOW, BW_HIGH } bw_side;

typedef struct bw_arena {
    char *base;     /* NULL: dry */
    size_t size;    /* of a dry arena: beyond any machine */
    size_t used[2]; /* bytes taken on each side */
    size_t peak;    /* largest used[0] + used[1] so far */
    size_t lap;     /* the same since the holder last set it */
} bw_arena;

bw_arena bw__arena_dry(void);
BW_MUST_CHECK
bw_status bw__arena_create(bw_arena *out, size_t bytes);
void bw__arena_destroy(bw_arena *arena);

/* 64-byte aligned, not cleared. Running out is our bug: the size comes from the dry run. */
void *bw__arena_take(bw_arena *arena, bw_side side, size_t bytes);
static inline bool bw__arena_is_dry(const bw_arena *arena)
{
    return !arena->base;
}
static inline size_t bw__arena_mark(const bw_arena *arena, bw_side side)
{
    return arena->used[side];
}
/* Gives back everything taken on `side` since the mark. */
void bw__arena_release(bw_arena *arena, bw_side side, size_t mark);
#endif
