/** A residual network cut into blocks, each with its head and projector: weights, files, features. */
#ifndef BLOCKWISE_NETWORK_H
#define BLOCKWISE_NETWORK_H
#include "blockwise/config.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct bw_network bw_network;

typedef enum bw_feature {
    BW_FEATURE_HEAD, /**< the head's pooled output of a block: what the paper's probe sees */
    BW_FEATURE_TRUNK /**< global average pool of the block's own output */
} bw_feature;

/** Builds the network of a resolved config with initial weights drawn from config->seed (trunk
 *  convolutions: He normal, fan-out; head and projector: U(+-1/sqrt(fan_in)); batch norm 1/0). With the
 *  cross-entropy loss the projector ends with a linear layer to loss.classes, with a bias.
 *  @return BW_OK; BW_EINVAL for a config that is not resolved, or cross-entropy without loss.classes;
 *          BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_network_create(bw_network **out, const bw_config *config);

/** Loads `path`: a run folder, or a .safetensors file with torchvision's names. Architecture comes from
 *  the file's metadata, or from the names and shapes where it has none. Heads are read from
 *  heads.safetensors in the same folder if it is there. A network that was trained end to end is loaded as
 *  the blocks of model.cuts: the last one has the head that was trained, and the head feature of those before
 *  it is their trunk feature. A file that says nothing of cuts gives a block for each stage. What is loaded
 * is for features and for saving; training begins with bw_network_create() and bw_network_init_from().
 *  @return BW_OK; BW_EDATA (missing, damaged), BW_ESHAPE (wrong shapes or architecture); BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_network_load(bw_network **out, const char *path);
BW_API void bw_network_free(bw_network *network);

/** Overwrites the trunk of `network`, and every head and projector whose tensors the file's folder has by
 *  name and shape (they need not have been trained with the same order or cuts; the rest keep their values),
 *  with weights from a file such as torchvision's; its classifier (fc) is ignored. Everything else is named.
 * With train.init_blocks in its config only these blocks take weights. The log says what was taken.
 *  @return as bw_network_load(); the network is unchanged after a failure */
BW_API BW_MUST_CHECK
bw_status bw_network_init_from(bw_network *network, const char *path);

/** Writes the trunk in torchvision's names and shapes (OIHW) to `trunk_path` and, unless NULL, heads and
 *  projectors to `heads_path`. Same network, same bytes. Written aside and renamed.
 *  @return BW_OK; BW_EINVAL (heads or projectors are wanted that are not there); BW_EIO */
BW_API BW_MUST_CHECK
bw_status bw_network_save(const bw_network *network, const char *trunk_path, const char *heads_path);

/** Writes config.json as timm and the Hugging Face hub have it beside a trunk: architecture, number of
 *  features, no classes, and under "pretrained_cfg" size, mean, std, interpolation and crop of the evaluation
 *  transform; under "blockwise" what timm's classes have no word for: width and stem.
 *  @param network  what is described
 *  @param path     the file to write
 *  @param weights  name of the trunk's file in the same folder
 *  A file that is there already stays, with a warning, unless it was written here for `weights`.
 *  @return BW_OK; BW_EIO; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_network_save_config(const bw_network *network, const char *path, const char *weights);

/** Writes the trunk up to block `block` (from 0) with its pooled feature as an ONNX model (opset 13) in
 *  evaluation mode: input "images" [batch, 3, height, width] f32, RGB, normalised by the mean and std in the
 *  file's metadata; output "features" [batch, feature_dim], those of bw_extractor_run(); with `probe`, a file
 *  that bw_probe() wrote for this network, also "logits" [batch, classes], those of its classifier of this
 *  feature, and the names of the classes as a JSON array under "classes" in the metadata. Batch, height and
 *  width are free, but for the head lsp: its cells are of the configured image size. Same network, same
 *  bytes. Written aside and renamed.
 *  @param network  whose weights are copied
 *  @param path     the file to write
 *  @param block    the last block of the model, from 0
 *  @param feature  the feature of that block
 *  @param probe    NULL: no classifier
 *  @return BW_OK; BW_EINVAL (no such block or feature; a head that is not there); BW_EDATA (no file of
 * classifiers, or none of this feature); BW_ESHAPE (a classifier of another network); BW_EIO; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_network_export_onnx(const bw_network *network, const char *path, int block, bw_feature feature,
                                 const char *probe);

/** Those that training sees after bw_network_create(), 1 end to end; those of model.cuts after
 *  bw_network_load(). */
BW_API int bw_network_blocks(const bw_network *network);
/** Whether head weights are there (false after loading a bare trunk). */
BW_API bool bw_network_has_heads(const bw_network *network);
/** Whether projector weights are there (false after loading heads that came without). */
BW_API bool bw_network_has_projectors(const bw_network *network);
/** Number of features of block `block` (from 0); 0 for a block or a feature that is none. */
BW_API int64_t bw_network_feature_dim(const bw_network *network, int block, bw_feature feature);
/** The resolved config the network was made from; borrowed. */
BW_API const bw_config *bw_network_config(const bw_network *network);
/** Trainable values of block `block`: trunk only, or with head and projector as far as they are there; 0 for
 * a block that is none. */
BW_API int64_t bw_network_parameters(const bw_network *network, int block, bool with_head);

/** Evaluation mode (running statistics, no noise) at a fixed batch shape. */
typedef struct bw_extractor bw_extractor;

/** Makes what bw_extractor_run() needs.
 *  @param out        the caller owns it, bw_extractor_free()
 *  @param network    borrowed, must outlive the extractor; weights are read at each run
 *  @param batch      most images of a run
 *  @param image_size S, of both sides
 *  It computes on as many threads as the network's config says: all usable cores after bw_network_load().
 *  @return BW_OK; BW_EINVAL: batch or image_size below 1; BW_EKERNEL; BW_ENOMEM, also where a tensor would be
 *          larger than the compute library can count (64 GB) */
BW_API BW_MUST_CHECK
bw_status bw_extractor_create(bw_extractor **out, const bw_network *network, int64_t batch,
                              int64_t image_size);
BW_API void bw_extractor_free(bw_extractor *extractor);

/** Features of every block in one pass.
 *  @param extractor   used by one thread at a time
 *  @param head,trunk  arrays of bw_network_blocks() pointers to [n, feature_dim] f32, overwritten; an
 *                     array or an entry may be NULL where that feature is not wanted
 *  @param images      [n, S, S, 3] f32, normalised
 *  @param n           images, 1 .. batch
 *  @return BW_OK; BW_EINVAL (n, or a head wanted that is not there); BW_EKERNEL; BW_ENONFINITE */
BW_API BW_MUST_CHECK
bw_status bw_extractor_run(bw_extractor *extractor, float *const *head, float *const *trunk,
                           const float *images, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
