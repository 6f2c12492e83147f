/* The loss `custom`: rules that programs register (blockwise/rule.h), found by name when a trainer is made.
 */
#include "loss/rule_list.h"
#include "base/memory.h"
#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

_Static_assert(BW_RULE_TERMS <= BW_LOSS_TERMS, "a rule is a loss");

/* --- what is registered --- */

enum { TERM_NAME = 24 };

/* Never changed once it is in the table, so that names of terms are valid for ever. */
typedef struct entry {
    bw_rule rule;
    char name[BW_RULE_NAME], term[BW_RULE_TERMS][TERM_NAME];
    const char *terms[BW_LOSS_TERMS + 1];
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry table[BW_MAX_RULES];
static int count;

static bool is_name(const char *s, const char *more, size_t room)
{
    for (size_t i = 0; s[i]; i++)
        if (i + 1 >= room ||
            !(islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]) || strchr(more, s[i])))
            return false;
    return s[0] != '\0';
}

static bw_status check_name(const char *name)
{
    if (name && is_name(name, "_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ", BW_RULE_NAME) && strcmp(name, "none") != 0 &&
        strcmp(name, "auto") != 0)
        return BW_OK;
    return bw_fail(
        BW_EINVAL,
        "'%.40s' is no name for a rule; take letters, digits, _ - and ., at most %d, and neither none "
        "nor auto",
        name ? name : "", BW_RULE_NAME - 1);
}

/* In a line of metrics a term must not stand for something else. */
static bw_status check_term(const char *term)
{
    static const char *const TAKEN[] = { "step",
                                         "epoch",
                                         "lr",
                                         "loss",
                                         "grad_norm",
                                         "embedding_std",
                                         "effective_rank",
                                         "effective_rank_max",
                                         "dead_channels",
                                         "probe_top1",
                                         "probe_top1_train",
                                         "samples_per_s",
                                         "peak_rss_mb" };
    for (size_t i = 0; i < sizeof TAKEN / sizeof TAKEN[0]; i++)
        if (strcmp(term, TAKEN[i]) == 0)
            return bw_fail(BW_EINVAL, "'%s' is another key of metrics.jsonl and no name for a term", term);
    if (is_name(term, "_", TERM_NAME)) return BW_OK;
    return bw_fail(BW_EINVAL, "'%.40s' is no name for a term; take small letters, digits and _, at most %d",
                   term, TERM_NAME - 1);
}

static bw_status check(const bw_rule *rule)
{
    bw_status st = check_name(rule->name);
    for (int i = 0; st == BW_OK && i < BW_RULE_TERMS && rule->term[i]; i++)
        st = check_term(rule->term[i]);
    if (st == BW_OK && !rule->run) st = bw_fail(BW_EINVAL, "the rule %s has no function to run", rule->name);
    return st;
}

static void fill(entry *e, const bw_rule *rule)
{
    *e = (entry){ .rule = *rule };
    (void)snprintf(e->name, sizeof e->name, "%s", rule->name);
    e->rule.name = e->name;
    for (int i = 0; i < BW_RULE_TERMS && rule->term[i]; i++) {
        (void)snprintf(e->term[i], sizeof e->term[i], "%s", rule->term[i]);
        e->rule.term[i] = e->terms[i] = e->term[i];
    }
}

bw_status bw_rule_register(const bw_rule *rule)
{
    bw_status st = check(rule);
    if (st != BW_OK) return st;
    pthread_mutex_lock(&lock);
    if (count == BW_MAX_RULES)
        st = bw_fail(BW_EINVAL, "%d rules are registered already, and there is no room for %s", count,
                     rule->name);
    else
        fill(&table[count++], rule);
    pthread_mutex_unlock(&lock);
    return st;
}

/* The newest of this name, or NULL. */
static const entry *find(const char *name)
{
    const entry *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = count - 1; i >= 0 && !found; i--)
        if (strcmp(table[i].name, name) == 0) found = &table[i];
    pthread_mutex_unlock(&lock);
    return found;
}

const char *const *bw__rule_terms(const char *name)
{
    static const char *const NOTHING[] = { NULL };
    const entry *e = find(name);
    return e ? e->terms : NOTHING;
}

bool bw__rule_needs_labels(const char *name)
{
    const entry *e = find(name);
    return e && e->rule.needs_labels;
}

/* --- as a loss --- */

typedef struct custom {
    bw_rule rule;
    bw_rule_call sizes; /* what is the same in every step */
    const int64_t *steps_done;
} custom;

static bw_status custom_create(void **state, bw_exec *x, const bw_loss_config *config, int64_t n, int64_t d)
{
    custom *c = NULL;
    const entry *e = find(config->rule);
    if (!e)
        return bw_fail(
            BW_EINVAL,
            "loss.rule: this program has no rule called %s; rules belong to programs that register them "
            "(bw_rule_register(), docs/api.md)",
            config->rule);
    bw_status st = BW_ALLOC(&c, 1);
    if (st != BW_OK) return st;
    *c = (custom){ .rule = e->rule,
                   .sizes = { .threads = x->threads,
                              .rank = bw_comm_rank(x->comm),
                              .ranks = bw__exec_ranks(x),
                              .scale = config->scale,
                              .classes = config->classes,
                              .n = n,
                              .all = n * bw__exec_ranks(x),
                              .dim = d } };
    *state = c;
    return BW_OK;
}

static void custom_place(void *state, uint64_t seed, int block, const int64_t *steps_done)
{
    custom *c = state;
    c->sizes.seed = seed;
    c->sizes.block = block;
    c->steps_done = steps_done;
}

static void custom_destroy(void *state)
{
    bw__free(state);
}

/* What a rule that failed has said, or what its status means. */
static bw_status failed(const custom *c, const bw_rule_call *call, bw_status st)
{
    st = bw__fail_of_program(st);
    if (st == BW_ENONFINITE) return bw_fail_prefix(st, "rule %s", c->rule.name); /* the trainer says where */
    return bw_fail_prefix(st, "step %lld, block %d: rule %s", (long long)call->step + 1, call->block + 1,
                          c->rule.name);
}

static bw_status custom_run(void *state, bw_exec *x, bw_loss_value *out, float *diff_z, const float *z,
                            const int *labels)
{
    bw_status st = BW_OK;
    custom *c = state;
    bw_rule_call call = c->sizes;
    size_t mark = bw__exec_mark(x);
    const int64_t values = BW_VIEWS * call.n * call.dim;
    int64_t bytes = c->rule.scratch_bytes ? c->rule.scratch_bytes(c->rule.user, &c->sizes) : 0;
    if (bytes < 0)
        return bw_fail(BW_EINVAL, "rule %s wants %lld bytes of scratch", c->rule.name, (long long)bytes);
    if (bytes > 0) call.scratch = bw__arena_take(&x->arena, x->side, (size_t)bytes);
    if (bw__exec_is_dry(x)) goto out;
    if (c->rule.needs_labels && !labels)
        BW_TRY(bw_fail(BW_EINVAL, "rule %s needs labels, and there are none", c->rule.name));
    for (int64_t i = 0; i < values; i++)
        diff_z[i] = NAN;
    call.step = c->steps_done ? *c->steps_done : 0;
    call.z = z;
    call.labels = labels;
    call.diff_z = diff_z;
    call.inside = x;
    (void)bw_fail(BW_OK, "%s", ""); /* what failed before was not the rule */
    st = c->rule.run(c->rule.user, &call);
    if (st != BW_OK) st = failed(c, &call, st);
    out->total = call.total;
    memcpy(out->term, call.term, sizeof call.term);
out:
    bw__exec_release(x, mark);
    return st;
}

static int64_t custom_flops(const void *state)
{
    (void)state;
    return 0; /* not known */
}

const bw_loss_ops bw__loss_custom = { .name = "custom",
                                      .terms = { NULL },
                                      .create = custom_create,
                                      .place = custom_place,
                                      .destroy = custom_destroy,
                                      .run = custom_run,
                                      .flops = custom_flops };

/* --- over ranks --- */

/* Sizes, as scratch_bytes() gets them, have no ranks behind them. */
static bw_status check_inside(const bw_rule_call *call, const char *function)
{
    if (call->inside) return BW_OK;
    return bw_fail(BW_EINVAL,
                   "%s() is for the call that a rule's run() is given, and not for scratch_bytes()",
                   function);
}

bw_status bw_rule_sum(bw_rule_call *call, double *values, int64_t n)
{
    bw_exec *x = call->inside;
    bw_status st = check_inside(call, "bw_rule_sum");
    if (st != BW_OK) return st;
    bw__exec_sum_f64(x, values, n);
    return x->remote;
}

bw_status bw_rule_gather(bw_rule_call *call, float *all, const float *own, int64_t n)
{
    bw_exec *x = call->inside;
    bw_status st = check_inside(call, "bw_rule_gather");
    if (st != BW_OK) return st;
    if (bw__exec_ranks(x) > 1) {
        st = bw__comm_gather(x->comm, all, own, (size_t)n * sizeof *own);
        if (x->remote == BW_OK) x->remote = st;
    } else {
        memcpy(all, own, (size_t)n * sizeof *own);
    }
    return x->remote;
}
