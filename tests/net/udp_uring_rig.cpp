// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "net/udp/uring_port.hpp"
#include "tests/net/udp_rig.hpp"
#include "tests/net/udp_sockets.hpp"

// The tests of all ports over io_uring and loopback, with a ring of depth 8.

namespace histod::test {
namespace {

using net::udp::UringPort;

struct Kind {
  std::string ip = "127.0.0.1";
  bool multishot = true;
  bool gro = true;
  bool timestamps = true;
};

class UringRig final : public Rig {
 public:
  explicit UringRig(const Kind& kind) : kind_(kind), sender_(kind.ip), sink_(kind.ip) {}

  net::udp::PacketSource& open(const PortSize& size, const std::vector<Bytes>& datagrams) override {
    net::udp::UringOptions options{
        .buffers = size.buffers, .datagram_bytes = longest(size.small), .ring_depth = 8, .multishot = kind_.multishot};
    options.socket.local = *net::udp::parse_address(kind_.ip, 0);
    options.socket.gro = kind_.gro && !size.small;  // with GRO, buffers have room for any datagram
    options.socket.timestamps = kind_.timestamps;
    auto port = UringPort::open(options);
    if (!port) throw std::runtime_error(port.error().what + ": " + port.error().code.message());
    EXPECT_EQ((*port)->multishot(), kind_.multishot);
    EXPECT_EQ((*port)->kernel_time(), kind_.timestamps);
    port_ = std::move(*port);
    deliver(datagrams);
    return *port_;
  }

  bool deliver(const std::vector<Bytes>& datagrams) override {
    for (const Bytes& bytes : datagrams) EXPECT_TRUE(sender_.send(port_->local(), bytes));
    return true;
  }

  net::udp::Address source() const override { return sender_.address(); }
  net::udp::Target sink() const override { return {.to = sink_.address()}; }
  void close() override { port_.reset(); }
  std::vector<Bytes> collect(std::size_t count) override { return sink_.receive(count); }

 private:
  Kind kind_;
  PlainSocket sender_, sink_;
  std::unique_ptr<UringPort> port_;
};

Surroundings over(const std::string& name, const Kind& kind) {
  return {name, [kind](std::string& why) -> std::unique_ptr<Rig> {
            try {
              return std::make_unique<UringRig>(kind);
            } catch (const std::runtime_error& error) {
              why = error.what();
              return nullptr;
            }
          }};
}

INSTANTIATE_TEST_SUITE_P(Uring, PacketPort,
                         testing::Values(over("multishot", {}), over("ipv6", {.ip = "::1"}),
                                         over("without_gro", {.gro = false}),
                                         over("without_times", {.timestamps = false}),
                                         over("plain", {.multishot = false})),
                         surroundings_name);

}  // namespace
}  // namespace histod::test
