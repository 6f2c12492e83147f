#include "formats/pickle.h"
#include "base/memory.h"
#include <string.h>

/* More than any state dict has, in values, on the stack and in the memo; a hostile file ends here. */
enum { MOST_VALUES = 1 << 18, MOST_NAME = 96 };

typedef struct numbers {
    uint32_t *at;
    uint32_t n, room;
} numbers;

struct bw_pickle {
    const uint8_t *data;
    size_t bytes, pos;
    const char *origin;
    bw_pickle_value *values;
    uint32_t n, room;
    numbers stack, marks, memo; /* marks: heights of the stack; memo: value + 1, 0 where there is none */
    uint32_t root;
};

static const struct {
    const char *module, *name;
    bw_pickle_name number;
} NAMES[] = {
    { "collections", "OrderedDict", BW_NAME_ORDERED_DICT },
    { "torch._utils", "_rebuild_tensor_v2", BW_NAME_REBUILD_TENSOR },
    { "torch._utils", "_rebuild_parameter", BW_NAME_REBUILD_PARAMETER },
    { "torch", "FloatStorage", BW_NAME_FLOAT },
    { "torch", "DoubleStorage", BW_NAME_DOUBLE },
    { "torch", "HalfStorage", BW_NAME_HALF },
    { "torch", "BFloat16Storage", BW_NAME_BFLOAT16 },
    { "torch", "LongStorage", BW_NAME_LONG },
    { "torch", "IntStorage", BW_NAME_INT },
    { "torch", "ByteStorage", BW_NAME_BYTE },
    { "__main__", "exclude_bias_and_norm", BW_NAME_OPAQUE },
};
enum { N_NAMES = sizeof NAMES / sizeof NAMES[0] };

static bw_status damaged(const bw_pickle *p, const char *what)
{
    return bw_fail(BW_EDATA, "%s: damaged or not a state dict: at byte %zu, %s", p->origin, p->pos, what);
}

/* --- bytes --- */

static bw_status take(const uint8_t **out, bw_pickle *p, size_t n)
{
    if (n > p->bytes - p->pos) return damaged(p, "the data ends");
    *out = p->data + p->pos;
    p->pos += n;
    return BW_OK;
}

static bw_status take_number(uint64_t *out, bw_pickle *p, size_t bytes)
{
    const uint8_t *b = NULL;
    bw_status st = take(&b, p, bytes);
    *out = 0;
    for (size_t i = 0; st == BW_OK && i < bytes; i++)
        *out |= (uint64_t)b[i] << (8 * i);
    return st;
}

static bw_status take_line(const char **out, size_t *length, bw_pickle *p)
{
    const uint8_t *start = p->data + p->pos, *end = memchr(start, '\n', p->bytes - p->pos);
    if (!end) return damaged(p, "the data ends in a line");
    *out = (const char *)start;
    *length = (size_t)(end - start);
    p->pos += *length + 1;
    return BW_OK;
}

/* --- lists --- */

static bw_status grow(numbers *l, uint32_t room)
{
    uint32_t *more = NULL;
    bw_status st = BW_ALLOC(&more, room);
    if (st != BW_OK) return st;
    if (l->n > 0) memcpy(more, l->at, l->n * sizeof *more);
    bw__free(l->at);
    l->at = more;
    l->room = room;
    return BW_OK;
}

static bw_status push(bw_pickle *p, numbers *l, uint32_t v)
{
    if (l->n == MOST_VALUES) return damaged(p, "it puts more on its stack than weights need");
    if (l->n == l->room) {
        bw_status st = grow(l, 2 * l->room + 64);
        if (st != BW_OK) return st;
    }
    l->at[l->n++] = v;
    return BW_OK;
}

/* A new value on the stack. *out is valid until the next one. */
static bw_status push_new(bw_pickle_value **out, bw_pickle *p, bw_pickle_kind kind)
{
    bw_status st = BW_OK;
    if (p->n == MOST_VALUES) return damaged(p, "it has more values than weights have");
    if (p->n == p->room) {
        bw_pickle_value *more = NULL;
        uint32_t room = 2 * p->room + 1024;
        BW_TRY(BW_ALLOC(&more, room));
        if (p->n > 0) memcpy(more, p->values, p->n * sizeof *more);
        bw__free(p->values);
        p->values = more;
        p->room = room;
    }
    BW_TRY(push(p, &p->stack, p->n));
    *out = &p->values[p->n++];
    **out = (bw_pickle_value){ .kind = kind };
out:
    return st;
}

/* Never takes what lies below the last mark. */
static bw_status pop(uint32_t *out, bw_pickle *p)
{
    uint32_t floor = p->marks.n > 0 ? p->marks.at[p->marks.n - 1] : 0;
    if (p->stack.n <= floor) return damaged(p, "nothing is on the stack");
    *out = p->stack.at[--p->stack.n];
    return BW_OK;
}

/* The value on top, of one of two kinds. */
static bw_status top_of(bw_pickle_value **out, bw_pickle *p, uint32_t height, bw_pickle_kind a,
                        bw_pickle_kind b)
{
    if (height == 0 || height > p->stack.n) return damaged(p, "nothing is on the stack");
    bw_pickle_value *v = &p->values[p->stack.at[height - 1]];
    if (v->kind != a && v->kind != b)
        return damaged(p, "something stands where another kind of value belongs");
    *out = v;
    return BW_OK;
}

static bw_status add_item(bw_pickle_value *to, uint32_t item)
{
    if (to->items == to->room) {
        uint32_t *more = NULL, room = 2 * to->room + 8;
        bw_status st = BW_ALLOC(&more, room);
        if (st != BW_OK) return st;
        if (to->items > 0) memcpy(more, to->item, to->items * sizeof *more);
        bw__free(to->item);
        to->item = more;
        to->room = room;
    }
    to->item[to->items++] = item;
    return BW_OK;
}

/* The values above the last mark go into `to` (a number, since it may be on the stack too); the mark is gone.
 */
static bw_status add_marked(bw_pickle *p, uint32_t to)
{
    bw_status st = BW_OK;
    uint32_t floor = p->marks.at[p->marks.n - 1];
    for (uint32_t i = floor; st == BW_OK && i < p->stack.n; i++)
        st = add_item(&p->values[to], p->stack.at[i]);
    p->stack.n = floor;
    p->marks.n--;
    return st;
}

static bw_status need_mark(const bw_pickle *p)
{
    return p->marks.n > 0 ? BW_OK : damaged(p, "there is no mark");
}

/* Everything above the last mark becomes one new container. */
static bw_status make_container(bw_pickle *p, bw_pickle_kind kind)
{
    bw_pickle_value *v = NULL;
    bw_status st = need_mark(p);
    if (st != BW_OK) return st;
    uint32_t floor = p->marks.at[p->marks.n - 1], items = p->stack.n - floor;
    if (kind == BW_PICKLE_DICT && items % 2 != 0) return damaged(p, "a key has no value");
    st = push_new(&v, p, kind);
    if (st != BW_OK) return st;
    uint32_t made = p->stack.at[--p->stack.n];
    st = add_marked(p, made);
    return st == BW_OK ? push(p, &p->stack, made) : st;
}

static bw_status make_tuple(bw_pickle *p, uint32_t items)
{
    bw_status st =
        p->stack.n >= items ? push(p, &p->marks, p->stack.n - items) : damaged(p, "a tuple is too long");
    if (st == BW_OK && p->marks.n > 1 && p->marks.at[p->marks.n - 1] < p->marks.at[p->marks.n - 2])
        st = damaged(p, "a tuple reaches below a mark");
    return st == BW_OK ? make_container(p, BW_PICKLE_TUPLE) : st;
}

/* --- what may be named, and what is made of it --- */

static bool is_text(const char *text, size_t length, const char *want)
{
    return strlen(want) == length && memcmp(text, want, length) == 0;
}

static bw_status push_name(bw_pickle *p, const char *module, size_t module_length, const char *name,
                           size_t name_length)
{
    bw_pickle_value *v = NULL;
    for (int i = 0; i < N_NAMES; i++) {
        if (!is_text(module, module_length, NAMES[i].module) || !is_text(name, name_length, NAMES[i].name))
            continue;
        bw_status st = push_new(&v, p, BW_PICKLE_NAME);
        if (st == BW_OK) v->name = NAMES[i].number;
        return st;
    }
    return bw_fail(
        BW_EDATA,
        "%s: refused: it names %.*s.%.*s, which weights do not need and which is never run here; save "
        "the state dict alone, torch.save(model.state_dict(), FILE)",
        p->origin, module_length > MOST_NAME ? MOST_NAME : (int)module_length, module,
        name_length > MOST_NAME ? MOST_NAME : (int)name_length, name);
}

static const bw_pickle_value *item_of(const bw_pickle *p, const bw_pickle_value *v, uint32_t i)
{
    return &p->values[v->item[i]];
}

/* ("storage", type, key, place, elements) */
static bw_status make_storage(bw_pickle *p)
{
    bw_pickle_value *v = NULL, *tuple = NULL;
    uint32_t number = 0;
    bw_status st = top_of(&tuple, p, p->stack.n, BW_PICKLE_TUPLE, BW_PICKLE_TUPLE);
    if (st == BW_OK) st = pop(&number, p);
    if (st != BW_OK) return st;
    tuple = &p->values[number];
    if (tuple->items < 5 || item_of(p, tuple, 1)->kind != BW_PICKLE_NAME ||
        item_of(p, tuple, 1)->name < BW_NAME_FLOAT || item_of(p, tuple, 1)->name > BW_NAME_BYTE ||
        item_of(p, tuple, 2)->kind != BW_PICKLE_TEXT || item_of(p, tuple, 4)->kind != BW_PICKLE_INT ||
        item_of(p, tuple, 4)->number < 0)
        return damaged(p, "this is no storage of a tensor");
    bw_pickle_name type = item_of(p, tuple, 1)->name;
    const bw_pickle_value key = *item_of(p, tuple, 2);
    int64_t elements = item_of(p, tuple, 4)->number;
    st = push_new(&v, p, BW_PICKLE_STORAGE);
    if (st != BW_OK) return st;
    v->name = type;
    v->text = key.text;
    v->length = key.length;
    v->number = elements;
    return BW_OK;
}

static bool take_extents(int64_t *out, int *n, const bw_pickle *p, const bw_pickle_value *tuple)
{
    if (tuple->kind != BW_PICKLE_TUPLE || tuple->items > BW_PICKLE_DIMS) return false;
    *n = (int)tuple->items;
    for (uint32_t i = 0; i < tuple->items; i++) {
        const bw_pickle_value *v = item_of(p, tuple, i);
        if (v->kind != BW_PICKLE_INT || v->number < 0) return false;
        out[i] = v->number;
    }
    return true;
}

/* All elements lie in the storage, and there are not more of them, as an expanded tensor has. */
static bool fits(const bw_pickle_value *tensor, int64_t elements)
{
    int64_t last = tensor->number, count = 1;
    if (last < 0) return false;
    for (int d = 0; d < tensor->ndim; d++)
        if (tensor->shape[d] == 0) return true; /* nothing of the storage is read */
    for (int d = 0; d < tensor->ndim; d++) {
        int64_t reach;
        if (__builtin_mul_overflow(count, tensor->shape[d], &count) || count > elements) return false;
        if (__builtin_mul_overflow(tensor->shape[d] - 1, tensor->stride[d], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return last < elements;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, ...) */
static bw_status make_tensor(bw_pickle *p, const bw_pickle_value *arguments)
{
    bw_pickle_value *v, made = { .kind = BW_PICKLE_TENSOR };
    int strides = 0;
    if (arguments->items < 4 || item_of(p, arguments, 0)->kind != BW_PICKLE_STORAGE ||
        item_of(p, arguments, 1)->kind != BW_PICKLE_INT ||
        !take_extents(made.shape, &made.ndim, p, item_of(p, arguments, 2)) ||
        !take_extents(made.stride, &strides, p, item_of(p, arguments, 3)) || strides != made.ndim)
        return damaged(p, "this is no tensor");
    made.storage = arguments->item[0];
    made.number = item_of(p, arguments, 1)->number;
    if (!fits(&made, item_of(p, arguments, 0)->number))
        return damaged(p, "a tensor is larger than its storage");
    bw_status st = push_new(&v, p, BW_PICKLE_TENSOR);
    if (st == BW_OK) *v = made;
    return st;
}

/* Calls nothing: the two functions that make tensors are carried out by what they mean. */
static bw_status reduce(bw_pickle *p)
{
    bw_pickle_value *v = NULL;
    uint32_t arguments = 0, function = 0;
    bw_status st = pop(&arguments, p);
    if (st == BW_OK) st = pop(&function, p);
    if (st != BW_OK) return st;
    const bw_pickle_value *f = &p->values[function], *a = &p->values[arguments];
    if (f->kind != BW_PICKLE_NAME || a->kind != BW_PICKLE_TUPLE) return damaged(p, "a call of no function");
    if (f->name == BW_NAME_ORDERED_DICT && a->items == 0) return push_new(&v, p, BW_PICKLE_DICT);
    if (f->name == BW_NAME_REBUILD_TENSOR) return make_tensor(p, a);
    if (f->name == BW_NAME_REBUILD_PARAMETER && a->items >= 1) return push(p, &p->stack, a->item[0]);
    return bw_fail(BW_EDATA, "%s: refused: at byte %zu it calls a function that makes no tensor", p->origin,
                   p->pos);
}

/* --- opcodes (Python's pickletools has their meanings) --- */

static bw_status push_int(bw_pickle *p, int64_t number, bw_pickle_kind kind)
{
    bw_pickle_value *v = NULL;
    bw_status st = push_new(&v, p, kind);
    if (st == BW_OK) v->number = number;
    return st;
}

/* An integer of `bytes` bytes, of which the highest may be the sign. */
static bw_status take_int(bw_pickle *p, size_t bytes, bool is_signed)
{
    uint64_t u = 0;
    if (bytes > 8) return damaged(p, "an integer is too long");
    bw_status st = take_number(&u, p, bytes);
    if (st != BW_OK) return st;
    if (is_signed && bytes > 0 && bytes < 8 && u >> (8 * bytes - 1)) u |= ~(uint64_t)0 << (8 * bytes);
    return push_int(p, (int64_t)u, BW_PICKLE_INT);
}

static bw_status take_text(bw_pickle *p, size_t length_bytes)
{
    bw_pickle_value *v = NULL;
    uint64_t length = 0;
    const uint8_t *text = NULL;
    bw_status st = take_number(&length, p, length_bytes);
    if (st == BW_OK && length > p->bytes) st = damaged(p, "a string is longer than the data");
    if (st == BW_OK) st = take(&text, p, (size_t)length);
    if (st == BW_OK) st = push_new(&v, p, BW_PICKLE_TEXT);
    if (st != BW_OK) return st;
    v->text = (const char *)text;
    v->length = (size_t)length;
    return BW_OK;
}

static bw_status take_float(bw_pickle *p)
{
    bw_pickle_value *v = NULL;
    const uint8_t *b = NULL;
    uint64_t bits = 0;
    bw_status st = take(&b, p, 8);
    for (int i = 0; st == BW_OK && i < 8; i++)
        bits = bits << 8 | b[i];
    if (st == BW_OK) st = push_new(&v, p, BW_PICKLE_FLOAT);
    if (st == BW_OK) memcpy(&v->real, &bits, sizeof bits);
    return st;
}

static bw_status take_global(bw_pickle *p)
{
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    bw_status st = take_line(&module, &module_length, p);
    if (st == BW_OK) st = take_line(&name, &name_length, p);
    return st == BW_OK ? push_name(p, module, module_length, name, name_length) : st;
}

static bw_status stack_global(bw_pickle *p)
{
    uint32_t name = 0, module = 0;
    bw_status st = pop(&name, p);
    if (st == BW_OK) st = pop(&module, p);
    if (st != BW_OK) return st;
    const bw_pickle_value n = p->values[name], m = p->values[module];
    if (n.kind != BW_PICKLE_TEXT || m.kind != BW_PICKLE_TEXT) return damaged(p, "a name is no string");
    return push_name(p, m.text, m.length, n.text, n.length);
}

static bw_status remember(bw_pickle *p, uint64_t at)
{
    bw_status st = BW_OK;
    if (p->stack.n == 0) return damaged(p, "nothing is on the stack");
    if (at >= MOST_VALUES) return damaged(p, "it remembers too much");
    uint32_t i = (uint32_t)at;
    if (i >= p->memo.room) st = grow(&p->memo, 2 * i + 64);
    if (st != BW_OK) return st;
    if (i >= p->memo.n) p->memo.n = i + 1;
    p->memo.at[i] = p->stack.at[p->stack.n - 1] + 1;
    return BW_OK;
}

static bw_status recall(bw_pickle *p, uint64_t at)
{
    if (at >= p->memo.n || p->memo.at[at] == 0) return damaged(p, "it recalls what it never had");
    return push(p, &p->stack, p->memo.at[at] - 1);
}

static bw_status memo_of(bw_pickle *p, size_t bytes, bw_status (*fn)(bw_pickle *, uint64_t))
{
    uint64_t at = 0;
    bw_status st = take_number(&at, p, bytes);
    return st == BW_OK ? fn(p, at) : st;
}

/* One or all marked values into the list or dict below them. */
static bw_status add_to(bw_pickle *p, uint32_t single)
{
    bw_pickle_value *to = NULL;
    bw_status st = BW_OK;
    if (single > 0) {
        if (p->stack.n < single) return damaged(p, "nothing is on the stack");
        st = push(p, &p->marks, p->stack.n - single);
    } else {
        st = need_mark(p);
    }
    if (st != BW_OK) return st;
    uint32_t floor = p->marks.at[p->marks.n - 1], outer = p->marks.n > 1 ? p->marks.at[p->marks.n - 2] : 0;
    if (floor <= outer) return damaged(p, "nothing is on the stack");
    st = top_of(&to, p, floor, BW_PICKLE_LIST, BW_PICKLE_DICT);
    if (st != BW_OK) return st;
    if (to->kind == BW_PICKLE_DICT && (p->stack.n - floor) % 2 != 0) return damaged(p, "a key has no value");
    return add_marked(p, p->stack.at[floor - 1]);
}

/* State of an OrderedDict (its _metadata) says nothing about weights. */
static bw_status build(bw_pickle *p)
{
    bw_pickle_value *to = NULL;
    uint32_t state = 0;
    bw_status st = pop(&state, p);
    return st == BW_OK ? top_of(&to, p, p->stack.n, BW_PICKLE_DICT, BW_PICKLE_DICT) : st;
}

static bw_status skip(bw_pickle *p, size_t bytes)
{
    const uint8_t *ignored;
    return take(&ignored, p, bytes);
}

static bw_status pop_mark(bw_pickle *p)
{
    bw_status st = need_mark(p);
    if (st == BW_OK) p->stack.n = p->marks.at[--p->marks.n];
    return st;
}

static bw_status run_long1(bw_pickle *p)
{
    uint64_t n = 0;
    bw_status st = take_number(&n, p, 1);
    return st == BW_OK ? take_int(p, (size_t)n, true) : st;
}

static bw_status step(bw_pickle *p, uint8_t op)
{
    bw_pickle_value *v = NULL;
    uint32_t dropped = 0;
    switch (op) {
    case 0x80: /* PROTO */
        return skip(p, 1);
    case 0x95: /* FRAME */
        return skip(p, 8);
    case '(':
        return push(p, &p->marks, p->stack.n);
    case '0':
        return pop(&dropped, p);
    case '1':
        return pop_mark(p);
    case 'N':
        return push_new(&v, p, BW_PICKLE_NONE);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_int(p, op == 0x88, BW_PICKLE_BOOL);
    case 'J':
        return take_int(p, 4, true);
    case 'K':
        return take_int(p, 1, false);
    case 'M':
        return take_int(p, 2, false);
    case 0x8a: /* LONG1 */
        return run_long1(p);
    case 'G':
        return take_float(p);
    case 'X':
    case 'B':
        return take_text(p, 4);
    case 0x8c: /* SHORT_BINUNICODE */
    case 'U':
    case 'C':
        return take_text(p, 1);
    case ')':
        return push_new(&v, p, BW_PICKLE_TUPLE);
    case ']':
        return push_new(&v, p, BW_PICKLE_LIST);
    case '}':
        return push_new(&v, p, BW_PICKLE_DICT);
    case 't':
        return make_container(p, BW_PICKLE_TUPLE);
    case 'l':
        return make_container(p, BW_PICKLE_LIST);
    case 'd':
        return make_container(p, BW_PICKLE_DICT);
    case 0x85: /* TUPLE1 to TUPLE3 */
    case 0x86:
    case 0x87:
        return make_tuple(p, op - 0x84u);
    case 'a':
        return add_to(p, 1);
    case 's':
        return add_to(p, 2);
    case 'e':
    case 'u':
        return add_to(p, 0);
    case 'q':
        return memo_of(p, 1, remember);
    case 'r':
        return memo_of(p, 4, remember);
    case 0x94: /* MEMOIZE */
        return remember(p, p->memo.n);
    case 'h':
        return memo_of(p, 1, recall);
    case 'j':
        return memo_of(p, 4, recall);
    case 'c':
        return take_global(p);
    case 0x93: /* STACK_GLOBAL */
        return stack_global(p);
    case 'Q':
        return make_storage(p);
    case 'R':
        return reduce(p);
    case 'b':
        return build(p);
    default:
        return damaged(p, "an instruction that state dicts do not have");
    }
}

static bw_status run(bw_pickle *p)
{
    const uint8_t *op = NULL;
    for (;;) {
        bw_status st = take(&op, p, 1);
        if (st != BW_OK) return st;
        if (*op == '.') break;
        st = step(p, *op);
        if (st != BW_OK) return st;
    }
    if (p->marks.n > 0) return damaged(p, "a mark is left");
    return pop(&p->root, p);
}

bw_status bw__pickle_read(bw_pickle **out, const void *data, size_t bytes, const char *origin)
{
    bw_status st = BW_OK;
    bw_pickle *p = NULL;
    *out = NULL;
    BW_TRY(BW_ALLOC(&p, 1));
    p->data = data;
    p->bytes = bytes;
    p->origin = origin;
    BW_TRY(run(p));
    p->origin = NULL;
    *out = p;
    p = NULL;
out:
    bw__pickle_free(p);
    return st;
}

void bw__pickle_free(bw_pickle *p)
{
    if (!p) return;
    for (uint32_t i = 0; i < p->n; i++)
        bw__free(p->values[i].item);
    bw__free(p->values);
    bw__free(p->stack.at);
    bw__free(p->marks.at);
    bw__free(p->memo.at);
    bw__free(p);
}

uint32_t bw__pickle_root(const bw_pickle *pickle)
{
    return pickle->root;
}

const bw_pickle_value *bw__pickle_at(const bw_pickle *pickle, uint32_t value)
{
    return &pickle->values[value];
}
