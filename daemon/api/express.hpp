// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/arena.hpp"
#include "compute/codec/codec.hpp"
#include "compute/gray_stream.hpp"
#include "daemon/api/growing_image.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/pipeline.hpp"
#include "net/http/message.hpp"

/// The short way of the plainest image: an 8-bit gray file of raw samples, equalized by one table into its own format,
/// where it lies; once warm, without a single allocation. Where the arena has CPUs of its own the samples are counted
/// while they come in, and changed while they go out; where it shares them with the worker, that would only hold up
/// both, and all of its threads do it in between. Whatever turns out to be another kind of image takes the ordinary
/// way, with the same bytes as result; a large PNG goes ahead on it, and is decoded while it comes in.
namespace histod::daemon::api {

class Api;
class ExpressLane;

/// One image on the short way. Its worker's thread owns it; one step of it at a time is in the arena.
class Express final : public net::http::BodyWatcher, public net::http::BodySource {
 public:
  Express(ExpressLane& lane, unsigned hands);
  /// `plain`: an image that is gray and raw may take the short way.
  void board(bool plain, compute::Rule rule, bool ignore_nodata, std::uint64_t body_bytes);

  void received(std::span<std::byte> so_far) override;
  void handle(net::http::Request request, net::http::Responder responder) override;
  void abandoned(net::Lease lease) override;

  std::span<const std::byte> bytes() const override { return file_; }
  std::size_t ready(std::size_t sent) override { return mark_.ready(sent); }
  void release() override;

 private:
  enum class Step : std::uint8_t { count, apply };
  struct Hand final : compute::Arena::Job {
    Hand(Express& express_, unsigned index_) : express(express_), index(index_) {}
    void run() override { express.work(index); }
    Express& express;
    unsigned index;
  };

  void decide(std::span<const std::byte> so_far);
  void hand_over();
  void count_early();
  void start(Step step, std::size_t from, std::size_t end);
  void work(unsigned hand);
  void tell_sender();
  void ended();
  void proceed();
  bool find_raster();
  void make_table();
  void answer();
  void compose_fields();
  void enter();
  void leave();

  ExpressLane& lane_;
  compute::Rule rule_ = compute::Rule::opencv;
  bool ignore_nodata_ = false;
  bool plain_ = false;  ///< may be on the short way
  std::uint64_t body_bytes_ = 0;
  bool decided_ = false;    ///< whether to count or to decode early
  bool early_ = false;      ///< bytes are counted as they come, before anybody knows which of them are samples
  bool running_ = false;    ///< in the arena
  bool entered_ = false;    ///< counts as an image in hand
  bool gone_ = false;       ///< nobody wants the result any more
  bool inspected_ = false;  ///< info_ and the raster are known
  bool has_table_ = false;
  bool answered_ = false;
  Step step_ = Step::count;
  std::chrono::steady_clock::time_point step_from_;
  std::byte* data_ = nullptr;  ///< of the body, from its first bytes on
  std::span<std::byte> file_;  ///< the body, once it is in
  // Positions in the body.
  std::atomic<std::size_t> taken_ = 0;      ///< by this step's hands: what lies before it is done, or in one of them
  std::atomic<std::size_t> available_ = 0;  ///< to this step
  std::atomic<unsigned> hands_left_ = 0;
  Watermark mark_;  ///< of what may be sent
  compute::codec::FileInfo info_;
  std::size_t raster_ = 0, raster_end_ = 0;
  net::http::Request request_;
  std::optional<net::http::Responder> responder_;
  std::shared_ptr<net::http::Responder::Sink> sink_;
  net::Lease lease_;                           ///< of an abandoned request
  std::unique_ptr<EarlyDecode> early_decode_;  ///< of a PNG; null: none
  compute::GrayStream stream_;
  std::vector<Hand> hands_;
  std::string fields_;
  Timings timings_;
};

/// The images of one worker that are on the short way.
class ExpressLane {
 public:
  static constexpr std::size_t k_images_max = 64;

  /// `apart`: the arena runs on other CPUs than the worker.
  ExpressLane(Api& api, Pipeline& pipeline, compute::Arena& arena, Mailbox& mailbox, bool apart);

  /// Null when the request cannot be one, or too many are under way.
  net::http::BodyWatcher* board(const net::http::RequestHead& head);

 private:
  friend class Express;
  /// What the options of a request allow; remembered, since requests come in rows of the same.
  struct Ticket {
    std::string query, accept;
    bool known = false;
    bool valid = false;  ///< the options
    bool plain = false;
    compute::Rule rule = compute::Rule::opencv;
    bool ignore_nodata = false;
  };
  const Ticket& ticket_for(const net::http::RequestHead& head);

  Api& api_;
  Pipeline& pipeline_;
  compute::Arena& arena_;
  Mailbox& mailbox_;
  const bool apart_;
  Ticket ticket_;
  bool plain_pgm_ = true, plain_tiff_ = true;  ///< whether the latest file of the format was one: so the next may be
  std::vector<std::unique_ptr<Express>> all_;
  std::vector<Express*> free_;
};

}  // namespace histod::daemon::api
