// SPDX-License-Identifier: Apache-2.0
#include "daemon/early_decode.hpp"

#include <cassert>
#include <utility>

#include "daemon/pipeline.hpp"

namespace histod::daemon {

namespace {
/// Less is not worth a hop into the arena.
constexpr std::size_t k_piece_bytes = 64u << 10;
}  // namespace

EarlyDecode::EarlyDecode(Pipeline& pipeline, std::uint64_t file_bytes) : pipeline_(pipeline), file_bytes_(file_bytes) {}

EarlyDecode::~EarlyDecode() {
  assert(!running_);
  release();
}

void EarlyDecode::received(std::span<const std::byte> so_far) {
  so_far_ = so_far;
  if (running_ || given_up_ || so_far.size() - fed_.size() < k_piece_bytes) return;
  if (!begun_ && !begin()) return;
  fed_ = so_far;
  running_ = true;
  pipeline_.arena_.enqueue(*this);
}

bool EarlyDecode::begin() {
  using Verdict = compute::codec::HeadStart::Verdict;
  const Verdict verdict = head_start_.look(so_far_, file_bytes_, pipeline_.options_.limits);
  if (verdict == Verdict::undecided) return false;
  begun_ = verdict == Verdict::yes && pipeline_.lend(*this, head_start_.info(), pixels_, scratch_);
  if (begun_)
    head_start_.begin(pixels_.bytes(), pipeline_.arena_);
  else
    give_up();
  return begun_;
}

void EarlyDecode::run() {
  head_start_.feed(fed_);
  pipeline_.mailbox_.complete([this] { ended(); });
}

/// Back on the worker.
void EarlyDecode::ended() {
  running_ = false;
  Pipeline& pipeline = pipeline_;  // next_ may destroy this
  const bool others_wait = given_up_;
  if (given_up_) release();
  if (next_)
    std::exchange(next_, nullptr)();
  else
    received(so_far_);
  if (others_wait) pipeline.poll();
}

void EarlyDecode::when_idle(std::move_only_function<void()> next) {
  if (!running_) return next();
  next_ = std::move(next);
}

void EarlyDecode::give_up() {
  given_up_ = true;
  if (!running_) release();
}

net::Lease EarlyDecode::take_pixels() {
  if (begun_ && !given_up_) pipeline_.forget(*this);
  return std::move(pixels_);
}

void EarlyDecode::release() {
  if (begun_) pipeline_.forget(*this);
  head_start_ = {};
  pixels_.reset();
  scratch_.reset();
}

}  // namespace histod::daemon
