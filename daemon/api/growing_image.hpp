// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "daemon/mailbox.hpp"
#include "daemon/pipeline.hpp"
#include "net/http/message.hpp"

namespace histod::daemon::api {

/// How much of a body may be sent while it is being made.
class Watermark {
 public:
  void reset() {
    bytes_ = 0;
    sender_waits_ = false;
  }
  /// The sender's thread: as BodySource::ready().
  std::size_t ready(std::size_t sent) {
    // Either the count that is stored first is seen here, or the flag that is set first is seen there.
    if (bytes_ <= sent) sender_waits_ = true;
    return bytes_;
  }
  /// Any thread. Whether the sender waits: then it is to be told, once.
  bool raise(std::size_t bytes) {
    bytes_ = bytes;
    return sender_waits_.exchange(false);
  }

 private:
  std::atomic<std::size_t> bytes_ = 0;
  std::atomic<bool> sender_waits_ = false;
};

/// The answer to one image whose file goes out while it is being encoded. Shared by who sends it and who makes it: it
/// is gone when both have done with it. All but grown() on the worker's thread.
class GrowingImage final : public net::http::BodySource, public std::enable_shared_from_this<GrowingImage> {
 public:
  explicit GrowingImage(Mailbox& mailbox) : mailbox_(mailbox) {}

  /// `response` is complete but for its body, which is being made in `lease`.
  void send(net::http::Responder& responder, net::http::Response response, net::Lease lease);
  bool sending() const { return static_cast<bool>(sink_); }
  /// On the encoder's thread: the file's first `bytes` are as they will stay.
  void grown(std::size_t bytes);
  /// The file is whole.
  void finish(std::size_t bytes, const Timings& timings);
  /// It is never going to be.
  void fail();

  std::span<const std::byte> bytes() const override { return lease_.bytes(); }
  std::size_t ready(std::size_t sent) override { return mark_.ready(sent); }
  std::optional<std::size_t> length() const override { return length_; }
  bool failed() const override { return failed_; }
  std::string_view trailer_name() const override { return "Server-Timing"; }
  std::string_view trailer_value() const override { return timing_; }
  void release() override;

 private:
  Mailbox& mailbox_;
  net::Lease lease_;
  Watermark mark_;
  std::size_t next_bytes_ = 0;  ///< the encoder's: as much must be there before the sender is told again
  std::optional<std::size_t> length_;
  bool failed_ = false;
  std::string timing_;
  std::shared_ptr<net::http::Responder::Sink> sink_;
  std::shared_ptr<GrowingImage> self_;  ///< the sender's share
};

}  // namespace histod::daemon::api
