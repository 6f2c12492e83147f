/* Training with labels: the classifier behind a head, its bias, and what is refused. */
#include "train/training.h"
#include <math.h>
#include <stdio.h>

enum { CLASSES = 5, BATCH = 6 };

static bw_config small_config(const char *order, const char *widths)
{
    const char *const base[] = { "model.arch=resnet18",
                                 "model.width=8",
                                 "model.stem=cifar",
                                 "data.image_size=16",
                                 "train.batch=6",
                                 "model.zero_init_residual=false",
                                 "threads=2",
                                 "loss.name=cross-entropy",
                                 "loss.classes=5",
                                 "optimizer.name=sgd",
                                 "optimizer.lr=8",
                                 "train.epochs=100",
                                 "optimizer.warmup_epochs=0",
                                 order,
                                 widths };
    bw_config c = bw_config_default();
    for (size_t i = 0; i < sizeof base / sizeof *base; i++)
        if (base[i]) CHECK_OK(bw_config_set(&c, base[i]));
    CHECK_OK(bw_config_resolve(&c));
    return c;
}

static const int labels[BATCH] = { 3, 0, 4, 1, 1, 2 };

static void supervised_loss_falls_on_one_repeated_batch(void **state)
{
    (void)state;
    const char *const order[] = { "train.order=simultaneous", "train.order=end-to-end" };
    for (int o = 0; o < 2; o++) {
        bw_config c = small_config(order[o], NULL);
        training s = make_training(&c);
        bw_step first, last;
        CHECK_OK(bw_trainer_step(s.trainer, &first, s.views, labels));
        for (int i = 0; i < 40; i++)
            CHECK_OK(bw_trainer_step(s.trainer, &last, s.views, labels));
        assert_int_equal(last.blocks, o ? 1 : 4);
        assert_int_equal(last.terms, 1);
        assert_string_equal(last.term_name[0], "top1");
        for (int k = 0; k < last.blocks; k++) {
            /* A fresh classifier is near the loss of guessing, log of the number of classes. */
            assert_true(fabs(first.loss[k] - log(CLASSES)) < 0.5);
            if (!(last.loss[k] < 0.3 * first.loss[k]))
                fail_msg("%s, block %d: loss %g -> %g", order[o], k + 1, first.loss[k], last.loss[k]);
            assert_true(last.term[0][k] > first.term[0][k] || last.term[0][k] == 100.0);
        }
        drop_training(&s);
    }
}

/* --- the classifier alone, in double, from the numbers before and behind it --- */

typedef struct captured {
    training *t;
    int64_t rows, in, oc;
    double *x, *z; /* the classifier's input [rows, in] and output [rows, oc], of block 2 */
    float *grads;
} captured;

enum { BLOCK = 1 };

static const bw_layer_spec *classifier(const training *t)
{
    const bw_block_spec *s = &t->net->spec[BLOCK];
    return &s->linear[s->n_linear - 1];
}

static void keep_forward(void *user, int k)
{
    captured *c = user;
    if (k != BLOCK) return;
    const bw_trained_block *b = &c->t->trainer->blocks[k];
    int last = b->block.spec->n_linear - 1;
    const float *x = last > 0 ? b->block.projector.a[last - 1] : b->block.h;
    for (int64_t i = 0; i < c->rows * c->in; i++)
        c->x[i] = (double)x[i];
    for (int64_t i = 0; i < c->rows * c->oc; i++)
        c->z[i] = (double)b->z[i];
}

static void keep_gradients(void *user, int k, const float *grads)
{
    captured *c = user;
    if (k == BLOCK) memcpy(c->grads, grads, (size_t)c->t->net->params[k].trained * sizeof *grads);
}

static double *room(int64_t count)
{
    double *p = calloc((size_t)count, sizeof *p);
    assert_non_null(p);
    return p;
}

/* z = x W^T + b, and from dL/dz = (softmax - onehot) / rows: dW = dL/dz^T x, db its column sums. */
static void check_classifier(const captured *c, const float *values)
{
    const bw_layer_spec *s = classifier(c->t);
    const bw_param *items = c->t->net->params[BLOCK].items;
    const float *w = values + items[s->weight].offset, *bias = values + items[s->weight + 1].offset;
    double *z = room(c->rows * c->oc), *dw = room(c->oc * c->in), *db = room(c->oc);
    for (int64_t i = 0; i < c->rows; i++) {
        double sum = 0.0, *row = z + i * c->oc;
        for (int64_t j = 0; j < c->oc; j++) {
            row[j] = (double)bias[j];
            for (int64_t k = 0; k < c->in; k++)
                row[j] += c->x[i * c->in + k] * (double)w[j * c->in + k];
            sum += exp(row[j]);
        }
        for (int64_t j = 0; j < c->oc; j++) {
            double slope = (exp(row[j]) / sum - (j == labels[i % BATCH] ? 1.0 : 0.0)) / (double)c->rows;
            db[j] += slope;
            for (int64_t k = 0; k < c->in; k++)
                dw[j * c->in + k] += slope * c->x[i * c->in + k];
        }
    }
    CHECK_CLOSE(c->z, z, (size_t)(c->rows * c->oc), 1e-4, 1e-5);
    (void)CHECK_NORM_F32("classifier, weight", c->grads + items[s->weight].offset, dw,
                         (size_t)(c->oc * c->in), 1e-5);
    (void)CHECK_NORM_F32("classifier, bias", c->grads + items[s->weight + 1].offset, db, (size_t)c->oc, 1e-5);
    free(z);
    free(dw);
    free(db);
}

static void classifier_adds_its_bias_and_its_gradient_is_the_sum_over_rows(void **state)
{
    (void)state;
    const char *const widths[] = { "projector.widths=[]", "projector.widths=[24,16]" };
    for (int i = 0; i < 2; i++) {
        bw_config c = small_config(NULL, widths[i]);
        training t = make_training(&c);
        const bw_params *p = &t.net->params[BLOCK];
        captured keep = { .t = &t, .rows = BW_VIEWS * BATCH, .in = i ? 16 : 64, .oc = CLASSES };
        float *values = malloc((size_t)p->total * sizeof *values);
        assert_int_equal(classifier(&t)->ic, keep.in);
        keep.x = room(keep.rows * keep.in);
        keep.z = room(keep.rows * keep.oc);
        keep.grads = malloc((size_t)p->trained * sizeof *keep.grads);
        assert_true(values && keep.grads);
        memcpy(values, p->values, (size_t)p->total * sizeof *values);
        t.trainer->on_forward = keep_forward;
        t.trainer->on_grads = keep_gradients;
        t.trainer->user = &keep;
        bw_step step;
        CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
        check_classifier(&keep, values);
        free(values);
        free(keep.x);
        free(keep.z);
        free(keep.grads);
        drop_training(&t);
    }
}

static const bw_param *find(const bw_network *net, int block, const char *name)
{
    for (int i = 0; i < net->params[block].n; i++)
        if (strcmp(net->params[block].items[i].name, name) == 0) return &net->params[block].items[i];
    return NULL;
}

static void classifier_is_named_as_sequential_numbers_it(void **state)
{
    (void)state;
    bw_network *net;
    bw_config alone = small_config(NULL, NULL), hidden = small_config(NULL, "projector.widths=[24,16]");
    CHECK_OK(bw_network_create(&net, &alone));
    const bw_param *w = find(net, 2, "blocks.3.projector.0.weight"),
                   *b = find(net, 2, "blocks.3.projector.0.bias");
    assert_true(w && b);
    assert_true(w->dim[0] == CLASSES && w->dim[1] == 64);
    assert_true(b->ndim == 1 && b->dim[0] == CLASSES); /* LARS neither decays nor adapts one dimension */
    assert_null(find(net, 2, "blocks.3.projector.1.weight"));
    bw_network_free(net);

    CHECK_OK(bw_network_create(&net, &hidden));
    assert_null(find(net, 2, "blocks.3.projector.0.bias"));
    assert_non_null(find(net, 2, "blocks.3.projector.1.running_var"));
    assert_null(find(net, 2, "blocks.3.projector.3.bias"));
    assert_non_null(find(net, 2, "blocks.3.projector.4.bias")); /* of the second batch norm */
    assert_non_null(find(net, 2, "blocks.3.projector.6.bias"));
    assert_null(find(net, 2, "blocks.3.projector.7.weight"));
    bw_network_free(net);
}

static void as_many_hidden_layers_as_there_may_be_leave_room_for_the_classifier(void **state)
{
    (void)state;
    bw_config c = small_config(NULL, "projector.widths=[8,8,8,8,8,8,8,8]");
    training t = make_training(&c);
    bw_step step;
    assert_int_equal(t.net->spec[0].n_linear, BW_MAX_LINEAR);
    CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
    drop_training(&t);
}

static void bias_starts_uniform_within_one_over_root_of_fan_in(void **state)
{
    (void)state;
    bw_network *net;
    bw_config c = small_config(NULL, NULL);
    c.loss.classes = 1000;
    CHECK_OK(bw_network_create(&net, &c));
    const bw_param *b = find(net, 0, "blocks.1.projector.0.bias");
    assert_non_null(b);
    const float *v = net->params[0].values + b->offset;
    double largest = 0.0, mean = 0.0, squares = 0.0;
    for (int i = 0; i < 1000; i++) {
        largest = fmax(largest, fabs((double)v[i]));
        mean += (double)v[i] / 1000.0;
        squares += (double)v[i] * (double)v[i] / 1000.0;
    }
    double bound = 1.0 / 8.0; /* 64 inputs */
    assert_true(largest <= bound && largest > 0.98 * bound);
    assert_true(fabs(mean) < 0.1 * bound);
    assert_true(fabs(squares / (bound * bound) - 1.0 / 3.0) < 0.05);
    bw_network_free(net);
}

static void files_hold_the_classifier(void **state)
{
    (void)state;
    bw_config c = small_config(NULL, NULL);
    training t = make_training(&c);
    bw_network *read = NULL;
    char trunk[4200], heads[4200];
    bw_step step;
    (void)snprintf(trunk, sizeof trunk, "%s/model.safetensors", temp_folder());
    (void)snprintf(heads, sizeof heads, "%.*sheads.safetensors", (int)(strrchr(trunk, '/') - trunk) + 1,
                   trunk);
    CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
    CHECK_OK(bw_network_save(t.net, trunk, heads));
    CHECK_OK(bw_network_load(&read, trunk));
    assert_true(bw_network_has_heads(read));
    for (int k = 0; k < 4; k++)
        assert_memory_equal(read->params[k].values, t.net->params[k].values,
                            (size_t)read->params[k].total * sizeof(float));
    bw_network_free(read);
    drop_training(&t);
}

static void a_classifier_of_unknown_size_is_refused(void **state)
{
    (void)state;
    bw_config c = small_config(NULL, NULL);
    bw_network *net;
    c.loss.classes = 0;
    assert_int_equal(bw_network_create(&net, &c), BW_EINVAL);
    assert_null(net);
    assert_non_null(strstr(bw_last_error(), "loss.classes"));
}

static void a_step_without_labels_is_refused(void **state)
{
    (void)state;
    static const int one_missing[BATCH] = { 3, 0, 4, 1, -1, 2 };
    bw_config c = small_config(NULL, NULL);
    training t = make_training(&c);
    bw_step step;
    assert_int_equal(bw_trainer_step(t.trainer, &step, t.views, NULL), BW_EINVAL);
    assert_non_null(strstr(bw_last_error(), "needs labels"));
    assert_int_equal(bw_trainer_step(t.trainer, &step, t.views, one_missing), BW_EDATA);
    assert_non_null(strstr(bw_last_error(), "image 5 of the batch has label -1"));
    CHECK_OK(bw_trainer_step(t.trainer, &step, t.views, labels));
    drop_training(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(supervised_loss_falls_on_one_repeated_batch),
        cmocka_unit_test(classifier_adds_its_bias_and_its_gradient_is_the_sum_over_rows),
        cmocka_unit_test(classifier_is_named_as_sequential_numbers_it),
        cmocka_unit_test(as_many_hidden_layers_as_there_may_be_leave_room_for_the_classifier),
        cmocka_unit_test(bias_starts_uniform_within_one_over_root_of_fan_in),
        cmocka_unit_test(files_hold_the_classifier),
        cmocka_unit_test(a_classifier_of_unknown_size_is_refused),
        cmocka_unit_test(a_step_without_labels_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
