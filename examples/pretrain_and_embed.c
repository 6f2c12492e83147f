/* From images to features in one small program: pretrains a ResNet-18 block by block on the images at
 * DATA, saves it, loads it again and writes one line of features for every image.
 *
 *     pretrain_and_embed DATA RUN [STEPS]
 *
 * DATA is anything bw_dataset_open() reads (a folder of pictures will do); RUN is the run folder to make.
 * It needs nothing but the public headers and the shared library. */
#include "blockwise/blockwise.h"
#include <stdio.h>

static void print_line(void *user, bw_log_level level, const char *line)
{
    (void)user;
    if (level != BW_LOG_DEBUG) fprintf(stderr, "%s\n", line);
}

static void print_start(void *user, int64_t total_steps, int64_t first_step, int64_t images)
{
    (void)user;
    fprintf(stderr, "%lld images, steps %lld to %lld\n", (long long)images, (long long)first_step + 1,
            (long long)total_steps);
}

static void print_step(void *user, const bw_step *step)
{
    int *steps_seen = user;
    ++*steps_seen;
    fprintf(stderr, "step %lld: loss", (long long)step->step);
    for (int k = 0; k < step->blocks; k++)
        fprintf(stderr, " %.4f", step->loss[k]);
    fprintf(stderr, "\n");
}

/* A small network for small pictures. Any key of the configuration can be set by its dotted name, or as
 * a field of bw_config; what is not set follows from the rest in bw_config_resolve(). */
static bw_status make_config(bw_config *config, const char *steps)
{
    static const char *const settings[] = {
        "model.arch=resnet18",         "model.width=8", "model.stem=cifar", "data.image_size=32",
        "projector.widths=[64,64,64]", "train.batch=8"
    };
    bw_status status = BW_OK;
    *config = bw_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && status == BW_OK; i++)
        status = bw_config_set(config, settings[i]);
    if (status != BW_OK) return status;

    char assignment[64];
    snprintf(assignment, sizeof assignment, "train.steps=%s", steps);
    return bw_config_set(config, assignment);
}

static bw_status pretrain(const char *data, const char *run, const char *steps)
{
    bw_config config;
    int steps_seen = 0;
    bw_status status = make_config(&config, steps);
    if (status != BW_OK) return status;

    /* A third callback, `request`, could ask for a checkpoint or for the end after any step. */
    const bw_pretrain_options options = { .config = &config,
                                          .data = data,
                                          .out = run,
                                          .user = &steps_seen,
                                          .on_start = print_start,
                                          .on_step = print_step };
    status = bw_pretrain(&options);
    if (status == BW_OK) fprintf(stderr, "%d steps done, weights in %s\n", steps_seen, run);
    return status;
}

static void print_features(const bw_dataset *images, const float *features, const int64_t *index,
                           int64_t rows, int64_t dim)
{
    char name[256];
    for (int64_t r = 0; r < rows; r++) {
        bw_dataset_name(images, index[r], name, sizeof name);
        printf("%s", name);
        for (int64_t d = 0; d < dim; d++)
            printf(" %.6g", (double)features[r * dim + d]);
        printf("\n");
    }
}

/* The weights are read back from the run folder, as a program that only uses them would do. */
static bw_status embed(const char *data, const char *run)
{
    bw_network *network = NULL;
    bw_dataset *images = NULL;
    float *features = NULL;
    int64_t *index = NULL;
    int64_t rows = 0;

    bw_status status = bw_network_load(&network, run);
    if (status == BW_OK) status = bw_dataset_open(&images, data, BW_SPLIT_ANY, NULL);
    if (status == BW_OK) {
        const int last = bw_network_blocks(network) - 1;
        status = bw_embed(&features, &index, &rows, network, images, last, BW_FEATURE_TRUNK, 2, NULL, NULL);
        if (status == BW_OK)
            print_features(images, features, index, rows,
                           bw_network_feature_dim(network, last, BW_FEATURE_TRUNK));
    }
    bw_free(features);
    bw_free(index);
    bw_dataset_free(images);
    bw_network_free(network);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s DATA RUN [STEPS]\n", argv[0]);
        return 2;
    }
    bw_set_log(print_line, NULL);
    bw_status status = pretrain(argv[1], argv[2], argc == 4 ? argv[3] : "4");
    if (status == BW_OK) status = embed(argv[1], argv[2]);
    if (status != BW_OK) {
        fprintf(stderr, "%s: %s\n", bw_status_text(status), bw_last_error());
        return 1;
    }
    return 0;
}
