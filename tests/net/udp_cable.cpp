// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "tests/net/udp_dpdk_rigs.hpp"

namespace histod::test {

namespace {

int this_namespace() { return ::open("/proc/thread-self/ns/net", O_RDONLY); }  // inherited by ip(8), which needs it

bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

constexpr const char* k_near_mac = "02:00:00:00:00:01";
constexpr const char* k_far_mac = "02:00:00:00:00:02";

struct End {
  std::string device, ip4, ip6;
};

bool bring_up(const End& end) {
  return run("ip link set lo up") && run("ip addr add " + end.ip4 + "/24 dev " + end.device) &&
         run("ip addr add " + end.ip6 + "/64 nodad dev " + end.device) && run("ip link set " + end.device + " up");
}

/// A kernel that must ask for a hardware address first keeps fewer datagrams meanwhile than some tests send.
bool introduce(const End& end, const End& other, const std::string& mac) {
  const std::string rest = " lladdr " + mac + " nud permanent dev " + end.device;
  return run("ip neigh replace " + other.ip4 + rest) && run("ip neigh replace " + other.ip6 + rest);
}

}  // namespace

std::unique_ptr<Cable> Cable::lay(std::string& why_not) {
  std::unique_ptr<Cable> cable(new Cable());
  why_not = cable->set_up();
  return why_not.empty() ? std::move(cable) : nullptr;
}

std::string Cable::set_up() {
  if (!run("ip -V")) return "no ip(8): install iproute2";
  home_ = this_namespace();
  if (::unshare(CLONE_NEWNET) != 0) return std::string("no network namespaces: ") + std::strerror(errno);
  far_ = this_namespace();
  if (::unshare(CLONE_NEWNET) != 0) return std::string("no second network namespace: ") + std::strerror(errno);
  near_ = this_namespace();
  const std::string far = "/proc/self/fd/" + std::to_string(far_);
  const End near_end{k_near_device, near_ip(false), near_ip(true)}, far_end{"histod1", far_ip(false), far_ip(true)};
  if (!run("ip link add " + near_end.device + " address " + k_near_mac + " type veth peer name " + far_end.device +
           " address " + k_far_mac + " netns " + far)) {
    return "no virtual Ethernet pair";
  }
  const bool near_up = bring_up(near_end) && introduce(near_end, far_end, k_far_mac);
  go_far();
  const bool far_up = bring_up(far_end) && introduce(far_end, near_end, k_near_mac);
  go_near();
  return near_up && far_up ? "" : "ip(8) could not set the addresses";
}

Cable::~Cable() {
  if (home_ >= 0) ::setns(home_, CLONE_NEWNET);
  for (const int fd : {home_, near_, far_}) {
    if (fd >= 0) ::close(fd);
  }
}

void Cable::go_near() const { ::setns(near_, CLONE_NEWNET); }
void Cable::go_far() const { ::setns(far_, CLONE_NEWNET); }

}  // namespace histod::test
