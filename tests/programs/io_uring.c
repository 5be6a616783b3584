/* See io_uring.rs beside this file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ring;
static struct io_uring_params about;
static char *submissions, *completions;
static struct io_uring_sqe *entries;

/* Has one thing done, with IOSQE_ASYNC by a worker, and waits for what comes of it. */
static int work(struct io_uring_sqe entry, unsigned char flags)
{
    unsigned *tail = (unsigned *)(submissions + about.sq_off.tail);
    unsigned mask = *(unsigned *)(submissions + about.sq_off.ring_mask), place = *tail & mask;
    entry.flags = flags;
    entries[place] = entry;
    ((unsigned *)(submissions + about.sq_off.array))[place] = place;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) {
        perror("io_uring_enter");
        exit(1);
    }
    unsigned *head = (unsigned *)(completions + about.cq_off.head);
    struct io_uring_cqe *done = (struct io_uring_cqe *)(completions + about.cq_off.cqes);
    int result = done[*head & *(unsigned *)(completions + about.cq_off.ring_mask)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
}

static int setup(void)
{
    ring = syscall(SYS_io_uring_setup, 8, &about);
    if (ring < 0)
        return -1;
    size_t size = about.sq_off.array + about.sq_entries * sizeof(unsigned);
    size_t other = about.cq_off.cqes + about.cq_entries * sizeof(struct io_uring_cqe);
    if (other > size)
        size = other;
    int both = PROT_READ | PROT_WRITE;
    submissions = mmap(NULL, size, both, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    completions = about.features & IORING_FEAT_SINGLE_MMAP
                      ? submissions
                      : mmap(NULL, size, both, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    entries = mmap(NULL, about.sq_entries * sizeof *entries, both, MAP_SHARED, ring, IORING_OFF_SQES);
    return submissions == MAP_FAILED || completions == MAP_FAILED || entries == MAP_FAILED ? -1 : 0;
}

static const char *said(int result, const char *otherwise)
{
    return result < 0 ? strerror(-result) : otherwise;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    gid_t group = atoi(arguments[2]);
    if (setgroups(1, &group) != 0 || setup() != 0) {
        printf("no io_uring: %s\n", strerror(errno));
        return 0;
    }
    int file = open(arguments[1], O_RDONLY);
    printf("in the group: open %s\n", file < 0 ? strerror(errno) : "ok");
    /* Begins the workers. */
    char bytes[100] = { 0 };
    int null = open("/dev/null", O_RDONLY);
    work((struct io_uring_sqe){ .opcode = IORING_OP_NOP }, IOSQE_ASYNC);
    struct io_uring_sqe nothing = { .opcode = IORING_OP_READ, .fd = null, .addr = (unsigned long)bytes, .len = 1 };
    work(nothing, IOSQE_ASYNC);

    if (setgroups(0, NULL) != 0)
        return 1;
    /* For a moment a decision holds for the thread that it was taken on. Of a variable it holds anyway. */
    int got, tries = 0;
    while ((got = pread(file, bytes, 50, 0)) >= 0 && ++tries < 100)
        usleep(1000);
    int read_error = got < 0 ? -errno : got;
    int again = open(arguments[1], O_RDONLY), open_error = again < 0 ? -errno : again;
    printf("left: read %s, open %s\n", said(read_error, bytes), said(open_error, "ok"));

    memset(bytes, 0, sizeof bytes);
    struct io_uring_sqe reading = { .opcode = IORING_OP_READ, .fd = file, .addr = (unsigned long)bytes, .len = 50 };
    struct io_uring_sqe opening = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)arguments[1] };
    int read_result = work(reading, IOSQE_ASYNC), open_result = work(opening, IOSQE_ASYNC);
    printf("by a worker: read %s, open %s\n", said(read_result, bytes), said(open_result, "ok"));
    memset(bytes, 0, sizeof bytes);
    read_result = work(reading, 0);
    printf("by itself: read %s\n", said(read_result, bytes));
    return 0;
}
