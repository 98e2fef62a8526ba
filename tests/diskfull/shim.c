/* A disk with a fault while the file $DISKFULL_FLAG is there, for files below $DISKFULL_ROOT. If the flag holds "growth",
 * the disk is full, but what is there already can be written over, as on most file systems; if "all", nothing can be
 * written, as where every write takes new blocks; if "sync", what was written cannot be synced. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *root, *flag;

__attribute__((constructor)) static void begin(void) {
    root = getenv("DISKFULL_ROOT");
    flag = getenv("DISKFULL_FLAG");
}

/* The fault that the file shows, empty if none. */
static void fault_of(int fd, char word[8]) {
    memset(word, 0, 8);
    if (!root || !flag) return;
    int flagged = (int)syscall(SYS_open, flag, O_RDONLY | O_CLOEXEC);
    if (flagged < 0) return;
    char link[64], path[PATH_MAX];
    long read = syscall(SYS_read, flagged, word, 7);
    syscall(SYS_close, flagged);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlink, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    if (read <= 0 || strncmp(path, root, strlen(root)) != 0) word[0] = 0;
}

/* Whether a file may not be written up to here. */
static int is_full(int fd, off64_t end) {
    char word[8];
    fault_of(fd, word);
    struct stat now;
    if (fstat(fd, &now) != 0 || !S_ISREG(now.st_mode)) return 0;
    return strcmp(word, "all") == 0 || (strcmp(word, "growth") == 0 && end > now.st_size);
}

#define FULL(fd, end) if (is_full(fd, end)) { errno = ENOSPC; return -1; }

ssize_t write(int fd, const void *data, size_t length) {
    FULL(fd, lseek(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) ? SEEK_END : SEEK_CUR) + (off64_t)length)
    return syscall(SYS_write, fd, data, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    FULL(fd, LLONG_MAX)
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    FULL(fd, offset + (off64_t)length)
    return syscall(SYS_pwrite64, fd, data, length, offset);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

int ftruncate64(int fd, off64_t length) {
    FULL(fd, length)
    return (int)syscall(SYS_ftruncate, fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    FULL(fd, offset + length)
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }

static int synced(int fd, long number) {
    char word[8];
    fault_of(fd, word);
    if (strcmp(word, "sync") == 0) { errno = EIO; return -1; }
    return (int)syscall(number, fd);
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
