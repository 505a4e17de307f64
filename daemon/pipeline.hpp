// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compute/arena.hpp"
#include "compute/codec/codec.hpp"
#include "compute/equalize.hpp"
#include "compute/tally.hpp"
#include "daemon/early_decode.hpp"
#include "daemon/mailbox.hpp"
#include "net/buffer_pool.hpp"

namespace histod::daemon {

struct ImageOptions;

/// Who may have the rows of an image counted and mapped by others than this worker's arena alone.
class Spread {
 public:
  using Done = std::move_only_function<void(compute::Result<compute::EqualizeReport>)>;

  virtual ~Spread() = default;
  /// On the worker's thread, once for each image, before it is decoded: whether equalize() shall be asked.
  virtual bool wanted(const compute::codec::FileInfo& info, const ImageOptions& options, bool masked) = 0;
  /// On the worker's thread; `done` is called there, from the event loop. Until then the pixels are the spread's alone;
  /// then they are what equalize() would have left, and so are the tables. The report has no counts of the result.
  virtual void equalize(const compute::EqualizePage& page, const compute::EqualizeOptions& options, Done done) = 0;
};

/// What a caller wants done with one image.
struct ImageOptions {
  compute::EqualizeOptions equalize;
  std::optional<compute::codec::FileFormat> format;  ///< of the result; empty: as the input
  std::optional<int> quality;
  bool png_small = false;
  std::optional<double> nodata;  ///< replaces the file's own
  bool nodata_none = false;      ///< ignores the file's own
  bool histogram_only = false;   ///< no result image
  bool tally_only = false;       ///< no result image, but what it contributes to a set of images
  std::shared_ptr<const std::vector<compute::KindTables>>
      tables;                           ///< to be applied instead of the image's own; or null
  std::shared_ptr<Spread> spread = {};  ///< may take over the pixels; or null

  bool makes_image() const { return !histogram_only && !tally_only; }
};

/// Wall time of each step.
struct Timings {
  std::uint64_t receive_ns = 0, wait_ns = 0, decode_ns = 0, count_ns = 0, rule_ns = 0, apply_ns = 0, encode_ns = 0;
  std::uint64_t total_ns() const {
    return receive_ns + wait_ns + decode_ns + count_ns + rule_ns + apply_ns + encode_ns;
  }
};

/// What came of it. `bytes`, the encoded image, lie in `lease`; where that is empty, in the caller's own file, which
/// was changed in place.
struct ImageResult {
  compute::codec::FileInfo input;
  compute::codec::FileFormat format = compute::codec::FileFormat::png;
  compute::EqualizeReport report;
  compute::Tally tally;    ///< where that was asked for
  std::string lut_digest;  ///< "sha-256=<hex>" over the canonical bytes of all tables, in order
  net::Lease lease;
  std::span<const std::byte> bytes;
  Timings timings;
};

/// Why there is no result. `busy`: not the image's fault, try again later.
struct ImageFailure {
  compute::Error error;
  bool busy = false;
};

/// The way of the data on one worker: probe -> lease -> decode -> count -> rule -> apply -> encode; an uncompressed
/// file that stays in its format is not decoded and encoded but changed where it lies. The worker's thread takes and
/// returns leases; everything that touches pixels runs in the node's arena and comes back by the mailbox.
class Pipeline {
 public:
  struct Options {
    compute::codec::Limits limits;
    std::size_t requests_max = 256;                ///< images in hand; past it: busy
    std::chrono::milliseconds memory_wait{2'000};  ///< how long an image waits for memory before it is refused
    std::chrono::milliseconds wall_time{120'000};  ///< checked between the steps of one image
  };
  struct Stats {
    std::uint64_t images = 0, failures = 0, busy = 0, memory_waits = 0;
    std::uint64_t pixels = 0;
    Timings spent;
  };
  using Done = std::move_only_function<void(std::expected<ImageResult, ImageFailure>)>;

  /// Takes a result while it is being encoded, where its beginning is of use before its end.
  class Listener {
   public:
    /// On the worker's thread, at most once, and before `done`, whose result then has no lease. `so_far` lacks `bytes`
    /// and the time of encoding. `lease` is what the file is being made in: to be kept until `done` at least.
    virtual void begun(const ImageResult& so_far, net::Lease lease) = 0;
    /// On an arena thread, one at a time: the file's first `bytes` are as they will stay. May come before begun().
    virtual void grown(std::size_t bytes) = 0;

   protected:
    ~Listener() = default;
  };

  Pipeline(const Options& options, net::BufferPool& pool, compute::Arena& arena, Mailbox& mailbox);
  ~Pipeline();  ///< nothing may be in hand

  /// `file` and `mask` stay valid until `done` is called, on this thread, perhaps before run() returns. `file` may be
  /// written to: it may become the result. `early`, which is idle, has decoded what it could of the file; or is null.
  /// `listener`, or null, stays valid as long.
  void run(std::span<std::byte> file, std::span<const std::byte> mask, const ImageOptions& options, Done done,
           std::unique_ptr<EarlyDecode> early = nullptr, Listener* listener = nullptr);
  /// Called now and then by the worker: gives memory to those who wait, refuses those who waited too long.
  void poll();
  const Options& options() const { return options_; }
  const Stats& stats() const { return stats_; }
  std::size_t in_hand() const { return in_hand_; }
  std::size_t waiting() const { return waiting_.size(); }  ///< for memory

  /// An image that somebody else works on, on the same worker, counts as one in hand between these two.
  void enter() { ++in_hand_; }
  void leave() { --in_hand_; }
  void count_image(const Timings& spent, std::uint64_t pixels);

 private:
  friend class EarlyDecode;
  struct Task;
  /// Spare memory for an image that is coming in; false when there is none.
  bool lend(EarlyDecode& early, const compute::codec::FileInfo& info, net::Lease& pixels, net::Lease& scratch);
  void forget(EarlyDecode& early);
  void probe(std::unique_ptr<Task> task);
  void reserve(std::unique_ptr<Task> task);
  bool try_reserve(Task& task);
  void drop_memory(Task& task);
  void process(std::unique_ptr<Task> task);
  void spread(std::unique_ptr<Task> task);
  void finish(std::unique_ptr<Task> task);
  /// Runs step(task) in the arena, then `next` on this thread.
  void in_arena(std::unique_ptr<Task> task, void (*step)(Task&), void (Pipeline::*next)(std::unique_ptr<Task>));

  Options options_;
  net::BufferPool& pool_;
  compute::Arena& arena_;
  Mailbox& mailbox_;
  Stats stats_;
  std::size_t in_hand_ = 0;
  std::deque<std::unique_ptr<Task>> waiting_;  ///< for memory; bounded by requests_max
  std::vector<EarlyDecode*> early_;            ///< those that have memory; bounded by it
};

}  // namespace histod::daemon
