// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_sink.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <limits>

#include <netinet/udp.h>
#include <sys/socket.h>

namespace histod::bench {

namespace {

constexpr unsigned k_burst = 16;
constexpr std::size_t k_buffer_bytes = 1 << 16;
constexpr int k_room_bytes = 64 << 20;
constexpr unsigned k_silences_max = 25;  ///< times that nothing comes for 20 ms

template <typename Value>
Value control_value(const cmsghdr* header) {
  Value value{};
  std::memcpy(&value, CMSG_DATA(header), sizeof value);
  return value;
}

struct Said {
  std::int64_t at_ns = 0;
  std::size_t segment = 0;
};

Said said_in(msghdr& message) {
  Said said;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
      const auto time = control_value<timespec>(header);
      said.at_ns = time.tv_sec * 1'000'000'000 + time.tv_nsec;
    } else if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
      said.segment = static_cast<std::size_t>(control_value<int>(header));
    }
  }
  return said;
}

}  // namespace

VideoSink::VideoSink(const VideoFrame& frame, const VideoCable* cable, int cpu)
    : frame_(frame), cpu_(cpu), socket_(cable) {
  const int on = 1;
  ::setsockopt(socket_.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  ::setsockopt(socket_.fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  const timeval patience{.tv_sec = 0, .tv_usec = 20'000};
  ::setsockopt(socket_.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  set_room(0);
  address_ = socket_.bind(cable != nullptr ? VideoCable::k_far_ip : "127.0.0.1");
}

void VideoSink::set_room(int bytes) const {
  if (::setsockopt(socket_.fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    ::setsockopt(socket_.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void VideoSink::begin() {
  std::byte nothing{};
  while (::recv(socket_.fd, &nothing, 1, MSG_DONTWAIT) >= 0) {
  }
  set_room(k_room_bytes);
  frames_wanted_ = std::numeric_limits<std::uint64_t>::max();
  reading_ = std::async(std::launch::async, [this] {
    run_on_cpu(cpu_);
    return read();
  });
}

VideoSink::Got VideoSink::end(std::uint64_t frames) {
  frames_wanted_ = frames;
  Got got = reading_.get();
  set_room(0);
  return got;
}

VideoSink::Got VideoSink::read() {
  std::vector<std::byte> buffers(k_burst * k_buffer_bytes);
  std::array<std::array<std::byte, 128>, k_burst> controls;
  std::array<iovec, k_burst> parts;
  std::array<mmsghdr, k_burst> messages{};
  VideoCanvas canvas(frame_.size());
  Got got;
  for (unsigned silent = 0; got.frames < frames_wanted_;) {
    for (unsigned i = 0; i < k_burst; ++i) {
      parts[i] = {buffers.data() + i * k_buffer_bytes, k_buffer_bytes};
      messages[i].msg_hdr = {nullptr, 0, &parts[i], 1, controls[i].data(), controls[i].size(), 0};
    }
    const int count = ::recvmmsg(socket_.fd, messages.data(), k_burst, MSG_WAITFORONE, nullptr);
    silent = count > 0 || frames_wanted_ == std::numeric_limits<std::uint64_t>::max() ? 0 : silent + 1;
    if (silent > k_silences_max) break;
    for (int i = 0; i < count; ++i) {
      mmsghdr& message = messages[static_cast<std::size_t>(i)];
      const Said said = said_in(message.msg_hdr);
      const std::span datagram(static_cast<const std::byte*>(message.msg_hdr.msg_iov->iov_base), message.msg_len);
      take(datagram, said.segment, said.at_ns, canvas, got);
    }
  }
  got.last = canvas.pixels();
  return got;
}

void VideoSink::take(std::span<const std::byte> datagram, std::size_t segment, std::int64_t at_ns, VideoCanvas& canvas,
                     Got& got) const {
  while (!datagram.empty()) {
    const auto packet = datagram.first(segment == 0 ? datagram.size() : std::min(segment, datagram.size()));
    datagram = datagram.subspan(packet.size());
    VideoCanvas::Place place;
    if (!canvas.add(packet, place)) {
      ++got.strangers;
      continue;
    }
    const std::size_t index = frame_.packet_of(place.line, place.column);
    got.seen.push_back({static_cast<std::uint32_t>(got.frames), static_cast<std::uint32_t>(index), at_ns});
    got.octets += place.octets;
    if (place.marker) ++got.frames;
  }
}

std::vector<double> delays_ms(const VideoSent& sent, const VideoSink::Got& got, std::size_t frame_packets) {
  std::vector<double> delays;
  if (got.frames != sent.frames) return delays;
  for (const VideoSink::Seen& seen : got.seen) {
    if (seen.frame >= sent.frames || seen.packet >= frame_packets) return {};
    delays.push_back(static_cast<double>(seen.at_ns - sent.at(seen.frame, seen.packet, frame_packets)) / 1e6);
  }
  std::ranges::sort(delays);
  return delays;
}

}  // namespace histod::bench
