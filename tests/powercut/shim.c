/* Writes down, in order, every change a process makes to files below $POWERCUT_ROOT, and every sync, into
 * $POWERCUT_JOURNAL. What was not synced when the power is cut is what a replay leaves out.
 *
 * A record is: kind (1 octet), three numbers (8 octets each, host order): length of the path, an offset, length of the
 * data; then path and data. It is written after the call succeeded and before the caller goes on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static const char *root;

__attribute__((constructor)) static void begin(void) {
    root = getenv("POWERCUT_ROOT");
    const char *path = getenv("POWERCUT_JOURNAL");
    if (root && path) journal = (int)syscall(SYS_open, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int below(const char *path) { return journal >= 0 && root && strncmp(path, root, strlen(root)) == 0; }

static void put(const void *octets, size_t length) {
    const char *at = octets;
    while (length > 0) {
        long written = syscall(SYS_write, journal, at, length);
        if (written <= 0) abort();
        at += written;
        length -= (size_t)written;
    }
}

static void record(char kind, const char *path, uint64_t offset, const void *data, uint64_t length) {
    uint64_t path_length = strlen(path);
    put(&kind, 1);
    put(&path_length, 8);
    put(&offset, 8);
    put(&length, 8);
    put(path, path_length);
    if (data) put(data, length);
}

/* The path of an open file; empty if it is not ours. */
static void path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlink, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    if (!below(path)) path[0] = 0;
}

static void absolute(int at, const char *name, char *path) {
    char base[PATH_MAX];
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (at == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) base[0] = 0;
    } else {
        path_of(at, base);
    }
    snprintf(path, PATH_MAX, "%s/%s", base, name);
}

#define LOCK pthread_mutex_lock(&order)
#define UNLOCK pthread_mutex_unlock(&order)

static int opened(int fd, int existed, int flags, const char *path) {
    if (fd >= 0 && below(path)) {
        if (!existed && (flags & O_CREAT)) record('c', path, 0, NULL, 0);
        else if (flags & O_TRUNC) record('t', path, 0, NULL, 0);
    }
    return fd;
}

static int open_any(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    absolute(at, name, path);
    LOCK;
    int existed = syscall(SYS_access, path, F_OK) == 0;
    int fd = opened((int)syscall(SYS_openat, at, name, flags, mode), existed, flags, path);
    int saved = errno;
    UNLOCK;
    errno = saved;
    return fd;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *name, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int at, const char *name, int flags, ...) { MODE(flags) return open_any(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE(flags) return open_any(at, name, flags | O_LARGEFILE, mode); }

static ssize_t wrote(int fd, const void *data, ssize_t length, int64_t offset) {
    char path[PATH_MAX];
    path_of(fd, path);
    if (length > 0 && path[0]) record('w', path, (uint64_t)offset, data, (uint64_t)length);
    return length;
}

ssize_t write(int fd, const void *data, size_t length) {
    char path[PATH_MAX];
    path_of(fd, path);
    if (!path[0]) return syscall(SYS_write, fd, data, length);
    LOCK;
    int64_t offset = (fcntl(fd, F_GETFL) & O_APPEND) ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t written = wrote(fd, data, syscall(SYS_write, fd, data, length), offset);
    int saved = errno;
    UNLOCK;
    errno = saved;
    return written;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    LOCK;
    ssize_t written = wrote(fd, data, syscall(SYS_pwrite64, fd, data, length, offset), offset);
    int saved = errno;
    UNLOCK;
    errno = saved;
    return written;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    path_of(fd, path);
    if (!path[0]) return syscall(SYS_writev, fd, parts, count);
    ssize_t whole = 0;
    for (int part = 0; part < count; part++) {
        ssize_t written = write(fd, parts[part].iov_base, parts[part].iov_len);
        if (written < 0) return whole > 0 ? whole : written;
        whole += written;
        if ((size_t)written < parts[part].iov_len) break;
    }
    return whole;
}

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    path_of(fd, path);
    LOCK;
    int outcome = (int)syscall(SYS_ftruncate, fd, length);
    if (outcome == 0 && path[0]) record('l', path, (uint64_t)length, NULL, 0);
    UNLOCK;
    return outcome;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, long number) {
    char path[PATH_MAX];
    path_of(fd, path);
    LOCK;
    int outcome = (int)syscall(number, fd);
    if (outcome == 0 && path[0]) record('s', path, 0, NULL, 0);
    UNLOCK;
    return outcome;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int renamed(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char old[PATH_MAX], new[PATH_MAX];
    absolute(from_at, from, old);
    absolute(to_at, to, new);
    LOCK;
    int outcome = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (outcome == 0 && below(old)) record('r', old, 0, new, strlen(new));
    int saved = errno;
    UNLOCK;
    errno = saved;
    return outcome;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return renamed(from_at, from, to_at, to, 0); }
int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) { return renamed(from_at, from, to_at, to, flags); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    char old[PATH_MAX], new[PATH_MAX];
    absolute(from_at, from, old);
    absolute(to_at, to, new);
    LOCK;
    int outcome = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
    if (outcome == 0 && below(new)) record('h', old, 0, new, strlen(new));
    int saved = errno;
    UNLOCK;
    errno = saved;
    return outcome;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *name, int flags) {
    char path[PATH_MAX];
    absolute(at, name, path);
    LOCK;
    int outcome = (int)syscall(SYS_unlinkat, at, name, flags);
    if (outcome == 0 && below(path)) record('u', path, 0, NULL, 0);
    int saved = errno;
    UNLOCK;
    errno = saved;
    return outcome;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int mkdir(const char *name, mode_t mode) {
    char path[PATH_MAX];
    absolute(AT_FDCWD, name, path);
    LOCK;
    int outcome = (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    if (outcome == 0 && below(path)) record('d', path, 0, NULL, 0);
    int saved = errno;
    UNLOCK;
    errno = saved;
    return outcome;
}

void *mmap64(void *at, size_t length, int access, int flags, int fd, off64_t offset) {
    char path[PATH_MAX];
    path[0] = 0;
    if (fd >= 0) path_of(fd, path);
    if (path[0] && (access & PROT_WRITE) && (flags & MAP_SHARED)) {
        static const char words[] = "powercut: a shared writable mapping cannot be followed\n";
        syscall(SYS_write, 2, words, sizeof words - 1);
        abort();
    }
    return (void *)syscall(SYS_mmap, at, length, access, flags, fd, offset);
}
void *mmap(void *at, size_t length, int access, int flags, int fd, off_t offset) { return mmap64(at, length, access, flags, fd, offset); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    char path[PATH_MAX];
    path_of(fd, path);
    LOCK;
    int outcome = (int)syscall(SYS_fallocate, fd, mode, offset, length);
    if (outcome == 0 && path[0] && mode == 0) record('g', path, (uint64_t)(offset + length), NULL, 0);
    UNLOCK;
    return outcome;
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }
