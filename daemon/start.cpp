// SPDX-License-Identifier: Apache-2.0
#include "daemon/start.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <unistd.h>

#include "compute/kernels.hpp"
#include "daemon/application.hpp"
#include "daemon/options.hpp"
#include "daemon/preflight.hpp"
#include "daemon/reexec.hpp"
#include "net/http/server.hpp"
#include "net/uring_probe.hpp"

namespace histod::daemon {

namespace {

int complain(const std::string& what) {
  fmt::print(stderr, "histod: {}\n", what);
  return 1;
}

/// The ring of each worker's event loop.
std::error_code probe_rings(const Options& options) {
  const auto topology = read_topology();
  return net::probe_io_uring(topology ? place(*topology, placement_options(options)).workers.size() : 1);
}

Probes probes(const Options& options) {
  Probes out;
  out.uring = [&options] { return probe_rings(options); };
  out.arena_pin_failures = [] {
    const auto topology = read_topology();
    if (!topology) return std::uint64_t{0};
    const std::vector<int> cpus = topology->nodes.front().cpus();
    compute::Arena arena({cpus, 0});
    arena.parallel_for(64, 1, [](std::size_t, std::size_t) {});
    return arena.pin_failures();
  };
  return out;
}

int check(const Options& options) {
  const std::vector<Check> checks = run_preflight(options, probes(options));
  fmt::print("{}", format_checks(checks));
  return worst(checks) == CheckState::fail ? 1 : 0;
}

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::automatic:
      break;
  }
  return "";
}

/// Whether this build is the one to run, after the kernel was asked. Returns the reason to run the other one instead.
std::string reason_for_epoll(const Options& options, bool& give_up) {
  give_up = false;
  if (options.io == Io::epoll) return "asked for by --io=epoll";
  const std::error_code refused = probe_rings(options);
  if (!refused) return {};
  give_up = options.io == Io::uring;
  return fmt::format("io_uring is refused: {} ({})", refused.message(), uring_cure(refused));
}

int serve(const Options& options, char** argv) {
  std::vector<Fallback> fallbacks;
  if (std::string_view(net::http::io_backend()) == "io_uring") {
    bool give_up = false;
    const std::string reason = reason_for_epoll(options, give_up);
    if (give_up) return complain(reason + "; or run with --io=auto to allow epoll");
    if (!reason.empty()) {
      const std::string sibling = epoll_sibling_path();
      const std::error_code failed = exec_fallback(sibling, argv, reason);
      return complain(fmt::format("{}, and {} cannot be run instead: {}", reason, sibling, failed.message()));
    }
  } else if (const auto reason = fallback_reason(); reason && options.io != Io::epoll) {
    fallbacks.push_back({"epoll instead of io_uring", *reason});
  }
  const auto kernels = compute::select_kernels(isa_name(options.isa));
  if (!kernels) return complain("--isa: " + kernels.error().detail);
  compute::set_kernels(**kernels);
  Application application(options, std::string((*kernels)->isa), std::move(fallbacks));
  return application.run();
}

}  // namespace

int start(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  const auto parsed = parse_options(args, environment_of(environ));
  if (!parsed) {
    for (const std::string& error : parsed.error()) complain(error);
    return 2;
  }
  for (const std::string& warning : parsed->warnings) complain(warning);
  try {
    switch (parsed->action) {
      case Action::help:
        fmt::print("{}", help_text());
        return 0;
      case Action::version:
        fmt::print("histod {} ({})\n", HISTOD_VERSION, net::http::io_backend());
        return 0;
      case Action::print_config:
        fmt::print("{}", print_config(*parsed));
        return 0;
      case Action::check:
        return check(parsed->options);
      case Action::run:
        break;
    }
    return serve(parsed->options, argv);
  } catch (const Application::StartFailure& failure) {
    return complain(failure.what);
  } catch (const std::exception& failure) {
    return complain(failure.what());
  }
}

}  // namespace histod::daemon
