/** Images from wherever they are: found out by looking, or forced by name. */
#ifndef BLOCKWISE_DATASET_H
#define BLOCKWISE_DATASET_H
#include "blockwise/status.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct bw_dataset bw_dataset;

typedef enum bw_split {
    BW_SPLIT_TRAIN, /**< train/, IDX and CIFAR training files; everything where there are no splits */
    BW_SPLIT_TEST,  /**< val/ or test/, IDX and CIFAR test files; BW_ENOSPLIT where there is none */
    BW_SPLIT_ANY    /**< the test split if there is one, else everything */
} bw_split;

/** One decoded image, 8-bit RGB, rows top to bottom without padding: rgb[(y * width + x) * 3 + c].
 *  Start from all zero bytes, reuse it for many reads, release with bw_image_clear(). */
typedef struct bw_image {
    uint8_t *rgb;
    int64_t height, width;
    size_t capacity; /**< bytes allocated at rgb */
} bw_image;

BW_API void bw_image_clear(bw_image *image);
/** Makes room for height x width pixels, whose values are undefined then.
 *  @return BW_OK; BW_EDATA for a size of zero or above 178,956,970 pixels; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_image_resize(bw_image *image, int64_t height, int64_t width);
/** Decodes a JPEG, PNG or WebP image in memory, known by its first bytes: EXIF orientation applied, alpha
 *  dropped, grey replicated. Any bytes are safe.
 *  @return BW_OK; BW_EDATA with what is wrong; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_image_decode(bw_image *image, const void *bytes, size_t size);

/** Opens the data at `path` without reading pixels. What is told apart, and how:
 *
 *  - "tar": shards: a file named .tar, a pattern in braces as shard-{000000..000146}.tar, or a folder of .tar
 *    files. Named as WebDataset names them: entries that follow each other and share their name up to the
 *    first dot behind the last slash are one sample, its image .jpg, .jpeg, .png or .webp, its label the
 *    number in .cls; classes.txt beside the shards names the classes. Without .cls files the folders in the
 *    archives are classes, as those of "class-folders". Read in place through an index (docs/data.md).
 *  - "idx": a file that begins as IDX does, or a folder with files named like *images*idx3-ubyte*; "t10k" or
 *    "test" in the name makes it the test split. Labels are in the file of the same name with "labels"
 *    and "idx1". Unsigned bytes [n, h, w], or [n, h, w, 1 or 3] (idx4).
 *  - "cifar10", "cifar100": data_batch_*.bin and test_batch.bin, train.bin and test.bin; CIFAR-100's labels
 *    are the fine ones.
 *  - "stl10": train_X.bin and test_X.bin with their _y.bin. The images of unlabeled_X.bin follow the training
 *    images and belong to the training split, with label -1.
 *  - "image": one image file, without a label.
 *  - "list": a text file of one image a line, relative to the folder of the list, and after white space a
 *    label if the line does not end like an image's name: numbers from 0, or names, which are numbered in
 *    bytewise order. Empty lines and lines that begin with # are passed over.
 *  - "class-folders": no image in the folder itself, and every subfolder that holds images at any depth has
 *    some directly in it. Classes and order are those of torchvision's ImageFolder; folders without an
 *    image make no class.
 *  - "folder": any other folder; every image below it, without labels.
 *
 *  In a folder with train/ and val/ or test/ (or with nothing else than one of these) they are the splits;
 *  val/ is taken where both are there; its classes are numbered as those of train/. Hidden
 *  names are passed over. A file given directly is a data set without splits.
 *
 *  @param out    the caller owns it, bw_dataset_free(); NULL after a failure
 *  @param path   folder of class folders, flat or nested folder without labels, IDX file or folder of
 *                them (plain or .gz), CIFAR-10/100 or STL-10 binaries, a text file listing images, one image
 *                file, or .tar shards
 *  @param split  which of its images
 *  @param format one of bw_dataset_format_at(), or NULL to find out
 *  @return BW_OK; BW_ENOSPLIT: the data has other splits, or none, and nothing was found wrong with it;
 * BW_EDATA if nothing is there, no image is found, or a file is damaged; BW_EINVAL for an unknown format;
 *          BW_EIO; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_dataset_open(bw_dataset **out, const char *path, bw_split split, const char *format);
BW_API void bw_dataset_free(bw_dataset *dataset);

/** Images from anywhere: a data base, a simulator, memory. Functions are called with `user`. */
typedef struct bw_image_source {
    const char *name; /**< of the kind, as "painted": the data set's format in messages and environment.json;
                           1 to 63 bytes, copied */
    int64_t images;   /**< how many there are, at least 1 */
    int classes;      /**< 0: without labels */
    const char *const *class_names; /**< [classes], copied; NULL: their numbers */
    /** Writes image `index`, from 0, by bw_image_resize() and then image->rgb, or by bw_image_decode().
     * Called from several threads at once, each with an image of its own, which may hold an earlier one. The
     * same index gives the same pixels, on every rank too.
     *
     *  Returns BW_OK; BW_EDATA: this image cannot be read, as bw_error_set() has said, and is left out and
     *  counted (data.max_bad). Any other status ends what the image was wanted for; BW_EINTERRUPTED and
     *  BW_EEXIST, which mean other things to callers, and numbers that are no status become BW_EINVAL. */
    bw_status (*read)(void *user, int64_t index, bw_image *image);
    /** Label of an image in [0, classes), or -1: none. Asked once for each image, when the data set is made.
     *  NULL with classes 0. */
    int (*label)(void *user, int64_t index);
    /** Writes the name of an image for messages and lists, ended by a zero byte, to name [size]. From several
     *  threads at once. NULL: the kind and the number, "painted/17". */
    void (*image_name)(void *user, int64_t index, char *name, size_t size);
    /** Called by bw_dataset_free(); NULL: nothing is to be done. */
    void (*close)(void *user);
    void *user; /**< must be valid as long as the data set */
} bw_image_source;

/** A data set of such images, for all that takes a data set; bw_pretrain() takes it as `dataset`.
 *  @param out    the caller owns it, bw_dataset_free(); NULL after a failure, where `close` is not called
 *  @param source copied
 *  @return BW_OK; BW_EINVAL: a function is missing, numbers out of range; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_dataset_from_source(bw_dataset **out, const bw_image_source *source);

BW_API int64_t bw_dataset_size(const bw_dataset *dataset);
/** Name of the format that was found, for example "folder", "class-folders", "idx". Borrowed. */
BW_API const char *bw_dataset_format(const bw_dataset *dataset);
/** Number of classes; 0 without labels. */
BW_API int bw_dataset_classes(const bw_dataset *dataset);
/** Name of class `label`, borrowed; its number as text where the format has no names; "" for a label that no
 *  class has. */
BW_API const char *bw_dataset_class_name(const bw_dataset *dataset, int label);
/** Label of image `index` in [0, classes), or -1; -1 too where there is no image of that number. */
BW_API int bw_dataset_label(const bw_dataset *dataset, int64_t index);
/** Numbers the labels of `dataset` as `train` numbers the classes of the same names, for data given apart.
 *  Does nothing where either has no labels.
 *  @return BW_OK; BW_EDATA if an image's class is not in `train`, `dataset` unchanged then; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_dataset_match_classes(bw_dataset *dataset, const bw_dataset *train);
/** Name of image `index` for messages and lists ("train/cat/0017.jpg"), written to `name`; "" where there is
 * no image of that number. */
BW_API void bw_dataset_name(const bw_dataset *dataset, int64_t index, char *name, size_t size);

/** Decodes image `index` to 8-bit RGB, EXIF orientation applied. Safe from several threads at once, each
 *  with its own image.
 *  @return BW_OK; BW_EDATA if this image cannot be read (the message says what is wrong with it, without
 *          its name); BW_EINVAL: there is no image of that number; BW_EIO; BW_ENOMEM; what the `read` of a
 *          source returns */
BW_API BW_MUST_CHECK
bw_status bw_dataset_read(const bw_dataset *dataset, int64_t index, bw_image *image);

/** Writes what is wrong with the data beyond single images, number `index` of it: shards that end before
 * their end, labels that are no numbers. @return false past the last */
BW_API int bw_dataset_problem(const bw_dataset *dataset, int64_t index, char *text, size_t size);
/** Share of the data, by bytes, that is lost in damaged shards; nothing is trained or measured on data that
 * has lost more than data.max_bad. */
BW_API double bw_dataset_lost(const bw_dataset *dataset);

/** How bw_dataset_pack() names and cuts shards. */
typedef struct bw_pack_options {
    const char *out; /**< name of the shards, ending in .tar, with %d or %06d for their number from 0; without
                          it there is one */
    int64_t shard_images; /**< most images of a shard; 0: no limit */
    int64_t shard_bytes;  /**< a shard is not larger, but for one with a single image; 0: no limit */
} bw_pack_options;

/** What bw_dataset_pack() wrote. */
typedef struct bw_pack_result {
    int64_t images, labelled, shards;
    int64_t bytes;   /**< of all shards, but for the padding at their ends */
    int64_t renamed; /**< encoded images whose names WebDataset's rules cannot hold as they are */
    int classes;
} bw_pack_result;

/** Writes the images of a data set as shards that format "tar" reads: encoded files byte for byte, raw pixels
 * as PNG, in the data set's order, with their names, the numbers of their labels in .cls entries, and the
 * names of the classes in classes.txt beside the shards (empty where there are no labels). The same data
 * gives the same bytes. All files get their names when all of them are on the disk; whatever fails, none has.
 *  @return BW_OK; BW_EINVAL: options->out is NULL or names no shards, a size is below 0; BW_EEXIST: a shard
 * of that name is there, or another classes.txt; BW_EDATA: an image that cannot be read; BW_EIO: a full disk;
 * BW_EINTERRUPTED: `progress` said so; BW_ENOMEM */
BW_API BW_MUST_CHECK
bw_status bw_dataset_pack(bw_pack_result *out, const bw_dataset *dataset, const bw_pack_options *options,
                          bw_progress_fn progress, void *user);

/** Name and one line of help of format number `index`; false past the last. */
BW_API int bw_dataset_format_at(const char **name, const char **help, int index);

#define BW_SEVERITIES 5 /**< of a corruption, from 1 */
/** Name and one line of help of corruption number `index` that bw_robustness() can make; false past the
 *  last. */
BW_API int bw_corruption_at(const char **name, const char **help, int index);

#ifdef __cplusplus
}
#endif
#endif
