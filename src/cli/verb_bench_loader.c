/* `blockwise bench loader`: how fast two augmented views are made, from real or synthetic images. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/results.h"
#include <stdlib.h>
#include <unistd.h>

/* Synthetic images: noise in the IDX format (magic number 0x00000803: unsigned bytes, three dimensions), in
 * a file that is gone when the program ends. */
static bw_status write_synthetic(char path[], int64_t images, int64_t size, uint64_t seed)
{
    bw_status st = BW_OK;
    unsigned char *pixels = NULL;
    unsigned char header[16] = { 0, 0, 8, 3 };
    const int64_t extents[3] = { images, size, size };
    FILE *file = NULL;
    int fd = mkstemp(path);
    if (fd < 0 || !(file = fdopen(fd, "wb"))) {
        if (fd >= 0) (void)close(fd);
        return bw_fail(BW_EIO, "%s: cannot write synthetic images", path);
    }
    for (int d = 0; d < 3; d++)
        for (int b = 0; b < 4; b++)
            header[4 + 4 * d + b] = (unsigned char)(extents[d] >> (24 - 8 * b) & 0xff);
    bool written = fwrite(header, sizeof header, 1, file) == 1;
    st = BW_ALLOC(&pixels, size * size);
    for (int64_t i = 0; i < images && written && st == BW_OK; i++) {
        bw_rng rng = bw__rng(seed, BW_RNG_SYNTHETIC, (uint64_t)i, 0, 0);
        for (int64_t p = 0; p < size * size; p++)
            pixels[p] = (unsigned char)(bw__rng_u32(&rng) & 0xff);
        written = fwrite(pixels, (size_t)(size * size), 1, file) == 1;
    }
    bw__free(pixels);
    if (fclose(file) != 0) written = false;
    if (st == BW_OK && !written) st = bw_fail(BW_EIO, "%s: cannot write synthetic images", path);
    return st;
}

static bw_status time_batches(double *seconds, bw_loader *loader, int warmup, int steps)
{
    const bw_batch *batch;
    for (int i = -warmup; i < steps; i++) {
        double start = bw__now_s();
        bw_status st = bw__loader_next(loader, &batch);
        if (st != BW_OK) return st;
        if (i >= 0) seconds[i] = bw__now_s() - start;
        if (cli_progress_callback(NULL, "bench loader", (double)(i + warmup + 1) / (double)(warmup + steps)))
            return bw_fail(BW_EINTERRUPTED, "stopped by a signal");
    }
    return BW_OK;
}

static bw_status print_result(const bw_config *c, const bw_dataset *dataset, double rate, bool as_json)
{
    if (!as_json) {
        printf("%s, %lld images, %lld px, batch %lld, %d loader threads: %.1f samples/s\n",
               bw_dataset_format(dataset), (long long)bw_dataset_size(dataset), (long long)c->data.image_size,
               (long long)c->train.batch, c->data.threads, rate);
        return BW_OK;
    }
    json_t *object = json_object();
    (void)json_object_set_new(object, "format", bw__json_text(bw_dataset_format(dataset)));
    (void)json_object_set_new(object, "images", json_integer(bw_dataset_size(dataset)));
    (void)json_object_set_new(object, "image_size", json_integer(c->data.image_size));
    (void)json_object_set_new(object, "batch", json_integer(c->train.batch));
    (void)json_object_set_new(object, "threads", json_integer(c->data.threads));
    (void)json_object_set_new(object, "samples_per_s", bw__json_real(rate));
    (void)json_object_set_new(object, "peak_rss_mb", bw__json_real((double)bw__peak_rss_bytes() / 1e6));
    return cli_print_json(object);
}

static int run_bench_loader(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_config c;
    const bw_grid alone = bw__grid_alone();
    bw_dataset *dataset = NULL;
    bw_loader *loader = NULL;
    double *seconds = NULL, total = 0.0;
    char synthetic[] = "/tmp/blockwise-bench-XXXXXX";
    bool made = false;
    int steps = o->steps > 0 ? o->steps : CLI_BENCH_STEPS;
    int warmup = o->warmup >= 0 ? o->warmup : CLI_BENCH_WARMUP;

    BW_TRY(cli_bench_settings(&c, o));
    if (!o->data) {
        BW_TRY(write_synthetic(synthetic, 2 * c.train.batch, c.data.image_size, c.seed));
        made = true;
    }
    BW_TRY(bw_dataset_open(&dataset, o->data ? o->data : synthetic, BW_SPLIT_TRAIN,
                           o->data ? o->format : "idx"));
    BW_TRY(BW_ALLOC(&seconds, steps));
    BW_TRY(cli_bench_loader_create(&loader, dataset, &c, &alone));
    BW_TRY(time_batches(seconds, loader, warmup, steps));
    cli_progress_end();
    /* Batches are made ahead: only the sum of many waits is a rate. */
    for (int i = 0; i < steps; i++)
        total += seconds[i];
    BW_TRY(print_result(&c, dataset, (double)(c.train.batch * steps) / total, o->json));
out:
    bw__loader_free(loader);
    bw_dataset_free(dataset);
    bw__free(seconds);
    if (made) (void)unlink(synthetic);
    return cli_finish(st);
}

const cli_verb cli_bench_loader = {
    .name = "bench loader",
    .arguments = "",
    .summary = "Images per second that decoding and augmentation make",
    .notes = "Takes every setting of 'pretrain'. Without --data the images "
             "are noise. Without a recipe or a setting "
             "that says otherwise train.batch is 8.",
    .examples = "blockwise bench loader --data photos/ --set data.image_size=96",
    .options = { CLI_BENCH_DATA, CLI_DATA_FORMAT, CLI_RECIPE, CLI_CONFIG, CLI_SET, CLI_STEPS, CLI_WARMUP,
                 CLI_JSON, CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_bench_loader
};
