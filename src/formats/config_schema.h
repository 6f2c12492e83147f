/* The one table of all settings: name, type, place, range, default and help. Loading, checking, printing,
 * comparing and listing are loops over it. */
#ifndef BW_FORMATS_CONFIG_SCHEMA_H
#define BW_FORMATS_CONFIG_SCHEMA_H
#include "base/error.h"
#include "blockwise/config.h"

typedef enum bw_key_type {
    BW_KEY_U64,   /* uint64_t */
    BW_KEY_I64,   /* int64_t */
    BW_KEY_INT,   /* int */
    BW_KEY_REAL,  /* double, or an array of `count` doubles */
    BW_KEY_BOOL,  /* bool */
    BW_KEY_ENUM,  /* an enum whose values count from 0, as `names` do */
    BW_KEY_INTS,  /* a list of int64_t behind its length, an int: bw_int_list, bw_projector_config */
    BW_KEY_REALS, /* a list of double behind its length */
    BW_KEY_WORD   /* a name of letters, digits, _ - and ., char[BW_RULE_NAME] */
} bw_key_type;

typedef struct bw_key {
    const char *name;
    bw_key_type type;
    size_t offset;            /* in bw_config */
    int count;                /* reals: 0 is a single one, else a list of that many */
    int least, most;          /* ints and reals: length of the list */
    double low, high;         /* of every number, both allowed */
    int64_t multiple;         /* whole numbers: of this; 0: any */
    bool ascending;           /* lists: no number smaller than the one before */
    bool may_differ;          /* in a run that is continued */
    const char *const *names; /* enums: allowed words, NULL at the end; ints: words for a list, number i as
                                 length -1 - i */
    const int64_t *choices;   /* whole numbers: only these, 0 at the end; or NULL */
    const char *auto_word;    /* stands for auto_value, which may lie outside the range; or NULL */
    double auto_value;        /* NaN only for reals */
    const char *default_text; /* as it would stand in a file */
    const char *note;         /* added to the range in messages, or NULL: why it is what it is */
    const char *help;
} bw_key;

enum {
    BW_KEY_TEXT = 512, /* room for any value or range as text */
    BW_KEY_NAME = 96,  /* for any name, and blocks[k]. before it */
    BW_OF_RUN = -1     /* in place of a block's number: the run's own key */
};

int bw__keys(void);
const bw_key *bw__key(int index);
/* Number of the key called `name`, or -1. */
int bw__key_find(const char *name);

/* Sets one key from its YAML scalar (`list` false, n 1) or sequence. BW_EINVAL "key: what is wrong; what is
 * allowed"; `config` may then hold the refused value. */
BW_MUST_CHECK
bw_status bw__key_assign(bw_config *config, const bw_key *key, const char *const *items, int n, bool list);
/* BW_EINVAL if the value held is out of range. */
BW_MUST_CHECK
bw_status bw__key_check(const bw_config *config, const bw_key *key);
/* The value held, as YAML. */
void bw__key_format(char out[BW_KEY_TEXT], const bw_config *config, const bw_key *key);
/* What is allowed, in words. */
void bw__key_range(char out[BW_KEY_TEXT], const bw_key *key);

/* What a path names: one key, both views' for augment.NAME, or one of a single block. */
typedef struct bw_key_match {
    int n; /* 0: none */
    int index[BW_VIEWS];
    int block; /* from 0, or BW_OF_RUN */
} bw_key_match;
bw_key_match bw__key_match(const char *path);
/* Some key begins with `path` and a dot, or is the shorthand group "augment". */
bool bw__key_is_group(const char *path);

/* --- keys of single blocks --- */

/* Key `index` has a form for single blocks. */
bool bw__key_has_block_form(int index);
/* That form for `block` (or the key itself for BW_OF_RUN), with its own name and place; the functions above
 * take it as any other key. `name` holds the name of what is returned. */
bw_key bw__key_of_block(char name[BW_KEY_NAME], int index, int block);
bool bw__key_is_set(const bw_config *config, int index, int block);
void bw__key_mark(bw_config *config, int index, int block, bool set);
/* Bytes that a key's value takes. */
size_t bw__key_size(const bw_key *key);

typedef enum bw_block_path {
    BW_BLOCK_PATH_NONE, /* does not begin with blocks */
    BW_BLOCK_PATH_BAD,  /* blocks, blocks[, blocks[x] */
    BW_BLOCK_PATH_OUT,  /* a number below 1 or above BW_MAX_BLOCKS */
    BW_BLOCK_PATH_GOOD
} bw_block_path;
/* Reads "blocks[k].REST" and "blocks.k.REST". out_block counts from 0; out_rest is "" where nothing
 * follows. */
bw_block_path bw__block_path(int *out_block, const char **out_rest, const char *path);
/* Fails with "unknown key ...; did you mean ...?" */
BW_MUST_CHECK
bw_status bw__key_unknown(const char *path);
#endif
