/* Weights that torch.save() wrote, under the names that files of this project have: those of a torchvision
 * ResNet, and those of the paper's authors (shoaibahmed/blockwise_ssl, model.py and main.py): resnet50.pth
 * has the trunk and pool_conv_block_K, which is head K (0: convolution, 1: batch norm); checkpoint.pth the
 * same below model.module.backbone, and projector_list.J, which is projector J + 1. */
#ifndef BW_MODEL_TORCH_WEIGHTS_H
#define BW_MODEL_TORCH_WEIGHTS_H
#include "formats/torch_file.h"

typedef struct bw_torch_weights bw_torch_weights;

/* Metadata of the trunk: settings of its heads, in YAML, by their shapes. */
#define BW_TORCH_HEADS "heads"

/* trunk and heads (NULL where there are none) are to be closed before *out. What belongs to an optimiser or a
 * classifier is passed over. BW_EDATA; BW_ENOMEM. */
BW_MUST_CHECK
bw_status bw__torch_weights_open(bw_torch_weights **out, bw_st_file **trunk, bw_st_file **heads,
                                 const char *path);
void bw__torch_weights_close(bw_torch_weights *weights);
bool bw__torch_weights_have_projectors(const bw_torch_weights *weights);
#endif
