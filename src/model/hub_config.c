/* config.json beside a trunk, as timm and the Hugging Face hub have it (timm/models/_hub.py): which class the
 * weights belong to, and how images are prepared for it. */
#include "base/memory.h"
#include "formats/atomic_file.h"
#include "formats/config_schema.h"
#include "formats/json.h"
#include "model/network_internal.h"
#include <math.h>
#include <string.h>
#include <sys/stat.h>

static const char *word_of(const char *key, int value)
{
    return bw__key(bw__key_find(key))->names[value];
}

/* Share of the resized image's shorter side that the crop keeps, rounded down so that floor(size / crop_pct),
 * which is timm's resize, is that side. Images for the CIFAR stem have their size and are not resized. */
static double crop_pct(const bw_config *c)
{
    int64_t size = c->data.image_size;
    double side = round((double)size * 256.0 / 224.0);
    if (c->model.stem == BW_STEM_CIFAR) return 1.0;
    return floor((double)size / side * 1e6) / 1e6;
}

static json_t *preparation(const bw_config *c)
{
    json_t *o = json_object(), *input = json_array();
    (void)json_array_append_new(input, json_integer(3));
    (void)json_array_append_new(input, json_integer(c->data.image_size));
    (void)json_array_append_new(input, json_integer(c->data.image_size));
    (void)json_object_set_new(o, "custom_load", json_false());
    (void)json_object_set_new(o, "input_size", input);
    (void)json_object_set_new(o, "fixed_input_size", json_false());
    (void)json_object_set_new(o, "interpolation", json_string("bilinear"));
    (void)json_object_set_new(o, "crop_pct", bw__json_real(crop_pct(c)));
    (void)json_object_set_new(o, "crop_mode", json_string("center"));
    (void)json_object_set_new(o, "mean", bw__json_reals(c->augment.mean, 3));
    (void)json_object_set_new(o, "std", bw__json_reals(c->augment.std, 3));
    (void)json_object_set_new(o, "num_classes", json_integer(0));
    (void)json_object_set_new(o, "first_conv", json_string("conv1"));
    (void)json_object_set_new(o, "classifier", json_string("fc"));
    return o;
}

static json_t *description(const bw_network *network, const char *weights)
{
    const bw_config *c = &network->config;
    json_t *o = json_object(), *ours = json_object();
    (void)json_object_set_new(ours, "weights", bw__json_text(weights));
    (void)json_object_set_new(ours, "version", json_string(bw_version()));
    (void)json_object_set_new(ours, "width", json_integer(c->model.width));
    (void)json_object_set_new(ours, "stem", json_string(word_of("model.stem", (int)c->model.stem)));
    (void)json_object_set_new(o, "architecture", json_string(word_of("model.arch", (int)c->model.arch)));
    (void)json_object_set_new(o, "num_classes", json_integer(0));
    (void)json_object_set_new(
        o, "num_features",
        json_integer(bw_network_feature_dim(network, network->blocks - 1, BW_FEATURE_TRUNK)));
    (void)json_object_set_new(o, "global_pool", json_string("avg"));
    (void)json_object_set_new(o, "pretrained_cfg", preparation(c));
    (void)json_object_set_new(o, "blockwise", ours);
    return o;
}

/* Whether what is at `path` was written here for weights of that name, or nothing is. */
static bool may_replace(const char *path, const char *weights)
{
    struct stat info;
    json_t *there = NULL;
    if (lstat(path, &info) != 0) return true;
    if (!S_ISREG(info.st_mode) || bw__json_load(&there, path) != BW_OK) return false;
    const char *theirs = json_string_value(json_object_get(json_object_get(there, "blockwise"), "weights"));
    bool ours = theirs && strcmp(theirs, weights) == 0;
    json_decref(there);
    return ours;
}

bw_status bw_network_save_config(const bw_network *network, const char *path, const char *weights)
{
    bw_status st = BW_OK;
    json_t *json = NULL;
    char *text = NULL;
    if (!may_replace(path, weights)) {
        bw_log(
            BW_LOG_WARN,
            "%s: is there, was not written for %s, and stays as it is; timm wants a folder for each network",
            path, weights);
        return BW_OK;
    }
    json = description(network, weights);
    BW_TRY(bw__json_pretty(&text, json));
    BW_TRY(bw__atomic_write(path, text, strlen(text)));
out:
    json_decref(json);
    bw__free(text);
    return st;
}
