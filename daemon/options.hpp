// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/streams/config.hpp"

namespace histod::daemon {

/// A numeric address and a port. An IPv6 address is kept without its brackets.
struct ListenAddress {
  std::string address;
  std::uint16_t port = 0;    ///< 0: the kernel picks one
  std::string text() const;  ///< HOST:PORT, an IPv6 address in brackets
  bool operator==(const ListenAddress&) const = default;
};

enum class Io : std::uint8_t { uring, automatic, epoll };  ///< automatic: io_uring, or epoll when it is refused
enum class Isa : std::uint8_t { automatic, scalar, avx2 };
enum class LogFormat : std::uint8_t { logfmt, json };
enum class LogLevel : std::uint8_t { debug, info, warn, error };

/// Half of the memory that this process may use (RAM, or its cgroup's limit), at most 8 GiB.
std::uint64_t default_memory_budget_bytes();
/// The host's name, with a dash for what a node's name cannot have.
std::string default_node_name();

/// Everything that can be configured. The initialisers are the defaults; names, units, bounds and help are in
/// options_table.cpp.
struct Options {
  std::string config_path;
  std::vector<ListenAddress> listen{{"127.0.0.1", 8080}};
  std::string token_file;
  std::string tls_cert_path, tls_key_path;
  std::string node_name = default_node_name();

  std::string zookeeper;  ///< "host:port,host:port"; empty: the node is alone
  std::string zookeeper_root = "/histod";
  std::string zookeeper_credential_file;
  std::chrono::milliseconds zookeeper_session_timeout{10'000};
  std::string peer_token_file;  ///< empty: this node asks nothing of the others
  std::string peer_ca_file;     ///< empty: the system's authorities
  std::string advertise_url;    ///< empty: by what is listened on
  std::uint64_t min_nodes = 1;
  std::uint64_t replicas = 2;
  std::chrono::milliseconds takeover_after{60'000};
  std::string webhook_allow;  ///< "host,host:port"; empty: nobody is called
  std::string webhook_secret_file;

  std::string spool_path = "histod-spool";
  std::uint64_t spool_budget_bytes = 10ull << 30;
  std::string file_roots;  ///< "NAME=DIR,NAME=DIR:rw"; empty: no images by reference
  std::chrono::milliseconds result_ttl{24 * 3'600'000};
  std::chrono::milliseconds job_wall_time{300'000};
  std::uint64_t max_jobs_queued = 1'000;
  std::uint64_t event_ring = 8'192;  ///< events
  std::string event_hmac_key_file;   ///< empty: events are signed by nobody

  Io io = Io::uring;
  std::uint64_t memory_budget_bytes = default_memory_budget_bytes();
  std::uint64_t workers = 0;        ///< 0: by the topology
  std::uint64_t arena_threads = 0;  ///< per NUMA node; 0: one for each CPU of the arena
  bool pin = true;
  std::uint64_t stream_cpus = 0;  ///< at least one for each of `streams` is kept all the same
  Isa isa = Isa::automatic;

  std::uint64_t max_upload_bytes = 512ull << 20;
  std::uint64_t max_pixels = 256'000'000;
  std::uint64_t max_dimension = 65'535;
  std::uint64_t max_pages = 1'000;
  std::uint64_t max_requests_queued = 256;  ///< per worker

  std::uint64_t connections = 4'096;  ///< per worker
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds stall_timeout{10'000};
  std::uint64_t min_body_rate_bytes_per_s = 64 * 1024;
  std::chrono::milliseconds drain_timeout{30'000};
  std::uint64_t auth_failures_per_minute = 10;  ///< per peer address
  bool metrics_public = true;
  bool bench = false;

  bool dpdk = false;
  std::string dpdk_pci;  ///< "0000:03:00.0,..."; empty: virtual devices only
  bool dpdk_huge_pages = true;
  std::uint64_t dpdk_memory_bytes = 256ull << 20;
  std::vector<streams::StreamConfig> streams;  ///< [[stream]] tables of the configuration file, which alone has them

  LogFormat log_format = LogFormat::logfmt;
  LogLevel log_level = LogLevel::info;
};

enum class Action : std::uint8_t { run, help, version, print_config, check };

struct ParsedOptions {
  Options options;
  Action action = Action::run;
  std::map<std::string, std::string>
      origins;                        ///< option -> where its value came from; options left alone are not in it
  std::vector<std::string> warnings;  ///< HISTOD_* variables that mean nothing to us
};

using Environment = std::map<std::string, std::string>;
Environment environment_of(char** environ);

/// `args` is the command line without the program's name. Flags beat the environment, which beats the file that
/// --config (or HISTOD_CONFIG) names. On failure every error there is, one sentence each.
std::expected<ParsedOptions, std::vector<std::string>> parse_options(std::span<const std::string> args,
                                                                     const Environment& environment);
std::string help_text();
/// A TOML file with every option, and where its value came from as a comment. parse_options() takes it back.
std::string print_config(const ParsedOptions& parsed);

}  // namespace histod::daemon
