// SPDX-License-Identifier: Apache-2.0
#include "daemon/node_metrics.hpp"

#include <string>

#include "daemon/api/api.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "daemon/process_metrics.hpp"
#include "daemon/worker.hpp"
#include "net/http/server.hpp"

namespace histod::daemon {

namespace {

using Emit = Metrics::Emit;
using HttpCounter = net::Counter net::http::Stats::*;

Metrics::Labels worker_label(const Worker& worker) { return {{"worker", std::to_string(worker.index())}}; }

/// One sample for each worker, of what its HTTP side counts.
void http_counter(Services& s, const char* name, const char* help, HttpCounter counter) {
  s.metrics.counter(name, help, [&s, counter](const Emit& emit) {
    for (const auto& worker : s.workers)
      emit(worker_label(*worker), static_cast<double>((worker->http_stats().*counter).get()));
  });
}

/// One sample for each worker, of its latest snapshot.
template <class Value>
auto per_worker(Services& s, Value value) {
  return [&s, value](const Emit& emit) {
    for (const auto& worker : s.workers) emit(worker_label(*worker), static_cast<double>(value(worker->published())));
  };
}

MetricHistogram::Snapshot seconds_of(const net::http::Durations& durations) {
  MetricHistogram::Snapshot out;
  for (const std::uint64_t ns : durations.k_bounds_ns) out.bounds.push_back(static_cast<double>(ns) / 1e9);
  for (const net::Counter& count : durations.counts) out.counts.push_back(count.get());
  out.sum = static_cast<double>(durations.sum_ns.get()) / 1e9;
  return out;
}

void declare_durations(Services& s) {
  s.metrics.histogram("histod_request_duration_seconds",
                      "Time from a request's first byte received to its answer's last byte sent, by kind of request.",
                      [&s](const Metrics::EmitHistogram& emit) {
                        for (std::size_t kind = 0; kind < api::k_request_kind_names.size(); ++kind) {
                          auto sum = seconds_of(net::http::Durations());
                          for (const auto& worker : s.workers)
                            sum.merge(seconds_of(worker->http_stats().durations[kind]));
                          emit({{"kind", api::k_request_kind_names[kind]}}, sum);
                        }
                      });
  s.metrics.histogram("histod_job_duration_seconds",
                      "Time from a job's submission to its end, of jobs that are no images of a dataset.",
                      [&s](const Metrics::EmitHistogram& emit) { emit({}, s.engine.durations()); });
}

void declare_http(Services& s) {
  using Stats = net::http::Stats;
  http_counter(s, "histod_http_connections_opened_total", "Connections accepted.", &Stats::connections_opened);
  http_counter(s, "histod_http_connections_refused_total", "Connections over the cap, answered 503.",
               &Stats::connections_refused);
  http_counter(s, "histod_http_requests_total", "Requests whose header section was read.", &Stats::requests);
  http_counter(s, "histod_http_guard_refusals_total", "Requests that the header guard refused.",
               &Stats::guard_refusals);
  http_counter(s, "histod_http_received_bytes_total", "Bytes received.", &Stats::received_bytes);
  http_counter(s, "histod_http_sent_bytes_total", "Bytes sent.", &Stats::sent_bytes);
  http_counter(s, "histod_http_copied_bytes_total", "Payload bytes copied in user space.", &Stats::copied_bytes);
  http_counter(s, "histod_http_memory_waits_total", "Bodies that waited for memory.", &Stats::memory_waits);
  http_counter(s, "histod_http_accept_pauses_total", "Pauses of accepting, for want of descriptors or memory.",
               &Stats::accept_pauses);
  http_counter(s, "histod_tls_failures_total", "TLS handshakes that failed.", &Stats::tls_failures);
  s.metrics.gauge("histod_http_in_flight_bytes", "Bytes of bodies and answers that are under way.",
                  [&s](const Emit& emit) {
                    for (const auto& worker : s.workers)
                      emit(worker_label(*worker), static_cast<double>(worker->bytes_in_flight()));
                  });
  s.metrics.gauge("histod_http_connections_open", "Connections open now.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers)
      emit(worker_label(*worker), static_cast<double>(worker->http_stats().connections_open.get()));
  });
  s.metrics.gauge("histod_websockets_open", "WebSockets open now.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers)
      emit(worker_label(*worker), static_cast<double>(worker->http_stats().websockets_open.get()));
  });
  s.metrics.counter("histod_websockets_closed_total", "WebSockets that have ended, by how.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers) {
      const std::string index = std::to_string(worker->index());
      for (std::size_t end = 0; end < net::http::k_websocket_ends; ++end) {
        const auto name = net::http::websocket_end_name(static_cast<net::http::WebSocketEnd>(end));
        emit({{"worker", index}, {"how", std::string(name)}},
             static_cast<double>(worker->http_stats().websockets_closed[end].get()));
      }
    }
  });
  s.metrics.counter("histod_http_responses_total", "Responses by class of status.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers) {
      const Stats& stats = worker->http_stats();
      const std::string index = std::to_string(worker->index());
      emit({{"worker", index}, {"class", "2xx"}}, static_cast<double>(stats.responses_2xx.get()));
      emit({{"worker", index}, {"class", "4xx"}}, static_cast<double>(stats.responses_4xx.get()));
      emit({{"worker", index}, {"class", "5xx"}}, static_cast<double>(stats.responses_5xx.get()));
    }
  });
  s.metrics.counter("histod_http_timeouts_total", "Connections ended for slowness, by phase.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers) {
      const Stats& stats = worker->http_stats();
      const std::string index = std::to_string(worker->index());
      emit({{"worker", index}, {"phase", "header"}}, static_cast<double>(stats.timeouts_header.get()));
      emit({{"worker", index}, {"phase", "body"}}, static_cast<double>(stats.timeouts_body.get()));
      emit({{"worker", index}, {"phase", "write"}}, static_cast<double>(stats.timeouts_write.get()));
    }
  });
}

void declare_peers(Services& s) {
  using Stats = net::http::ClientStats;
  using Counter = net::Counter Stats::*;
  Metrics& m = s.metrics;
  const auto each = [&s](Counter counter) {
    return [&s, counter](const Emit& emit) {
      for (const auto& worker : s.workers)
        emit(worker_label(*worker), static_cast<double>((worker->client_stats().*counter).get()));
    };
  };
  m.counter("histod_peer_requests_total", "Requests to other nodes.", each(&Stats::requests));
  m.counter("histod_peer_answers_total", "Whole answers of other nodes, whatever their status.", each(&Stats::answers));
  m.counter("histod_peer_retries_total", "Requests to other nodes that were sent again, on a fresh connection.",
            each(&Stats::retries));
  m.counter("histod_peer_connections_opened_total", "Connections to other nodes.", each(&Stats::connections));
  m.counter("histod_peer_connections_reused_total", "Requests to other nodes on a connection that waited.",
            each(&Stats::reused));
  m.counter("histod_peer_received_bytes_total", "Bytes received from other nodes.", each(&Stats::received_bytes));
  m.counter("histod_peer_sent_bytes_total", "Bytes sent to other nodes.", each(&Stats::sent_bytes));
  m.counter("histod_peer_copied_bytes_total", "Payload bytes from other nodes copied in user space.",
            each(&Stats::copied_bytes));
  m.gauge("histod_peer_requests_in_flight", "Requests to other nodes that are not answered yet.",
          each(&Stats::in_flight));
  m.gauge("histod_peer_connections_idle", "Connections to other nodes that wait.", each(&Stats::idle));
  m.counter("histod_peer_errors_total", "Requests to other nodes that failed, by kind.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers) {
      const auto& errors = worker->client_stats().errors;
      for (std::size_t kind = 0; kind < errors.size(); ++kind)
        emit({{"worker", std::to_string(worker->index())},
              {"kind", std::string(net::http::kind_name(static_cast<net::http::PeerError::Kind>(kind)))}},
             static_cast<double>(errors[kind].get()));
    }
  });
}

void declare_copies(Services& s) {
  Metrics& m = s.metrics;
  const auto value = [&s](std::atomic<std::uint64_t> CopyStats::* which) {
    return std::function<double()>([&s, which] { return static_cast<double>((s.copies.*which).load()); });
  };
  m.counter("histod_copies_sent_total", "Copies of jobs that other nodes have taken.", value(&CopyStats::kept));
  m.counter("histod_copies_failed_total", "Times that a node has not taken a copy.", value(&CopyStats::failed));
  m.counter("histod_copies_missing_total", "Jobs not accepted because too few nodes have taken a copy.",
            value(&CopyStats::refused));
  m.counter("histod_copies_unreleased_total", "Times that a node has not said that it drops a copy of a removed job.",
            value(&CopyStats::unreleased));
  m.counter("histod_idempotency_elsewhere_total", "Requests whose Idempotency-Key is that of another node's job.",
            value(&CopyStats::keys_elsewhere));
  m.counter("histod_idempotency_unsure_total",
            "Jobs accepted though a node did not say whether it has one with the same Idempotency-Key.",
            value(&CopyStats::keys_unsure));
  m.counter("histod_copies_sent_bytes_total", "Bytes of images and masks in the copies taken.",
            value(&CopyStats::bytes));
  m.counter("histod_copy_seconds_total", "Time spent on sending copies of jobs.",
            std::function<double()>([&s] { return static_cast<double>(s.copies.ns.load()) / 1e9; }));
  m.counter("histod_security_events_total",
            "Attempts at what is for others; peer: at what nodes ask each other, znode: znodes that are not as nodes "
            "make them.",
            [&s](const Emit& emit) {
              emit({{"kind", "peer"}}, static_cast<double>(s.peer_intrusions.load()));
              emit({{"kind", "znode"}}, static_cast<double>(s.fleet.read()->intrusions));
            });
}

void declare_spread(Services& s) {
  Metrics& m = s.metrics;
  const auto value = [&s](std::atomic<std::uint64_t> SpreadStats::* which) {
    return std::function<double()>([&s, which] { return static_cast<double>((s.spread.*which).load()); });
  };
  m.counter("histod_spread_images_total", "Images whose rows were spread over nodes.", value(&SpreadStats::images));
  m.gauge("histod_spread_images_under_way", "Images whose rows other nodes have now.", value(&SpreadStats::under_way));
  m.counter("histod_spread_parts_sent_total", "Parts of images that other nodes have counted or mapped.",
            value(&SpreadStats::sent));
  m.counter("histod_spread_parts_sent_bytes_total", "Bytes of rows and counts that went for them, there and back.",
            value(&SpreadStats::sent_bytes));
  m.counter("histod_spread_parts_received_total", "Parts of other nodes' images that were counted or mapped here.",
            value(&SpreadStats::received));
  m.counter("histod_spread_parts_received_bytes_total", "Bytes of rows in them.", value(&SpreadStats::received_bytes));
  m.counter("histod_spread_parts_redone_total", "Parts that were done again elsewhere, or here, by reason.",
            [&s](const Emit& emit) {
              for (std::size_t i = 0; i < SpreadStats::k_redone_names.size(); ++i)
                emit({{"reason", SpreadStats::k_redone_names[i]}}, static_cast<double>(s.spread.redone[i].load()));
            });
}

void declare_webhooks(Services& s) {
  Metrics& m = s.metrics;
  const auto value = [&s](std::atomic<std::uint64_t> WebhookStats::* which) {
    return std::function<double()>([&s, which] { return static_cast<double>((s.webhook_stats.*which).load()); });
  };
  m.counter("histod_webhooks_sent_total", "Receivers that took the word that a dataset is done.",
            value(&WebhookStats::sent));
  m.counter("histod_webhooks_failed_total", "Times that a receiver did not take it; it is tried again.",
            value(&WebhookStats::failed));
}

void declare_images(Services& s) {
  Metrics& m = s.metrics;
  m.counter("histod_images_processed_total", "Images processed.",
            per_worker(s, [](const WorkerSnapshot& w) { return w.pipeline.images; }));
  m.counter("histod_image_failures_total", "Images refused for what they are.",
            per_worker(s, [](const WorkerSnapshot& w) { return w.pipeline.failures; }));
  m.counter("histod_images_busy_total", "Images refused for want of room or memory.",
            per_worker(s, [](const WorkerSnapshot& w) { return w.pipeline.busy; }));
  m.counter("histod_pixels_total", "Pixels processed.",
            per_worker(s, [](const WorkerSnapshot& w) { return w.pipeline.pixels; }));
  m.counter("histod_image_seconds_total", "Time spent on images, by step.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers) {
      const Timings spent = worker->published().pipeline.spent;
      const auto step = [&](const char* name, std::uint64_t ns) {
        emit({{"worker", std::to_string(worker->index())}, {"step", name}}, static_cast<double>(ns) / 1e9);
      };
      step("wait", spent.wait_ns);
      step("decode", spent.decode_ns);
      step("histogram", spent.count_ns);
      step("lut", spent.rule_ns);
      step("apply", spent.apply_ns);
      step("encode", spent.encode_ns);
    }
  });
  m.counter("histod_images_memory_waits_total", "Images that waited for memory.",
            per_worker(s, [](const WorkerSnapshot& w) { return w.pipeline.memory_waits; }));
  m.gauge("histod_queue_depth", "Images in hand, and of those the ones that wait for memory.", [&s](const Emit& emit) {
    for (const auto& worker : s.workers) {
      const WorkerSnapshot now = worker->published();
      const std::string index = std::to_string(worker->index());
      emit({{"worker", index}, {"queue", "images"}}, static_cast<double>(now.images_in_hand));
      emit({{"worker", index}, {"queue", "memory"}}, static_cast<double>(now.images_waiting));
    }
  });
  m.gauge("histod_queue_depth_max", "With as many images in hand a worker refuses more.",
          std::function<double()>([&s] { return static_cast<double>(s.options.max_requests_queued); }));
  m.gauge("histod_pool_leased_bytes", "Bytes of the pool that are leased.",
          per_worker(s, [](const WorkerSnapshot& w) { return w.pool.leased_bytes; }));
  m.gauge("histod_pool_budget_bytes", "Bytes that may be leased at one time.",
          per_worker(s, [](const WorkerSnapshot& w) { return w.pool.budget_bytes; }));
  m.gauge("histod_pool_leased_peak_bytes", "The most bytes that were leased at one time.",
          per_worker(s, [](const WorkerSnapshot& w) { return w.pool.leased_bytes_max; }));
  m.gauge("histod_pool_input_bytes", "Leased bytes that hold bodies and the files of jobs.",
          per_worker(s, [](const WorkerSnapshot& w) { return w.pool.input_bytes; }));
  m.counter("histod_pool_refusals_total", "Leases that did not fit.",
            per_worker(s, [](const WorkerSnapshot& w) { return w.pool.refusals; }));
}

void declare_jobs(Services& s) {
  Metrics& m = s.metrics;
  m.gauge("histod_jobs", "Jobs by state.", [&s](const Emit& emit) {
    const auto counts = s.engine.counts();
    emit({{"state", "queued"}}, static_cast<double>(counts.queued));
    emit({{"state", "running"}}, static_cast<double>(counts.running));
    emit({{"state", "done"}}, static_cast<double>(counts.done));
    emit({{"state", "failed"}}, static_cast<double>(counts.failed));
    emit({{"state", "counted"}}, static_cast<double>(counts.counted));
  });
  const auto count = [&s](std::uint64_t jobs::Engine::Counts::* which) {
    return [&s, which] { return static_cast<double>(s.engine.counts().*which); };
  };
  using Counts = jobs::Engine::Counts;
  m.counter("histod_jobs_submitted_total", "Jobs accepted.", std::function<double()>(count(&Counts::submitted)));
  m.counter("histod_jobs_replayed_total", "Submissions answered with an earlier job.",
            std::function<double()>(count(&Counts::replayed)));
  m.counter("histod_jobs_recovered_total", "Jobs found unfinished at the start.",
            std::function<double()>(count(&Counts::recovered)));
  m.counter("histod_jobs_quarantined_total", "Jobs whose files were broken, put aside at the start.",
            std::function<double()>(count(&Counts::quarantined)));
  m.gauge("histod_datasets", "Datasets that this node has a part of.",
          std::function<double()>(count(&Counts::datasets)));
  m.counter("histod_jobs_expired_total", "Jobs removed at the end of their time.",
            std::function<double()>(count(&Counts::expired)));
  m.gauge("histod_job_copies", "Copies of other nodes' jobs that are kept here.",
          std::function<double()>(count(&Counts::copies)));
  m.counter("histod_jobs_adopted_total", "Jobs of a lost node that were taken over.",
            std::function<double()>(count(&Counts::adopted)));
  m.counter("histod_jobs_disowned_total", "Jobs that another node had taken over, dropped here.",
            std::function<double()>(count(&Counts::disowned)));
  m.counter("histod_spool_errors_total", "Failures of the spool's disk.",
            std::function<double()>(count(&Counts::disk_errors)));
  m.gauge("histod_spool_bytes", "Bytes in the spool.",
          std::function<double()>([&s] { return static_cast<double>(s.engine.usage().bytes); }));
  m.gauge("histod_spool_budget_bytes", "Bytes that the spool may hold.",
          std::function<double()>([&s] { return static_cast<double>(s.engine.usage().budget_bytes); }));
}

void declare_node(Services& s) {
  Metrics& m = s.metrics;
  m.info("histod_build_info", "Always 1; the labels say what runs.", [&s] {
    return Metrics::Labels{{"version", HISTOD_VERSION},
                           {"backend", net::http::io_backend()},
                           {"isa", s.isa},
                           {"node", s.options.node_name}};
  });
  m.gauge("histod_iouring_enabled", "1 when io_uring carries the bytes, 0 when epoll does.",
          std::function<double()>([] { return net::http::io_backend() == std::string_view("io_uring") ? 1.0 : 0.0; }));
  m.gauge("histod_iouring_buffers_registered", "1 when the worker's buffers are registered with its ring.",
          per_worker(s, [](const WorkerSnapshot& w) { return w.buffers_registered ? 1 : 0; }));
  m.gauge("histod_fallback", "1 for each thing that runs in another way than it should.", [&s](const Emit& emit) {
    for (const Fallback& fallback : s.fallbacks) emit({{"what", fallback.what}}, 1);
    if (!s.streams) return;
    for (const Fallback& fallback : s.streams->fallbacks()) emit({{"what", fallback.what}}, 1);
  });
  m.gauge("histod_ready", "1 when the node takes work.",
          std::function<double()>([&s] { return s.ready && !s.draining ? 1.0 : 0.0; }));
  m.gauge("histod_uptime_seconds", "Time since the start.", std::function<double()>([&s] {
            return std::chrono::duration<double>(std::chrono::steady_clock::now() - s.started).count();
          }));
  m.gauge("histod_certificate_expiry_timestamp_seconds", "When the certificate that is served ends, since 1970.",
          [&s](const Emit& emit) {
            if (s.certificate_ends_s != 0) emit({}, static_cast<double>(s.certificate_ends_s));
          });
  m.counter("histod_auth_checks_total", "Authorisations by outcome.", [&s](const Emit& emit) {
    const auto counts = s.auth.counts();
    emit({{"outcome", "granted"}}, static_cast<double>(counts.granted));
    emit({{"outcome", "missing"}}, static_cast<double>(counts.missing));
    emit({{"outcome", "wrong"}}, static_cast<double>(counts.wrong));
    emit({{"outcome", "forbidden"}}, static_cast<double>(counts.forbidden));
    emit({{"outcome", "limited"}}, static_cast<double>(counts.limited));
  });
}

void declare_fleet(Services& s) {
  Metrics& m = s.metrics;
  const auto value = [&s](auto pick) {
    return std::function<double()>([&s, pick] { return static_cast<double>(pick(*s.fleet.read())); });
  };
  using Fleet = const FleetSnapshot&;
  m.state_set("histod_zookeeper_session_state",
              "1 for the state that the session with ZooKeeper is in, 0 for the others.",
              [&s](const Metrics::EmitState& emit) {
                using enum control::SessionState;
                const auto fleet = s.fleet.read();
                for (const auto state : {connecting, connected, suspended, lost})
                  emit(control::state_name(state), fleet->state == state);
              });
  m.gauge("histod_zookeeper_servers", "ZooKeeper's servers that this node was given; 0: it is alone.",
          value([](Fleet f) { return f.servers.size(); }));
  m.counter("histod_zookeeper_session_losses_total", "Sessions with ZooKeeper that ended before they were ended.",
            value([](Fleet f) { return f.sessions.losses; }));
  m.counter("histod_zookeeper_suspensions_total", "Times that ZooKeeper did not answer within a session.",
            value([](Fleet f) { return f.sessions.suspensions; }));
  m.gauge("histod_fleet_members", "Members of the fleet, as this node sees it.",
          value([](Fleet f) { return f.members.size(); }));
  m.gauge("histod_fleet_members_min", "With fewer members there is an alert.",
          value([](Fleet f) { return f.min_nodes; }));
  m.gauge("histod_fleet_member", "1 when this node is a member of the fleet.",
          value([](Fleet f) { return f.registered ? 1 : 0; }));
  m.gauge("histod_fleet_troubled", "1 when this node cannot be in session, or no member: /v1/cluster says why.",
          value([](Fleet f) { return f.trouble.empty() ? 0 : 1; }));
  m.gauge("histod_fleet_intruders", "Znodes that are not as nodes make them, now; the leader looks for them.",
          value([](Fleet f) { return f.intruders.size(); }));
  m.gauge("histod_fleet_leader", "1 when this node leads the fleet.", value([](Fleet f) { return f.leads ? 1 : 0; }));
  m.gauge("histod_fleet_epoch", "How many leaders the fleet has had.", value([](Fleet f) { return f.epoch; }));
  m.counter("histod_fleet_elections_total", "Elections that this node has won; all nodes' sum is the fleet's.",
            value([](Fleet f) { return f.elections; }));
}

}  // namespace

void declare_metrics(Services& services) {
  declare_process_metrics(services.metrics);
  declare_node(services);
  declare_durations(services);
  declare_http(services);
  declare_peers(services);
  declare_copies(services);
  declare_spread(services);
  declare_webhooks(services);
  declare_images(services);
  declare_jobs(services);
  declare_fleet(services);
  declare_event_metrics(services);
  declare_stream_metrics(services);
}

}  // namespace histod::daemon
