/* `blockwise inspect`: what is in a run folder, a network or any .safetensors file. */
#include "base/error.h"
#include "base/memory.h"
#include "cli/evaluation.h"
#include "cli/inspect.h"
#include "cli/results.h"
#include "cli/settings.h"
#include "formats/torch_file.h"
#include <string.h>

json_t *cli_network_json(const bw_network *network)
{
    const bw_config *c = bw_network_config(network);
    json_t *object = json_object(), *blocks = json_array();
    bool heads = bw_network_has_heads(network);
    for (int k = 0; k < bw_network_blocks(network); k++) {
        json_t *block = json_object();
        (void)json_object_set_new(block, "block", json_integer(k + 1));
        (void)json_object_set_new(block, "trunk_parameters",
                                  json_integer(bw_network_parameters(network, k, false)));
        (void)json_object_set_new(block, "trunk_features",
                                  json_integer(bw_network_feature_dim(network, k, BW_FEATURE_TRUNK)));
        if (heads) {
            (void)json_object_set_new(block, "parameters",
                                      json_integer(bw_network_parameters(network, k, true)));
            (void)json_object_set_new(block, "head_features",
                                      json_integer(bw_network_feature_dim(network, k, BW_FEATURE_HEAD)));
        }
        (void)json_array_append_new(blocks, block);
    }
    (void)json_object_set_new(object, "arch", json_string(cli_setting(c, "model.arch")));
    (void)json_object_set_new(object, "width", json_integer(c->model.width));
    (void)json_object_set_new(object, "stem", json_string(cli_setting(c, "model.stem")));
    (void)json_object_set_new(object, "image_size", json_integer(c->data.image_size));
    (void)json_object_set_new(object, "heads", json_boolean(heads));
    (void)json_object_set_new(object, "projectors", json_boolean(bw_network_has_projectors(network)));
    (void)json_object_set_new(object, "blocks", blocks);
    return object;
}

void cli_network_print(const bw_network *network)
{
    const bw_config *c = bw_network_config(network);
    bool heads = bw_network_has_heads(network);
    int64_t trunk = 0, all = 0;
    printf("network: %s, width %lld, stem %s, %lld px, %s heads\n", cli_setting(c, "model.arch"),
           (long long)c->model.width, cli_setting(c, "model.stem"), (long long)c->data.image_size,
           heads ? "with" : "without");
    printf("block   trunk parameters   %23s   trunk features   head features\n",
           heads && !bw_network_has_projectors(network) ? "with head" : "with head and projector");
    for (int k = 0; k < bw_network_blocks(network); k++) {
        long long block_trunk = bw_network_parameters(network, k, false);
        long long block_all = heads ? bw_network_parameters(network, k, true) : block_trunk;
        long long features = bw_network_feature_dim(network, k, BW_FEATURE_TRUNK);
        trunk += block_trunk;
        all += block_all;
        printf("%5d   %16lld   %23lld   %14lld", k + 1, block_trunk, block_all, features);
        if (heads)
            printf("   %13lld\n", (long long)bw_network_feature_dim(network, k, BW_FEATURE_HEAD));
        else
            printf("   %13s\n", "-");
    }
    printf("  all   %16lld   %23lld\n", (long long)trunk, (long long)all);
}

static json_t *tensors_json(const bw_st_file *file)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < bw__st_count(file); i++) {
        const bw_st_tensor *t = bw__st_at(file, i);
        json_t *entry = json_object(), *shape = json_array();
        for (int d = 0; d < t->ndim; d++)
            (void)json_array_append_new(shape, json_integer(t->shape[d]));
        (void)json_object_set_new(entry, "name", bw__json_text(t->name));
        (void)json_object_set_new(entry, "dtype", json_string(cli_dtype_text(t->dtype)));
        (void)json_object_set_new(entry, "shape", shape);
        (void)json_array_append_new(array, entry);
    }
    return array;
}

static json_t *metadata_json(const bw_st_file *file)
{
    json_t *object = json_object();
    bw_st_pair pair;
    for (int64_t i = 0; bw__st_metadata_at(&pair, file, i); i++)
        (void)json_object_set_new(object, pair.key, bw__json_text(pair.value));
    return object;
}

const char *cli_dtype_text(bw_st_dtype dtype)
{
    static const char *const NAMES[] = {
        [BW_ST_F32] = "F32", [BW_ST_F64] = "F64", [BW_ST_F16] = "F16", [BW_ST_BF16] = "BF16",
        [BW_ST_I64] = "I64", [BW_ST_I32] = "I32", [BW_ST_U8] = "U8",   [BW_ST_OTHER] = "other"
    };
    return NAMES[dtype];
}

/* Text of the file; what would steer a terminal is a question mark. */
static void print_text(const char *text)
{
    for (const char *p = text; *p; p++) {
        bool steers = ((unsigned char)*p < 0x20 && *p != '\n') || *p == 0x7f ||
                      ((unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0);
        putchar(steers ? '?' : *p);
        if (*p == '\n' && p[1]) fputs("  ", stdout); /* a config is many lines: indented below its name */
    }
}

static void print_file(const bw_st_file *file)
{
    bw_st_pair pair;
    for (int64_t i = 0; bw__st_metadata_at(&pair, file, i); i++) {
        print_text(pair.key);
        fputs(strchr(pair.value, '\n') ? ":\n  " : ": ", stdout);
        print_text(pair.value);
        if (!pair.value[0] || pair.value[strlen(pair.value) - 1] != '\n') putchar('\n');
    }
    printf("%lld tensors\n", (long long)bw__st_count(file));
    for (int64_t i = 0; i < bw__st_count(file); i++) {
        const bw_st_tensor *t = bw__st_at(file, i);
        fputs("  ", stdout);
        print_text(t->name);
        printf("%*s %-5s [", strlen(t->name) < 40 ? 40 - (int)strlen(t->name) : 0, "",
               cli_dtype_text(t->dtype));
        for (int d = 0; d < t->ndim; d++)
            printf("%s%lld", d > 0 ? ", " : "", (long long)t->shape[d]);
        puts("]");
    }
}

/* A file of torch.save() is shown by its tensors, as one of safetensors without metadata. */
static bw_status open_file(bw_st_file **out, bw_torch_file **torch, const char *path)
{
    bw_status st = BW_OK;
    bw_st_tensor *tensors = NULL;
    if (!bw__torch_looks_like(path)) return bw__st_open(out, path);
    BW_TRY(bw__torch_open(torch, path));
    BW_TRY(BW_ALLOC(&tensors, bw__torch_count(*torch) + 1));
    for (int64_t i = 0; i < bw__torch_count(*torch); i++)
        tensors[i] = *bw__torch_at(*torch, i);
    BW_TRY(bw__st_wrap(out, tensors, bw__torch_count(*torch), NULL));
out:
    bw__free(tensors);
    return st;
}

static bw_status inspect_file(const char *path, bool as_json)
{
    bw_status st = BW_OK;
    bw_st_file *file = NULL;
    bw_torch_file *torch = NULL;
    bw_network *network = NULL;
    BW_TRY(open_file(&file, &torch, path));
    /* Any file may be looked at; only some are networks. */
    if (bw_network_load(&network, path) != BW_OK) network = NULL;
    if (as_json) {
        json_t *object = json_object();
        (void)json_object_set_new(object, "kind",
                                  json_string(network ? "network"
                                              : torch ? "torch"
                                                      : "safetensors"));
        (void)json_object_set_new(object, "path", bw__json_text(path));
        if (network) (void)json_object_set_new(object, "network", cli_network_json(network));
        (void)json_object_set_new(object, "metadata", metadata_json(file));
        (void)json_object_set_new(object, "tensors", tensors_json(file));
        st = cli_print_json(object);
    } else {
        if (network) cli_network_print(network);
        print_file(file);
    }
out:
    bw_network_free(network);
    bw__st_close(file);
    bw__torch_close(torch);
    return st;
}

static int run_inspect(const cli_options *o)
{
    const char *path = o->arguments[0];
    return cli_finish(cli_is_folder(path) ? cli_inspect_run(path, o->json) : inspect_file(path, o->json));
}

const cli_verb cli_inspect = { .name = "inspect",
                               .arguments = "RUN|MODEL|FILE",
                               .min_arguments = 1,
                               .max_arguments = 1,
                               .summary = "Show what is in a run folder, a .safetensors or a .pth file",
                               .notes = NULL,
                               .examples = "blockwise inspect runs/mine\n"
                                           "blockwise inspect resnet50.pth --json",
                               .options = { CLI_JSON, CLI_END },
                               .run = run_inspect };
