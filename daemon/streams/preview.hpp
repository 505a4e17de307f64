// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "compute/arena.hpp"
#include "compute/rule.hpp"
#include "compute/video/packed.hpp"
#include "daemon/streams/config.hpp"
#include "net/rtp/format.hpp"
#include "net/rtp/payload.hpp"
#include "net/stats.hpp"

namespace histod::daemon::streams {

/// The last pictures that were made, for whoever asks.
class PreviewBoard {
 public:
  struct Picture {
    std::string jpeg;
    std::uint64_t number = 0;  ///< of the frame; with `epoch` it is that one's and no other's
    std::uint64_t epoch = 0;
  };
  enum class Side : std::uint8_t { in, out };

  /// Null: there is none yet.
  std::shared_ptr<const Picture> read(Side side) const;
  void publish(std::shared_ptr<const Picture> in, std::shared_ptr<const Picture> out);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Picture> in_, out_;
};

/// Small pictures of whole frames, before and after the table. The stream's thread only keeps some lines of a frame as
/// they came in; all else is done in the arena. Of interlaced video the first fields are shown.
class Previewer final : private compute::Arena::Job {
 public:
  Previewer(const net::rtp::VideoFormat& format, compute::Arena& arena, PreviewBoard& board, std::uint64_t epoch);
  ~Previewer();  ///< waits for the arena
  Previewer(const Previewer&) = delete;
  Previewer& operator=(const Previewer&) = delete;

  // The stream's thread.
  void configure(const PreviewConfig& config);
  /// Another size; what was kept is forgotten.
  void reset(const net::rtp::VideoFormat& format);
  /// A picture begins: whether it is to be kept.
  bool begin(std::uint64_t number, unsigned field, std::int64_t now_ns);
  bool keeps(std::uint64_t number) const { return keeping_ && number_ == number; }
  /// Before the table is applied.
  void keep(const net::rtp::Segment& segment, std::span<const std::byte> groups);
  /// The picture that is kept has ended; `lut` is what was applied to it.
  void end(bool whole, const compute::Lut& lut);
  std::uint64_t copied_bytes() const { return copied_bytes_.get(); }

 private:
  struct Geometry {
    net::rtp::VideoFormat format;
    net::rtp::Pgroup pgroup;
    unsigned line_octets = 0;
    unsigned step = 1;   ///< of so many rows of pgroups one is kept
    unsigned scale = 1;  ///< rows and columns of the frame that become one
    unsigned rows = 0;   ///< that are kept, and of the picture that is made
    unsigned columns = 0;
  };
  void run() override;
  void lay_out();
  std::shared_ptr<const PreviewBoard::Picture> encode();

  compute::Arena& arena_;
  PreviewBoard& board_;
  const std::uint64_t epoch_;
  PreviewConfig config_;
  net::rtp::VideoFormat format_;
  Geometry geometry_;
  bool stale_ = true;  ///< geometry_ is to be worked out anew
  bool keeping_ = false;
  std::uint64_t number_ = 0;
  std::int64_t next_ns_ = 0;
  net::Counter copied_bytes_;
  std::vector<std::byte> lines_;
  compute::Lut lut_;
  compute::video::LumaMap map_;
  std::vector<std::byte> pixels_, jpeg_;
  std::atomic<bool> busy_{false};  ///< lines_ and what follows are the arena's
};

}  // namespace histod::daemon::streams
