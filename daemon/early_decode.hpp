// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "compute/arena.hpp"
#include "compute/codec/head_start.hpp"
#include "net/buffer_pool.hpp"

namespace histod::daemon {

class Pipeline;

/// The decoding of one image whose file is still coming in. Its worker's thread owns it; what has come goes into the
/// arena a piece at a time, and nothing waits there for the next. Its memory is spare memory: it begins only where
/// there is some at once, never has more than a quarter of the pool together with the others of its kind, and gives it
/// up when an image that is in has to wait.
class EarlyDecode final : private compute::Arena::Job {
 public:
  static constexpr std::uint64_t k_file_bytes_min = 256u << 10;  ///< smaller files are decoded in no time

  EarlyDecode(Pipeline& pipeline, std::uint64_t file_bytes);
  ~EarlyDecode();  ///< nothing of it may be in the arena
  EarlyDecode(const EarlyDecode&) = delete;
  EarlyDecode& operator=(const EarlyDecode&) = delete;

  /// More of the file is in; it begins where it began before and stays there while any of it is in the arena.
  void received(std::span<const std::byte> so_far);
  /// The last of these calls: no more goes into the arena. `next` is called as soon as nothing of it is there, perhaps
  /// at once; it may destroy this.
  void when_idle(std::move_only_function<void()> next);
  /// Decodes no more. The memory goes home, at once or as soon as it is not written to any more.
  void give_up();

  /// For the image's own way through the pipeline, once idle.
  compute::codec::HeadStart& head_start() { return head_start_; }
  /// The memory is the image's from now on. Empty when it was given up.
  net::Lease take_pixels();
  std::size_t leased_bytes() const { return pixels_.size() + scratch_.size(); }

 private:
  bool begin();
  void run() override;
  void ended();
  void release();

  Pipeline& pipeline_;
  const std::uint64_t file_bytes_;
  bool begun_ = false;
  bool given_up_ = false;
  bool running_ = false;  ///< in the arena
  std::span<const std::byte> so_far_, fed_;
  net::Lease pixels_, scratch_;
  compute::codec::HeadStart head_start_;
  std::move_only_function<void()> next_;
};

}  // namespace histod::daemon
