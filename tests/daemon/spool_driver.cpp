// SPDX-License-Identifier: Apache-2.0
// spool_driver DIR full|no-file-sync|no-directory-sync
//
// Makes, finishes and removes jobs for as long as it lives, and writes a line to stdout when a call has returned: what
// the line says must survive whatever happens next. The two other modes leave out syncs, so that the check can be
// checked.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <unistd.h>

#include "daemon/jobs/spool.hpp"
#include "daemon/jobs/ulid.hpp"
#include "tests/daemon/job_samples.hpp"

namespace {

using namespace histod::daemon::jobs;
using histod::test::content_of;

class LazyFile final : public DiskFile {
 public:
  explicit LazyFile(std::unique_ptr<DiskFile> inner) : inner_(std::move(inner)) {}
  DiskResult<void> write(Bytes bytes) override { return inner_->write(bytes); }
  DiskResult<void> sync() override { return {}; }

 private:
  std::unique_ptr<DiskFile> inner_;
};

class LazyDisk final : public Disk {
 public:
  LazyDisk(Disk& inner, bool lazy_files, bool lazy_folders)
      : inner_(inner), lazy_files_(lazy_files), lazy_folders_(lazy_folders) {}
  DiskResult<void> make_directory(const std::string& path) override { return inner_.make_directory(path); }
  DiskResult<std::unique_ptr<DiskFile>> create_file(const std::string& path) override {
    auto file = inner_.create_file(path);
    if (!file || !lazy_files_) return file;
    return std::make_unique<LazyFile>(std::move(*file));
  }
  DiskResult<void> sync_directory(const std::string& path) override {
    if (lazy_folders_ && path == "jobs") return {};
    return inner_.sync_directory(path);
  }
  DiskResult<void> rename(const std::string& from, const std::string& to) override { return inner_.rename(from, to); }
  DiskResult<std::uint64_t> file_bytes(const std::string& path) override { return inner_.file_bytes(path); }
  DiskResult<void> read_file(const std::string& path, std::span<std::byte> into) override {
    return inner_.read_file(path, into);
  }
  DiskResult<std::vector<DiskEntry>> list(const std::string& path) override { return inner_.list(path); }
  DiskResult<void> remove_file(const std::string& path) override { return inner_.remove_file(path); }
  DiskResult<void> remove_directory(const std::string& path) override { return inner_.remove_directory(path); }
  DiskResult<std::uint64_t> free_bytes() override { return inner_.free_bytes(); }

 private:
  Disk& inner_;
  bool lazy_files_, lazy_folders_;
};

void say(const char* what, const std::string& id) {
  const std::string line = std::string(what) + ' ' + id + '\n';
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
}

void must(const DiskResult<void>& result) {
  if (result) return;
  std::fprintf(stderr, "spool_driver: %s\n", result.error().message().c_str());
  ::_exit(2);
}

void one_job(Spool& spool, const std::string& id, unsigned turn) {
  const std::string input = content_of(id, "input"), result = content_of(id, "result");
  const Bytes whole = std::as_bytes(std::span(input));
  const Bytes parts[] = {whole.first(50), whole.subspan(50)};
  must(spool.create(histod::test::sample_job(id), parts, {}));
  say("created", id);
  if (turn % 3 == 0) return;
  const Bytes result_part = std::as_bytes(std::span(result));
  must(spool.store_result(id, std::span(&result_part, 1)));
  must(spool.update(histod::test::finished_job(id)));
  say("done", id);
  if (turn % 3 == 1) return;
  say("removing", id);
  must(spool.remove(id));
  say("removed", id);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const std::string mode = argv[2];
  auto disk = open_posix_disk(argv[1]);
  if (!disk) return 2;
  LazyDisk lazy(**disk, mode == "no-file-sync", mode == "no-directory-sync");
  Spool spool(lazy, 1u << 30);
  if (!spool.open()) return 2;
  UlidSource ids;
  for (unsigned turn = 0;; ++turn) one_job(spool, ids.next(1'767'225'600'000 + turn), turn);
}
