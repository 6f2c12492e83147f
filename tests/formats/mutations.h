/* Damaged copies of good inputs for the fuzz targets: the same ones in every run. */
#ifndef BW_TESTS_MUTATIONS_H
#define BW_TESTS_MUTATIONS_H
#include "check.h"
#include "base/rng.h"
#include "../../fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Up to four changes: a byte or digit replaced, a bit turned over, a piece copied elsewhere, a word put in,
 * the end cut off. */
static inline size_t mutate(uint8_t *data, size_t size, size_t room, const char *const *words,
                            uint32_t n_words, bw_rng *rng)
{
    uint32_t changes = 1 + bw__rng_u32(rng) % 4;
    for (uint32_t c = 0; c < changes && size > 0; c++) {
        size_t at = bw__rng_u32(rng) % size, from = bw__rng_u32(rng) % size;
        size_t left = size - (at > from ? at : from), n = 1 + bw__rng_u32(rng) % left;
        const char *word = words[bw__rng_u32(rng) % n_words];
        switch (bw__rng_u32(rng) % 8) {
        case 0:
            data[at] = (uint8_t)bw__rng_u32(rng);
            break;
        case 1:
            data[at] ^= (uint8_t)(1u << bw__rng_u32(rng) % 8);
            break;
        case 2:
            memmove(data + at, data + from, n);
            break;
        case 3:
            size = at;
            break;
        case 4:
        case 5: /* the next digit: text stays well-formed and means something else */
            while (at < size && (data[at] < '0' || data[at] > '9'))
                at++;
            if (at < size) data[at] = (uint8_t)('0' + bw__rng_u32(rng) % 10);
            break;
        default:
            if (size + strlen(word) > room) break;
            memmove(data + at + strlen(word), data + at, size - at);
            memcpy(data + at, word, strlen(word));
            size += strlen(word);
        }
    }
    return size;
}

/* Calls the target on `rounds` mutations of `good`, each in an allocation of its exact size, so that the
 * sanitizers see a read past the end. */
static inline void run_mutations(const void *good, size_t size, const char *const *words, uint32_t n_words,
                                 uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        bw_rng rng = bw__rng(1, BW_RNG_NOISE, size, i, 0);
        size_t room = 2 * size + 64;
        uint8_t *work = malloc(room);
        assert_non_null(work);
        memcpy(work, good, size);
        size_t n = mutate(work, size, room, words, n_words, &rng);
        uint8_t *exact = malloc(n > 0 ? n : 1);
        assert_non_null(exact);
        memcpy(exact, work, n);
        assert_int_equal(LLVMFuzzerTestOneInput(exact, n), 0);
        free(exact);
        free(work);
    }
}
#endif
