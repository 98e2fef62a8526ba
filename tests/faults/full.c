/* A disk that is full while $FULL_FLAG exists: what would need room below $FULL_ROOT fails with ENOSPC. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root, *flag;

__attribute__((constructor)) static void begin(void) {
    root = getenv("FULL_ROOT");
    flag = getenv("FULL_FLAG");
}

static int is_full(void) { return root && flag && syscall(SYS_access, flag, F_OK) == 0; }

static int refuses(int fd) {
    if (!is_full()) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlink, link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    if (strncmp(path, root, strlen(root)) != 0) return 0;
    errno = ENOSPC;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *octets, size_t length) { return refuses(fd) ? -1 : NEXT(write)(fd, octets, length); }

ssize_t writev(int fd, const struct iovec *parts, int count) { return refuses(fd) ? -1 : NEXT(writev)(fd, parts, count); }

ssize_t pwrite(int fd, const void *octets, size_t length, off_t at) {
    return refuses(fd) ? -1 : NEXT(pwrite)(fd, octets, length, at);
}

ssize_t pwrite64(int fd, const void *octets, size_t length, off64_t at) {
    return refuses(fd) ? -1 : NEXT(pwrite64)(fd, octets, length, at);
}

int mkdir(const char *path, mode_t mode) {
    if (is_full() && strncmp(path, root, strlen(root)) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return NEXT(mkdir)(path, mode);
}
