#include "nn/arena.h"
#include "base/memory.h"

#define DRY_BYTES ((size_t)1 << 60)

bw_arena bw__arena_dry(void)
{
    return (bw_arena){ .size = DRY_BYTES };
}

bw_status bw__arena_create(bw_arena *out, size_t bytes)
{
    void *mem = NULL;
    *out = (bw_arena){ 0 };
    bw_status st = bw__alloc_untouched(&mem, bytes);
    if (st == BW_OK) *out = (bw_arena){ .base = mem, .size = bw__round_up(bytes) };
    return st;
}

void bw__arena_destroy(bw_arena *arena)
{
    bw__free(arena->base);
    *arena = (bw_arena){ 0 };
}

void *bw__arena_take(bw_arena *a, bw_side side, size_t bytes)
{
    bytes = bw__round_up(bytes ? bytes : 1);
    BW_ASSERT(bytes <= a->size - a->used[0] - a->used[1]);
    size_t offset = side == BW_LOW ? a->used[BW_LOW] : a->size - a->used[BW_HIGH] - bytes;
    a->used[side] += bytes;
    size_t both = a->used[0] + a->used[1];
    if (both > a->peak) a->peak = both;
    if (both > a->lap) a->lap = both;
    /* A dry address is never touched; it is only not NULL and aligned. */
    if (!a->base) return (void *)(uintptr_t)(BW_ALIGN + offset);
    return a->base + offset;
}

void bw__arena_release(bw_arena *a, bw_side side, size_t mark)
{
    BW_ASSERT(mark <= a->used[side]);
    a->used[side] = mark;
}
