/* A network in training on one synthetic batch, for tests of the step. */
#ifndef BW_TESTS_TRAIN_TRAINING_H
#define BW_TESTS_TRAIN_TRAINING_H
#include "check.h"
#include "base/rng.h"
#include "model/network_internal.h"
#include "train/trainer_internal.h"
#include <stdlib.h>
#include <string.h>

enum { STEPS_PER_EPOCH = 10 };

typedef struct training {
    bw_network *net;
    bw_trainer *trainer;
    float *views;
} training;

static inline training make_training(const bw_config *c)
{
    training t = { 0 };
    int64_t count = BW_VIEWS * c->train.batch * c->data.image_size * c->data.image_size * 3;
    CHECK_OK(bw_network_create(&t.net, c));
    CHECK_OK(bw_trainer_create(&t.trainer, t.net, STEPS_PER_EPOCH));
    t.views = malloc((size_t)count * sizeof(float));
    assert_non_null(t.views);
    bw_rng r = bw__rng(1, BW_RNG_SYNTHETIC, 0, 0, 0);
    bw__rng_normal_f32(&r, t.views, count);
    return t;
}

static inline void drop_training(training *t)
{
    bw_trainer_free(t->trainer);
    bw_network_free(t->net);
    free(t->views);
}

/* Whether block `block` has the same values, running statistics and momenta to the last bit. */
static inline bool same_values(const bw_network *a, const bw_network *b, int block)
{
    const bw_params *p = &a->params[block], *q = &b->params[block];
    return p->total == q->total && memcmp(p->values, q->values, (size_t)p->total * sizeof(float)) == 0 &&
           memcmp(p->momenta, q->momenta, (size_t)p->trained * sizeof(float)) == 0;
}
#endif
