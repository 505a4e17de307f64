// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/stream.hpp"

#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include "daemon/wall_clock.hpp"

namespace histod::daemon::streams {

Stream::Stream(std::shared_ptr<StreamRecord> record, int cpu, compute::Arena& arena)
    : record_(std::move(record)),
      config_(record_->status().config),
      cpu_(cpu),
      previewer_(config_.format, arena, record_->previews, record_->epoch) {}

Stream::~Stream() { stop(); }

std::expected<std::unique_ptr<Stream>, net::udp::Failure> Stream::start(std::shared_ptr<StreamRecord> record, int cpu,
                                                                        compute::Arena& arena, DpdkHome& dpdk) {
  std::unique_ptr<Stream> stream(new Stream(std::move(record), cpu, arena));
  std::promise<Opened> opened;
  auto is_open = opened.get_future();
  try {
    stream->thread_ = std::thread([&dpdk, &opened, self = stream.get()] { self->main(dpdk, opened); });
  } catch (const std::system_error& error) {
    return std::unexpected(net::udp::Failure{error.code(), "no thread for the stream"});
  }
  if (const Opened result = is_open.get(); !result) return std::unexpected(result.error());
  return stream;
}

std::optional<net::udp::Failure> Stream::pin() const {
  if (cpu_ < 0) return std::nullopt;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (cpu_ < CPU_SETSIZE) CPU_SET(cpu_, &cpus);
  const int error = ::pthread_setaffinity_np(::pthread_self(), sizeof cpus, &cpus);
  if (error == 0) return std::nullopt;
  return net::udp::Failure{{error, std::system_category()},
                           fmt::format("cpu {} is none that this process may run on", cpu_)};
}

std::expected<Port, net::udp::Failure> Stream::open(DpdkHome& dpdk) const {
  if (auto failure = pin()) return std::unexpected(std::move(*failure));
  try {
    return open_port(config_, dpdk);
  } catch (const std::system_error& error) {
    return std::unexpected(net::udp::Failure{error.code(), "no thread for DPDK"});
  }
}

void Stream::main(DpdkHome& dpdk, std::promise<Opened>& opened) {
  ::pthread_setname_np(::pthread_self(), ("hd-" + config_.name).substr(0, 15).c_str());
  auto port = open(dpdk);
  if (!port) return opened.set_value(std::unexpected(std::move(port.error())));
  absent_ = std::move(port->absent);
  loop_ =
      std::make_unique<Loop>(config_, Loop::Parts{*port->source, record_->board, notes_, &previewer_}, system_clocks());
  StreamRecord::Status status{config_, port->source->local().text(), cpu_, {}, wall_clock_ms()};
  record_->set_status(std::move(status));
  opened.set_value(Opened());
  while (!stopping_.load(std::memory_order_relaxed)) loop_->step();
  loop_->finish();
  loop_.reset();
}

void Stream::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

bool Stream::change(const StreamConfig& config, std::move_only_function<void()> done) {
  return loop_->post([this, config, done = std::move(done)]() mutable {
    loop_->configure(config.live);
    loop_->set_targets(config.targets, config.next_hop);
    loop_->set_preview(config.preview);
    loop_->publish();
    done();
  });
}

}  // namespace histod::daemon::streams
