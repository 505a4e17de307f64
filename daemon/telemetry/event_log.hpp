// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daemon/jobs/disk.hpp"
#include "daemon/telemetry/stored_event.hpp"

namespace histod::daemon::telemetry {

/// For each other node by its identity: what of its events has been seen, by its own count.
using Marks = std::map<std::string, std::uint64_t, std::less<>>;
inline constexpr std::size_t k_marks_max = 1'024;
/// Raises a mark. Of too many, the lowest is forgotten: sequences begin with the clock, so it is the oldest.
void raise_mark(Marks& marks, const std::string& origin, std::uint64_t sequence);

/// What is written: an event, or that one was seen and not kept.
struct LogEntry {
  std::string origin;
  std::uint64_t origin_sequence = 0;
  EventPtr event;  ///< null: only the mark
};

/// Events on disk: files of lines under `events/` of the spool, the oldest of which go when there are too many bytes.
/// Nothing is synced: what a killed program wrote is there, what a power loss takes are the last seconds. One thread.
class EventLog {
 public:
  struct Options {
    std::string identity;  ///< this node's
    std::uint64_t segment_bytes_max = 16u << 20;
    std::uint64_t bytes_max = 32u << 20;  ///< of all segments
    std::size_t segments_max = 64;        ///< each start begins one
    std::size_t events_max = 8'192;       ///< read back at start
    std::uint64_t read_bytes_max = 16u << 20;
  };
  struct Recovered {
    std::deque<EventPtr> events;  ///< the latest, by sequence
    std::uint64_t last = 0;       ///< the highest sequence that was ever written
    Marks marks;
    std::uint64_t broken_lines = 0;     ///< the torn ends of files among them
    std::vector<std::string> troubles;  ///< files that cannot be read, or are a later release's
  };

  EventLog(jobs::Disk& disk, Options options) : disk_(disk), options_(std::move(options)) {}

  /// Once, before the first append(). A disk that fails leaves less to be read, and is no error.
  Recovered recover();
  /// All of them, or an error: then some may be there, and the next call begins a new file.
  jobs::DiskResult<void> append(std::span<const LogEntry> entries);

 private:
  struct Segment {
    std::string path;
    std::uint64_t bytes = 0;
  };
  void read_segment(const Segment& segment, Recovered& out);
  bool read_header(std::string_view line, Recovered& out) const;
  bool read_line(std::string_view line, Recovered& out) const;
  jobs::DiskResult<void> begin_segment(std::uint64_t sequence);
  void make_room();
  std::string header() const;

  jobs::Disk& disk_;
  const Options options_;
  std::deque<Segment> segments_;  ///< oldest first; the last one is being written while `file_` is there
  std::unique_ptr<jobs::DiskFile> file_;
  std::uint64_t last_name_ = 0, last_ = 0;
  Marks marks_;
};

}  // namespace histod::daemon::telemetry
