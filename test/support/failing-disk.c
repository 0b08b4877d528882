/*
 * Preloaded into a process: calls that write to or sync the file FAILING_DISK_FILE, or one whose path begins with that,
 * fail as the word in the file FAILING_DISK_WORD says at that moment.
 *
 *   write-eio, write-enospc   a write writes nothing
 *   write-short               a write writes its first half, in whole sectors
 *   sync-eio                  a sync syncs nothing
 *   full                      nothing is free on the disk, for who asks; writes are not changed
 *   tight                     8 MiB are free, for who asks
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTOR = 512, MOST_PARTS = 1024 };

static int is_the_file(int fd) {
  const char *file = getenv("FAILING_DISK_FILE");
  char link[64], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (file == NULL || length < 0) return 0;
  target[length] = '\0';
  return strncmp(target, file, strlen(file)) == 0;
}

/* Read anew for every call, without any of the functions that are replaced here. */
static int word_is(const char *word) {
  const char *path = getenv("FAILING_DISK_WORD");
  char text[32] = "";
  int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  if (syscall(SYS_read, fd, text, sizeof text - 1) < 0) text[0] = '\0';
  syscall(SYS_close, fd);
  return strcmp(text, word) == 0;
}

/* 0, or the error that a write fails with. */
static int write_error(int fd) {
  if (!is_the_file(fd)) return 0;
  if (word_is("write-eio")) return EIO;
  return word_is("write-enospc") ? ENOSPC : 0;
}

static int is_short(int fd) { return is_the_file(fd) && word_is("write-short"); }

static size_t half_of(size_t size) { return size / 2 / SECTOR * SECTOR; }

static size_t halve(const struct iovec *parts, int count, struct iovec *halved, int *left) {
  size_t whole = 0, room;
  for (int at = 0; at < count; at++) whole += parts[at].iov_len;
  room = half_of(whole);
  for (*left = 0; *left < count && *left < MOST_PARTS && room > 0; (*left)++) {
    halved[*left] = parts[*left];
    if (halved[*left].iov_len > room) halved[*left].iov_len = room;
    room -= halved[*left].iov_len;
  }
  return half_of(whole);
}

static int failed(int error) {
  errno = error;
  return -1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define REPLACE_WRITE(name, offset_declared, offset_given)                                 \
  ssize_t name(int fd, const void *bytes, size_t size offset_declared) {                   \
    int error = write_error(fd);                                                           \
    if (error != 0) return failed(error);                                                  \
    if (is_short(fd)) size = half_of(size);                                                \
    return NEXT(name)(fd, bytes, size offset_given);                                       \
  }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct iovec halved[MOST_PARTS];
  int left, error = write_error(fd);
  if (error != 0) return failed(error);
  if (!is_short(fd)) return NEXT(writev)(fd, parts, count);
  if (halve(parts, count, halved, &left) == 0) return 0;
  return NEXT(writev)(fd, halved, left);
}

#define REPLACE_SYNC(name)                                                                 \
  int name(int fd) {                                                                       \
    if (is_the_file(fd) && word_is("sync-eio")) return failed(EIO);                        \
    return NEXT(name)(fd);                                                                 \
  }

#define REPLACE_STATFS(name, type)                                                         \
  int name(const char *path, struct type *told) {                                          \
    int result = NEXT(name)(path, told);                                                   \
    const char *file = getenv("FAILING_DISK_FILE");                                        \
    if (file != NULL && strncmp(file, path, strlen(path)) == 0 && word_is("full"))         \
      told->f_bavail = 0;                                                                  \
    if (file != NULL && strncmp(file, path, strlen(path)) == 0 && word_is("tight"))        \
      told->f_bavail = (8 << 20) / told->f_bsize;                                          \
    return result;                                                                         \
  }

#define NONE
#define AT(type) , type offset
#define GIVEN , offset

REPLACE_WRITE(write, NONE, NONE)
REPLACE_WRITE(pwrite, AT(off_t), GIVEN)
REPLACE_WRITE(pwrite64, AT(off64_t), GIVEN)
REPLACE_SYNC(fsync)
REPLACE_SYNC(fdatasync)
REPLACE_STATFS(statfs, statfs)
REPLACE_STATFS(statfs64, statfs64)
