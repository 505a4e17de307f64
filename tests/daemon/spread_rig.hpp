// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/part_message.hpp"
#include "daemon/peer_message.hpp"
#include "tests/daemon/fleet_rig.hpp"
#include "tests/support/naive_image.hpp"

/// Images that several nodes work on.
namespace histod::test {

using daemon::k_part_count_path;
using daemon::PartHead;

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string netpbm_of(const NaiveImage& image) {
  const bool deep = image.format().depth_bits == 16;
  std::string out = (image.format().colors == 3 ? "P6\n" : "P5\n") + std::to_string(image.width()) + ' ' +
                    std::to_string(image.height()) + '\n' + (deep ? "65535" : "255") + '\n';
  for (const std::uint32_t sample : image.samples()) {
    if (deep) out += static_cast<char>(sample >> 8);
    out += static_cast<char>(sample & 0xff);
  }
  return out;
}

inline NaiveImage picture(compute::PixelFormat format, std::uint32_t width, std::uint32_t height) {
  return naive_image(format, width, height, Texture::narrow, format.bins(), width * 31 + height);
}

inline Told equalized(ApiRig& node, const std::string& query, const std::string& image, Fields fields = {}) {
  return node.post("/v1/equalize", query, image, std::move(fields));
}

/// A node that does its part rightly, but for what a test makes of its answers.
class Twisted {
 public:
  using Twist = std::function<ScriptedServer::Reply(bool counts, std::string body)>;
  explicit Twisted(Twist twist)
      : twist_(std::move(twist)), server_([this](const ScriptedServer::Request& request) { return answer(request); }) {}
  std::string url() const { return url_of(server_); }

  static std::string whole(const std::string& body, const std::string& digest_of) {
    return "HTTP/1.1 200 OK\r\nHistod-Peer-Version: 1\r\nHistod-Part-Digest: " +
           daemon::part_digest(as_bytes(digest_of)) + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }

 private:
  ScriptedServer::Reply answer(const ScriptedServer::Request& request) {
    const std::string target = request.head.substr(5, request.head.find(" HTTP") - 5);
    EXPECT_THAT(request.head, testing::HasSubstr("Authorization: Bearer " + std::string(k_peer_token)));
    EXPECT_THAT(request.head, testing::HasSubstr("Histod-Peer-Version: 1"));
    const PartHead head = daemon::parse_part_query(target.substr(target.find('?') + 1)).value();
    // 16-bit rows begin at even addresses.
    std::vector<std::uint16_t> samples((head.bytes() + 1) / 2);
    auto* const rows = reinterpret_cast<std::byte*>(samples.data());
    std::ranges::copy(as_bytes(request.body).first(head.bytes()), rows);
    compute::EqualizePage page = head.page(rows);
    const bool counts = target.starts_with(k_part_count_path);
    if (counts) {
      const auto tally = compute::tally_of({&page, 1}, head.options, arena_)->to_bytes();
      return twist_(true, {reinterpret_cast<const char*>(tally.data()), tally.size()});
    }
    const auto tables = daemon::parse_tables_message(as_bytes(request.body).subspan(head.bytes())).value();
    EXPECT_TRUE(compute::apply_tables({&page, 1}, tables, head.options, arena_));
    return twist_(false, {reinterpret_cast<const char*>(rows), head.bytes()});
  }

  Twist twist_;
  compute::Arena arena_{{{}, 1}};
  ScriptedServer server_;
};

inline ScriptedServer::Reply honest(const std::string& body) { return Twisted::whole(body, body); }

}  // namespace histod::test
