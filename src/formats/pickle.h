/* Pickles of PyTorch's state dicts, read without running anything: the stack machine of Python's pickletools
 * for protocols 2 to 5, with numbers, strings, containers and, of everything that a pickle may name, only the
 * few functions below that make a tensor out of numbers. Whatever else it names is refused where it is named.
 */
#ifndef BW_FORMATS_PICKLE_H
#define BW_FORMATS_PICKLE_H
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bw_pickle_kind {
    BW_PICKLE_NONE,
    BW_PICKLE_BOOL,
    BW_PICKLE_INT,
    BW_PICKLE_FLOAT,
    BW_PICKLE_TEXT, /* strings and bytes */
    BW_PICKLE_TUPLE,
    BW_PICKLE_LIST,
    BW_PICKLE_DICT, /* items: key, value, key, value */
    BW_PICKLE_NAME, /* one of BW_PICKLE_NAMES */
    BW_PICKLE_STORAGE,
    BW_PICKLE_TENSOR
} bw_pickle_kind;

/* What a pickle may name. */
typedef enum bw_pickle_name {
    BW_NAME_ORDERED_DICT,      /* collections.OrderedDict */
    BW_NAME_REBUILD_TENSOR,    /* torch._utils._rebuild_tensor_v2 */
    BW_NAME_REBUILD_PARAMETER, /* torch._utils._rebuild_parameter */
    BW_NAME_FLOAT,             /* torch.FloatStorage, and so on */
    BW_NAME_DOUBLE,
    BW_NAME_HALF,
    BW_NAME_BFLOAT16,
    BW_NAME_LONG,
    BW_NAME_INT,
    BW_NAME_BYTE,
    BW_NAME_OPAQUE /* a function that the paper's authors keep in the state of their optimiser; never called
                    */
} bw_pickle_name;

enum { BW_PICKLE_DIMS = 8 };

typedef struct bw_pickle_value {
    bw_pickle_kind kind;
    bw_pickle_name name; /* of a name; of a storage: its type */
    int64_t number;      /* int, bool; storage: elements; tensor: offset in elements */
    double real;
    const char *text; /* text, and the key of a storage: [length], not terminated; in the pickle */
    size_t length;
    int ndim; /* tensor */
    int64_t shape[BW_PICKLE_DIMS], stride[BW_PICKLE_DIMS];
    uint32_t storage; /* tensor: its value; always a storage */
    uint32_t *item;   /* containers: numbers of values */
    uint32_t items, room;
} bw_pickle_value;

typedef struct bw_pickle bw_pickle;

/* data [bytes] is borrowed until bw__pickle_free(); `origin` names it in messages. BW_EDATA: not a pickle,
 * damaged, too deep or too large, or it names what is not allowed. BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__pickle_read(bw_pickle **out, const void *data, size_t bytes, const char *origin);
void bw__pickle_free(bw_pickle *pickle);

/* Number of the value it holds, and values by number. A hostile pickle may have containers that hold
 * themselves: who walks through them counts how deep it is. */
uint32_t bw__pickle_root(const bw_pickle *pickle);
const bw_pickle_value *bw__pickle_at(const bw_pickle *pickle, uint32_t value);
#endif
