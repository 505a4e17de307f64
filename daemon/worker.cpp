// SPDX-License-Identifier: Apache-2.0
#include "daemon/worker.hpp"

#include <exception>
#include <utility>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

namespace histod::daemon {

namespace {

constexpr std::chrono::milliseconds k_tick{50};
/// Given back to the kernel with each tick: 320 MiB a second, and never long at once.
constexpr std::size_t k_trim_bytes = 16u << 20;

}  // namespace

const char* page_kind_name(net::PageKind kind) {
  switch (kind) {
    case net::PageKind::huge_2m:
      return "2 MiB";
    case net::PageKind::transparent_huge:
      return "transparent huge";
    case net::PageKind::small_4k:
      break;
  }
  return "4 KiB";
}

Worker::Worker(const Options& options, compute::Arena& arena, MakeHandler make_handler)
    : options_(options),
      arena_(&arena),
      mailbox_(options.mailbox_messages, options.mailbox_messages - options.limits.connections) {
  std::promise<void> ready;
  auto is_ready = ready.get_future();
  thread_ = std::thread([&] { main(arena, make_handler, ready); });
  try {
    is_ready.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

Worker::~Worker() { stop_and_join(); }

void Worker::pin() {
  if (options_.cpu < 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(options_.cpu, &cpus);
  pin_errno_ = ::pthread_setaffinity_np(::pthread_self(), sizeof cpus, &cpus);
}

void Worker::build(compute::Arena& arena, MakeHandler& make_handler) {
  pool_.emplace(options_.pool);
  if (auto registered = net::register_pool(io_, *pool_)) {
    registered_ = std::move(*registered);
  } else {
    register_error_ = registered.error();
  }
  client_.emplace(io_, *pool_, net::http::ClientOptions{.tls = options_.peer_tls, .registration = registered_.get()},
                  client_stats_);
  pipeline_ = std::make_unique<Pipeline>(options_.pipeline, *pool_, arena, mailbox_);
  handler_ = make_handler(*this);
  server_ = std::make_unique<net::http::Server>(io_, *pool_, *handler_, options_.limits, http_stats_);
  if (registered_) server_->use_registered(*registered_);
  server_published_.store(server_.get(), std::memory_order_release);
  mailbox_fd_.assign(mailbox_.fd());
  publish();
  read_mailbox();
  tick();
}

void Worker::main(compute::Arena& arena, MakeHandler& make_handler, std::promise<void>& ready) {
  const std::string name = "histod-w" + std::to_string(options_.index);
  ::pthread_setname_np(::pthread_self(), name.c_str());
  pin();
  try {
    build(arena, make_handler);
  } catch (...) {
    ready.set_exception(std::current_exception());
    return;
  }
  ready.set_value();
  io_.run();
  mailbox_.drain();
  mailbox_fd_.release();
  server_published_.store(nullptr, std::memory_order_release);
  server_.reset();
  handler_.reset();
  pipeline_.reset();
  client_.reset();
  registered_.reset();
  pool_.reset();
}

void Worker::read_mailbox() {
  // Polled, not read: drain() resets the descriptor only when nothing is left.
  mailbox_fd_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                         [this](const boost::system::error_code& error) {
                           if (error) return;
                           mailbox_.drain();
                           publish();
                           read_mailbox();
                         });
}

void Worker::tick() {
  ticker_.expires_after(k_tick);
  ticker_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    pipeline_->poll();
    pool_->trim(k_trim_bytes);
    publish();
    if (stopping_ && drained_ && pipeline_->in_hand() == 0 && client_stats_.in_flight.get() == 0)
      io_.stop();
    else
      tick();
  });
}

bool Worker::adopt(int fd, std::shared_ptr<boost::asio::ssl::context> tls) {
  return mailbox_.post([this, fd, tls = std::move(tls)]() mutable { server_->adopt(fd, std::move(tls)); });
}

void Worker::drain(std::move_only_function<void()> done) {
  mailbox_.complete([this, done = std::move(done)]() mutable { server_->drain(std::move(done)); });
}

void Worker::abort() {
  mailbox_.complete([this] { server_->abort(); });
}

void Worker::stop_and_join() {
  if (!thread_.joinable()) return;
  mailbox_.complete([this] {
    stopping_ = true;
    client_->close();
    server_->drain([this] { drained_ = true; });
    server_->abort();
  });
  thread_.join();
}

std::uint64_t Worker::bytes_in_flight() const {
  const net::http::Server* server = server_published_.load(std::memory_order_acquire);
  return server == nullptr ? 0 : server->bytes_in_flight();
}

void Worker::publish() {
  WorkerSnapshot now;
  now.taken = std::chrono::steady_clock::now();
  now.cpu = options_.cpu;
  now.numa_node = options_.pool.numa_node;
  now.pin_errno = pin_errno_;
  now.register_error = register_error_;
  now.buffers_registered = registered_ != nullptr;
  now.bytes_in_flight = server_->bytes_in_flight();
  now.images_in_hand = pipeline_->in_hand();
  now.images_waiting = pipeline_->waiting();
  now.pool = pool_->stats();
  now.pipeline = pipeline_->stats();
  const std::lock_guard lock(published_mutex_);
  published_ = now;
}

WorkerSnapshot Worker::published() const {
  const std::lock_guard lock(published_mutex_);
  return published_;
}

}  // namespace histod::daemon
