/* Of a build without MPI: there is nobody to exchange messages with. */
#include "base/error.h"
#include "dist/post.h"

bw_status bw__post_create(bw_post **out, bw_comm *comm, int rank, int tag)
{
    (void)comm, (void)tag;
    *out = NULL;
    return bw_fail(BW_EINVAL, "there is no rank %d to exchange messages with", rank);
}

void bw__post_free(bw_post *post)
{
    (void)post;
}

static bw_status nobody(void)
{
    return bw_fail(BW_EINVAL, "there is no rank to exchange messages with");
}

bw_status bw__post_send(bw_post *post, const void *bytes, size_t n)
{
    (void)post, (void)bytes, (void)n;
    return nobody();
}

bw_status bw__post_receive(bw_post *post, void *bytes, size_t n)
{
    (void)post, (void)bytes, (void)n;
    return nobody();
}

bw_status bw__post_test(bw_post *post, bool *done)
{
    (void)post;
    *done = false;
    return nobody();
}

bw_status bw__post_look(bw_post *post, int64_t *bytes)
{
    (void)post;
    *bytes = -1;
    return nobody();
}
