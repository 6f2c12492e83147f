/* Files of torch.save() since PyTorch 1.6: a zip archive with a pickle of everything but the numbers, and a
 * file for each storage. Nothing in them is run (formats/pickle.h). */
#ifndef BW_FORMATS_TORCH_FILE_H
#define BW_FORMATS_TORCH_FILE_H
#include "formats/safetensors.h"

typedef struct bw_torch_file bw_torch_file;

/* Whether the file at `path` is a zip archive, or an old file of torch.save(): to be opened here. */
bool bw__torch_looks_like(const char *path);

/* Finds every tensor that dicts with string keys lead to. Its name is the keys, joined by dots:
 * "model.layer1.0.conv1.weight". Numbers are not read yet. BW_EDATA: no such file, an old one, damaged, or a
 * pickle that names what weights do not need. */
BW_MUST_CHECK
bw_status bw__torch_open(bw_torch_file **out, const char *path);
void bw__torch_close(bw_torch_file *file);

/* Tensors in the order of the file. Of those that are listed `data` is NULL until they are read. */
int64_t bw__torch_count(const bw_torch_file *file);
const bw_st_tensor *bw__torch_at(const bw_torch_file *file, int64_t i);
/* Reads the numbers of tensor `i`, row-major, into memory of the file. BW_EDATA; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__torch_read(bw_torch_file *file, int64_t i);
#endif
