// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/query.hpp"
#include "daemon/jobs/record.hpp"
#include "daemon/part_message.hpp"
#include "daemon/pipeline.hpp"

namespace histod::daemon {

class Worker;
struct Services;

/// Where an image is worked on: decides, and spreads its rows over the nodes. Of one image, on its worker's thread.
class FleetSpread final : public Spread {
 public:
  /// Nodes of one image, this one included; and images at one time.
  static constexpr std::size_t k_nodes_max = 16, k_images_max = 8, k_parts_max = k_images_max * k_nodes_max;
  /// Smaller ones are done here before a question could be asked.
  static constexpr std::size_t k_bytes_min = 1u << 20;

  /// `asked`: auto (or empty), local or fleet. `traceparent`: of the request, or empty.
  FleetSpread(Services& services, Worker& worker, std::string_view asked, std::string traceparent);
  ~FleetSpread() override { leave(); }
  FleetSpread(const FleetSpread&) = delete;
  FleetSpread& operator=(const FleetSpread&) = delete;

  bool wanted(const compute::codec::FileInfo& info, const ImageOptions& options, bool masked) override;
  void equalize(const compute::EqualizePage& page, const compute::EqualizeOptions& options, Done done) override;

  /// What was decided; nothing is chosen before wanted().
  const jobs::JobPlacement& placement() const { return placement_; }
  /// Of an image that is done: if that was here alone, it says how fast this node is.
  void learn(const ImageResult& result) const;

 private:
  /// Why the rows cannot be spread; empty: they can.
  std::string obstacle(const compute::codec::FileInfo& info, const ImageOptions& options, bool masked) const;
  bool choose(bool fleet, std::string why);
  /// From here on it is one of the images that are spread, of which there are k_images_max at most.
  bool enter(std::string why);
  void leave();
  void estimate(const compute::codec::PageInfo& page);

  Services& services_;
  Worker& worker_;
  jobs::JobPlacement placement_;
  const std::string traceparent_;
  compute::Color color_ = compute::Color::luma;
  bool measurable_ = false;  ///< how long it takes here says how long others like it will
  bool entered_ = false;
  std::vector<std::string> nodes_;  ///< the others that take part
};

/// Null where there is nothing to decide: nothing was asked for, and no other node can be asked.
std::shared_ptr<FleetSpread> make_spread(Services& services, Worker& worker, std::string_view asked,
                                         std::string traceparent);

/// The option `placement`, or `auto`.
std::expected<std::string, api::Problem> placement_option(const api::Query& query);
/// Why `placement=fleet` is refused before there is an image: 409, the method cannot be spread; 503, there is nobody.
std::optional<api::Problem> refuse_placement(const Services& services, std::string_view asked,
                                             const compute::EqualizeOptions& options);

/// The rows of one page over this node and `nodes`, as many parts as there are nodes, but no more than rows. What a
/// node does not do, or not right, another one does, or this one. `deadline`: of one request. `traceparent`: of all of
/// them; empty: a trace begins.
void spread_rows(Services& services, Worker& worker, std::vector<std::string> nodes, std::chrono::milliseconds deadline,
                 const compute::EqualizePage& page, const compute::EqualizeOptions& options,
                 std::string_view traceparent, Spread::Done done);

}  // namespace histod::daemon
