// SPDX-License-Identifier: Apache-2.0
// A preload shim that keeps what a power loss would leave. Below HISTOD_LOSSY_ROOT, each fsync of a file stores the
// file's content, and each fsync of a directory stores its entries, in HISTOD_LOSSY_SHADOW. lossy_restore.py makes a
// tree of that: only entries of synced directories, only synced content. Nothing else that a file system may happen to
// keep is kept.
//
// An inode's number is used again when its file is gone, so an object's key is its number with its time of birth.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEY_BYTES 96
#define PATH_BYTES 4096

static void give_up(const char* what) {
  dprintf(STDERR_FILENO, "lossy_disk: %s: %s\n", what, strerror(errno));
  abort();
}

static unsigned key_of(int folder, const char* name, char* key) {
  struct statx status;
  const int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
  if (statx(folder, name, flags, STATX_TYPE | STATX_INO | STATX_BTIME, &status) != 0) return 0;
  if (!(status.stx_mask & STATX_BTIME)) memset(&status.stx_btime, 0, sizeof status.stx_btime);
  snprintf(key, KEY_BYTES, "%llu-%lld-%u", (unsigned long long)status.stx_ino, (long long)status.stx_btime.tv_sec,
           status.stx_btime.tv_nsec);
  return status.stx_mode & S_IFMT;
}

/// The path of fd below the root: "" for the root itself; null when it lies elsewhere.
static const char* below_root(int fd, char* path) {
  const char* root = getenv("HISTOD_LOSSY_ROOT");
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, PATH_BYTES - 1);
  if (root == NULL || n < 0) return NULL;
  path[n] = 0;
  const size_t length = strlen(root);
  if (strncmp(path, root, length) != 0 || (path[length] != 0 && path[length] != '/')) return NULL;
  return path + length;
}

static void write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = write(fd, data, size);
    if (n < 0) give_up("write");
    data += n;
    size -= (size_t)n;
  }
}

/// Content goes to a temporary name first: the process may be killed in here.
static int open_shadow(char* temporary) {
  snprintf(temporary, PATH_BYTES, "%s/tmp-%ld", getenv("HISTOD_LOSSY_SHADOW"), (long)syscall(SYS_gettid));
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) give_up(temporary);
  return fd;
}

static void publish_shadow(int fd, const char* temporary, const char* key, const char* kind) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s.%s", getenv("HISTOD_LOSSY_SHADOW"), key, kind);
  close(fd);
  if (rename(temporary, path) != 0) give_up(path);
}

static void store_file(int fd, const char* key) {
  char temporary[PATH_BYTES], own[64], buffer[65536];
  const int to = open_shadow(temporary);
  snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
  const int from = open(own, O_RDONLY | O_CLOEXEC);  // fd itself may be write-only
  if (from < 0) give_up("open the synced file");
  for (ssize_t n; (n = read(from, buffer, sizeof buffer)) != 0;) {
    if (n < 0) give_up("read");
    write_all(to, buffer, (size_t)n);
  }
  close(from);
  publish_shadow(to, temporary, key, "file");
}

static void store_directory(int fd, const char* key) {
  char temporary[PATH_BYTES], line[KEY_BYTES + 512], entry_key[KEY_BYTES];
  const int to = open_shadow(temporary);
  const int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = fdopendir(own);
  if (folder == NULL) give_up("open the synced directory");
  for (const struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    const unsigned type = key_of(own, entry->d_name, entry_key);
    if (type != S_IFREG && type != S_IFDIR) continue;
    const int n = snprintf(line, sizeof line, "%s %s %s\n", type == S_IFDIR ? "dir" : "file", entry_key, entry->d_name);
    write_all(to, line, (size_t)n);
  }
  closedir(folder);
  publish_shadow(to, temporary, key, "dir");
}

static void store(int fd) {
  const int saved = errno;
  char path[PATH_BYTES], key[KEY_BYTES];
  const char* relative = below_root(fd, path);
  if (relative != NULL) {
    const unsigned type = key_of(fd, "", key);
    if (type == S_IFREG) store_file(fd, key);
    if (type == S_IFDIR) store_directory(fd, *relative == 0 ? "root" : key);
  }
  errno = saved;
}

static int synced(const char* name, int fd) {
  int (*real)(int) = (int (*)(int))(size_t)dlsym(RTLD_NEXT, name);
  if (real == NULL) give_up(name);
  const int result = real(fd);
  if (result == 0) store(fd);
  return result;
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
