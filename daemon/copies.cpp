// SPDX-License-Identifier: Apache-2.0
#include "daemon/copies.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <boost/asio/post.hpp>
#include <openssl/evp.h>

#include "daemon/jobs/copy_record.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/services.hpp"
#include "daemon/trace_context.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon {

namespace http = net::http;

namespace {

using Clock = std::chrono::steady_clock;

constexpr http::Deadlines k_copy_deadlines{std::chrono::seconds(2), std::chrono::seconds(10), std::chrono::seconds(60)};
/// A header section has 16 KiB for all of its fields.
constexpr std::size_t k_field_bytes_max = 13'000;
constexpr std::uint64_t k_copy_answer_bytes_max = 64u << 10;

std::string base64(std::string_view text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int length =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::expected<std::string, std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > k_field_bytes_max)
    return std::unexpected("its length is not that of Base64");
  std::string out(text.size() / 4 * 3, '\0');
  const int length =
      ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length != static_cast<int>(out.size())) return std::unexpected("it is not Base64");
  out.resize(out.size() - (text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0));
  return out;
}

/// Owns itself until it is done.
class Sending {
 public:
  Sending(Services& services, Worker& worker, const jobs::JobRecord& record, std::span<const std::byte> bytes,
          std::size_t wanted, std::move_only_function<void(CopiesSent)> done)
      : services_(services),
        worker_(worker),
        id_(record.id),
        field_(copy_field(record)),
        traceparent_(record.traceparent.empty() ? next_traceparent({}) : record.traceparent),
        bytes_(bytes),
        done_(std::move(done)) {
    sent_.wanted = wanted;
    const auto fleet = services.fleet.read();
    holders_ = holders(*fleet);
  }

  static void go_on(std::unique_ptr<Sending> self) {
    Sending& s = *self;
    while (!s.sent_.enough() && s.next_ < s.holders_.size()) {
      const control::Member& holder = s.holders_[s.next_++];
      http::PeerRequest request;
      request.method = "PUT";
      request.target = "/v1/peer/copies/" + s.id_;
      request.fields = {{std::string(k_copy_field), s.field_}, {std::string(k_peer_version_field), peer_version()}};
      request.body = s.bytes_;
      request.response_bytes_max = k_copy_answer_bytes_max;
      request.deadlines = k_copy_deadlines;
      ++s.sent_.asked;
      if (const auto addressed = s.services_.peers->address(request, holder.name, s.traceparent_); !addressed) {
        s.failed(holder.name, addressed.error());
        continue;
      }
      s.asked_ = Clock::now();
      s.worker_.client().request(std::move(request), [self = std::move(self), holder](auto answer) mutable {
        self->hear(holder, answer);
        go_on(std::move(self));
      });
      return;
    }
    s.services_.copies.ns += static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - s.began_).count());
    s.done_(s.sent_);
  }

 private:
  void hear(const control::Member& holder, const std::expected<http::PeerAnswer, http::PeerError>& answer) {
    if (!answer) return failed(holder.name, answer.error().text);
    if (answer->status != 204) return failed(holder.name, "it answers with " + std::to_string(answer->status));
    ++sent_.kept;
    ++services_.copies.kept;
    services_.copies.bytes += bytes_.size();
    services_.speeds.carried(holder.name, bytes_.size(),
                             static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - asked_).count()));
    services_.engine.copied(id_, holder.identity);
  }
  void failed(const std::string& node, const std::string& why) {
    ++services_.copies.failed;
    services_.log.once("copy-" + node, LogLevel::warn, "a node does not take a copy; the next one is asked",
                       {{"node", node}, {"why", why}, trace_field(traceparent_)});
  }

  Services& services_;
  Worker& worker_;
  const std::string id_;
  const std::string field_;
  const std::string traceparent_;
  const std::span<const std::byte> bytes_;
  std::move_only_function<void(CopiesSent)> done_;
  std::vector<control::Member> holders_;
  std::size_t next_ = 0;
  CopiesSent sent_;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point asked_;
};

}  // namespace

std::vector<control::Member> holders(const FleetSnapshot& fleet) {
  std::vector<control::Member> out = fleet.members;  // by name
  std::ranges::rotate(out, std::ranges::upper_bound(out, fleet.self, {}, &control::Member::name));
  const auto own = std::ranges::find(out, fleet.self, &control::Member::name);
  const std::string identity = own == out.end() ? "" : own->identity;
  std::erase_if(out, [&](const control::Member& member) {
    return member.name == fleet.self || member.identity.empty() || member.identity == identity;
  });
  return out;
}

std::string copy_field(const jobs::JobRecord& record) {
  jobs::JobRecord copy = jobs::as_submitted(record);
  std::string text = jobs::encode_record(copy);
  if (text.size() > k_field_bytes_max / 4 * 3) {
    copy.input.filename.clear();  // the one thing in it that may be long, and is for display only
    text = jobs::encode_record(copy);
  }
  return base64(text);
}

std::expected<jobs::JobRecord, std::string> parse_copy_field(std::string_view field) {
  const auto text = from_base64(field);
  if (!text) return std::unexpected(text.error());
  auto record = jobs::decode_record(*text);
  if (!record) return std::unexpected(record.error().reason);
  return std::move(*record);
}

void send_copies(Services& services, Worker& worker, const jobs::JobRecord& record, std::span<const std::byte> bytes,
                 std::size_t wanted, std::move_only_function<void(CopiesSent)> done) {
  auto sending = std::make_unique<Sending>(services, worker, record, bytes, wanted, std::move(done));
  boost::asio::post(worker.io(), [sending = std::move(sending)]() mutable { Sending::go_on(std::move(sending)); });
}

}  // namespace histod::daemon
