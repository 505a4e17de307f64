// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "compute/arena.hpp"
#include "daemon/mailbox.hpp"
#include "daemon/pipeline.hpp"
#include "net/buffer_pool.hpp"
#include "net/http/client.hpp"
#include "net/http/message.hpp"
#include "net/http/server.hpp"
#include "net/registered.hpp"
#include "net/stats.hpp"

namespace histod::daemon {

/// What a worker says of itself; a copy, taken on its own thread.
struct WorkerSnapshot {
  std::chrono::steady_clock::time_point taken;
  int cpu = -1;
  int numa_node = -1;
  int pin_errno = 0;
  std::error_code register_error;   ///< why the pool's buffers are not registered with the ring
  bool buffers_registered = false;  ///< where that was tried, and not refused
  std::uint64_t bytes_in_flight = 0;
  std::size_t images_in_hand = 0, images_waiting = 0;  ///< the latter for memory
  net::BufferPool::Stats pool;
  Pipeline::Stats pipeline;
};

/// One thread, one CPU, one event loop, one buffer pool, on one NUMA node.
class Worker {
 public:
  struct Options {
    unsigned index = 0;
    int cpu = -1;              ///< -1: not pinned
    bool arena_apart = false;  ///< the arena runs on other CPUs
    net::BufferPool::Options pool;
    net::http::Limits limits;
    std::shared_ptr<boost::asio::ssl::context> peer_tls;  ///< whom to trust of the other nodes; null: none by TLS
    Pipeline::Options pipeline;
    std::size_t mailbox_messages = 8'192;  ///< of them limits.connections for connections, the rest for completions
  };
  /// Makes the handler of this worker's connections; called on the worker's thread, once everything else stands.
  using MakeHandler = std::function<std::unique_ptr<net::http::Handler>(Worker&)>;

  /// Starts the thread and returns when it is ready to serve. Throws std::system_error when it cannot be.
  Worker(const Options& options, compute::Arena& arena, MakeHandler make_handler);
  ~Worker();  ///< stop_and_join(), if that was not done
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Any thread: a connected socket that this worker shall serve; false when its mailbox is full (the caller closes
  /// it).
  [[nodiscard]] bool adopt(int fd, std::shared_ptr<boost::asio::ssl::context> tls);
  /// Any thread: idle connections close, busy ones finish; `done` is called on the worker's thread.
  void drain(std::move_only_function<void()> done);
  void abort();
  /// Not from the worker's thread: cuts what connections are left, those to other nodes too, lets the work in hand
  /// end, and joins the thread.
  void stop_and_join();

  Mailbox& mailbox() { return mailbox_; }
  boost::asio::io_context& io() { return io_; }
  unsigned index() const { return options_.index; }
  std::uint64_t bytes_in_flight() const;
  const net::http::Stats& http_stats() const { return http_stats_; }
  const net::http::ClientStats& client_stats() const { return client_stats_; }

  /// Any thread: what the worker said of itself at most a tick ago.
  WorkerSnapshot published() const;

  // The worker's own thread only.
  net::BufferPool& pool() { return *pool_; }
  Pipeline& pipeline() { return *pipeline_; }
  net::http::Client& client() { return *client_; }
  net::Counter& copied_bytes() { return http_stats_.copied_bytes; }
  compute::Arena& arena() { return *arena_; }
  bool arena_apart() const { return options_.arena_apart; }

 private:
  void main(compute::Arena& arena, MakeHandler& make_handler, std::promise<void>& ready);
  void build(compute::Arena& arena, MakeHandler& make_handler);
  void pin();
  void read_mailbox();
  void tick();
  void publish();

  Options options_;
  compute::Arena* arena_;
  boost::asio::io_context io_{1};
  Mailbox mailbox_;
  net::http::Stats http_stats_;
  net::http::ClientStats client_stats_;
  // Made on the worker's thread, so that their memory is its node's.
  std::optional<net::BufferPool> pool_;
  std::unique_ptr<net::Registration> registered_;
  std::optional<net::http::Client> client_;  ///< asks the other nodes
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<net::http::Handler> handler_;
  std::unique_ptr<net::http::Server> server_;
  std::atomic<net::http::Server*> server_published_{nullptr};
  boost::asio::posix::stream_descriptor mailbox_fd_{io_};
  boost::asio::steady_timer ticker_{io_};
  bool stopping_ = false;  ///< asked to
  bool drained_ = false;   ///< no connection is left
  int pin_errno_ = 0;
  std::error_code register_error_;
  mutable std::mutex published_mutex_;
  WorkerSnapshot published_;
  std::thread thread_;
};

/// "2 MiB", "transparent huge" or "4 KiB".
const char* page_kind_name(net::PageKind kind);

}  // namespace histod::daemon
