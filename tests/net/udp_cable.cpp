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

bool bring_up(const std::string& device, const std::string& ip4, const std::string& ip6) {
  return run("ip link set lo up") && run("ip addr add " + ip4 + "/24 dev " + device) &&
         run("ip addr add " + ip6 + "/64 nodad dev " + device) && run("ip link set " + device + " up");
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
  if (!run(std::string("ip link add ") + k_near_device + " type veth peer name histod1 netns " + far)) {
    return "no virtual Ethernet pair";
  }
  const bool near_up = bring_up(k_near_device, near_ip(false), near_ip(true));
  go_far();
  const bool far_up = bring_up("histod1", far_ip(false), far_ip(true));
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
