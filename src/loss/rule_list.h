/* What the losses ask of the rules that the program has registered (custom.c). */
#ifndef BW_LOSS_RULE_LIST_H
#define BW_LOSS_RULE_LIST_H
#include "blockwise/rule.h"
#include "loss/loss.h"

/* Of the newest rule of this name; nothing and false where there is none. Borrowed, valid for ever. */
const char *const *bw__rule_terms(const char *name);
bool bw__rule_needs_labels(const char *name);
#endif
