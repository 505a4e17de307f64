// SPDX-License-Identifier: Apache-2.0
#include "daemon/shared_files.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>
#include <pthread.h>

namespace histod::daemon {

using jobs::Outcome;
using jobs::problem;
using jobs::Reply;

namespace {

api::Problem no_answer() {
  return problem(503, "file-failed", "a shared volume does not answer, and others wait for it");
}

api::Problem node_stops() { return problem(503, "file-failed", "this node stops"); }

}  // namespace

SharedFiles::SharedFiles(std::vector<FileRoot> roots, Options options)
    : roots_(std::move(roots)), options_(std::move(options)), thread_([this] { main(); }) {}

SharedFiles::~SharedFiles() { stop(); }

void SharedFiles::stop() {
  if (!thread_.joinable()) return;
  std::deque<Task> refused;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    refused.swap(waiting_);
  }
  changed_.notify_all();
  for (Task& task : refused) task(node_stops());
  thread_.join();
}

void SharedFiles::main() {
  ::pthread_setname_np(::pthread_self(), "histod-files");
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      busy_ = false;
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      task = std::move(waiting_.front());
      waiting_.pop_front();
      note_progress();
      busy_ = true;
    }
    task(std::nullopt);
  }
}

bool SharedFiles::stuck() const {
  const std::chrono::steady_clock::duration silence(now_ns() - progress_ns_);
  return busy_ && silence > options_.patience;
}

void SharedFiles::poll() {
  if (!stuck()) return;
  std::deque<Task> refused;
  {
    const std::lock_guard lock(mutex_);
    refused.swap(waiting_);
  }
  for (Task& task : refused) task(no_answer());
}

template <class T, class Op>
void SharedFiles::call(const std::string& root, Reply<T> reply, Op op) {
  const auto found = std::ranges::find(roots_, root, &FileRoot::name);
  if (found == roots_.end())
    return reply(std::unexpected(
        problem(403, "no-file-root", fmt::format("this node has no --file-root of the name {}", root))));
  Task task = [this, &at = *found, reply = std::move(reply),
               op = std::move(op)](const std::optional<api::Problem>& instead) mutable {
    if (instead) return reply(std::unexpected(*instead));
    reply(op(at, [this] { note_progress(); }));
  };
  if (stuck()) return task(no_answer());
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) waiting_.push_back(std::exchange(task, {}));
  }
  if (task) return task(node_stops());
  changed_.notify_one();
}

void SharedFiles::open_source(FileName name, Reply<SourceFile> reply) {
  const std::string root = name.root;
  call(root, std::move(reply),
       [name = std::move(name)](const FileRoot& at, const Progress&) { return at.open_source(name); });
}

void SharedFiles::read(SourceFile source, std::span<std::byte> into, Reply<void> reply) {
  const std::string root = source.name.root;
  call(root, std::move(reply), [source = std::move(source), into](const FileRoot&, const Progress& progress) {
    return FileRoot::read(source, into, progress);
  });
}

void SharedFiles::check_target(FileName name, Reply<FileName> reply) {
  const std::string root = name.root;
  call(root, std::move(reply),
       [name = std::move(name)](const FileRoot& at, const Progress&) { return at.check_target(name); });
}

void SharedFiles::write(ResultFile result, const std::string& job, Reply<std::string> reply) {
  const std::string root = result.name.root;
  result.temporary = fmt::format(".histod-{}-{}", job, options_.identity);
  call(root, std::move(reply), [result = std::move(result)](const FileRoot& at, const Progress& progress) {
    return at.write(result, progress);
  });
}

}  // namespace histod::daemon
