/* Feeds bytes to the reader of pickles and touches all it then offers. */
#include "fuzz.h"
#include "formats/pickle.h"

static uint64_t touched;

static void touch(const bw_pickle *pickle, uint32_t value, int depth)
{
    const bw_pickle_value *v = bw__pickle_at(pickle, value);
    touched += (uint64_t)v->kind + (uint64_t)v->number;
    for (size_t i = 0; i < v->length; i++)
        touched += (unsigned char)v->text[i];
    if (v->kind == BW_PICKLE_TENSOR && bw__pickle_at(pickle, v->storage)->kind != BW_PICKLE_STORAGE)
        __builtin_trap();
    for (uint32_t i = 0; depth < 4 && i < v->items; i++)
        touch(pickle, v->item[i], depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bw_pickle *pickle;
    if (bw__pickle_read(&pickle, data, size, "fuzz") != BW_OK) return 0;
    touch(pickle, bw__pickle_root(pickle), 0);
    bw__pickle_free(pickle);
    return 0;
}
