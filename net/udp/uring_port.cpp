// SPDX-License-Identifier: Apache-2.0
#include "net/udp/uring_port.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <ctime>

#include <netinet/in.h>
#include <netinet/udp.h>

#include "net/udp/uring_operation.hpp"

namespace histod::net::udp {

namespace {

// Where things lie in a buffer; with multishot the kernel puts them there. The payload begins on a cache line.
constexpr std::size_t k_name_offset = sizeof(io_uring_recvmsg_out);
constexpr std::size_t k_name_bytes = 32;
constexpr std::size_t k_control_offset = k_name_offset + k_name_bytes;
constexpr std::size_t k_control_bytes = 80;
constexpr std::size_t k_payload_offset = k_control_offset + k_control_bytes;
static_assert(k_name_bytes >= sizeof(sockaddr_in6) && k_payload_offset % 64 == 0);
static_assert(k_control_bytes >= CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(int)));

constexpr unsigned k_sends = 64;
constexpr int k_buffer_group = 0;

std::int64_t ns(const timespec& time) { return time.tv_sec * 1'000'000'000ll + time.tv_nsec; }

std::int64_t real_time_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return ns(now);
}

template <typename Value>
Value control_value(const cmsghdr* header) {
  Value value{};
  const auto* const from = reinterpret_cast<const std::byte*>(CMSG_DATA(header));
  std::copy_n(from, sizeof(value), reinterpret_cast<std::byte*>(&value));
  return value;
}

std::size_t bytes_each(const UringOptions& options, bool gro) {
  return k_payload_offset + (gro ? std::size_t{1} << 16 : options.datagram_bytes);
}

}  // namespace

std::expected<std::unique_ptr<UringPort>, Failure> UringPort::open(const UringOptions& options) {
  constexpr unsigned k_buffers_max = 1u << 15;
  if (options.buffers == 0 || options.buffers > k_buffers_max || options.ring_depth == 0) {
    return std::unexpected(Failure{std::make_error_code(std::errc::invalid_argument), "1 to 32768 receive buffers"});
  }
  auto socket = Socket::open(options.socket);
  if (!socket) return std::unexpected(socket.error());
  auto ring = Ring::open(options.ring_depth, options.buffers + k_sends + options.ring_depth);
  if (!ring) return std::unexpected(Failure{ring.error(), "no io_uring for UDP"});
  auto buffers = Buffers::make(options.buffers, bytes_each(options, socket->gro()));
  if (!buffers) return std::unexpected(Failure{buffers.error(), "no memory for receive buffers"});
  std::unique_ptr<UringPort> port(new UringPort(options, std::move(*socket), std::move(*ring), std::move(*buffers)));
  if (!port->start()) {
    return std::unexpected(Failure{{port->start_error_, std::system_category()}, "cannot receive by io_uring"});
  }
  return port;
}

UringPort::UringPort(const UringOptions& options, Socket socket, Ring ring, Buffers buffers)
    : ring_depth_(options.ring_depth),
      multishot_(options.multishot),
      socket_(std::move(socket)),
      receive_bytes_wanted_(options.socket.receive_bytes),
      gso_(socket_.gso()),
      buffers_(std::move(buffers)),
      ring_(std::move(ring)),
      arrived_(buffers_.count()),
      sends_(k_sends) {
  shape_.msg_namelen = k_name_bytes;
  shape_.msg_controllen = k_control_bytes;
  for (unsigned i = 0; i < k_sends; ++i) free_sends_.push_back(k_sends - 1 - i);
}

UringPort::~UringPort() {
  assert(stats_.leases.get() == 0);
  // The kernel must have let go of the buffers before they are unmapped: closing the ring alone does not wait for that.
  const auto cancel = [this](std::uint64_t what) {
    if (io_uring_sqe* const sqe = ring_.next()) {
      io_uring_prep_cancel64(sqe, what, 0);
      sqe->user_data = k_uring_cancel;
    }
  };
  if (armed_) cancel(k_uring_multishot);
  for (unsigned i = 0; i < plain_.size(); ++i) {
    if (plain_[i].waiting) cancel(k_uring_plain | i);
  }
  const auto busy = [this] {
    return armed_ || std::ranges::any_of(plain_, &Plain::waiting) || free_sends_.size() < sends_.size();
  };
  while (busy()) {
    const int done = io_uring_submit_and_wait(ring_.get(), 1);
    if (done < 0 && done != -EINTR) break;
    complete_all();
  }
}

bool UringPort::start() {
  if (multishot_ && !provide_buffers()) {
    arm();
    ring_.submit();
    complete_all();
    if (armed_ || start_error_ == 0) return true;
  }
  // A kernel before 6.0 knows no multishot recvmsg (EINVAL), before 5.19 no ring of buffers.
  multishot_ = false;
  start_error_ = 0;
  offered_ = 0;
  stats_.errors.sub(stats_.errors.get());
  if (provided_ != nullptr) io_uring_unregister_buf_ring(ring_.get(), k_buffer_group);
  plain_.resize(buffers_.count());
  idle_.resize(buffers_.count());
  for (unsigned i = 0; i < buffers_.count(); ++i) idle_[i] = buffers_.count() - 1 - i;
  arm();
  ring_.submit();
  complete_all();
  return start_error_ == 0;
}

std::error_code UringPort::provide_buffers() {
  provided_entries_ = std::bit_ceil(buffers_.count());
  auto memory = Mapping::make(provided_entries_ * sizeof(io_uring_buf));
  if (!memory) return memory.error();
  provided_memory_ = std::move(*memory);
  io_uring_buf_reg request{};
  request.ring_addr = std::bit_cast<std::uintptr_t>(provided_memory_.bytes().data());
  request.ring_entries = provided_entries_;
  request.bgid = k_buffer_group;
  if (const int error = io_uring_register_buf_ring(ring_.get(), &request, 0); error != 0) {
    return {-error, std::system_category()};
  }
  provided_ = reinterpret_cast<io_uring_buf_ring*>(provided_memory_.bytes().data());
  io_uring_buf_ring_init(provided_);
  for (unsigned i = 0; i < buffers_.count(); ++i) offer(i);
  return {};
}

void UringPort::offer(unsigned buffer) {
  io_uring_buf_ring_add(provided_, buffers_.at(buffer), static_cast<unsigned>(buffers_.bytes_each()),
                        static_cast<unsigned short>(buffer), io_uring_buf_ring_mask(provided_entries_), 0);
  io_uring_buf_ring_advance(provided_, 1);
  ++offered_;
}

void UringPort::give_back(std::uintptr_t token) {
  const auto buffer = static_cast<unsigned>(token);
  if (!buffers_.give_back(buffer)) return;
  starving_ = false;
  if (multishot_) return offer(buffer);
  idle_.push_back(buffer);
}

void UringPort::arm() { multishot_ ? arm_multishot() : arm_plain(); }

void UringPort::arm_multishot() {
  if (armed_ || offered_ == 0) return;
  io_uring_sqe* const sqe = ring_.next();
  if (sqe == nullptr) return;
  io_uring_prep_recvmsg_multishot(sqe, socket_.fd(), &shape_, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = k_buffer_group;
  sqe->user_data = k_uring_multishot;
  armed_ = true;
}

void UringPort::arm_plain() {
  while (offered_ < ring_depth_ && !idle_.empty()) {
    io_uring_sqe* const sqe = ring_.next();
    if (sqe == nullptr) return;
    const unsigned buffer = idle_.back();
    idle_.pop_back();
    std::byte* const at = buffers_.at(buffer);
    Plain& plain = plain_[buffer];
    plain.payload = {at + k_payload_offset, buffers_.bytes_each() - k_payload_offset};
    plain.message = {at + k_name_offset, k_name_bytes, &plain.payload, 1, at + k_control_offset, k_control_bytes, 0};
    plain.waiting = true;
    ++offered_;
    io_uring_prep_recvmsg(sqe, socket_.fd(), &plain.message, 0);
    sqe->user_data = k_uring_plain | buffer;
  }
  if (offered_ == 0) starved();
}

void UringPort::starved() {
  if (!std::exchange(starving_, true)) stats_.starved.add();
}

void UringPort::complete_all() {
  ring_.run_deferred();
  now_ns_ = 0;
  unsigned head = 0, count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, cqe) {
    complete(*cqe);
    ++count;
  }
  io_uring_cq_advance(ring_.get(), count);
}

void UringPort::complete(const io_uring_cqe& cqe) {
  const auto index = static_cast<unsigned>(cqe.user_data);
  switch (cqe.user_data - index) {
    case k_uring_multishot:
      return complete_multishot(cqe);
    case k_uring_plain:
      return complete_plain(index, cqe.res);
    case k_uring_send:
      return complete_send(index, cqe.res);
    default:
      return;  // the end of a cancellation, or of a timeout of liburing's own
  }
}

void UringPort::complete_multishot(const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) armed_ = false;
  if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) {
    if (cqe.res == -ENOBUFS) return starved();
    if (cqe.res == -ECANCELED) return;
    start_error_ = -cqe.res;
    return stats_.errors.add();
  }
  const unsigned buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  --offered_;
  std::byte* const at = buffers_.at(buffer);
  const auto* const head = reinterpret_cast<const io_uring_recvmsg_out*>(at);
  if (cqe.res < static_cast<int>(k_payload_offset)) {
    stats_.errors.add();
    return offer(buffer);
  }
  msghdr message{};
  message.msg_name = at + k_name_offset;
  message.msg_namelen = head->namelen;
  message.msg_control = at + k_control_offset;
  message.msg_controllen = std::min<std::size_t>(head->controllen, k_control_bytes);
  message.msg_flags = static_cast<int>(head->flags);
  arrived(buffer, message, static_cast<std::size_t>(cqe.res) - k_payload_offset);
}

void UringPort::complete_plain(unsigned buffer, int result) {
  plain_[buffer].waiting = false;
  --offered_;
  if (result >= 0) return arrived(buffer, plain_[buffer].message, static_cast<std::size_t>(result));
  idle_.push_back(buffer);
  if (result == -ECANCELED) return;
  start_error_ = -result;
  stats_.errors.add();
}

void UringPort::arrived(unsigned buffer, const msghdr& message, std::size_t bytes) {
  const std::size_t room = buffers_.bytes_each() - k_payload_offset;
  Arrived arrival{.buffer = buffer, .offset = k_payload_offset, .left = std::min(bytes, room)};
  arrival.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  const std::size_t name_bytes = std::min<std::size_t>(message.msg_namelen, k_name_bytes);
  arrival.source = from_sockaddr(static_cast<const sockaddr*>(message.msg_name), name_bytes).value_or(Address{});
  arrival.segment = arrival.left;
  msghdr walk = message;
  for (cmsghdr* header = CMSG_FIRSTHDR(&walk); header != nullptr; header = CMSG_NXTHDR(&walk, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
      arrival.at_ns = ns(control_value<timespec>(header));
    } else if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
      const int segment = control_value<int>(header);
      if (segment > 0) arrival.segment = std::min(arrival.left, static_cast<std::size_t>(segment));
    }
  }
  if (arrival.at_ns == 0) {
    if (now_ns_ == 0) now_ns_ = real_time_ns();
    arrival.at_ns = now_ns_;
  }
  const std::size_t segments = arrival.left == 0 ? 1 : (arrival.left + arrival.segment - 1) / arrival.segment;
  buffers_.lend(buffer, static_cast<unsigned>(segments));
  assert(arrivals_ < arrived_.size());
  arrived_[(first_arrived_ + arrivals_++) % arrived_.size()] = arrival;
}

Packet UringPort::hand_out(Arrived& from) {
  const std::size_t bytes = std::min(from.left, from.segment);
  const bool last = bytes == from.left;
  const std::span payload(buffers_.at(from.buffer) + from.offset, bytes);
  const bool truncated = last && from.truncated;
  Packet packet(*this, from.buffer, payload, from.source, from.at_ns, truncated);
  from.offset += bytes;
  from.left -= bytes;
  stats_.received_packets.add();
  stats_.received_bytes.add(bytes);
  if (truncated) stats_.truncated.add();
  stats_.leases.add();
  if (last) {
    first_arrived_ = (first_arrived_ + 1) % arrived_.size();
    --arrivals_;
  }
  return packet;
}

std::size_t UringPort::receive(std::span<Packet> burst) {
  for (Packet& packet : burst) packet.reset();
  arm();
  ring_.submit();
  complete_all();
  std::size_t count = 0;
  while (count < burst.size() && arrivals_ > 0) burst[count++] = hand_out(front());
  return count;
}

bool UringPort::wait(std::chrono::nanoseconds at_most) {
  arm();
  ring_.submit();
  complete_all();
  if (arrivals_ > 0) return true;
  __kernel_timespec timeout{at_most.count() / 1'000'000'000, at_most.count() % 1'000'000'000};
  io_uring_cqe* cqe = nullptr;
  io_uring_submit_and_wait_timeout(ring_.get(), &cqe, 1, &timeout, nullptr);
  complete_all();
  return arrivals_ > 0;
}

void UringPort::refresh_stats() {
  const std::uint64_t drops = socket_.drops();
  // The kernel's counter has 32 bits and may have gone round.
  stats_.dropped.add(static_cast<std::uint32_t>(drops - stats_.dropped.get()));
}

std::vector<std::string> UringPort::absent() const {
  std::vector<std::string> absent;
  if (!multishot_) absent.emplace_back("multishot recvmsg (Linux 6.0): one submission for each datagram instead");
  if (!ring_.deferred())
    absent.emplace_back("deferred task work (Linux 6.1): the kernel interrupts this thread instead");
  if (!socket_.timestamps()) absent.emplace_back("arrival times of the kernel: those of this program instead");
  if (!socket_.gro()) absent.emplace_back("UDP_GRO (Linux 5.0): each datagram goes through the kernel by itself");
  if (const std::size_t room = socket_.receive_bytes() / 2; room < receive_bytes_wanted_)
    absent.push_back("room for " + std::to_string(receive_bytes_wanted_ >> 10) +
                     " KiB that were not taken yet: net.core.rmem_max allows " + std::to_string(room >> 10) +
                     ", so that pictures that are sent at once lose packets");
  if (!gso_) absent.emplace_back("UDP_SEGMENT (Linux 4.18): each datagram is sent by itself");
  return absent;
}

}  // namespace histod::net::udp
