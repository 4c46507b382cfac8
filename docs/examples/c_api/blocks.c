/* Writes 16 blocks of a file at once, and reads them back. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kaio_c.h"

enum { blocks = 16, size = 4096 };

static int fail(const char *what, int64_t result) {
    fprintf(stderr, "%s: %s\n", what, strerror((int)-result));
    return 1;
}

static void count(void *user, int64_t result) {
    if (result == size)
        ++*(int *)user;
    else
        fail("a block", result < 0 ? result : -EIO);
}

int main(void) {
    struct kaio_loop *loop;
    char *written, *read;
    int fd = open("blocks.bin", O_RDWR | O_CREAT | O_DIRECT, 0644);
    if (fd < 0) return fail("open(blocks.bin) with O_DIRECT", -errno);
    if (posix_memalign((void **)&written, size, blocks * size) || posix_memalign((void **)&read, size, blocks * size))
        return fail("memory", -ENOMEM);
    for (int i = 0; i < blocks; ++i) memset(written + i * size, 'a' + i, size);

    int error = kaio_open(blocks, &loop);
    if (error) return fail("kaio_open", error);
    int writes = 0, reads = 0;
    for (int i = 0; i < blocks && !error; ++i)
        error = kaio_write(loop, fd, written + i * size, size, i * size, count, &writes);
    if (!error && kaio_run(loop) != blocks) error = -EIO;
    for (int i = 0; i < blocks && !error; ++i)
        error = kaio_read(loop, fd, read + i * size, size, i * size, count, &reads);
    if (!error && kaio_run(loop) != blocks) error = -EIO;
    kaio_close(loop);
    close(fd);
    if (error) return fail("kaio", error);

    printf("%d blocks written, %d read, %s\n", writes, reads,
           memcmp(written, read, blocks * size) == 0 ? "the same" : "others");
    return writes == blocks && reads == blocks ? 0 : 1;
}
