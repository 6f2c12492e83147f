/* Features of pictures: one line of numbers for each image file.
 *
 *     embed_image MODEL IMAGE...
 *
 * MODEL is a run folder or a .safetensors file. What is printed is the average of the last block's output
 * over the picture, the usual feature for nearest neighbours or a linear classifier. */
#include <blockwise/blockwise.h>
#include <stdio.h>

/* A file is a data set of one image; the library decodes, resizes, crops and normalises it as the network
 * expects. A whole folder goes through bw_dataset_open() in the same way. */
static bw_status print_features(const bw_network *network, const char *path)
{
    const int last = bw_network_blocks(network) - 1;
    const int64_t dim = bw_network_feature_dim(network, last, BW_FEATURE_TRUNK);
    bw_dataset *image = NULL;
    float *features = NULL; /* [rows, dim] */
    int64_t *index = NULL, rows = 0;

    bw_status status = bw_dataset_open(&image, path, BW_SPLIT_ANY, NULL);
    if (status == BW_OK)
        status = bw_embed(&features, &index, &rows, network, image, last, BW_FEATURE_TRUNK, 0, NULL, NULL);
    if (status == BW_OK) {
        printf("%s", path);
        for (int64_t i = 0; i < dim; i++)
            printf(" %.6g", (double)features[i]);
        printf("\n");
    }
    bw_free(features);
    bw_free(index);
    bw_dataset_free(image);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL IMAGE...\n", argv[0]);
        return 2;
    }
    bw_network *network = NULL;
    bw_status status = bw_network_load(&network, argv[1]);
    for (int i = 2; i < argc && status == BW_OK; i++)
        status = print_features(network, argv[i]);
    bw_network_free(network);
    if (status == BW_OK) return 0;
    fprintf(stderr, "%s: %s\n", bw_status_text(status), bw_last_error());
    return 1;
}
