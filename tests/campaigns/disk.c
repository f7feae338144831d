/* Stands between a process and its disk (LD_PRELOAD): counts the calls that write below one folder, lets one of them
 * fail, or kills the process right before or after it. SQLite's own page writes pass here as well as Python's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum side { BEFORE, AFTER };

static struct {
    char root[PATH_MAX]; /* calls below it count */
    long at;             /* the call that it is about, from 1; 0: only write down every call */
    int error;           /* what the call fails with; 0: the process is killed there */
    enum side side;      /* before the call's work, or after it */
    double for_s;        /* all later calls fail, too, for so long */
    int ledger;          /* a file descriptor: one line for what was done */
} plan;
static atomic_long count;
static _Atomic double fails_until_s;

void disk_arm(const char *root, long at, int error, enum side side, double for_s, int ledger)
{
    snprintf(plan.root, sizeof plan.root, "%s", root);
    plan.at = at, plan.error = error, plan.side = side, plan.for_s = for_s, plan.ledger = ledger;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void note(const char *call, const char *path)
{
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path + strlen(plan.root));
    syscall(SYS_write, plan.ledger, line, (size_t)length);
}

/* The number of a call; 0 where it is none of ours. */
static long number_of(const char *path)
{
    size_t length = strlen(plan.root);
    if (!length || !path || strncmp(path, plan.root, length))
        return 0;
    return atomic_fetch_add(&count, 1) + 1;
}

/* Whether a call is to fail on this side of its work. */
static int fails(long number, enum side side, const char *call, const char *path)
{
    if (!number || (plan.at && side != plan.side))
        return 0;
    if (!plan.at && side == BEFORE)
        note(call, path);
    if (number == plan.at) {
        note(call, path);
        if (!plan.error)
            kill(getpid(), SIGKILL);
        fails_until_s = now_s() + plan.for_s;
        errno = plan.error;
        return 1;
    }
    if (fails_until_s == 0 || now_s() > fails_until_s)
        return 0;
    errno = plan.error;
    return 1;
}

static const char *path_of(int descriptor, char *buffer)
{
    char link[64];
    if (!plan.root[0])
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0)
        return NULL;
    buffer[length] = 0;
    return buffer;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define PASS(name, type, path, ...)                                                                                    \
    {                                                                                                                  \
        const char *where = path;                                                                                      \
        long number = number_of(where);                                                                                \
        if (fails(number, BEFORE, #name, where))                                                                       \
            return -1;                                                                                                 \
        type result = REAL(name)(__VA_ARGS__);                                                                         \
        int kept = errno;                                                                                              \
        if (fails(number, AFTER, #name, where))                                                                        \
            return -1;                                                                                                 \
        errno = kept;                                                                                                  \
        return result;                                                                                                 \
    }
#define BY_DESCRIPTOR(name, type, descriptor, ...)                                                                     \
    {                                                                                                                  \
        char buffer[PATH_MAX];                                                                                         \
        PASS(name, type, path_of(descriptor, buffer), __VA_ARGS__)                                                     \
    }

ssize_t write(int fd, const void *data, size_t size) BY_DESCRIPTOR(write, ssize_t, fd, fd, data, size)
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) BY_DESCRIPTOR(pwrite, ssize_t, fd, fd, data, size, at)
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
    BY_DESCRIPTOR(pwrite64, ssize_t, fd, fd, data, size, at)
int fsync(int fd) BY_DESCRIPTOR(fsync, int, fd, fd)
int fdatasync(int fd) BY_DESCRIPTOR(fdatasync, int, fd, fd)
int ftruncate(int fd, off_t size) BY_DESCRIPTOR(ftruncate, int, fd, fd, size)
int ftruncate64(int fd, off64_t size) BY_DESCRIPTOR(ftruncate64, int, fd, fd, size)
int rename(const char *from, const char *to) PASS(rename, int, to, from, to)
int link(const char *from, const char *to) PASS(link, int, to, from, to)
int unlink(const char *path) PASS(unlink, int, path, path)
int mkdir(const char *path, mode_t mode) PASS(mkdir, int, path, path, mode)

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))
#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                                      \
        va_end(rest);                                                                                                  \
        PASS(name, int, WRITES(flags) ? path : NULL, path, flags, mode)                                                \
    }
OPEN(open)
OPEN(open64)
