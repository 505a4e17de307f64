// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/json/object.hpp>

#include "daemon/fallback.hpp"
#include "daemon/jobs/outcome.hpp"
#include "daemon/log.hpp"
#include "daemon/mailbox.hpp"
#include "daemon/streams/port.hpp"
#include "daemon/streams/stream.hpp"
#include "daemon/telemetry/sources.hpp"
#include "daemon/topology.hpp"

namespace histod::daemon::streams {

/// The live streams of a node, and the thread that opens, changes and closes them: to open a port may take its time,
/// and event loops do not wait for it. Member functions may be called from any thread and do not block, but for begin()
/// and stop(); a reply comes once, on this object's thread.
class Streams {
 public:
  struct Options {
    const Placement& placement;           ///< outlives this, as do the arenas
    std::vector<compute::Arena*> arenas;  ///< as in placement.arenas
    DpdkConfig dpdk;
    std::size_t mailbox_messages = 1'024;  ///< requests that may be in hand
  };
  using RecordPtr = std::shared_ptr<const StreamRecord>;

  Streams(Options options, Log& log, telemetry::Sources& sources);
  ~Streams();  ///< stop()
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /// Those that are configured; returns when each was tried. What cannot be opened is tried again now and then.
  void begin(std::vector<StreamConfig> configs);
  /// Closes all, and refuses what is asked from now on.
  void stop();

  /// Whether there was none of that name. One that cannot be opened leaves that which was there running.
  void put(StreamConfig config, jobs::Reply<bool> reply);
  /// When it holds; see changed().
  void change(std::string name, boost::json::object change, jobs::Reply<RecordPtr> reply);
  /// When the port is closed.
  void remove(std::string name, jobs::Reply<void> reply);

  RecordPtr find(std::string_view name) const;  ///< null: there is none
  std::vector<RecordPtr> list() const;          ///< by name
  std::vector<Fallback> fallbacks() const;

 private:
  struct Entry {
    std::shared_ptr<StreamRecord> record;
    StreamConfig config;  ///< as it was last asked for
    int cpu = -1;
    std::unique_ptr<Stream> stream;  ///< null: its port could not be opened
    std::chrono::steady_clock::time_point retry{};
    /// It runs there, or is to.
    bool has_cpu(int wanted) const { return config.cpu == wanted || (stream != nullptr && cpu == wanted); }
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  void main();
  template <class T, class Op>
  void call(jobs::Reply<T> reply, Op op);
  jobs::Outcome<bool> put_now(StreamConfig config);
  void change_now(const std::string& name, const boost::json::object& change, jobs::Reply<RecordPtr> reply);
  jobs::Outcome<void> remove_now(const std::string& name);
  std::optional<api::Problem> conflict(const StreamConfig& config) const;
  std::optional<net::udp::Failure> open(Entry& entry);
  void close(Entry& entry);
  void mark_failed(Entry& entry, const std::string& error);
  int choose_cpu(const StreamConfig& config) const;
  compute::Arena& arena_of(int cpu) const;
  void look();
  void tell_notes(const Entry& entry);
  void tell(const std::string& name, const Note& note);
  void fall_back(const Fallback& fallback);
  void show(const Entry& entry);

  const Options options_;
  Log& log_;
  telemetry::Sources& sources_;
  DpdkHome dpdk_;
  Entries entries_;  ///< of the thread only
  std::uint64_t epoch_ = 0;
  mutable std::mutex mutex_;  ///< of what follows
  std::map<std::string, std::shared_ptr<StreamRecord>, std::less<>> records_;
  std::vector<Fallback> fallbacks_;
  bool stopped_ = false;
  Mailbox mailbox_;
  bool stopping_ = false;  ///< of the thread only
  std::thread thread_;
};

/// What is wrong with a configuration, for the one who sent it.
api::Problem problem_of(const ConfigErrors& errors);

}  // namespace histod::daemon::streams
