// SPDX-License-Identifier: Apache-2.0
#include "daemon/options_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>
#include <utility>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>

namespace histod::daemon {
namespace {

constexpr std::uint64_t k_kib = 1024, k_mib = k_kib * 1024, k_gib = k_mib * 1024, k_tib = k_gib * 1024;
constexpr std::uint64_t k_second = 1000, k_minute = 60 * k_second, k_hour = 60 * k_minute, k_day = 24 * k_hour;

constexpr std::string_view k_general = "General", k_network = "Network", k_fleet = "Fleet",
                           k_limits = "Limits on what comes in", k_jobs = "Jobs and their spool",
                           k_machine = "Threads and memory", k_video = "Live video", k_log = "Logs";

const std::array k_rows = std::to_array<OptionRow>({
    {k_general, "config", &Options::config_path, "FILE", "TOML file with any of these options, without the dashes."},
    {k_general, "token-file", &Options::token_file, "FILE",
     "Bearer tokens, one `ROLE TOKEN [NAME]` a line; ROLE is read, submit, admin, peer or events. Mode 0600. Read "
     "again "
     "when it changes."},
    {k_general, "node-name", &Options::node_name, "NAME",
     "What this node calls itself; each node of a fleet has a name of its own."},
    {k_general, "metrics-public", &Options::metrics_public, "", "Serve /metrics without a token."},
    {k_general, "bench", &Options::bench, "", "For histobench only: serve POST /v1/echo."},

    {k_network, "listen", &Options::listen, "HOST:PORT",
     "Numeric address to listen on, IPv6 in brackets. Repeat it or separate by commas. Port 0 takes a free one."},
    {k_network, "tls-cert", &Options::tls_cert_path, "FILE", "Certificate chain (PEM). With --tls-key: HTTPS."},
    {k_network, "tls-key", &Options::tls_key_path, "FILE", "Private key (PEM)."},
    {k_network, "io", &Options::io, "uring|auto|epoll",
     "I/O back-end. auto: epoll when the kernel refuses io_uring; said once in the log, and a metric."},
    {k_network, "connections", CountMember{&Options::connections}, "N", "Open connections per worker.", 1, 1'000'000},
    {k_network, "header-timeout", &Options::header_timeout, "TIME",
     "From a request's first byte to the end of its header.", 100, k_hour},
    {k_network, "idle-timeout", &Options::idle_timeout, "TIME", "How long a connection may wait for its next request.",
     100, k_day},
    {k_network, "stall-timeout", &Options::stall_timeout, "TIME", "How long a body or a response may make no progress.",
     100, k_hour},
    {k_network, "min-body-rate", BytesMember{&Options::min_body_rate_bytes_per_s}, "SIZE",
     "Least bytes a second of a request's body, on average.", 0, k_gib},
    {k_network, "drain-timeout", &Options::drain_timeout, "TIME", "How long SIGTERM waits for requests in hand.", 0,
     k_hour},
    {k_network, "auth-failures-per-minute", CountMember{&Options::auth_failures_per_minute}, "N",
     "Wrong tokens from one address before it gets 429.", 1, 10'000},

    {k_fleet, "zookeeper", &Options::zookeeper, "HOST:PORT,...",
     "ZooKeeper servers of the fleet. Without any, this node is a fleet of one. Names and credentials travel in the "
     "clear: use a private network or a tunnel."},
    {k_fleet, "zookeeper-root", &Options::zookeeper_root, "PATH", "Under which the fleet has its znodes."},
    {k_fleet, "zookeeper-credential-file", &Options::zookeeper_credential_file, "FILE",
     "One line `user:password`, the same for all nodes; the znodes are then for them alone. Mode 0600."},
    {k_fleet, "zookeeper-session-timeout", &Options::zookeeper_session_timeout, "TIME",
     "After how long without an answer a node counts as gone; the servers may grant another.", k_second, 10 * k_minute},
    {k_fleet, "peer-token-file", &Options::peer_token_file, "FILE",
     "The token by which this node asks the others, one line; their --token-file has it as `peer TOKEN NAME`. Mode "
     "0600."},
    {k_fleet, "peer-ca-file", &Options::peer_ca_file, "FILE",
     "Certificate authorities (PEM) of the other nodes, where they serve HTTPS. Default: the system's."},
    {k_fleet, "advertise-url", &Options::advertise_url, "URL",
     "Where the other nodes reach this one. Default: the first --listen; for all addresses, the host's name."},
    {k_fleet, "replicas", CountMember{&Options::replicas}, "N",
     "How many nodes have a job on their disks before it is accepted, as long as there are as many.", 1, 3},
    {k_fleet, "min-nodes", CountMember{&Options::min_nodes}, "N",
     "With fewer members, the fleet raises an alert and refuses work on datasets.", 1, 10'000},
    {k_fleet, "takeover-after", &Options::takeover_after, "TIME",
     "How long a node is away before others take over its jobs.", k_second, k_day},
    {k_fleet, "webhook-allow", &Options::webhook_allow, "HOST[:PORT],...",
     "Who may be told when a dataset is done, by its option webhook. Without PORT: 80 for http, 443 for https."},
    {k_fleet, "webhook-secret-file", &Options::webhook_secret_file, "FILE",
     "The key of Histod-Signature, by which a receiver knows the fleet; one line, the same for all nodes. Mode 0600."},

    {k_limits, "max-upload-bytes", BytesMember{&Options::max_upload_bytes}, "SIZE", "Length of a request's body.", 1,
     k_tib},
    {k_limits, "max-pixels", CountMember{&Options::max_pixels}, "N", "Pixels of an image, all its pages together.", 1,
     1ull << 40},
    {k_limits, "max-dimension", CountMember{&Options::max_dimension}, "N", "Width and height of an image.", 1,
     1u << 30},
    {k_limits, "max-pages", CountMember{&Options::max_pages}, "N", "Pages of an image.", 1, 1'000'000},
    {k_limits, "max-requests-queued", CountMember{&Options::max_requests_queued}, "N",
     "Requests per worker that wait for a computing thread; one more gets 503.", 1, 1'000'000},

    {k_jobs, "spool", &Options::spool_path, "DIR", "Where accepted jobs and their results are kept."},
    {k_jobs, "spool-budget", BytesMember{&Options::spool_budget_bytes}, "SIZE",
     "What the spool may take; beyond it: 507.", k_mib, 1024 * k_tib},
    {k_jobs, "file-root", &Options::file_roots, "NAME=DIR[:rw]",
     "A directory of a shared volume: requests may name files in it as NAME/PATH instead of sending them, with :rw "
     "have "
     "results written there. No link is followed. Repeat it or separate by commas."},
    {k_jobs, "result-ttl", &Options::result_ttl, "TIME", "How long a finished job is kept.", k_second, 3650 * k_day},
    {k_jobs, "job-wall-time", &Options::job_wall_time, "TIME", "How long one job may compute.", k_second, k_day},
    {k_jobs, "event-ring", CountMember{&Options::event_ring}, "N",
     "Events that this node keeps for whoever comes later, at most 16 MiB of them.", 64, 1'000'000},
    {k_jobs, "event-hmac-key-file", &Options::event_hmac_key_file, "FILE",
     "The key by which Flux signs what it tells (generic-hmac), in place of a token; one line. Mode 0600."},
    {k_jobs, "max-jobs-queued", CountMember{&Options::max_jobs_queued}, "N", "Jobs that wait; one more gets 503.", 1,
     1'000'000},

    {k_machine, "memory-budget", BytesMember{&Options::memory_budget_bytes}, "SIZE",
     "Memory for requests, all workers together. Default: half of what there is, at most 8 GiB.", 64 * k_mib,
     64 * k_tib},
    {k_machine, "workers", CountMember{&Options::workers}, "N",
     "Event loops. 0: a quarter of the CPUs, 1 to 4 per NUMA node.", 0, 1'024},
    {k_machine, "arena-threads", CountMember{&Options::arena_threads}, "N",
     "Computing threads per NUMA node. 0: one for each CPU that is no worker's.", 0, 4'096},
    {k_machine, "pin", &Options::pin, "", "Pin threads to CPUs and memory to NUMA nodes."},
    {k_machine, "isa", &Options::isa, "auto|scalar|avx2", "Instruction set of the kernels."},

    {k_log, "log-format", &Options::log_format, "logfmt|json", "Form of the lines on stderr."},
    {k_log, "log-level", &Options::log_level, "debug|info|warn|error", "Least important lines that are written."},

    {k_video, "stream-cpus", CountMember{&Options::stream_cpus}, "N",
     "CPUs that are kept for live streams, taken from the computing threads: at least one for each [[stream]]; none "
     "with --no-pin.",
     0, 16},
    {k_video, "dpdk", &Options::dpdk, "", "Streams may use DPDK, which starts with the first that does."},
    {k_video, "dpdk-pci", &Options::dpdk_pci, "ADDRESS,...",
     "PCI addresses (0000:3b:02.0) of the devices that DPDK may drive, bound to vfio-pci; virtual ones need none. A "
     "stream's dpdk_port is one of them, or pci0 for the first, pci1 for the second."},
    {k_video, "dpdk-huge-pages", &Options::dpdk_huge_pages, "", "DPDK's packets lie on huge pages."},
    {k_video, "dpdk-memory", BytesMember{&Options::dpdk_memory_bytes}, "SIZE", "Memory for DPDK's packets.", 16 * k_mib,
     64 * k_gib},
});

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array k_byte_units = std::to_array<Unit>({{"B", 1},
                                                         {"KiB", k_kib},
                                                         {"MiB", k_mib},
                                                         {"GiB", k_gib},
                                                         {"TiB", k_tib},
                                                         {"kB", 1'000},
                                                         {"MB", 1'000'000},
                                                         {"GB", 1'000'000'000},
                                                         {"TB", 1'000'000'000'000}});
constexpr std::array k_time_units =
    std::to_array<Unit>({{"ms", 1}, {"s", k_second}, {"min", k_minute}, {"h", k_hour}, {"d", k_day}});

using Error = std::optional<std::string>;
/// What can be wrong with a number depends on what kind it is.
struct NumberKind {
  std::string_view what;
  std::span<const Unit> units;
  bool unit_needed = false;
};
constexpr NumberKind k_count{"a whole number", {}};
constexpr NumberKind k_bytes{"a size such as 512MiB", k_byte_units};
constexpr NumberKind k_time{"a time such as 500ms, 10s, 5min or 24h", k_time_units, true};

Error wrong(const NumberKind& kind, std::string_view text) {
  return fmt::format("must be {}, not \"{}\"", kind.what, text);
}

Error parse_number(std::string_view text, const NumberKind& kind, std::uint64_t& out) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return wrong(kind, text);
  std::string_view unit(end, text.data() + text.size());
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit.empty()) {
    if (kind.unit_needed && number != 0) return wrong(kind, text);
    out = number;
    return {};
  }
  const auto found = std::ranges::find(kind.units, unit, &Unit::name);
  if (found == kind.units.end()) return wrong(kind, text);
  if (__builtin_mul_overflow(number, found->factor, &out)) return fmt::format("\"{}\" is too large", text);
  return {};
}

std::string format_units(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units)
    if (value != 0 && value % unit.factor == 0 && unit.factor > best->factor) best = &unit;
  return fmt::format("{}{}", value / best->factor, best->name);
}

std::string format_as(std::uint64_t value, const NumberKind& kind) {
  if (kind.units.empty()) return fmt::format("{}", value);
  return kind.unit_needed ? format_duration(std::chrono::milliseconds(value)) : format_bytes(value);
}

Error set_number(const OptionRow& row, std::string_view text, const NumberKind& kind, std::uint64_t& out) {
  std::uint64_t number = 0;
  if (auto error = parse_number(text, kind, number)) return error;
  if (number < row.min) return fmt::format("is {}, but at least {} is needed", text, format_as(row.min, kind));
  if (number > row.max) return fmt::format("is {}, but at most {} is allowed", text, format_as(row.max, kind));
  out = number;
  return {};
}

template <class E>
struct Choice {
  std::string_view name;
  E value;
};
constexpr auto choices_of(Io) {
  return std::to_array<Choice<Io>>({{"uring", Io::uring}, {"auto", Io::automatic}, {"epoll", Io::epoll}});
}
constexpr auto choices_of(Isa) {
  return std::to_array<Choice<Isa>>({{"auto", Isa::automatic}, {"scalar", Isa::scalar}, {"avx2", Isa::avx2}});
}
constexpr auto choices_of(LogFormat) {
  return std::to_array<Choice<LogFormat>>({{"logfmt", LogFormat::logfmt}, {"json", LogFormat::json}});
}
constexpr auto choices_of(LogLevel) {
  return std::to_array<Choice<LogLevel>>(
      {{"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warn", LogLevel::warn}, {"error", LogLevel::error}});
}

template <class E>
Error set_choice(const OptionRow& row, std::string_view text, E& out) {
  for (const auto& choice : choices_of(E{})) {
    if (choice.name != text) continue;
    out = choice.value;
    return {};
  }
  return fmt::format("must be one of {}, not \"{}\"", row.value, text);
}

template <class E>
std::string choice_text(E value) {
  for (const auto& choice : choices_of(E{}))
    if (choice.value == value) return std::string(choice.name);
  return {};
}

Error set_bool(std::string_view text, bool& out) {
  const bool yes = text == "true" || text == "1" || text == "yes" || text == "on";
  const bool no = text == "false" || text == "0" || text == "no" || text == "off";
  if (!yes && !no) return fmt::format("must be true or false, not \"{}\"", text);
  out = yes;
  return {};
}

bool is_address(const std::string& text, bool bracketed) {
  in6_addr address{};
  return ::inet_pton(bracketed ? AF_INET6 : AF_INET, text.c_str(), &address) == 1;
}

Error parse_address(std::string_view text, ListenAddress& out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fmt::format("must be HOST:PORT such as 127.0.0.1:8080, not \"{}\"", text);
  const std::string_view port = text.substr(colon + 1);
  std::string host(text.substr(0, colon));
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!is_address(host, bracketed)) {
    return fmt::format("needs a numeric address such as 127.0.0.1:8080 or [::1]:8080, not \"{}\"", text);
  }
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || end != port.data() + port.size()) {
    return fmt::format("needs a port from 0 to 65535, not \"{}\"", text);
  }
  out = {std::move(host), number};
  return {};
}

Error set_listen(std::string_view text, std::vector<ListenAddress>& out) {
  std::vector<ListenAddress> addresses;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string_view part = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    ListenAddress address;
    if (auto error = parse_address(part, address)) return error;
    if (address.port != 0 && std::ranges::find(addresses, address) != addresses.end()) {
      return fmt::format("names {} twice", address.text());
    }
    addresses.push_back(std::move(address));
  }
  if (addresses.empty()) return "needs at least one address";
  out = std::move(addresses);
  return {};
}

std::string listen_text(const std::vector<ListenAddress>& addresses) {
  std::string text;
  for (const ListenAddress& address : addresses) text += (text.empty() ? "" : ",") + address.text();
  return text;
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::span<const OptionRow> option_rows() { return k_rows; }

const OptionRow* find_option(std::string_view name) {
  const auto found = std::ranges::find(k_rows, name, &OptionRow::name);
  return found == k_rows.end() ? nullptr : &*found;
}

std::string variable_name(std::string_view option) {
  std::string name = "HISTOD_";
  for (const char c : option) name += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
  return name;
}

bool is_flag(const OptionRow& row) { return std::holds_alternative<bool Options::*>(row.member); }

std::string format_bytes(std::uint64_t bytes) { return format_units(bytes, std::span(k_byte_units).first(5)); }

std::string format_duration(std::chrono::milliseconds time) {
  return format_units(static_cast<std::uint64_t>(time.count()), k_time_units);
}

std::optional<std::string> set_option(Options& options, const OptionRow& row, std::string_view text) {
  return std::visit(
      [&]<class M>(M member) -> Error {
        if constexpr (std::is_same_v<M, CountMember>) return set_number(row, text, k_count, options.*member.at);
        if constexpr (std::is_same_v<M, BytesMember>) return set_number(row, text, k_bytes, options.*member.at);
        if constexpr (std::is_same_v<M, std::string Options::*>) options.*member = text;
        if constexpr (std::is_same_v<M, bool Options::*>) return set_bool(text, options.*member);
        if constexpr (std::is_same_v<M, std::vector<ListenAddress> Options::*>) {
          return set_listen(text, options.*member);
        }
        if constexpr (std::is_same_v<M, std::chrono::milliseconds Options::*>) {
          std::uint64_t ms = 0;
          if (auto error = set_number(row, text, k_time, ms)) return error;
          options.*member = std::chrono::milliseconds(ms);
        }
        if constexpr (requires { choices_of(options.*member); }) return set_choice(row, text, options.*member);
        return {};
      },
      row.member);
}

std::string option_text(const Options& options, const OptionRow& row) {
  return std::visit(
      [&]<class M>(M member) -> std::string {
        if constexpr (std::is_same_v<M, CountMember>) {
          return fmt::format("{}", options.*member.at);
        } else if constexpr (std::is_same_v<M, BytesMember>) {
          return format_bytes(options.*member.at);
        } else if constexpr (std::is_same_v<M, std::string Options::*>) {
          return options.*member;
        } else if constexpr (std::is_same_v<M, bool Options::*>) {
          return options.*member ? "true" : "false";
        } else if constexpr (std::is_same_v<M, std::vector<ListenAddress> Options::*>) {
          return listen_text(options.*member);
        } else if constexpr (std::is_same_v<M, std::chrono::milliseconds Options::*>) {
          return format_duration(options.*member);
        } else {
          return choice_text(options.*member);
        }
      },
      row.member);
}

std::string option_toml(const Options& options, const OptionRow& row) {
  if (const auto* member = std::get_if<std::vector<ListenAddress> Options::*>(&row.member)) {
    std::string list;
    for (const ListenAddress& address : options.**member) {
      list += (list.empty() ? "" : ", ") + toml_string(address.text());
    }
    return '[' + list + ']';
  }
  const std::string text = option_text(options, row);
  return is_flag(row) || std::holds_alternative<CountMember>(row.member) ? text : toml_string(text);
}

std::string_view nearest_option(std::string_view name) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const OptionRow& row : k_rows) {
    const std::size_t distance = edit_distance(name, row.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = row.name;
    }
  }
  return best;
}

}  // namespace histod::daemon
