#include "eval/image_pass.h"
#include "base/error.h"

/* Images a network sees at once: enough small ones to fill the kernels, few enough large ones that their
 * activations stay small beside the features. */
enum { SMALL_IMAGE = 64, SMALL_BATCH = 64, LARGE_BATCH = 16 };

bw_image_pass bw__image_pass_of(const bw_config *config, int64_t max_images, uint64_t seed, int threads)
{
    return (bw_image_pass){ .image_size = config->data.image_size,
                            .keep_exact = config->model.stem == BW_STEM_CIFAR,
                            .augment = &config->augment,
                            .batch = config->data.image_size <= SMALL_IMAGE ? SMALL_BATCH : LARGE_BATCH,
                            .max_images = max_images,
                            .seed = seed,
                            .threads = threads,
                            .max_bad = config->data.max_bad };
}

int64_t bw__image_pass_size(const bw_image_pass *pass, const bw_dataset *dataset)
{
    int64_t n = bw_dataset_size(dataset);
    return pass->max_images > 0 && pass->max_images < n ? pass->max_images : n;
}

bw_status bw__image_pass(const bw_image_pass *pass, const bw_dataset *dataset, bw_batch_fn fn, void *user,
                         const bw_progress *progress)
{
    bw_status st = BW_OK;
    bw_loader *loader = NULL;
    const bw_batch *batch = NULL;
    int64_t total = bw__image_pass_size(pass, dataset), done = 0;
    bw_loader_config config = { .mode = BW_LOADER_CENTER,
                                .image_size = pass->image_size,
                                .keep_exact = pass->keep_exact,
                                .augment = pass->augment,
                                .batch = pass->batch,
                                .images = total < bw_dataset_size(dataset) ? total : 0,
                                .seed = pass->seed,
                                .threads = pass->threads,
                                .max_bad = pass->max_bad,
                                .corruption = pass->corruption,
                                .severity = pass->severity };

    BW_TRY(bw__loader_create(&loader, dataset, &config));
    for (;;) {
        BW_TRY(bw__loader_next(loader, &batch));
        if (!batch) break;
        BW_TRY(fn(user, batch));
        done += batch->n;
        BW_TRY(bw__progress(progress, (double)done / (double)total));
    }
    BW_TRY(bw__progress(progress, 1.0));
out:
    bw__loader_free(loader);
    return st;
}
