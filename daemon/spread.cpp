// SPDX-License-Identifier: Apache-2.0
// Where an image is worked on, and why.
#include "daemon/spread.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/fleet_snapshot.hpp"
#include "daemon/peer_message.hpp"
#include "daemon/services.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon {

namespace codec = compute::codec;

namespace {

constexpr std::string_view k_auto = "auto", k_local = "local", k_fleet = "fleet";
constexpr double k_ns_per_ms = 1e6;
/// While nothing is measured: a slow network, or a slow kernel.
constexpr double k_unknown_ns_per_byte = 20;
/// The rows of a part go there to be counted, and there and back to be mapped.
constexpr double k_ways = 3;
constexpr std::chrono::milliseconds k_deadline_min{2'000}, k_deadline_max{15'000};
constexpr double k_deadline_factor = 4;

std::vector<std::string> other_members(const Services& services) {
  std::vector<std::string> out;
  if (!services.peers) return out;
  const auto fleet = services.fleet.read();
  for (const control::Member& member : fleet->members)
    if (member.name != fleet->self && out.size() + 1 < FleetSpread::k_nodes_max) out.push_back(member.name);
  return out;
}

/// Why no part of any image can be counted like this; empty: it can.
std::string_view method_obstacle(const compute::EqualizeOptions& options) {
  if (options.method == compute::Method::clahe)
    return "CLAHE makes tables for the tiles of an image, not for all of it";
  if (options.range == compute::RangeMode::automatic) return "range=auto looks at all samples before any is counted";
  return {};
}

}  // namespace

FleetSpread::FleetSpread(Services& services, Worker& worker, std::string_view asked, std::string traceparent)
    : services_(services), worker_(worker), traceparent_(std::move(traceparent)) {
  placement_.asked = asked.empty() ? k_auto : asked;
}

bool FleetSpread::choose(bool fleet, std::string why) {
  placement_.chosen = fleet ? k_fleet : k_local;
  placement_.why = std::move(why);
  return fleet;
}

bool FleetSpread::enter(std::string why) {
  if (++services_.spread.under_way > k_images_max) {
    --services_.spread.under_way;
    return choose(false, "as many images are spread as may be");
  }
  entered_ = true;
  return choose(true, std::move(why));
}

void FleetSpread::leave() {
  if (std::exchange(entered_, false)) --services_.spread.under_way;
}

std::string FleetSpread::obstacle(const codec::FileInfo& info, const ImageOptions& options, bool masked) const {
  if (const auto why = method_obstacle(options.equalize); !why.empty()) return std::string(why);
  if (options.tables || !options.makes_image()) return "its tables are not made of itself alone";
  if (info.pages.size() != 1) return "it has several pages";
  if (info.pages.front().role != codec::PageRole::image) return "its page is no image";
  if (masked) return "a mask is not spread";
  const codec::PageInfo& page = info.pages.front();
  if (page.format.colors == 3 && options.equalize.color == compute::Color::gray)
    return "color=gray changes the length of its rows";
  if (page.format.colors > k_part_colors_max) return "it has many bands";
  if (page.height < 2) return "it has one row";
  const std::uint64_t part = page.pixel_bytes() / (nodes_.size() + 1) + page.pixel_bytes() / page.height;
  if (part + k_peer_tables_bytes_max / 8 > services_.options.max_upload_bytes)
    return "its parts are more than a node takes in";
  return {};
}

void FleetSpread::estimate(const codec::PageInfo& page) {
  const auto bytes = static_cast<double>(page.pixel_bytes());
  const auto own = services_.speeds.own_ns_per_byte(page.format, color_);
  if (own) placement_.local_ms = bytes * *own / k_ns_per_ms;
  const double parts = static_cast<double>(nodes_.size()) + 1;
  // The parts of all nodes go through this node's one link.
  double carried_ns = 0, round_trip_ns = 0;
  for (const std::string& node : nodes_) {
    const auto link = services_.speeds.link(node);
    if (!link || !own) return;
    carried_ns += k_ways * bytes / parts * link->ns_per_byte;
    round_trip_ns = std::max(round_trip_ns, link->round_trip_ns);
  }
  placement_.fleet_ms = (bytes * *own / parts + carried_ns + 2 * round_trip_ns) / k_ns_per_ms;
}

bool FleetSpread::wanted(const codec::FileInfo& info, const ImageOptions& options, bool masked) {
  color_ = options.equalize.color;
  measurable_ = obstacle(info, options, masked).empty();
  if (placement_.asked == k_local) return choose(false, "asked for");
  nodes_ = other_members(services_);
  if (nodes_.empty()) return choose(false, "no other node can be asked");
  const bool by_speed = placement_.asked == k_auto;
  if (by_speed) std::erase_if(nodes_, [this](const auto& node) { return !services_.speeds.link(node); });
  if (auto why = obstacle(info, options, masked); !why.empty()) return choose(false, std::move(why));
  const codec::PageInfo& page = info.pages.front();
  estimate(page);
  if (!by_speed) return enter("asked for");
  if (page.pixel_bytes() < k_bytes_min) return choose(false, "it is small");
  if (nodes_.empty() || !placement_.local_ms) {
    placement_.fleet_ms.reset();
    return choose(false, "the speeds are not measured yet");
  }
  if (*placement_.fleet_ms < *placement_.local_ms) return enter("faster by the estimates");
  return choose(false, "faster alone by the estimates");
}

void FleetSpread::equalize(const compute::EqualizePage& page, const compute::EqualizeOptions& options, Done done) {
  const double bytes = static_cast<double>(page.image.row_bytes()) * page.image.height;
  const double part = bytes / (static_cast<double>(nodes_.size()) + 1);
  double slowest = 0;
  for (const std::string& node : nodes_) {
    const auto link = services_.speeds.link(node);
    slowest = std::max(slowest, link ? link->ns_per_byte : k_unknown_ns_per_byte);
  }
  const double own = services_.speeds.own_ns_per_byte(page.image.format, color_).value_or(k_unknown_ns_per_byte);
  // There and back through a link that the other parts share, and the work itself.
  const double expected_ms = (2 * bytes * slowest + part * own) / k_ns_per_ms;
  const auto deadline =
      std::clamp(std::chrono::milliseconds(static_cast<std::int64_t>(std::min(k_deadline_factor * expected_ms, 1e9))),
                 k_deadline_min, k_deadline_max);
  // Whoever waits for it keeps this until then.
  spread_rows(services_, worker_, nodes_, deadline, page, options, traceparent_,
              [this, done = std::move(done)](compute::Result<compute::EqualizeReport> report) mutable {
                leave();
                done(std::move(report));
              });
}

void FleetSpread::learn(const ImageResult& result) const {
  if (placement_.chosen != k_local || !measurable_) return;
  const codec::PageInfo& page = result.input.pages.front();
  const Timings& spent = result.timings;
  services_.speeds.worked(page.format, color_, page.pixel_bytes(), spent.count_ns + spent.rule_ns + spent.apply_ns);
}

std::shared_ptr<FleetSpread> make_spread(Services& services, Worker& worker, std::string_view asked,
                                         std::string traceparent) {
  if (asked.empty() && !services.peers) return nullptr;
  return std::make_shared<FleetSpread>(services, worker, asked, std::move(traceparent));
}

std::expected<std::string, api::Problem> placement_option(const api::Query& query) {
  const auto given = query.find("placement");
  if (given == query.end()) return std::string();
  if (given->second != k_auto && given->second != k_local && given->second != k_fleet)
    return std::unexpected(api::bad_option("placement takes auto, local or fleet"));
  return given->second;
}

std::optional<api::Problem> refuse_placement(const Services& services, std::string_view asked,
                                             const compute::EqualizeOptions& options) {
  if (asked != k_fleet) return std::nullopt;
  if (const auto why = method_obstacle(options); !why.empty())
    return jobs::problem(409, "cannot-spread", "placement=fleet: " + std::string(why));
  if (other_members(services).empty())
    return jobs::problem(503, "no-peers",
                         services.peers ? "placement=fleet: this node is the only member"
                                        : "placement=fleet: this node has no --peer-token-file, and asks no other");
  return std::nullopt;
}

}  // namespace histod::daemon
