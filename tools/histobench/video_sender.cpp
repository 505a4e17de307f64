// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_sender.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <future>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace {

constexpr std::size_t k_piece_octets_max = 65'000;  ///< of a datagram that is to be cut
constexpr std::size_t k_chunk_max = 64;             ///< segments that the kernel takes
constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::int64_t k_sleep_least_ns = 60'000;  ///< a shorter wait is no sleep: it would be too long
constexpr double k_late = 1.03;

std::int64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * k_second_ns + now.tv_nsec;
}

void wait_until(std::int64_t due_ns) {
  for (;;) {
    const std::int64_t left = due_ns - read_clock(CLOCK_MONOTONIC);
    if (left <= 0) return;
    if (left < k_sleep_least_ns) continue;
    const std::int64_t nap = left - k_sleep_least_ns / 2;
    const timespec time{.tv_sec = nap / k_second_ns, .tv_nsec = nap % k_second_ns};
    ::nanosleep(&time, nullptr);
  }
}

}  // namespace

// A socket belongs to the namespace that it is made in.
UdpSocket::UdpSocket(const VideoCable* cable) {
  if (cable != nullptr) cable->go_far();
  fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (cable != nullptr) cable->go_near();
  if (fd < 0) throw Failure(fmt::format("no UDP socket: {}", std::strerror(errno)));
}

UdpSocket::~UdpSocket() { ::close(fd); }

sockaddr_in UdpSocket::bind(const char* ip) const {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, ip, &address.sin_addr);
  socklen_t bytes = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd, generic, bytes) != 0 || ::getsockname(fd, generic, &bytes) != 0)
    throw Failure(fmt::format("cannot bind {}: {}", ip, std::strerror(errno)));
  return address;
}

std::vector<int> usable_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  return cpus;
}

void run_on_cpu(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  ::sched_setaffinity(0, sizeof cpus, &cpus);
}

VideoSent VideoSender::send(const sockaddr_in& to, double frames_per_second, std::uint64_t frames,
                            std::size_t chunk_max) {
  std::size_t chunk = std::min(k_chunk_max, k_piece_octets_max / frame_.packet_octets());
  if (chunk_max > 0) chunk = std::min(chunk, chunk_max);
  return std::async(std::launch::async, [&] { return play(to, frames_per_second, frames, chunk); }).get();
}

VideoSent VideoSender::play(const sockaddr_in& to, double frames_per_second, std::uint64_t frames, std::size_t chunk) {
  constexpr unsigned long k_slack_ns = 1'000;  // by default the kernel may wake a thread 50 us late, to save current
  ::prctl(PR_SET_TIMERSLACK, k_slack_ns);
  run_on_cpu(way_.cpu);
  const UdpSocket socket(way_.cable);
  const int buffer_bytes = 4 << 20;
  ::setsockopt(socket.fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof buffer_bytes);
  const std::size_t packets = frame_.packets(), chunks = (packets + chunk - 1) / chunk;
  VideoSent sent{.first_frame = next_frame_, .frames = frames, .chunk = chunk, .at_ns = {}};
  sent.at_ns.reserve(frames * chunks);
  const std::int64_t began_ns = read_clock(CLOCK_MONOTONIC);
  const double chunk_ns = 1e9 / (frames_per_second * static_cast<double>(chunks));
  for (std::uint64_t frame = 0; frame < frames; ++frame) {
    for (std::size_t first = 0; first < packets; first += chunk) {
      wait_until(began_ns + static_cast<std::int64_t>(chunk_ns * static_cast<double>(sent.at_ns.size())));
      const auto piece = frame_.numbered(next_frame_ + frame, first, std::min(chunk, packets - first));
      sent.at_ns.push_back(read_clock(CLOCK_REALTIME));
      send_chunk(socket.fd, to, piece);
    }
  }
  sent.seconds = static_cast<double>(read_clock(CLOCK_MONOTONIC) - began_ns) / 1e9;
  sent.late = sent.seconds > k_late * static_cast<double>(frames) / frames_per_second;
  sent.packets = frames * packets;
  next_frame_ += frames;
  packets_ += sent.packets;
  return sent;
}

void VideoSender::send_chunk(int fd, const sockaddr_in& to, std::span<const std::byte> packets) const {
  const std::size_t octets = frame_.packet_octets(), count = packets.size() / octets;
  std::array<iovec, k_chunk_max> parts;
  std::array<mmsghdr, k_chunk_max> messages{};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  const bool whole = way_.segments && count > 1;
  const std::size_t calls = whole ? 1 : count;
  for (std::size_t i = 0; i < calls; ++i) {
    const auto part = whole ? packets : packets.subspan(i * octets, octets);
    parts[i] = {const_cast<std::byte*>(part.data()), part.size()};
    messages[i].msg_hdr.msg_name = const_cast<sockaddr_in*>(&to);
    messages[i].msg_hdr.msg_namelen = sizeof to;
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  if (whole) {
    messages[0].msg_hdr.msg_control = control.data();
    messages[0].msg_hdr.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&messages[0].msg_hdr);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto segment = static_cast<std::uint16_t>(octets);
    std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
  }
  for (std::size_t at = 0; at < calls;) {
    const int done = ::sendmmsg(fd, &messages[at], static_cast<unsigned>(calls - at), 0);
    if (done > 0)
      at += static_cast<std::size_t>(done);
    else if (errno != EINTR && errno != ENOBUFS)
      throw Failure(fmt::format("the packets cannot be sent: {}", std::strerror(errno)));
  }
}

}  // namespace histod::bench
