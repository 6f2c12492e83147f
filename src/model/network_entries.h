/* The tensors of a file of weights: which of them a network has, in the order of PyTorch's state_dict, and
 * moving them there and back. */
#ifndef BW_MODEL_NETWORK_ENTRIES_H
#define BW_MODEL_NETWORK_ENTRIES_H
#include "formats/safetensors.h"
#include "model/network_internal.h"

enum { BW_ENTRY_NAME = 128, BW_SHAPE_TEXT = 96 };

/* One tensor as the file has it, and where it lives in the network. */
typedef struct bw_entry {
    char name[BW_ENTRY_NAME];
    int block;
    bw_part part;
    int ndim;
    int64_t shape[4];
    bool counter;   /* num_batches_tracked, one for all batch norms of a block; or */
    int64_t offset; /* in the block's values */
} bw_entry;

typedef struct bw_entry_list {
    bw_entry *items;
    int64_t n;
} bw_entry_list;

/* Every tensor of the trunk's file, or of the heads' file. The caller frees `items` with bw__free(). */
BW_MUST_CHECK
bw_status bw__entries_list(bw_entry_list *list, const bw_network *network, bool heads);
BW_MUST_CHECK
bw_status bw__entries_write(const char *path, const bw_network *network, const bw_entry_list *list,
                            const bw_st_pair *pairs, int n_pairs);

/* BW_ESHAPE, naming the first that is wrong, unless all of the list is in the file with its shape and nothing
 * else is. Counters may be missing: PyTorch before 0.4.1 had none. */
BW_MUST_CHECK
bw_status bw__entries_check(const bw_entry_list *list, const bw_st_file *file, const bw_network *network,
                            const char *path);
/* Leaves in the list the heads and projectors of blocks with alike[block] that are in the file as a whole,
 * each tensor with its shape. Returns how many; *out_all: how many there were. */
int bw__entries_keep_matching(int *out_all, bw_entry_list *list, const bw_st_file *file, const bool *alike);
/* From the file to the network, after one of the two above. */
BW_MUST_CHECK
bw_status bw__entries_copy(bw_network *network, const bw_entry_list *list, const bw_st_file *file);

/* "[64, 3, 7, 7]" */
void bw__shape_text(char text[BW_SHAPE_TEXT], int ndim, const int64_t *shape);
#endif
