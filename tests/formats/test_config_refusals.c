#include "check.h"
#include "config_texts.h"
#include "formats/config_check.h"

/* Each of these resolves to a refusal with these words. */
static void combinations_that_make_no_sense_are_refused_with_reason_and_remedy(void **state)
{
    (void)state;
    const struct {
        const char *set[3], *why;
    } wrong[] = {
        { { "head.pool=gsp", "head.filter=3" },
          "head.filter: 3 has no meaning with head.pool gsp; what takes it is head.pool cbe: set that, or "
          "leave "
          "head.filter out" },
        { { "head.pool=lsp", "head.filter=3" }, "head.filter: 3 has no meaning with head.pool lsp" },
        { { "head.pool=gsp", "head.stride=2" }, "head.stride: 2 has no meaning with head.pool gsp" },
        { { "head.pool=lsp", "head.stride=2" }, "head.stride: 2 has no meaning with head.pool lsp" },
        { { "head.pool=gsp", "head.dim=64" }, "what takes it is head.pool cbe or lsp" },
        { { "train.order=end-to-end", "head.filter=3" }, "head.filter: 3 has no meaning with head.pool gsp" },
        { { "blocks[2].head={pool: gsp, filter: 3}" },
          "blocks[2].head.filter: 3 has no meaning with blocks[2].head.pool gsp" },
        { { "head.pool=gsp", "blocks[2].head.stride=2" },
          "blocks[2].head.stride: 2 has no meaning with head.pool gsp" },
        { { "loss.temperature=0.5" },
          "loss.temperature: 0.5 has no meaning with loss.name barlow-twins; what takes "
          "it is loss.name simclr" },
        { { "loss.name=simclr", "loss.lambda=0.1" },
          "loss.lambda: 0.1 has no meaning with loss.name simclr" },
        { { "loss.name=simclr", "loss.invariance=1" }, "what takes it is loss.name vicreg" },
        { { "loss.name=simclr", "loss.variance=1" }, "what takes it is loss.name vicreg" },
        { { "loss.name=simclr", "loss.covariance=2" }, "what takes it is loss.name vicreg" },
        { { "loss.classes=10" }, "loss.classes: 10 has no meaning with loss.name barlow-twins" },
        { { "blocks[3].loss.name=vicreg", "blocks[3].loss.lambda=0.1" },
          "blocks[3].loss.lambda: 0.1 has no meaning with blocks[3].loss.name vicreg" },
        { { "noise.sigma=0.5" }, "what takes it is noise.kind all or hw or c" },
        { { "optimizer.name=sgd", "optimizer.eta=0.02" },
          "optimizer.eta: 0.02 has no meaning with optimizer.name sgd" },
        { { "optimizer.name=adamw", "optimizer.clip_lr=true" }, "what takes it is optimizer.name lars" },
        { { "optimizer.beta2=0.99" }, "what takes it is optimizer.name adamw" },
        { { "optimizer.eps=0.01" }, "what takes it is optimizer.name adamw" },
        { { "optimizer.decay_at=[0.5]" }, "what takes it is optimizer.schedule step" },
        { { "optimizer.decay_factor=0.5" }, "what takes it is optimizer.schedule step" },
        { { "optimizer.schedule=constant", "optimizer.final_lr=0.5" },
          "what takes it is optimizer.schedule cosine" },
        { { "train.split=3", "train.batch=16" },
          "train.split: 3 parts do not divide train.batch 16; take a divisor" },
        { { "train.split=16", "train.batch=16" },
          "have one image each, and batch statistics need two; take at most 8" },
        { { "train.split=32", "train.batch=16" }, "32 parts do not divide train.batch 16" },
        { { "loss.name=simclr", "train.split=8", "train.batch=8" }, "one image each" },
        { { "data.images=255" }, "data.images: 255 is less than train.batch 256" },
        { { "train.blocks=[2,5]" },
          "train.blocks: there is no block 5: model.cuts stages makes blocks 1 to 4" },
        { { "train.init_blocks=[5]" }, "train.init_blocks: there is no block 5" },
        { { "train.order=end-to-end", "train.blocks=[2]" },
          "train.blocks: there is no block 2: train.order end-to-end trains the network as one block" },
        { { "train.order=end-to-end", "train.init_blocks=[1,2]" }, "train.init_blocks: there is no block 2" },
        { { "projector.widths=[]" },
          "projector.widths: an empty list, but the barlow-twins loss needs a projector" },
        { { "loss.name=simclr", "projector.widths=[]" }, "the simclr loss needs a projector" },
        { { "blocks[2].projector.widths=[]" },
          "blocks[2].projector.widths: an empty list, but the barlow-twins" },
        { { "loss.name=vicreg", "loss={invariance: 0, variance: 0, covariance: 0}" },
          "vicreg with all of its weights 0" },
        { { "loss.name=simclr", "blocks[2].projector.widths=[16, 1]" },
          "blocks[2].projector.widths: the last width is 1" },
        { { "model.cuts=[16]" }, "model.cuts" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int n = 0;
        while (n < 3 && wrong[i].set[n])
            n++;
        bw_config c = assigned(wrong[i].set, n);
        assert_refused(&c, wrong[i].why);
    }
}

static void setting_counts_where_one_block_uses_it(void **state)
{
    (void)state;
    (void)RESOLVED("loss.temperature=0.5", "blocks[2].loss.name=simclr");
    (void)RESOLVED("head.pool=gsp", "head.filter=3", "blocks[1].head.pool=cbe");
    (void)RESOLVED("noise.sigma=0.5", "blocks[1].noise.kind=hw");
    (void)RESOLVED("optimizer.name=sgd", "optimizer.eta=0.02", "blocks[4].optimizer.name=lars");
    (void)RESOLVED("blocks[1].loss.name=simclr", "blocks[1].loss.temperature=0.5");
    (void)RESOLVED("train.blocks=[1,4]", "train.init_blocks=[2,3]", "train.split=128");
    (void)RESOLVED("train.order=end-to-end", "train.blocks=[1]");
    (void)RESOLVED("loss.name=cross-entropy", "loss.classes=10", "projector.widths=[]");
    /* The block that uses it has its own. */
    bw_config c =
        ASSIGNED("loss.temperature=0.5", "blocks[2].loss.name=simclr", "blocks[2].loss.temperature=0.1");
    assert_refused(&c, "loss.temperature: 0.5 has no meaning with loss.name barlow-twins");
}

static void the_value_of_the_default_never_contradicts(void **state)
{
    (void)state;
    (void)RESOLVED("head.pool=gsp", "head.filter=1", "head.stride=1", "head.dim=2048");
    (void)RESOLVED("loss.name=vicreg", "loss.lambda=0.0051", "loss.temperature=0.2", "noise.sigma=0.25");
}

/* A file may extend another that was written for a different loss. */
static void what_files_give_in_vain_is_said_but_not_refused(void **state)
{
    (void)state;
    char line[512];
    bw_config c = bw_config_default();
    CHECK_OK(load_text(&c, "optimizer: {eta: 0.02, clip_lr: true}\nloss: {lambda: 0.1, temperature: 0.2}\n"));
    CHECK_OK(bw_config_set(&c, "optimizer.name=sgd"));
    CHECK_OK(bw_config_resolve(&c));
    assert_true(bw__config_unused_at(line, sizeof line, &c, 0));
    assert_string_equal(line, "optimizer.eta: 0.02 has no effect, no block has optimizer.name lars");
    assert_true(bw__config_unused_at(line, sizeof line, &c, 1));
    assert_string_equal(line, "optimizer.clip_lr: true has no effect, no block has optimizer.name lars");
    assert_false(bw__config_unused_at(line, sizeof line, &c, 2));
    /* What the head is made of is refused from files too. */
    CHECK_OK(load_text(&c, "head: {pool: lsp, filter: 3}\n"));
    assert_refused(&c, "head.filter: 3 has no meaning with head.pool lsp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combinations_that_make_no_sense_are_refused_with_reason_and_remedy),
        cmocka_unit_test(setting_counts_where_one_block_uses_it),
        cmocka_unit_test(the_value_of_the_default_never_contradicts),
        cmocka_unit_test(what_files_give_in_vain_is_said_but_not_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
