// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/jobs/engine.hpp"
#include "tests/daemon/engine_rig.hpp"
#include "tests/daemon/memory_disk.hpp"

/// A node's job engine without a thread, on a disk in memory.
namespace histod::test {

inline const std::string k_a = "01KDVK7W0000000000000000AA", k_b = "01KDVK7W0000000000000000BB",
                         k_c = "01KDVK7W0000000000000000CC";
inline constexpr std::int64_t k_node_start_ms = 1'700'000'000'000;
using Ids = std::vector<std::string>;
using ByOwner = std::map<std::string, Ids>;

/// An engine that runs when it is asked something, and keeps the attempts that it begins.
class StepNode {
 public:
  explicit StepNode(std::unique_ptr<MemoryDisk> on = std::make_unique<MemoryDisk>(),
                    const daemon::jobs::Engine::Options& options = {}, std::uint64_t budget_bytes = 1u << 20)
      : disk(std::move(on)),
        spool(*disk, budget_bytes),
        log(
            daemon::LogLevel::debug, daemon::LogFormat::logfmt, [](std::string_view) {},
            [] { return k_node_start_ms; }),
        engine(options, spool, log,
               {[this] { return now_ms; },
                [this](const daemon::jobs::JobRecord& record, const daemon::jobs::SharedTables&) {
                  begun.push_back(record);
                  return true;
                }}) {
    if (auto opened = engine.open(); !opened) throw std::system_error(opened.error());
  }

  /// What a call answers, after as many rounds as that takes.
  template <class T, class Call, class... Arguments>
  daemon::jobs::Outcome<T> ask(Call call, Arguments... arguments) {
    std::optional<daemon::jobs::Outcome<T>> answer;
    (engine.*call)(std::move(arguments)...,
                   [&answer](daemon::jobs::Outcome<T> outcome) { answer = std::move(outcome); });
    for (int i = 0; i < 1'000 && !answer; ++i) engine.step();
    if (!answer) throw std::runtime_error("no reply");
    return std::move(*answer);
  }
  daemon::jobs::JobRecord submit(std::string_view content, std::string_view mask = {}, const std::string& dataset = {},
                                 const std::string& key = {}) {
    const daemon::jobs::NewJob job{{{"rule", "exact"}}, bytes_of(content), bytes_of(mask), "a.png", key, dataset};
    return ask<daemon::jobs::Submitted>(&daemon::jobs::Engine::submit, job).value().record;
  }
  /// Its id.
  std::string create_dataset() {
    const std::string id = daemon::jobs::UlidSource().next(now_ms);
    const daemon::jobs::DatasetRecord record{id, "set", now_ms, now_ms, {{"rule", "exact"}}, "", {}, 0, false};
    if (auto put =
            ask<daemon::jobs::DatasetStatus>(&daemon::jobs::Engine::put_dataset, record, daemon::jobs::SharedTables());
        !put)
      throw std::runtime_error(put.error().detail);
    return id;
  }
  daemon::jobs::Outcome<void> hold(daemon::jobs::JobRecord record, const std::string& owner, std::string_view input,
                                   std::string_view mask = {}) {
    record.owner = owner;
    return ask<void>(&daemon::jobs::Engine::hold, record, bytes_of(input), bytes_of(mask));
  }
  daemon::jobs::Outcome<daemon::jobs::JobRecord> get(const std::string& id) {
    return ask<daemon::jobs::JobRecord>(&daemon::jobs::Engine::get, id);
  }
  ByOwner copies() { return ask<ByOwner>(&daemon::jobs::Engine::copies).value(); }
  Ids own_ids() { return ask<Ids>(&daemon::jobs::Engine::own_ids).value(); }
  daemon::jobs::Outcome<std::uint64_t> adopt(const std::string& owner) {
    return ask<std::uint64_t>(&daemon::jobs::Engine::adopt, owner);
  }
  Ids uncopied(std::set<std::string> holders, std::size_t limit = 100) {
    Ids ids;
    const auto records =
        ask<std::vector<daemon::jobs::JobRecord>>(&daemon::jobs::Engine::uncopied, std::move(holders), limit).value();
    for (const daemon::jobs::JobRecord& record : records) ids.push_back(record.id);
    return ids;
  }
  void end(const std::string& id, daemon::jobs::Finished outcome) {
    bool stored = false;
    engine.finished(id, std::move(outcome), [&stored] { stored = true; });
    engine.step();
    EXPECT_TRUE(stored);
  }
  void finish(const std::string& id, std::string_view result = "the result") {
    daemon::jobs::Finished outcome;
    outcome.result = bytes_of(result);
    outcome.described = {result.size(), "image/png", "png", "sha-256=00"};
    end(id, std::move(outcome));
  }
  daemon::jobs::JobRecord on_disk(const std::string& id) const {
    return daemon::jobs::decode_record(disk->content("jobs/" + id + "/record")).value();
  }
  std::string file(const std::string& id, const std::string& name) const {
    return disk->content("jobs/" + id + "/" + name);
  }

  std::unique_ptr<MemoryDisk> disk;
  std::int64_t now_ms = k_node_start_ms;
  std::deque<daemon::jobs::JobRecord> begun;
  daemon::jobs::Spool spool;
  daemon::Log log;
  daemon::jobs::Engine engine;
};

/// Jobs of a node that is gone, with what it was sent.
struct Sent {
  daemon::jobs::JobRecord record;
  std::string input, mask;
};
inline std::vector<Sent> jobs_of_another(std::size_t count, const std::string& mask = {}) {
  StepNode other;
  std::vector<Sent> out;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string input = "image " + std::to_string(i);
    out.push_back({other.submit(input, mask), input, mask});
  }
  return out;
}

}  // namespace histod::test
