/* Learning rules of a program: what they are given, what becomes of what they give, and of their errors. */
#include "train/training.h"
#include "train/own_rules.h"
#include "base/memory.h"
#include "blockwise/blockwise.h"
#include "formats/file.h"
#include "formats/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { BATCH = 6, STEPS = 3 };

static const int labels[BATCH] = { 3, 0, 4, 1, 1, 2 };

static bw_config small_config(const char *const *settings)
{
    static const char *const base[] = {
        "model.arch=resnet18", "model.width=8",    "model.stem=cifar",
        "data.image_size=16",  "train.batch=6",    "projector.widths=[24,16]",
        "threads=2",           "seed=5",           "optimizer.name=sgd",
        "optimizer.lr=0.5",    "train.epochs=100", "optimizer.warmup_epochs=0"
    };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        CHECK_OK(bw_config_set(&c, base[i]));
    for (; *settings; settings++)
        CHECK_OK(bw_config_set(&c, *settings));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

#define SETTINGS(...) small_config((const char *const[]){ __VA_ARGS__, NULL })

/* --- numbers --- */

static void check_as_built_in(const char *split)
{
    static own_barlow o = { .lambda = 0.0051 };
    const bw_rule rule = own_barlow_rule(&o);
    CHECK_OK(bw_rule_register(&rule));
    bw_config built_in = SETTINGS("loss.scale=0.024", split),
              own = SETTINGS("loss.name=custom", "loss.rule=own-barlow", "loss.scale=0.024", split);
    training a = make_training(&built_in), b = make_training(&own);
    for (int i = 0; i < STEPS; i++) {
        bw_step want, got;
        CHECK_OK(bw_trainer_step(a.trainer, &want, a.views, NULL));
        CHECK_OK(bw_trainer_step(b.trainer, &got, b.views, NULL));
        CHECK_CLOSE(got.loss, want.loss, 4, 1e-3, 0.0);
        CHECK_CLOSE(got.grad_norm, want.grad_norm, 4, 1e-3, 0.0);
        assert_int_equal(got.terms, 2);
        assert_string_equal(got.term_name[0], "own_on");
        assert_string_equal(got.term_name[1], "own_off");
        for (int term = 0; term < 2; term++)
            CHECK_CLOSE(got.term[term], want.term[term], 4, 1e-3, 0.0);
    }
    drop_training(&a);
    drop_training(&b);
}

static void a_rule_that_is_barlow_twins_trains_as_the_loss_does(void **state)
{
    (void)state;
    check_as_built_in("train.split=1");
    check_as_built_in("train.split=2");
}

static void one_block_may_have_a_rule_and_the_others_losses(void **state)
{
    (void)state;
    const bw_rule rule = own_push_rule();
    CHECK_OK(bw_rule_register(&rule));
    bw_config mixed = SETTINGS("blocks[2].loss={name: custom, rule: own-push}"),
              plain = SETTINGS("threads=2"), all = SETTINGS("loss.name=custom", "loss.rule=own-push");
    training m = make_training(&mixed), p = make_training(&plain), r = make_training(&all);
    bw_step got, of_plain, of_rule;
    CHECK_OK(bw_trainer_step(m.trainer, &got, m.views, NULL));
    CHECK_OK(bw_trainer_step(p.trainer, &of_plain, p.views, NULL));
    CHECK_OK(bw_trainer_step(r.trainer, &of_rule, r.views, NULL));
    assert_int_equal(got.terms, 4);
    for (int k = 0; k < 4; k++) {
        const bw_step *want = k == 1 ? &of_rule : &of_plain;
        assert_memory_equal(&got.loss[k], &want->loss[k], sizeof got.loss[k]);
        assert_memory_equal(&got.grad_norm[k], &want->grad_norm[k], sizeof got.grad_norm[k]);
        assert_true(same_values(m.net, k == 1 ? r.net : p.net, k));
        for (int i = 0; i < got.terms; i++) /* on_diag, off_diag, pull, push */
            assert_true(isnan(got.term[i][k]) == ((i >= 2) != (k == 1)));
    }
    drop_training(&m);
    drop_training(&p);
    drop_training(&r);
}

/* --- what a rule is given --- */

typedef struct witness {
    int runs;
    bw_rule_call call[16];
    int label[16];
    bool aligned, was_nan;
} witness;

enum { SCRATCH = 1000 };

static bw_status see(void *user, bw_rule_call *c)
{
    witness *w = user;
    if (w->runs < 16) w->label[w->runs] = c->labels ? c->labels[BATCH - 1] : -7;
    if (w->runs < 16) w->call[w->runs++] = *c;
    w->aligned = (uintptr_t)c->scratch % 64 == 0;
    w->was_nan = true;
    memset(c->scratch, 0x55, SCRATCH);
    for (int64_t i = 0; i < 2 * c->n * c->dim; i++) {
        w->was_nan = w->was_nan && isnan(c->diff_z[i]);
        c->diff_z[i] = 1e-3f * c->z[i];
    }
    c->total = 1.0;
    return BW_OK;
}

static int64_t see_bytes(void *user, const bw_rule_call *sizes)
{
    (void)user;
    return sizes->n == BATCH ? SCRATCH : 0;
}

static void a_rule_knows_where_it_stands(void **state)
{
    (void)state;
    static witness w;
    const bw_rule rule = {
        .name = "see", .needs_labels = true, .run = see, .scratch_bytes = see_bytes, .user = &w
    };
    CHECK_OK(bw_rule_register(&rule));
    bw_config c =
        SETTINGS("loss.name=custom", "loss.rule=see", "loss.scale=3", "loss.classes=5", "train.blocks=[2,3]");
    training t = make_training(&c);
    bw_step step;
    CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
    int64_t before = bw__alloc_count();
    CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
    assert_int_equal(bw__alloc_count() - before, 0);
    assert_int_equal(w.runs, 4);
    for (int i = 0; i < 4; i++) {
        const bw_rule_call *call = &w.call[i];
        assert_int_equal(call->block, 1 + i % 2);
        assert_int_equal(call->step, i / 2);
        assert_int_equal(call->seed, 5);
        assert_true(call->scale == 3.0 && call->classes == 5);
        assert_true(call->n == BATCH && call->all == BATCH && call->dim == 16);
        assert_true(call->rank == 0 && call->ranks == 1 && call->threads == 2);
        assert_int_equal(w.label[i], labels[BATCH - 1]);
    }
    assert_true(w.aligned && w.was_nan);
    assert_true(isnan(step.loss[0]) && step.loss[1] == 1.0);
    assert_int_equal(bw_trainer_step(t.trainer, &step, t.views, NULL), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "rule see needs labels"));
    drop_training(&t);
}

static int64_t much(void *user, const bw_rule_call *sizes)
{
    (void)user;
    return sizes->all * (int64_t)1e9;
}

/* Nothing is run or taken for a plan. */
static void scratch_of_a_rule_is_planned(void **state)
{
    (void)state;
    static bw_plan without, with;
    bw_rule rule = { .name = "planned", .run = see };
    bw_config c = SETTINGS("loss.name=custom", "loss.rule=planned");
    CHECK_OK(bw_rule_register(&rule));
    CHECK_OK(bw_plan_make(&without, &c));
    rule.scratch_bytes = much;
    CHECK_OK(bw_rule_register(&rule));
    CHECK_OK(bw_plan_make(&with, &c));
    assert_true(with.arena_bytes >= (int64_t)1e9 * BATCH && without.arena_bytes < (int64_t)1e8);
}

/* --- what goes wrong --- */

/* What a rule must not do: it looks at what it gets, kept for the test. */
static int64_t sum_too_early(void *user, const bw_rule_call *sizes)
{
    bw_status *got = user;
    bw_rule_call call = *sizes;
    double value = 1.0;
    float all = 0.0f;
    const float own = 1.0f;
    got[0] = bw_rule_sum(&call, &value, 1);
    got[1] = bw_rule_gather(&call, &all, &own, 1);
    return 0;
}

static void sums_while_memory_is_planned_are_refused(void **state)
{
    (void)state;
    static bw_plan plan;
    bw_status got[2] = { BW_OK, BW_OK };
    const bw_rule rule = { .name = "early", .run = see, .scratch_bytes = sum_too_early, .user = got };
    bw_config c = SETTINGS("loss.name=custom", "loss.rule=early");
    CHECK_OK(bw_rule_register(&rule));
    CHECK_OK(bw_plan_make(&plan, &c));
    assert_int_equal(got[0], BW_EINVAL);
    assert_int_equal(got[1], BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "bw_rule_gather() is for the call"));
}

typedef enum fault {
    FAILS,
    FAILS_SILENTLY,
    SAYS_STRANGE,
    SAYS_INTERRUPTED,
    TOTAL_NAN,
    DIFF_NAN,
    FORGETS
} fault;

static bw_status go_wrong(void *user, bw_rule_call *c)
{
    const fault *f = user;
    c->total = *f == TOTAL_NAN ? (double)NAN : 1.0;
    for (int64_t i = 0; i < 2 * c->n * c->dim - (*f == FORGETS); i++)
        c->diff_z[i] = *f == DIFF_NAN ? NAN : 0.01f;
    if (c->block != 2 || c->step != 1) return BW_OK;
    switch (*f) {
    case FAILS:
        return bw_error_set(BW_EIO, "the moon is down");
    case FAILS_SILENTLY:
        return BW_ENOMEM;
    case SAYS_STRANGE:
        return (bw_status)17;
    case SAYS_INTERRUPTED:
        return BW_EINTERRUPTED;
    default:
        return BW_OK;
    }
}

static void errors_of_a_rule_have_step_block_and_name(void **state)
{
    (void)state;
    static const struct {
        fault fault;
        bw_status status;
        const char *message;
        int at; /* the step that fails */
    } cases[] = {
        { FAILS, BW_EIO, "step 2, block 3: rule wrong: the moon is down", 2 },
        { FAILS_SILENTLY, BW_ENOMEM, "step 2, block 3: rule wrong: it returned -1 (out of memory)", 2 },
        { SAYS_STRANGE, BW_EINVAL, "it returned 17 (unknown status)", 2 },
        { SAYS_INTERRUPTED, BW_EINVAL, "step 2, block 3: rule wrong", 2 },
        { TOTAL_NAN, BW_ENONFINITE, "training diverged at step 1, block 1: the custom loss is not finite",
          1 },
        { DIFF_NAN, BW_ENONFINITE, "training diverged at step 1, block 1", 1 },
        { FORGETS, BW_ENONFINITE, "training diverged at step 1, block 1", 1 },
    };
    static fault now;
    const bw_rule rule = { .name = "wrong", .run = go_wrong, .user = &now };
    CHECK_OK(bw_rule_register(&rule));
    bw_config c = SETTINGS("loss.name=custom", "loss.rule=wrong");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        training t = make_training(&c);
        bw_step step;
        now = cases[i].fault;
        (void)bw_error_set(BW_EIO, "something older");
        if (cases[i].at == 2) CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, NULL));
        assert_int_equal(bw_trainer_step(t.trainer, &step, t.views, NULL), cases[i].status);
        if (!strstr(bw_last_error(), cases[i].message))
            fail_msg("got '%s', want '%s'", bw_last_error(), cases[i].message);
        drop_training(&t);
    }
}

static void names_that_cannot_stand_in_files_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "", "none", "auto", "two words", "caf\xc3\xa9", "a:b", "12345678901234567890123456789012"
    };
    static const char *const terms[] = {
        "", "Big", "loss", "step", "probe_top1", "two words", "123456789012345678901234"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const bw_rule rule = { .name = names[i], .run = see };
        assert_int_equal(bw_rule_register(&rule), BW_EINVAL);
    }
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        const bw_rule rule = { .name = "good", .term = { "fine", terms[i] }, .run = see };
        assert_int_equal(bw_rule_register(&rule), BW_EINVAL);
    }
    const bw_rule empty = { .name = "good" }, nameless = { .run = see };
    assert_int_equal(bw_rule_register(&empty), BW_EINVAL);
    assert_int_equal(bw_rule_register(&nameless), BW_EINVAL);
}

/* Settings and weights that name a rule are for every program; training with it is not. */
static void a_rule_that_is_not_there_is_missed_in_training_alone(void **state)
{
    (void)state;
    char path[4300];
    bw_config c = SETTINGS("loss.name=custom", "loss.rule=nobody");
    bw_network *net = NULL, *loaded = NULL;
    bw_trainer *trainer = NULL;
    (void)snprintf(path, sizeof path, "%s/model.safetensors", temp_folder());
    CHECK_OK(bw_network_create(&net, &c));
    CHECK_OK(bw_network_save(net, path, NULL));
    CHECK_OK(bw_network_load(&loaded, path));
    assert_string_equal(bw_network_config(loaded)->loss.rule, "nobody");
    assert_int_equal(bw_trainer_create(&trainer, net, 4), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "this program has no rule called nobody"));
    bw_network_free(loaded);
    bw_network_free(net);
}

static void a_rule_needs_a_name_and_terms_have_room(void **state)
{
    (void)state;
    bw_config c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "loss.name=custom"));
    assert_int_equal(bw_config_resolve(&c), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "loss.rule: block 1 has the loss custom and no rule"));
    assert_int_equal(bw_config_set(&c, "loss.rule=not this"), BW_EINVAL);
    c = bw_config_default();
    CHECK_OK(bw_config_set(&c, "loss.rule=some"));
    assert_int_equal(bw_config_resolve(&c), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "loss.rule: some has no meaning with loss.name barlow-twins"));
    /* 8 blocks of 3 terms each. */
    c = SETTINGS("model.cuts=units", "loss.name=custom", "loss.rule=many-1");
    for (int k = 1; k <= 8; k++) {
        char name[16], term[3][16], set[64];
        (void)snprintf(name, sizeof name, "many-%d", k);
        for (int i = 0; i < 3; i++)
            (void)snprintf(term[i], sizeof term[i], "term_%d_%d", k, i);
        const bw_rule rule = { .name = name, .term = { term[0], term[1], term[2] }, .run = see };
        CHECK_OK(bw_rule_register(&rule));
        (void)snprintf(set, sizeof set, "blocks[%d].loss.rule=%s", k, name);
        CHECK_OK(bw_config_set(&c, set));
    }
    bw_network *net = NULL;
    bw_trainer *trainer = NULL;
    CHECK_OK(bw_network_create(&net, &c));
    assert_int_equal(bw_trainer_create(&trainer, net, 4), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "more than 16 terms"));
    bw_network_free(net);
}

/* --- a run --- */

static char root[4096], data[4200];

static void write_images(void)
{
    enum { IMAGES = 14, SIDE = 17 };
    const unsigned char header[16] = { 0, 0, 8, 3, 0, 0, 0, IMAGES, 0, 0, 0, SIDE, 0, 0, 0, SIDE };
    char path[4400];
    (void)snprintf(root, sizeof root, "%s", temp_folder());
    (void)snprintf(data, sizeof data, "%s/data", root);
    (void)mkdir(data, 0777);
    (void)snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", data);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(header, 1, sizeof header, f), sizeof header);
    for (int i = 0; i < IMAGES * SIDE * SIDE; i++)
        assert_true(fputc(i * (i / (SIDE * SIDE) + 3) % 251, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int64_t stops_at;

static void note_step(void *user, const bw_step *step)
{
    *(int64_t *)user = step->step;
}

static bw_request ask(void *user)
{
    return *(int64_t *)user == stops_at ? BW_SAVE_AND_STOP : BW_GO_ON;
}

static bw_status pretrain(const bw_config *c, const char *run, bool resume, int64_t stop)
{
    char out[4300];
    int64_t seen = 0;
    (void)snprintf(out, sizeof out, "%s/%s", root, run);
    stops_at = stop;
    const bw_pretrain_options o = { .config = c,
                                    .data = data,
                                    .out = out,
                                    .resume = resume,
                                    .user = &seen,
                                    .on_step = note_step,
                                    .request = ask };
    return bw_pretrain(&o);
}

static char *text_of(const char *run, const char *name)
{
    char path[4400], *text = NULL;
    size_t bytes;
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, run, name);
    CHECK_OK(bw__file_read(&text, &bytes, path, (size_t)1 << 28));
    return text;
}

/* Whatever stands in a line of metrics can be no rule's term. */
static void check_keys_are_taken(const char *line)
{
    json_t *object = NULL;
    const char *key;
    json_t *value;
    CHECK_OK(bw__json_parse(&object, line, strcspn(line, "\n"), "line"));
    json_object_foreach(object, key, value)
    {
        const bw_rule rule = { .name = "good", .term = { key }, .run = see };
        bool own = strcmp(key, "pull") == 0 || strcmp(key, "push") == 0;
        if (!own) assert_int_equal(bw_rule_register(&rule), BW_EINVAL);
    }
    json_decref(object);
}

static void a_run_with_a_rule_resumes_to_the_same_bytes(void **state)
{
    (void)state;
    const bw_rule rule = own_push_rule();
    CHECK_OK(bw_rule_register(&rule));
    write_images();
    bw_config c = SETTINGS("loss.name=custom", "loss.rule=own-push", "train.steps=4", "threads=1");
    CHECK_OK(pretrain(&c, "whole", false, -1));
    assert_int_equal(pretrain(&c, "parts", false, 2), BW_EINTERRUPTED);
    bw_config other = c;
    CHECK_OK(bw_config_set(&other, "loss.rule=see"));
    assert_int_equal(pretrain(&other, "parts", true, -1), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "loss.rule: the run was started with own-push"));
    CHECK_OK(pretrain(&c, "parts", true, -1));
    char *whole = text_of("whole", "heads.safetensors"), *parts = text_of("parts", "heads.safetensors"),
         *metrics = text_of("whole", "metrics.jsonl"), *config = text_of("whole", "config.yaml");
    size_t header = 0;
    memcpy(&header, whole, sizeof header);
    assert_memory_equal(whole, parts, header + 8 + 4096);
    assert_non_null(strstr(metrics, "\"push\""));
    assert_non_null(strstr(config, "rule: own-push"));
    check_keys_are_taken(metrics);
    bw__free(whole);
    bw__free(parts);
    bw__free(metrics);
    bw__free(config);
}

static void a_program_without_the_rule_is_told_before_there_is_a_folder(void **state)
{
    (void)state;
    char path[4300];
    struct stat info;
    write_images();
    bw_config c = SETTINGS("loss.name=custom", "loss.rule=nobody", "train.steps=4");
    assert_int_equal(pretrain(&c, "none", false, -1), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "no rule called nobody"));
    (void)snprintf(path, sizeof path, "%s/none", root);
    assert_true(stat(path, &info) != 0);
    c = SETTINGS("loss.name=custom", "loss.rule=see",
                 "train.steps=4"); /* and data without the labels it needs */
    assert_int_equal(pretrain(&c, "none", false, -1), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "without labels; loss.rule see needs classes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_is_barlow_twins_trains_as_the_loss_does),
        cmocka_unit_test(one_block_may_have_a_rule_and_the_others_losses),
        cmocka_unit_test(a_rule_knows_where_it_stands),
        cmocka_unit_test(scratch_of_a_rule_is_planned),
        cmocka_unit_test(sums_while_memory_is_planned_are_refused),
        cmocka_unit_test(errors_of_a_rule_have_step_block_and_name),
        cmocka_unit_test(names_that_cannot_stand_in_files_are_refused),
        cmocka_unit_test(a_rule_that_is_not_there_is_missed_in_training_alone),
        cmocka_unit_test(a_rule_needs_a_name_and_terms_have_room),
        cmocka_unit_test(a_run_with_a_rule_resumes_to_the_same_bytes),
        cmocka_unit_test(a_program_without_the_rule_is_told_before_there_is_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
