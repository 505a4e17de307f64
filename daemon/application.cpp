// SPDX-License-Identifier: Apache-2.0
#include "daemon/application.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <future>
#include <ranges>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/api.hpp"
#include "daemon/fleet_options.hpp"
#include "daemon/http_peers.hpp"
#include "daemon/http_webhooks.hpp"
#include "daemon/jobs/runner.hpp"
#include "daemon/jobs/ulid.hpp"
#include "daemon/no_peers.hpp"
#include "daemon/node_identity.hpp"
#include "daemon/node_metrics.hpp"
#include "daemon/spread.hpp"
#include "daemon/systemd.hpp"
#include "daemon/wall_clock.hpp"
#include "daemon/worker.hpp"
#include "net/http/tls.hpp"

namespace histod::daemon {

using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds k_tick{1};
constexpr std::chrono::hours k_expiry_every{24}, k_expiry_warning{14 * 24};
constexpr std::chrono::seconds k_abort_grace{5};
constexpr std::chrono::seconds k_fleet_grace{5};
constexpr std::chrono::seconds k_worker_silence_max{5};
constexpr std::size_t k_resident_bytes = 64u << 20;

template <class T, class E>
T value_or_fail(std::expected<T, E> result, const std::string& what) {
  if (result) return std::move(*result);
  if constexpr (std::is_same_v<E, std::error_code>)
    throw Application::StartFailure{what + ": " + result.error().message()};
  else if constexpr (std::is_same_v<E, std::string>)
    throw Application::StartFailure{what + ": " + result.error()};
  else
    throw Application::StartFailure{what + ": " + result.error().front()};
}

Placement place_node(const Options& options) {
  return place(value_or_fail(read_topology(), "reading the topology"), placement_options(options));
}

std::vector<std::unique_ptr<compute::Arena>> make_arenas(const Placement& placement) {
  std::vector<std::unique_ptr<compute::Arena>> arenas;
  for (std::size_t i = 0; i < placement.arenas.size(); ++i) {
    bool shared = false;
    for (std::size_t w = 0; w < placement.workers.size(); ++w)
      shared = shared || (placement.arena_of(w) == i && !placement.arena_apart(w));
    const ArenaPlace& arena = placement.arenas[i];
    arenas.push_back(std::make_unique<compute::Arena>(compute::Arena::Options{arena.cpus, arena.threads, shared}));
  }
  return arenas;
}

jobs::Engine::Options engine_options(const Options& options, std::size_t workers) {
  jobs::Engine::Options out;
  out.queued_max = options.max_jobs_queued;
  out.running_max = std::max<std::size_t>(2, workers);
  out.result_ttl = options.result_ttl;
  out.program_version = HISTOD_VERSION;
  out.mailbox_messages = options.connections * workers + 1'024;  // one request a connection, and some to spare
  return out;
}

streams::Streams::Options stream_options(const Options& options, const Placement& placement,
                                         const std::vector<std::unique_ptr<compute::Arena>>& arenas) {
  streams::Streams::Options out{.placement = placement,
                                .arenas = {},
                                .dpdk = streams::dpdk_config(options),
                                .mailbox_messages = options.connections * placement.workers.size()};
  for (const auto& arena : arenas) out.arenas.push_back(arena.get());
  return out;
}

net::http::Limits http_limits(const Options& options) {
  net::http::Limits limits;
  limits.connections = options.connections;
  limits.header_timeout = options.header_timeout;
  limits.idle_timeout = options.idle_timeout;
  limits.stall_timeout = options.stall_timeout;
  limits.body_rate_min_bytes_per_s = options.min_body_rate_bytes_per_s;
  return limits;
}

Pipeline::Options pipeline_options(const Options& options, std::size_t jobs_running_max) {
  Pipeline::Options out;
  out.limits.pixels = options.max_pixels;
  out.limits.dimension = static_cast<std::uint32_t>(options.max_dimension);
  out.limits.pages = static_cast<std::uint32_t>(options.max_pages);
  // Jobs have had their queue already: they always find a place beside the requests.
  out.requests_max = options.max_requests_queued + jobs_running_max;
  out.wall_time = options.job_wall_time;
  return out;
}

Worker::Options worker_options(const Options& options, const Placement& placement, std::size_t index,
                               std::shared_ptr<boost::asio::ssl::context> peer_tls) {
  Worker::Options out;
  out.peer_tls = std::move(peer_tls);
  const std::size_t workers = placement.workers.size();
  const std::size_t attempts = std::max<std::size_t>(2, workers);
  out.index = static_cast<unsigned>(index);
  out.cpu = placement.workers[index].cpu;
  out.arena_apart = placement.arena_apart(index);
  out.pool.budget_bytes = options.memory_budget_bytes / workers;
  out.pool.resident_bytes = std::min(k_resident_bytes, out.pool.budget_bytes);
  out.pool.numa_node = placement.workers[index].numa_node;
  out.limits = http_limits(options);
  out.pipeline = pipeline_options(options, attempts);
  out.mailbox_messages = options.connections              // connections handed over and not yet adopted
                         + options.connections            // replies of engine and volumes: one request a connection
                         + out.pipeline.requests_max * 2  // returns from the arena, and room for the next
                         + out.pipeline.requests_max * 2  // of each result: begun, and its sender told
                         + api::ExpressLane::k_images_max * 2  // of each image coming in: a step done, a sender told
                         + FleetSpread::k_parts_max            // of images that are spread: a part is done
                         + HttpPeers::k_copies_max             // of copies: the image is read
                         + Announcer::k_calls_max              // of datasets that are done
                         + 1                                   // of the feed: there are events
                         + attempts * 4                        // dispatch, input, result at its volume, end of storing
                         + 16;                                 // drain, abort, stop, listeners
  return out;
}

/// The CPU on which the kernel took in the connection's last packet; -1: it does not say.
int incoming_cpu(int fd) {
  int cpu = -1;
  socklen_t bytes = sizeof cpu;
  return ::getsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &bytes) == 0 ? cpu : -1;
}

std::vector<FileRoot> open_file_roots(const std::string& option) {
  std::vector<FileRoot> roots;
  for (const FileRootOption& root : value_or_fail(parse_file_roots(option), "--file-root"))
    roots.push_back(value_or_fail(FileRoot::open(root), "--file-root " + root.name));
  return roots;
}

}  // namespace

PlacementOptions placement_options(const Options& options) {
  return {static_cast<unsigned>(options.workers), static_cast<unsigned>(options.arena_threads), options.pin,
          static_cast<unsigned>(std::max<std::uint64_t>(options.stream_cpus, options.streams.size()))};
}

Application::Application(const Options& options, std::string isa, std::vector<Fallback> fallbacks)
    : options_(options),
      log_(options.log_level, options.log_format),
      signals_(value_or_fail(Signals::open({SIGTERM, SIGINT, SIGHUP}), "signals")),
      mailbox_(options.connections + 1'024),
      auth_(value_or_fail(api::Auth::open({options.token_file, options.auth_failures_per_minute}), "--token-file")),
      disk_(value_or_fail(jobs::open_posix_disk(options.spool_path), "--spool " + options.spool_path)),
      spool_(*disk_, options.spool_budget_bytes),
      placement_(place_node(options)),
      engine_(engine_options(options, placement_.workers.size()), spool_, log_,
              {.now_ms = wall_clock_ms,
               .dispatch =
                   [this](const jobs::JobRecord& record, const jobs::SharedTables& tables) {
                     Worker& worker = *services_.workers[next_worker_++ % services_.workers.size()];
                     return worker.mailbox().post(
                         [&worker, this, record, tables] { jobs::run_attempt(services_, worker, record, tables); });
                   },
               .changed = [this](const jobs::JobRecord& record,
                                 std::string_view verb) { services_.sources->job(record, verb); }}),
      services_{options_, log_, *auth_, engine_, metrics_, placement_, std::move(fallbacks), {}, std::move(isa)} {
  if (!options_.tls_cert_path.empty())
    certificate_.emplace(value_or_fail(Certificate::open(options_.tls_cert_path, options_.tls_key_path), "--tls-cert"));
  if (certificate_) services_.certificate_ends_s = certificate_->ends_s();
  if (!options_.peer_token_file.empty())
    services_.peers = std::make_unique<const Peers>(
        services_.fleet, value_or_fail(read_secret(options_.peer_token_file), "--peer-token-file"));
  if (!options_.webhook_allow.empty())
    services_.webhooks = std::make_unique<const Webhooks>(
        value_or_fail(Webhooks::parse_allowed(options_.webhook_allow), "--webhook-allow"),
        value_or_fail(read_secret(options_.webhook_secret_file), "--webhook-secret-file"));
  if (!options_.event_hmac_key_file.empty())
    services_.event_hmac_key = value_or_fail(read_secret(options_.event_hmac_key_file), "--event-hmac-key-file");
  auto file_roots = open_file_roots(options_.file_roots);
  open_events();
  arenas_ = make_arenas(services_.placement);
  try {
    start_workers();
    note_fallbacks();
    declare_metrics(services_);
    if (auto started = engine_.start(); !started)
      throw StartFailure{"--spool " + options_.spool_path + ": " + started.error().message()};
    if (!file_roots.empty())
      services_.files =
          std::make_unique<SharedFiles>(std::move(file_roots), SharedFiles::Options{.identity = services_.identity});
    services_.streams = std::make_unique<streams::Streams>(stream_options(options_, services_.placement, arenas_), log_,
                                                           *services_.sources);
    services_.streams->begin(options_.streams);
    open_listeners();
    join_fleet();
  } catch (...) {
    end();
    throw;
  }
}

Application::~Application() { end(); }

void Application::end() {
  if (fleet_) fleet_->stop();
  engine_.drain();
  engine_.stop();
  if (services_.files) services_.files->stop();
  if (services_.streams) services_.streams->stop();
  for (const auto& worker : services_.workers) worker->stop_and_join();
  close_events();
}

void Application::close_events() {
  if (!services_.events) return;
  log_.set_tap(nullptr);
  services_.events->stop();
}

/// Before anything that has something to tell.
void Application::open_events() {
  const auto make_id = [] { return jobs::UlidSource().next(wall_clock_ms()); };
  services_.identity = value_or_fail(node_identity(*disk_, make_id), "--spool " + options_.spool_path);
  telemetry::Bus::Options bus;
  bus.identity = services_.identity;
  bus.node = options_.node_name;
  bus.ring.events_max = options_.event_ring;
  const auto trouble = [this](const std::string& what) {
    log_.once("events-" + what, LogLevel::error, "the spool of events is in trouble", {{"what", what}});
  };
  services_.events = std::make_unique<telemetry::Bus>(bus, wall_clock_ms, disk_.get(), trouble);
  services_.sources = std::make_unique<telemetry::Sources>(*services_.events);
  services_.fleet.listen(
      [this](const FleetSnapshot& before, const FleetSnapshot& now) { services_.sources->fleet(before, now); });
  log_.set_tap(services_.sources.get());
}

void Application::start_workers() {
  const Placement& placement = services_.placement;
  std::shared_ptr<boost::asio::ssl::context> peer_tls;
  if (services_.peers || services_.webhooks)
    peer_tls = value_or_fail(net::http::make_tls_client_context(options_.peer_ca_file), "--peer-ca-file");
  for (std::size_t i = 0; i < placement.workers.size(); ++i) {
    const auto make_handler = [this](Worker& worker) { return std::make_unique<api::Api>(services_, worker); };
    services_.workers.push_back(std::make_unique<Worker>(worker_options(options_, placement, i, peer_tls),
                                                         *arenas_[placement.arena_of(i)], make_handler));
  }
}

void Application::note_fallbacks() {
  for (const auto& worker : services_.workers) {
    const WorkerSnapshot s = worker->published();
    const auto note = [&](std::error_code error, const char* what) {
      const auto known = [&](const Fallback& f) { return f.what == what; };
      if (error && std::ranges::none_of(services_.fallbacks, known))
        services_.fallbacks.push_back({what, error.message()});
    };
    const auto system = [](int error) { return std::error_code(error, std::system_category()); };
    note(system(s.pin_errno), "worker not pinned");
    note(s.register_error, "buffers not registered with the ring");
    note(system(s.pool.numa_bind_errno), "memory not bound to its NUMA node");
    note(system(s.pool.huge_errno), "no explicit huge pages");
  }
  if (!options_.zookeeper.empty() && !services_.peers)
    services_.fallbacks.push_back({"other nodes not asked", "--peer-token-file is not set"});
  for (const Fallback& fallback : services_.fallbacks) tell_fallback(fallback);
}

void Application::tell_fallback(const Fallback& fallback) {
  if (!log_.once(fallback.what, LogLevel::warn, "fallback", {{"what", fallback.what}, {"why", fallback.why}})) return;
  services_.sources->security("fallback", telemetry::Severity::warning, fallback.what,
                              fallback.what + ": " + fallback.why);
}

void Application::open_listeners() {
  using Opened = std::expected<std::unique_ptr<net::http::Listener>, std::error_code>;
  Worker& first = *services_.workers.front();
  const auto on_accept = [this](int fd) { accept(fd); };
  const auto open = [&](const std::string& what, std::move_only_function<Opened()> make) {
    std::promise<Opened> promise;
    auto opened = promise.get_future();
    first.mailbox().complete([&] { promise.set_value(make()); });
    auto listener = value_or_fail(opened.get(), "--listen " + what);
    log_.info("listening", {{"address", what},
                            {"port", listener->port()},
                            {"tls", certificate_.has_value()},
                            {"backend", net::http::io_backend()},
                            {"workers", services_.workers.size()}});
    listeners_.push_back(std::move(listener));
  };
  const auto inherited = value_or_fail(systemd::listen_fds(), "socket activation");
  for (const int fd : inherited)
    open("(socket activation)", [&, fd] { return net::http::Listener::adopt(first.io(), fd, on_accept); });
  if (!inherited.empty()) return;
  for (const ListenAddress& address : options_.listen)
    open(address.text(),
         [&] { return net::http::Listener::open(first.io(), address.address, address.port, on_accept); });
}

/// After the listeners: peers are told a port that is open.
void Application::join_fleet() {
  auto joined = value_or_fail(fleet_options(options_, services_.identity, listeners_.front()->port()), "fleet");
  const std::string& url = joined.settings.self.address;
  if (!options_.zookeeper.empty()) {
    log_.info("joining the fleet",
              {{"zookeeper", options_.zookeeper}, {"root", options_.zookeeper_root}, {"url", url}});
    if (joined.credential.text.empty())
      log_.warn("without --zookeeper-credential-file the fleet's znodes are open to all");
    if (is_loopback_url(url)) log_.warn("other machines cannot reach this node: set --advertise-url", {{"url", url}});
  }
  joined.work.custody.identity = joined.settings.self.identity;
  joined.work.custody.takeover_after = options_.takeover_after;
  joined.work.custody.copies = options_.replicas > 1 && services_.peers != nullptr;
  joined.work.datasets.staged_min = options_.replicas - 1;
  joined.work.datasets.min_nodes = options_.min_nodes;
  joined.work.datasets.ttl = options_.result_ttl;
  const auto make_link = [this](control::Executor& executor) -> std::unique_ptr<PeerLink> {
    if (services_.peers) return std::make_unique<HttpPeers>(services_, executor);
    return std::make_unique<NoPeers>(executor);
  };
  const auto make_caller = [this](control::Executor& executor) -> std::unique_ptr<WebhookCaller> {
    if (services_.webhooks) return std::make_unique<HttpWebhooks>(services_, executor);
    return nullptr;
  };
  const auto make_pump = [this](control::Executor& executor) -> std::unique_ptr<EventPump> {
    if (!services_.peers || options_.zookeeper.empty()) return nullptr;
    return std::make_unique<EventPump>(executor, *services_.events, services_.fleet,
                                       std::make_unique<HttpEvents>(services_, executor), services_.pump_stats);
  };
  fleet_ =
      std::make_unique<Fleet>(std::move(joined), log_, services_.fleet, engine_, make_link, make_caller, make_pump);
  services_.member = fleet_.get();
}

void Application::accept(int fd) {
  const int cpu = services_.workers.size() > 1 ? incoming_cpu(fd) : -1;
  // Fewest bytes in flight first: a hash of the address could put two heavy uploads on one worker. Where several are
  // equal, the one that is nearest to where the packets arrive.
  const auto load = [&](std::size_t i) {
    const Worker& worker = *services_.workers[i];
    return std::tuple(worker.bytes_in_flight(), worker.http_stats().connections_open.get(),
                      services_.placement.distance(i, cpu));
  };
  Worker& worker =
      *services_
           .workers[*std::ranges::min_element(std::views::iota(std::size_t{0}, services_.workers.size()), {}, load)];
  if (worker.adopt(fd, certificate_ ? certificate_->context() : nullptr)) return;
  log_.once("mailbox-full", LogLevel::warn, "connections are refused: the workers do not keep up");
  ::close(fd);
}

bool Application::wait_until(Clock::time_point deadline, const std::function<bool()>& condition) {
  while (!condition()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{mailbox_.fd(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(std::min<long long>(left, 100)));
    mailbox_.drain();
  }
  return true;
}

bool Application::healthy() const {
  return std::ranges::all_of(services_.workers, [](const std::unique_ptr<Worker>& worker) {
    return Clock::now() - worker->published().taken < k_worker_silence_max;
  });
}

void Application::reload_tokens() {
  const api::Auth::PollResult tokens = auth_->poll();
  if (tokens.poll == api::Auth::Poll::reloaded) log_.info("tokens read again", {{"tokens", tokens.tokens}});
  for (const std::string& error : tokens.errors)
    log_.error("the new token file is not usable, the old tokens stay", {{"error", error}});
}

/// Once a day, when there is little time left.
void Application::look_at_expiry() {
  const auto now = Clock::now();
  if (now < expiry_next_) return;
  expiry_next_ = now + k_expiry_every;
  const std::int64_t ends_s = certificate_->ends_s();
  const std::chrono::seconds left(ends_s - wall_clock_ms() / 1'000);
  if (ends_s == 0 || left >= k_expiry_warning) return;
  const bool good = left.count() > 0;
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(left).count();
  const std::string what =
      good ? fmt::format("the certificate expires in {} hours", hours) : "the certificate has expired";
  services_.sources->security("certificate_expiry", good ? telemetry::Severity::warning : telemetry::Severity::error,
                              options_.tls_cert_path, what, {{"hours", hours}});
  log_.warn(what, {{"file", options_.tls_cert_path}});
}

void Application::tick() {
  reload_tokens();
  services_.sources->tick();
  if (services_.files) services_.files->poll();
  if (!certificate_) return;
  look_at_expiry();
  const auto read = certificate_->poll();
  services_.certificate_ends_s = certificate_->ends_s();
  if (!read) {
    log_.error("the new certificate is not usable, the old one stays", {{"error", read.error()}});
  } else if (*read) {
    log_.info("certificate read again");
    expiry_next_ = {};
  }
}

int Application::run() {
  engine_.resume();
  services_.ready = true;
  systemd::ready("serving");
  log_.info("ready", {{"node", options_.node_name}, {"isa", services_.isa}, {"version", HISTOD_VERSION}});
  const auto watchdog = systemd::watchdog_interval();
  const auto pause =
      watchdog ? std::min<std::chrono::microseconds>(*watchdog, k_tick) : std::chrono::microseconds(k_tick);
  while (true) {
    pollfd waiting{signals_.fd(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(pause).count()));
    while (const auto signal = signals_.next()) {
      if (*signal != SIGHUP) {
        log_.info("stopping", {{"signal", *signal}});
        drain();
        return 0;
      }
      systemd::reloading();
      tick();
      systemd::ready("serving");
    }
    tick();
    // A worker that is stuck must not be hidden by a main thread that is not.
    if (watchdog && healthy()) systemd::watchdog();
  }
}

void Application::drain() {
  systemd::stopping("draining");
  services_.draining = true;
  fleet_->leave();
  engine_.drain();
  services_.workers.front()->mailbox().complete([this] {
    for (const auto& listener : listeners_) listener->stop();
  });
  std::size_t left = services_.workers.size();
  for (const auto& worker : services_.workers) worker->drain([this, &left] { mailbox_.complete([&left] { --left; }); });
  const auto all_gone = [&left] { return left == 0; };
  if (!wait_until(Clock::now() + options_.drain_timeout, all_gone)) {
    log_.warn("connections are cut: the drain time is over", {{"workers", left}});
    for (const auto& worker : services_.workers) worker->abort();
    // Work that is in the arena cannot be cut; its answers go nowhere.
    wait_until(Clock::now() + k_abort_grace + options_.job_wall_time, all_gone);
  }
  // Video goes on while requests are answered; those that change streams are among them.
  services_.streams->stop();
  if (services_.files && services_.files->stuck()) {
    // What waits for it is on the disk, and is done again after the next start.
    log_.warn("not waited for: a shared volume does not answer");
    log_.info("stopped");
    close_events();
    std::_Exit(0);
  }
  engine_.stop();
  if (services_.files) services_.files->stop();
  const bool gone = fleet_->stop_within(k_fleet_grace);
  if (!gone) log_.warn("not waited for: ZooKeeper's servers are still being looked up");
  for (const auto& worker : services_.workers) worker->stop_and_join();
  const auto looks_up = [](const auto& worker) { return worker->client_stats().lookups.get() > 0; };
  log_.info("stopped");
  close_events();
  // All that is to last is on the disk, and a resolver cannot be called back.
  if (!gone || std::ranges::any_of(services_.workers, looks_up)) std::_Exit(0);
}

}  // namespace histod::daemon
