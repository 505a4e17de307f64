// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_cable.hpp"

#include <cerrno>
#include <cstring>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/process.hpp"

namespace histod::bench {

namespace {

constexpr const char *k_near_mac = "02:00:00:00:0b:01", *k_far_mac = "02:00:00:00:0b:02";
constexpr const char* k_nobodys_mac = "02:00:00:00:0b:03";

int this_namespace() { return ::open("/proc/thread-self/ns/net", O_RDONLY); }  // inherited by ip(8), which needs it

void ip(const std::string& arguments) {
  std::vector<std::string> words{"ip"};
  std::istringstream stream(arguments);
  for (std::string word; stream >> word;) words.push_back(word);
  const TemporaryFolder folder;
  const Command command{.words = words, .environment = {}, .output_path = folder.file("log")};
  if (Process(command).wait() != 0) throw Failure(fmt::format("ip {}: {}", arguments, text_of(folder.file("log"))));
}

void bring_up(const char* device, const char* address, const char* other, const char* other_mac) {
  ip("link set lo up");
  ip(fmt::format("addr add {}/24 dev {}", address, device));
  ip(fmt::format("link set {} up", device));
  ip(fmt::format("neigh replace {} lladdr {} nud permanent dev {}", other, other_mac, device));
}

}  // namespace

std::unique_ptr<VideoCable> VideoCable::lay(std::string& why_not) {
  std::unique_ptr<VideoCable> cable(new VideoCable());
  why_not = cable->set_up();
  return why_not.empty() ? std::move(cable) : nullptr;
}

std::string VideoCable::set_up() {
  if (find_program("ip").empty()) return "install iproute2";
  home_ = this_namespace();
  if (::unshare(CLONE_NEWNET) != 0) return fmt::format("no network namespaces: {}", std::strerror(errno));
  far_ = this_namespace();
  if (::unshare(CLONE_NEWNET) != 0) return fmt::format("no second network namespace: {}", std::strerror(errno));
  near_ = this_namespace();
  try {
    ip(fmt::format("link add {} address {} type veth peer name {} address {} netns /proc/self/fd/{}", k_near_device,
                   k_near_mac, k_far_device, k_far_mac, far_));
    bring_up(k_near_device, k_near_ip, k_far_ip, k_far_mac);
    ip(fmt::format("neigh replace {} lladdr {} nud permanent dev {}", k_nobodys_ip, k_nobodys_mac, k_near_device));
    go_far();
    bring_up(k_far_device, k_far_ip, k_near_ip, k_near_mac);
    go_near();
  } catch (const Failure& failure) {
    return failure.what();
  }
  return {};
}

VideoCable::~VideoCable() {
  if (home_ >= 0) ::setns(home_, CLONE_NEWNET);
  for (const int fd : {home_, near_, far_}) {
    if (fd >= 0) ::close(fd);
  }
}

void VideoCable::go_near() const { ::setns(near_, CLONE_NEWNET); }
void VideoCable::go_far() const { ::setns(far_, CLONE_NEWNET); }

void VideoCable::set_joined(bool joined) const {
  go_far();
  const auto set = fmt::format("link set dev {} gso_max_segs {}", k_far_device, joined ? 65535 : 1);
  try {
    ip(set);
  } catch (const Failure&) {
    go_near();
    throw;
  }
  go_near();
}

}  // namespace histod::bench
