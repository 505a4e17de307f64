// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/jobs/disk.hpp"
#include "daemon/jobs/ulid.hpp"
#include "daemon/telemetry/event_ring.hpp"
#include "daemon/telemetry/event_writer.hpp"

namespace histod::daemon::telemetry {

/// All events of this node: its own, and what the others told it. Thread-safe; nobody who publishes waits for a disk, a
/// network or a reader. Readers have no queue: they hold a cursor into the ring, the sequence of the last event that
/// they have had.
class Bus {
 public:
  struct Options {
    std::string identity;  ///< of this node, a ULID
    std::string node;      ///< its name
    EventRing::Options ring = {};
    EventWriter::Options writer = {};
  };
  using NowMs = std::function<std::int64_t()>;  ///< since 1970

  struct Published {
    std::size_t accepted = 0, duplicates = 0;
  };
  /// An event of another node, and its number there.
  struct Foreign {
    std::uint64_t sequence = 0;
    std::optional<Event> event;  ///< empty: one that this release cannot take; only its number counts
  };
  struct Counts {
    std::uint64_t published = 0;   ///< here
    std::uint64_t received = 0;    ///< from other nodes
    std::uint64_t duplicates = 0;  ///< by source and id, and what a node told again
    std::uint64_t evicted = 0;     ///< by the ring's bounds
    std::uint64_t ring_events = 0, ring_bytes = 0;
    EventWriter::Counts spool;
  };

  /// `disk`: where events are kept over restarts, and read back from now; null: nowhere. It outlives this. What is
  /// wrong with it, now or later, is told by `trouble`, from any thread.
  Bus(const Options& options, NowMs now, jobs::Disk* disk, std::function<void(const std::string&)> trouble);
  ~Bus();  ///< stop(); there are no subscriptions any more
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  /// Fills what is empty (id, source, time, node) and takes each whose source and id are not in the ring.
  Published publish(std::vector<Event> events);
  Published publish(Event event);
  /// Takes what node `origin` published, by ascending numbers, behind the last one that was taken of it. `after`: the
  /// number behind which it tells; more than was taken: nothing is taken, as it would leave a gap. The number of the
  /// last one that it need not tell again.
  std::uint64_t receive(const std::string& origin, std::uint64_t after, std::vector<Foreign> events);

  EventsRead read(std::uint64_t after, std::size_t events_max, std::size_t bytes_max,
                  const EventFilter& filter = {}) const;
  /// The last ones; `next` is the cursor to go on with.
  EventsRead read_last(std::size_t events_max, std::size_t bytes_max, const EventFilter& filter = {}) const;
  /// This node's own, behind `after`.
  std::vector<EventPtr> read_own(std::uint64_t after, std::size_t events_max, std::size_t bytes_max) const;
  EventLag lag(std::uint64_t after) const;
  std::uint64_t last() const;
  const std::string& identity() const { return options_.identity; }
  const std::string& node() const { return options_.node; }

  /// Wakes a reader that sleeps: at most once until it says that it reads. No call comes after its end.
  class Subscription {
   public:
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    /// Before read(): whatever is published from now on wakes again.
    void reading() { outstanding_.store(false); }

   private:
    friend Bus;
    Subscription(Bus& bus, std::function<void()> wake) : bus_(bus), wake_(std::move(wake)) {}
    Bus& bus_;
    const std::function<void()> wake_;
    std::atomic<bool> outstanding_{false};
  };
  /// `wake` is called on the thread of whoever publishes; it must not block, publish or end a subscription. One for
  /// each worker, say, whose mailbox has room for one message of it.
  std::unique_ptr<Subscription> subscribe(std::function<void()> wake);

  /// No event is kept on the disk from now on; those before are written.
  void stop();
  /// Returns when what was published before is on the disk, or has failed.
  void flush();
  Counts counts() const;

 private:
  void recover(EventLog& log);
  void fill(Event& event);
  /// With the mutex held. False: it is in the ring.
  bool add(const Event& event, const std::string& object, const std::string& origin, std::uint64_t origin_sequence);
  void wake_all();

  const Options options_;
  const NowMs now_;
  const std::function<void(const std::string&)> trouble_;
  mutable std::mutex mutex_;
  EventRing ring_;
  jobs::UlidSource ulids_;
  std::uint64_t last_ = 0;
  Marks marks_;
  std::uint64_t published_ = 0, received_ = 0, duplicates_ = 0;
  std::mutex subscribers_mutex_;
  std::vector<Subscription*> subscribers_;
  std::unique_ptr<EventWriter> writer_;  ///< null: there is no disk
};

}  // namespace histod::daemon::telemetry
