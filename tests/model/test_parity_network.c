/* One training step of ResNet-18 and ResNet-50 in various blocks with various heads against PyTorch in
 * float64: what every block puts out, its loss, the gradient of every parameter, running statistics, and
 * features in evaluation mode after it. */
#include "parity.h"
#include "loss/loss.h"
#include "model/block.h"
#include "model/network_internal.h"
#include <stdio.h>
#include <stdlib.h>

#define ALLOWED     1e-4
#define ARENA_BYTES ((size_t)64 << 20)

typedef struct step_case {
    bw_st_file *file;
    parity_setting setting;
    bw_network *network;
    bw_exec x;
    float *views; /* [2, n, S, S, 3] */
    parity_worst out, pooled, z, loss, grad, running, features;
} step_case;

static void begin(step_case *c, const char *fixture)
{
    *c = (step_case){ .out = { .what = "blocks' outputs" },
                      .pooled = { .what = "heads' pooled outputs" },
                      .z = { .what = "projectors' outputs" },
                      .loss = { .what = "loss (on, off, total)" },
                      .grad = { .what = "gradients of all parameters" },
                      .running = { .what = "running statistics" },
                      .features = { .what = "features in evaluation mode" } };
    c->file = parity_open(fixture);
    c->setting = parity_read_setting(c->file);
    bw_config *config = &c->setting.config;
    CHECK_OK(bw_config_resolve(config));
    CHECK_OK(bw__network_build(&c->network, config, true));
    for (int k = 0; k < c->network->blocks; k++)
        parity_fill(&c->network->params[k]);
    CHECK_OK(bw__exec_create(&c->x, config->threads));
    CHECK_OK(bw__arena_create(&c->x.arena, ARENA_BYTES));
    c->views = malloc(sizeof(float) * (size_t)(BW_VIEWS * c->setting.batch * c->setting.image_size *
                                               c->setting.image_size * 3));
    assert_non_null(c->views);
    parity_views(c->views, &c->setting);
}

static void end(step_case *c)
{
    free(c->views);
    bw__exec_destroy(&c->x);
    bw_network_free(c->network);
    bw__st_close(c->file);
}

static void compare_views(const step_case *c, parity_worst *worst, const char *what, int k, const float *got,
                          int64_t count)
{
    for (int v = 0; v < BW_VIEWS; v++) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s.block.%d.view%d", what, k + 1, v + 1);
        parity_compare(worst, c->file, key, got + v * (count / BW_VIEWS), count / BW_VIEWS);
    }
}

static void compare_params(const step_case *c, parity_worst *worst, const char *what, const bw_params *params,
                           const float *values, bool trained)
{
    for (int i = 0; i < params->n; i++) {
        const bw_param *p = &params->items[i];
        if (bw__param_is_trained(p) != trained) continue;
        char key[128];
        (void)snprintf(key, sizeof key, "%s.%s", what, p->name);
        parity_compare(worst, c->file, key, values + p->offset, p->count);
    }
}

/* Forward, loss and backward of block k on `in`; returns its output, which the caller frees. `side` becomes
 * the height and width of that output. */
static float *step_block(step_case *c, int k, const float *in, int64_t *side)
{
    bw_block_config config = bw_config_block(&c->setting.config, k);
    bw_params *params = &c->network->params[k];
    bw_block block;
    bw_loss *loss;
    bw_loss_value value;
    float *z;

    CHECK_OK(bw__block_create(&block, &c->x, &c->network->spec[k], &config, BW_VIEWS, c->setting.batch, *side,
                              *side, true, true));
    *side = block.trunk.out_h;
    int64_t rows = BW_VIEWS * c->setting.batch, wide = config.projector.widths[config.projector.n - 1];
    float *out = malloc(sizeof *out * (size_t)block.out_count);
    float *diff_z = malloc(sizeof *diff_z * (size_t)(rows * wide));
    float *grads = malloc(sizeof *grads * (size_t)params->trained);
    assert_true(out && diff_z && grads);

    size_t mark = bw__exec_mark(&c->x);
    bw_run run = { .x = &c->x, .params = params, .grads = grads, .training = true };
    CHECK_OK(bw__block_forward(&block, &run, out, &z, in));
    compare_views(c, &c->out, "out", k, out, block.out_count);
    compare_views(c, &c->pooled, "pooled", k, block.h, rows * block.spec->head_dim);
    compare_views(c, &c->z, "z", k, z, rows * wide);

    CHECK_OK(bw__loss_create(&loss, &c->x, &config.loss, c->setting.batch, wide));
    CHECK_OK(bw__loss_run(loss, &c->x, &value, diff_z, z, NULL));
    char key[32];
    (void)snprintf(key, sizeof key, "loss.%d", k + 1);
    parity_compare_loss(&c->loss, c->file, key, value.term[0], value.term[1], value.total);

    CHECK_OK(bw__block_backward(&block, &run, diff_z, in, out));
    compare_params(c, &c->grad, "grad", params, grads, true);
    compare_params(c, &c->running, "running", params, params->values, false);
    bw__exec_release(&c->x, mark);
    bw__loss_free(loss);
    bw__block_destroy(&block);
    free(diff_z);
    free(grads);
    return out;
}

static void step_all_blocks(step_case *c)
{
    int64_t side = c->setting.image_size;
    float *in = NULL;
    for (int k = 0; k < c->network->blocks; k++) {
        float *out = step_block(c, k, in ? in : c->views, &side);
        free(in);
        in = out;
    }
    free(in);
}

static void evaluate(step_case *c)
{
    float *head[BW_MAX_BLOCKS], *trunk[BW_MAX_BLOCKS];
    bw_extractor *extractor;
    bw_network *view;
    int64_t n = c->setting.batch;
    CHECK_OK(bw__network_view(&view, c->network));
    for (int k = 0; k < view->blocks; k++) {
        int64_t wide = bw_network_feature_dim(view, k, BW_FEATURE_HEAD);
        int64_t channels = bw_network_feature_dim(view, k, BW_FEATURE_TRUNK);
        head[k] = malloc(sizeof(float) * (size_t)(n * wide));
        trunk[k] = malloc(sizeof(float) * (size_t)(n * channels));
        assert_true(head[k] && trunk[k]);
    }
    CHECK_OK(bw_extractor_create(&extractor, view, n, c->setting.image_size));
    CHECK_OK(bw_extractor_run(extractor, head, trunk, c->views, n));
    for (int k = 0; k < view->blocks; k++) {
        char key[32];
        (void)snprintf(key, sizeof key, "eval.head.%d", k + 1);
        parity_compare(&c->features, c->file, key, head[k],
                       n * bw_network_feature_dim(view, k, BW_FEATURE_HEAD));
        (void)snprintf(key, sizeof key, "eval.trunk.%d", k + 1);
        parity_compare(&c->features, c->file, key, trunk[k],
                       n * bw_network_feature_dim(view, k, BW_FEATURE_TRUNK));
        free(head[k]);
        free(trunk[k]);
    }
    bw_extractor_free(extractor);
    bw_network_free(view);
}

/* Every quantity of the fixture `name`. */
static void check_step(const char *name)
{
    step_case c;
    begin(&c, name);
    print_message("%s\n", name);
    step_all_blocks(&c);
    evaluate(&c);
    const parity_worst *all[] = { &c.out, &c.pooled, &c.z, &c.loss, &c.grad, &c.running, &c.features };
    int64_t compared = 1; /* the setting */
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        parity_report(all[i], ALLOWED);
        compared += all[i]->compared;
    }
    assert_int_equal(compared, bw__st_count(c.file)); /* nothing of what PyTorch has was left out */
    end(&c);
}

static void resnet18_blockwise_step_is_pytorchs(void **state)
{
    (void)state;
    check_step("resnet18");
}

static void resnet50_blockwise_step_is_pytorchs(void **state)
{
    (void)state;
    check_step("resnet50");
}

static void resnet18_end_to_end_step_is_pytorchs(void **state)
{
    (void)state;
    check_step("resnet18_end_to_end");
}

static void a_block_for_every_unit_with_3x3_heads_is_pytorchs(void **state)
{
    (void)state;
    check_step("resnet18_units");
}

static void cuts_inside_stages_with_strided_3x3_heads_are_pytorchs(void **state)
{
    (void)state;
    check_step("resnet18_strided");
}

static void local_spatial_pooling_is_pytorchs(void **state)
{
    (void)state;
    check_step("resnet18_lsp");
}

static void cuts_inside_stages_of_bottlenecks_with_strided_1x1_heads_are_pytorchs(void **state)
{
    (void)state;
    check_step("resnet50_strided");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet18_blockwise_step_is_pytorchs),
        cmocka_unit_test(resnet50_blockwise_step_is_pytorchs),
        cmocka_unit_test(resnet18_end_to_end_step_is_pytorchs),
        cmocka_unit_test(a_block_for_every_unit_with_3x3_heads_is_pytorchs),
        cmocka_unit_test(cuts_inside_stages_with_strided_3x3_heads_are_pytorchs),
        cmocka_unit_test(local_spatial_pooling_is_pytorchs),
        cmocka_unit_test(cuts_inside_stages_of_bottlenecks_with_strided_1x1_heads_are_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
