/* Feeds bytes to the safetensors reader and touches all it then offers. */
#include "fuzz.h"
#include "base/memory.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bw_st_file *file;
    if (bw__st_open_memory(&file, data, size, "fuzz") != BW_OK) return 0;
    for (int64_t i = 0; i < bw__st_count(file); i++) {
        const bw_st_tensor *t = bw__st_at(file, i);
        float *values = NULL;
        /* One float for every byte is enough for any type. */
        if (BW_ALLOC(&values, t->bytes + 1) == BW_OK && bw__st_to_f32(values, t) != BW_OK) values[0] = 0;
        bw__free(values);
        if (i < 16 && !bw__st_find(file, t->name)) __builtin_trap();
    }
    (void)bw__st_metadata(file, "format");
    bw__st_close(file);
    return 0;
}
