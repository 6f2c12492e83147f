/* Settings of single blocks: names, places, and the run's settings with a block's own laid over them. */
#include "formats/config_schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From a key's place in the run to that in blocks[0], for all of the five groups alike. */
#define LIES_ALIKE(group)                                                                                    \
    _Static_assert(offsetof(bw_config, group) - offsetof(bw_config, head) ==                                 \
                       offsetof(bw_block_config, group),                                                     \
                   #group " lies in bw_config as in bw_block_config")
LIES_ALIKE(head);
LIES_ALIKE(projector);
LIES_ALIKE(loss);
LIES_ALIKE(noise);
LIES_ALIKE(optimizer);
_Static_assert(offsetof(bw_block_config, head) == 0, "a block's settings begin with its head");

static size_t place_in_block(const bw_key *key)
{
    return key->offset - offsetof(bw_config, head);
}

bool bw__key_has_block_form(int index)
{
    size_t at = bw__key(index)->offset, first = offsetof(bw_config, head);
    return at >= first && at < first + sizeof(bw_block_config);
}

bw_key bw__key_of_block(char name[BW_KEY_NAME], int index, int block)
{
    bw_key key = *bw__key(index);
    if (block == BW_OF_RUN) return key;
    BW_ASSERT(bw__key_has_block_form(index) && block >= 0 && block < BW_MAX_BLOCKS);
    (void)snprintf(name, BW_KEY_NAME, "blocks[%d].%s", block + 1, key.name);
    key.name = name;
    key.offset = offsetof(bw_config, block) + (size_t)block * sizeof(bw_block_config) + place_in_block(&key);
    return key;
}

static uint64_t bit(int index)
{
    return (uint64_t)1 << (index % 64);
}

bool bw__key_is_set(const bw_config *config, int index, int block)
{
    const uint64_t *words = block == BW_OF_RUN ? config->is_set : config->block_set[block];
    return (words[index / 64] & bit(index)) != 0;
}

void bw__key_mark(bw_config *config, int index, int block, bool set)
{
    uint64_t *words = block == BW_OF_RUN ? config->is_set : config->block_set[block];
    words[index / 64] = set ? words[index / 64] | bit(index) : words[index / 64] & ~bit(index);
}

static bool any_set(const bw_config *config, int k)
{
    uint64_t all = 0;
    for (int i = 0; i < BW_KEY_WORDS; i++)
        all |= config->block_set[k][i];
    return all != 0;
}

bw_block_config bw_config_block(const bw_config *config, int k)
{
    bw_block_config out = { .head = config->head,
                            .projector = config->projector,
                            .loss = config->loss,
                            .noise = config->noise,
                            .optimizer = config->optimizer };
    if (k < 0 || k >= BW_MAX_BLOCKS || !any_set(config, k)) return out;
    for (int i = 0; i < bw__keys(); i++) {
        if (!bw__key_is_set(config, i, k)) continue;
        size_t at = place_in_block(bw__key(i));
        memcpy((char *)&out + at, (const char *)&config->block[k] + at, bw__key_size(bw__key(i)));
    }
    return out;
}

bw_block_path bw__block_path(int *out_block, const char **out_rest, const char *path)
{
    static const char WORD[] = "blocks";
    const char *p = path + sizeof WORD - 1;
    char *end;
    *out_block = 0;
    *out_rest = "";
    if (strncmp(path, WORD, sizeof WORD - 1) != 0 || !(*p == '[' || *p == '.' || *p == '\0'))
        return BW_BLOCK_PATH_NONE;
    bool bracket = *p == '[';
    if (*p == '\0' || strspn(p + 1, "0123456789") == 0) return BW_BLOCK_PATH_BAD;
    long number = strtol(p + 1, &end, 10); /* LONG_MAX where it is too long */
    if (bracket && *end++ != ']') return BW_BLOCK_PATH_BAD;
    if (*end != '.' && *end != '\0') return BW_BLOCK_PATH_BAD;
    if (number < 1 || number > BW_MAX_BLOCKS) return BW_BLOCK_PATH_OUT;
    *out_block = (int)number - 1;
    *out_rest = *end == '.' ? end + 1 : end;
    return BW_BLOCK_PATH_GOOD;
}
