// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/jobs/engine.hpp"
#include "tests/daemon/temporary_folder.hpp"

/// The job engine on a real directory, with a clock and a dispatcher that the test holds.
namespace histod::test {

inline constexpr std::chrono::seconds k_patience{60};
inline constexpr std::int64_t k_put_off_ms = 50;  ///< an attempt that was put off is tried again by then

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A disk that refuses what `fails` says.
class HookedDisk final : public daemon::jobs::Disk {
 public:
  using Fails = std::function<std::error_code(std::string_view operation, const std::string& path)>;
  explicit HookedDisk(std::unique_ptr<Disk> disk) : disk_(std::move(disk)) {}
  /// Any thread. Null: nothing fails.
  void set(Fails fails) {
    const std::lock_guard lock(mutex_);
    fails_ = std::move(fails);
  }

  template <class T>
  using Result = daemon::jobs::DiskResult<T>;
  Result<void> make_directory(const std::string& path) override {
    return checked<void>("make_directory", path, [&] { return disk_->make_directory(path); });
  }
  Result<std::unique_ptr<daemon::jobs::DiskFile>> create_file(const std::string& path) override {
    return checked<std::unique_ptr<daemon::jobs::DiskFile>>("create_file", path,
                                                            [&] { return disk_->create_file(path); });
  }
  Result<void> sync_directory(const std::string& path) override {
    return checked<void>("sync_directory", path, [&] { return disk_->sync_directory(path); });
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return checked<void>("rename", to, [&] { return disk_->rename(from, to); });
  }
  Result<std::uint64_t> file_bytes(const std::string& path) override { return disk_->file_bytes(path); }
  Result<void> read_file(const std::string& path, std::span<std::byte> into) override {
    return checked<void>("read_file", path, [&] { return disk_->read_file(path, into); });
  }
  Result<std::vector<daemon::jobs::DiskEntry>> list(const std::string& path) override { return disk_->list(path); }
  Result<void> remove_file(const std::string& path) override {
    return checked<void>("remove_file", path, [&] { return disk_->remove_file(path); });
  }
  Result<void> remove_directory(const std::string& path) override { return disk_->remove_directory(path); }
  Result<std::uint64_t> free_bytes() override { return disk_->free_bytes(); }

 private:
  template <class T, class Call>
  Result<T> checked(std::string_view operation, const std::string& path, Call call) {
    {
      const std::lock_guard lock(mutex_);
      if (fails_)
        if (const std::error_code error = fails_(operation, path)) return std::unexpected(error);
    }
    return call();
  }
  std::unique_ptr<Disk> disk_;
  std::mutex mutex_;
  Fails fails_;
};

/// Takes the attempts that the engine begins, and hands them to the test one by one.
class Attempts {
 public:
  bool offer(const daemon::jobs::JobRecord& record, const daemon::jobs::SharedTables& tables) {
    std::unique_lock lock(mutex_);
    ++offers_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    if (!accepts_) return false;
    records_.push_back(record);
    latest_tables_ = tables;
    changed_.notify_all();
    return true;
  }
  daemon::jobs::JobRecord next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, k_patience, [this] { return !records_.empty(); }))
      throw std::runtime_error("no attempt was begun");
    daemon::jobs::JobRecord record = std::move(records_.front());
    records_.erase(records_.begin());
    return record;
  }
  /// What the latest attempt was given; null: none.
  daemon::jobs::SharedTables latest_tables() {
    const std::lock_guard lock(mutex_);
    return latest_tables_;
  }
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return records_.size();
  }
  void await_offers(std::size_t count) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, k_patience, [&] { return offers_ >= count; }))
      throw std::runtime_error("too few attempts were offered");
  }
  void accept(bool yes) { change(accepts_, yes); }
  /// Keeps the engine's thread inside dispatch().
  void hold(bool yes) { change(held_, yes); }

 private:
  void change(bool& what, bool to) {
    const std::lock_guard lock(mutex_);
    what = to;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<daemon::jobs::JobRecord> records_;
  daemon::jobs::SharedTables latest_tables_;
  std::size_t offers_ = 0;
  bool accepts_ = true;
  bool held_ = false;
};

/// What a call answers, with the engine's reply turned into a future.
template <class T>
struct Answer {
  std::shared_ptr<std::promise<daemon::jobs::Outcome<T>>> promise =
      std::make_shared<std::promise<daemon::jobs::Outcome<T>>>();
  std::future<daemon::jobs::Outcome<T>> future = promise->get_future();
  daemon::jobs::Reply<T> reply() const {
    return [promise = promise](daemon::jobs::Outcome<T> outcome) { promise->set_value(std::move(outcome)); };
  }
  bool is_there() const { return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
  daemon::jobs::Outcome<T> get() {
    if (future.wait_for(k_patience) != std::future_status::ready) throw std::runtime_error("no reply");
    return future.get();
  }
};

class EngineRig {
 public:
  using Engine = daemon::jobs::Engine;
  static constexpr std::int64_t k_start_ms = 1'700'000'000'000;

  explicit EngineRig(const std::filesystem::path& spool_folder, const Engine::Options& options = {},
                     std::uint64_t budget_bytes = 1u << 30)
      : folder(spool_folder),
        disk(std::make_unique<HookedDisk>(std::move(daemon::jobs::open_posix_disk(spool_folder.string()).value()))),
        spool(*disk, budget_bytes),
        log(
            daemon::LogLevel::debug, daemon::LogFormat::logfmt, [](std::string_view) {}, [] { return k_start_ms; }),
        engine(std::make_unique<Engine>(
            with_version(options), spool, log,
            Engine::Interfaces{[this] { return now_ms.load(); },
                               [this](const daemon::jobs::JobRecord& record, const daemon::jobs::SharedTables& tables) {
                                 return attempts.offer(record, tables);
                               },
                               {},
                               [this] { return now_ms.load(); }})) {
    if (auto started = engine->start(); !started) throw std::system_error(started.error());
  }

  daemon::jobs::Outcome<daemon::jobs::Submitted> submit(daemon::jobs::NewJob job) const {
    Answer<daemon::jobs::Submitted> answer;
    engine->submit(std::move(job), answer.reply());
    return answer.get();
  }
  /// Submits a job of this content, which must be taken; its id.
  std::string submit(std::string_view content) const {
    return submit({{{"rule", "exact"}}, bytes_of(content), {}, "a.png", ""}).value().record.id;
  }
  daemon::jobs::Outcome<daemon::jobs::JobRecord> get(const std::string& id) const {
    Answer<daemon::jobs::JobRecord> answer;
    engine->get(id, answer.reply());
    return answer.get();
  }
  /// What one of the engine's calls answers.
  template <class T, class Call, class... Arguments>
  daemon::jobs::Outcome<T> ask(Call call, Arguments... arguments) const {
    Answer<T> answer;
    (engine.get()->*call)(std::move(arguments)..., answer.reply());
    return answer.get();
  }
  daemon::jobs::Outcome<void> remove(const std::string& id) const {
    Answer<void> answer;
    engine->remove(id, answer.reply());
    return answer.get();
  }
  std::vector<std::string> list(std::size_t limit, std::optional<daemon::jobs::JobState> state = {}) const {
    Answer<std::vector<daemon::jobs::JobRecord>> answer;
    engine->list(limit, state, answer.reply());
    const auto records = answer.get();
    std::vector<std::string> ids;
    for (const auto& record : records.value()) ids.push_back(record.id);
    return ids;
  }
  daemon::jobs::Outcome<void> read_result(const std::string& id, std::span<std::byte> into) const {
    Answer<void> answer;
    engine->read_result(id, into, answer.reply());
    return answer.get();
  }
  daemon::jobs::Outcome<std::string> read_input(const daemon::jobs::JobRecord& record) const {
    Answer<void> answer;
    std::string input(record.input.bytes, '\0');
    engine->read_input(record, std::as_writable_bytes(std::span(input)), {}, answer.reply());
    const auto read = answer.get();
    if (!read) return std::unexpected(read.error());
    return input;
  }
  /// Ends an attempt well, and returns when that is stored.
  void finish(const std::string& id, std::string_view result = "the result") const {
    daemon::jobs::Finished outcome;
    outcome.result = bytes_of(result);
    outcome.described = {result.size(), "image/png", "png", "sha-256=00"};
    outcome.input.format = "pgm";
    outcome.input.width = 4;
    outcome.input.height = 3;
    outcome.timing_ms = {{"total", 1.5}};
    end(id, std::move(outcome));
  }
  void end(const std::string& id, daemon::jobs::Finished outcome) const {
    std::promise<void> stored;
    auto is_stored = stored.get_future();
    engine->finished(id, std::move(outcome), [&stored] { stored.set_value(); });
    if (is_stored.wait_for(k_patience) != std::future_status::ready) throw std::runtime_error("not stored");
  }
  /// Returns when the engine has looked at its clock, its queue and its waiters since the call.
  void settle() const {
    for (int i = 0; i < 2; ++i) static_cast<void>(list(0));
  }
  std::string file(const std::string& path) const {
    std::ifstream in(folder / path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  bool has(const std::string& path) const { return std::filesystem::exists(folder / path); }
  daemon::jobs::JobRecord record_on_disk(const std::string& id) const {
    return daemon::jobs::decode_record(file("jobs/" + id + "/record")).value();
  }

  std::filesystem::path folder;
  std::atomic<std::int64_t> now_ms{k_start_ms};
  Attempts attempts;
  std::unique_ptr<HookedDisk> disk;
  daemon::jobs::Spool spool;
  daemon::Log log;
  std::unique_ptr<Engine> engine;

 private:
  static Engine::Options with_version(Engine::Options options) {
    options.program_version = "1.2.3";
    return options;
  }
};

}  // namespace histod::test
