/* `blockwise embed`: features of every image as a NumPy array. */
#include "base/memory.h"
#include "cli/evaluation.h"
#include "cli/outputs.h"
#include "cli/progress.h"
#include "cli/settings.h"
#include "formats/atomic_file.h"
#include "formats/npy.h"
#include <string.h>

static bw_status write_labels(const char *path, const bw_dataset *dataset, const int64_t *index, int64_t rows)
{
    int64_t *labels = NULL;
    bw_status st = BW_ALLOC(&labels, rows);
    if (st != BW_OK) return st;
    for (int64_t i = 0; i < rows; i++)
        labels[i] = bw_dataset_label(dataset, index[i]);
    st = bw__npy_write(path, BW_NPY_I64, labels, 1, &rows);
    bw__free(labels);
    return st;
}

typedef struct rows {
    const bw_dataset *dataset;
    const int64_t *index;
} rows;

static void name_at(const void *user, int64_t i, char *name, size_t size)
{
    const rows *r = user;
    bw_dataset_name(r->dataset, r->index[i], name, size);
}

/* Names become a NumPy array where the file is called .npy, else text, a name a line. */
static bool is_npy(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcmp(dot, ".npy") == 0;
}

/* Before the features are computed: of all images, though one that cannot be read would have no line. */
static bw_status check_names(const char *path, const bw_dataset *dataset)
{
    char name[BW_NPY_TEXT];
    for (int64_t i = 0; !is_npy(path) && i < bw_dataset_size(dataset); i++) {
        bw_dataset_name(dataset, i, name, sizeof name);
        if (strchr(name, '\n'))
            return bw_fail(BW_EDATA,
                           "%s: the name of image %lld has a line feed in it; give --names FILE.npy", path,
                           (long long)i + 1);
    }
    return BW_OK;
}

static bw_status write_names(const char *path, const rows *r, int64_t n)
{
    char name[BW_NPY_TEXT];
    bw_atomic_file file = { 0 };
    if (is_npy(path)) return bw__npy_write_text(path, name_at, r, n);
    bw_status st = bw__atomic_open(&file, path);
    for (int64_t i = 0; st == BW_OK && i < n; i++) {
        name_at(r, i, name, sizeof name);
        (void)fprintf(file.stream, "%s\n", name); /* errors are found at commit */
    }
    if (st == BW_OK) st = bw__atomic_commit(&file);
    bw__atomic_abandon(&file);
    return st;
}

static int run_embed(const cli_options *o)
{
    bw_status st = BW_OK;
    bw_network *network = NULL;
    bw_dataset *dataset = NULL;
    float *features = NULL;
    int64_t *index = NULL, shape[2];
    bool head, trunk;
    const cli_file outputs[] = { { "--out", o->out }, { "--labels", o->labels }, { "--names", o->names } },
                   inputs[] = { { "MODEL", o->arguments[0] }, { "--data", o->data } };

    if (!o->data) cli_usage_error("needs --data PATH, the images to embed");
    if (!o->out) cli_usage_error("needs --out FILE.npy, the file to write");
    BW_TRY(cli_outputs_differ(outputs, 3, inputs, 2));
    BW_TRY(bw_dataset_open(&dataset, o->data, o->split, o->format));
    BW_TRY(bw_network_load(&network, o->arguments[0]));
    BW_TRY(cli_check_block(network, o->block));
    int block = o->block < 0 ? bw_network_blocks(network) - 1 : o->block;
    cli_choose_features(&head, &trunk, o, network);
    bw_feature feature = head ? BW_FEATURE_HEAD : BW_FEATURE_TRUNK;
    BW_TRY(cli_outputs_try(outputs, 3));
    if (o->names) BW_TRY(check_names(o->names, dataset));
    BW_TRY(bw_embed(&features, &index, &shape[0], network, dataset, block, feature, cli_threads(o),
                    cli_progress_callback, NULL));
    cli_progress_end();
    shape[1] = bw_network_feature_dim(network, block, feature);
    BW_TRY(bw__npy_write(o->out, BW_NPY_F32, features, 2, shape));
    if (o->names) BW_TRY(write_names(o->names, &(rows){ dataset, index }, shape[0]));
    if (o->labels) BW_TRY(write_labels(o->labels, dataset, index, shape[0]));
    printf("%s: %lld x %lld, block %d, %s\n", o->out, (long long)shape[0], (long long)shape[1], block + 1,
           cli_feature_name(feature));
out:
    bw_free(features);
    bw_free(index);
    bw_network_free(network);
    bw_dataset_free(dataset);
    return cli_finish(st);
}

const cli_verb cli_embed = {
    .name = "embed",
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Write the features of images as a NumPy array",
    .notes = CLI_MODEL ". Rows keep the order of the images, those of folders by name; one that cannot be "
                       "read has no row, label or name. Features are float32, labels int64, names strings.",
    .examples =
        "blockwise embed runs/mine --data photos/ --out features.npy --labels labels.npy --names names.npy\n"
        "blockwise embed net.safetensors --data photos/ --out f.npy --block 2",
    .options = { CLI_DATA, CLI_FEATURES_OUT, CLI_LABELS, CLI_NAMES, CLI_ONE_BLOCK, CLI_ONE_FEATURE, CLI_SPLIT,
                 CLI_THREADS, CLI_DATA_FORMAT, CLI_QUIET, CLI_END },
    .interruptible = true,
    .run = run_embed
};
