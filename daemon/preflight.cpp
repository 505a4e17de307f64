// SPDX-License-Identifier: Apache-2.0
#include "daemon/preflight.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/capability.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "control/credential.hpp"
#include "daemon/api/auth.hpp"
#include "daemon/file_root.hpp"
#include "daemon/fleet_options.hpp"
#include "daemon/options_table.hpp"

namespace histod::daemon {
namespace {

constexpr std::uint64_t k_resident_bytes = 64ull << 20;  ///< registered memory of one worker
constexpr std::uint64_t k_huge_page_bytes = 2ull << 20;
constexpr std::int64_t k_plausible_ms = 1'735'689'600'000;  ///< 2025-01-01: no clock that is right is before it

Check ok(std::string name, std::string what) { return {std::move(name), CheckState::ok, std::move(what), {}}; }
Check warn(std::string name, std::string what, std::string cure) {
  return {std::move(name), CheckState::warn, std::move(what), std::move(cure)};
}
Check fail(std::string name, std::string what, std::string cure) {
  return {std::move(name), CheckState::fail, std::move(what), std::move(cure)};
}

std::string reason(int error) { return std::error_code(error, std::system_category()).message(); }

/// The path as a shell takes it.
std::string shell_quoted(const std::string& path) {
  std::string out = "'";
  for (const char c : path) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + '\'';
}

bool may_lock_memory() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  return ::syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << CAP_IPC_LOCK)) != 0;
}

std::optional<std::uint64_t> memlock_limit() {
  rlimit limit{};
  if (may_lock_memory() || ::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  return limit.rlim_cur;
}

std::uint64_t free_huge_pages() {
  std::uint64_t pages = 0;
  std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >> pages;
  return pages;
}

Check check_open_files(std::uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return ok("open-files", "the limit of open files cannot be read");
  return judge_open_files(limit.rlim_cur, wanted);
}

Check check_clock() {
  timex state{};
  const int clock = ::adjtimex(&state);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  // Where the call is not allowed, nobody knows, and the host is trusted.
  return judge_clock(std::chrono::duration_cast<std::chrono::milliseconds>(now).count(), clock != TIME_ERROR);
}

/// Writes and syncs a file that is gone afterwards. 0, or the errno.
int probe_directory(const std::string& path) {
  std::string name = path + "/.histod-probe-XXXXXX";
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return errno;
  int error = ::write(fd, "x", 1) == 1 && ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (::unlink(name.c_str()) != 0 && error == 0) error = errno;
  return error;
}

std::string openssl_reason() {
  char text[256] = "no reason given";
  if (const unsigned long error = ::ERR_get_error(); error != 0) ::ERR_error_string_n(error, text, sizeof text);
  ::ERR_clear_error();
  return text;
}

int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

std::string uring_cure(std::error_code error) {
  switch (error.value()) {
    case ENOSYS:
      return "run Linux 6.1 or later and, in a container, allow io_uring_setup, io_uring_enter and io_uring_register "
             "in "
             "its seccomp profile; or --io=auto";
    case EACCES:
    case EPERM: {
      int disabled = 0;
      const bool has_sysctl = bool(std::ifstream("/proc/sys/kernel/io_uring_disabled") >> disabled);
      if (has_sysctl && disabled != 0) return "sysctl -w kernel.io_uring_disabled=0";
      return "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile, or "
             "--io=auto";
    }
    case ENOMEM:
      return "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)";
    case EMFILE:
    case ENFILE:
      return "ulimit -n 65536 (systemd: LimitNOFILE=65536)";
    default:
      return "use the other back-end: --io=auto";
  }
}

Check judge_uring(std::error_code error, Io io) {
  if (io == Io::epoll) return ok("io_uring", "io_uring is not used: --io=epoll");
  if (!error) return ok("io_uring", "io_uring works");
  if (io == Io::automatic) {
    return warn("io_uring", fmt::format("io_uring is refused ({}), and --io=auto falls back to epoll", error.message()),
                uring_cure(error));
  }
  return fail("io_uring", fmt::format("io_uring is refused ({})", error.message()), uring_cure(error));
}

Check judge_memlock(std::optional<std::uint64_t> limit_bytes, std::uint64_t wanted_bytes) {
  if (!limit_bytes) return ok("memlock", "any amount of memory may be locked");
  if (*limit_bytes >= wanted_bytes) return ok("memlock", fmt::format("{} may be locked", format_bytes(*limit_bytes)));
  return warn("memlock",
              fmt::format("{} may be locked, but {} are wanted, so buffers are not registered with the ring",
                          format_bytes(*limit_bytes), format_bytes(wanted_bytes)),
              "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)");
}

Check judge_huge_pages(std::uint64_t free_pages_2m, std::uint64_t wanted_pages) {
  if (free_pages_2m >= wanted_pages) return ok("huge-pages", fmt::format("{} pages of 2 MiB are free", free_pages_2m));
  return warn(
      "huge-pages",
      fmt::format("{} pages of 2 MiB are free, but {} are wanted, so smaller pages serve", free_pages_2m, wanted_pages),
      fmt::format("sysctl -w vm.nr_overcommit_hugepages={}", wanted_pages));
}

Check judge_open_files(std::uint64_t soft_limit, std::uint64_t wanted) {
  if (soft_limit >= wanted) return ok("open-files", fmt::format("{} files may be open", soft_limit));
  return warn("open-files",
              fmt::format("{} files may be open, but {} are wanted for all connections", soft_limit, wanted),
              fmt::format("ulimit -n {} (systemd: LimitNOFILE={})", wanted, wanted));
}

Check judge_clock(std::int64_t now_ms, bool synchronised) {
  if (now_ms < k_plausible_ms) {
    return warn("clock", "the clock is before 2025, so times of jobs are wrong", "timedatectl set-ntp true");
  }
  if (!synchronised) return warn("clock", "the clock is not synchronised", "timedatectl set-ntp true");
  return ok("clock", "the clock is plausible");
}

Check judge_pinning(std::uint64_t failures) {
  if (failures == 0) return ok("pinning", "computing threads run on their CPUs");
  return warn("pinning", fmt::format("{} computing threads could not be pinned to their CPUs", failures),
              "taskset -pc $(pidof histod), and compare with --print-config; or run with --no-pin");
}

Check judge_free_space(std::uint64_t free_bytes, std::uint64_t budget_bytes, const std::string& path) {
  const std::uint64_t free_mib = free_bytes & ~((1ull << 20) - 1);
  if (free_bytes >= budget_bytes)
    return ok("spool-space", fmt::format("the spool has {} free", format_bytes(free_mib)));
  return warn("spool-space",
              fmt::format("{} are free, but the spool may take {}, so the disk can fill up first",
                          format_bytes(free_mib), format_bytes(budget_bytes)),
              fmt::format("df -h {}, or a smaller --spool-budget", shell_quoted(path)));
}

Check check_spool(const std::string& path, std::uint64_t budget_bytes) {
  struct stat status{};
  std::string probed = path;
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT)
      return fail("spool", fmt::format("{}: {}", path, reason(errno)), "ls -ld " + shell_quoted(path));
    const std::string parent = std::filesystem::path(path + "/").parent_path().parent_path().string();
    probed = parent.empty() ? "." : parent;
  } else if (!S_ISDIR(status.st_mode)) {
    return fail("spool", fmt::format("{} is no directory", path), "choose another with --spool");
  }
  if (const int error = probe_directory(probed); error != 0) {
    return fail("spool", fmt::format("{} cannot be written and synced: {}", probed, reason(error)),
                fmt::format("install -d -m 0700 -o $(id -u) {}", shell_quoted(path)));
  }
  struct statvfs space{};
  if (::statvfs(probed.c_str(), &space) != 0)
    return fail("spool", probed + ": " + reason(errno), "df " + shell_quoted(probed));
  Check judged = judge_free_space(space.f_bavail * space.f_frsize, budget_bytes, path);
  if (judged.state != CheckState::ok) return judged;
  return ok("spool", fmt::format("{} can be written and synced, and {}", probed, judged.what));
}

Check check_token_file(const std::string& path) {
  const std::string cure = "(umask 077; echo \"admin $(openssl rand -hex 24)\" > tokens), then --token-file tokens";
  if (path.empty()) return fail("tokens", "no token file is set, so nobody could do anything", cure);
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail("tokens", fmt::format("{}: {}", path, reason(errno)), cure);
  std::ifstream file(path, std::ios::binary);
  if (!file || !S_ISREG(status.st_mode)) {
    return fail("tokens", path + " cannot be read", "ls -l " + shell_quoted(path));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto tokens = api::parse_tokens(text);
  if (!tokens)
    return fail("tokens", fmt::format("{}: {}", path, tokens.error().front()), "sed -n l " + shell_quoted(path));
  if (!is_private(status.st_mode, status.st_uid)) {
    return warn("tokens", fmt::format("{} can be read by others (mode {:04o})", path, status.st_mode & 07777u),
                "chmod 0600 " + shell_quoted(path));
  }
  return ok("tokens", fmt::format("{} holds {} token{}", path, tokens->size(), tokens->size() == 1 ? "" : "s"));
}

Check check_tls(const std::string& cert_path, const std::string& key_path) {
  if (cert_path.empty()) return ok("tls", "TLS is not configured");
  const std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context(::SSL_CTX_new(::TLS_server_method()),
                                                                    ::SSL_CTX_free);
  if (!context) return fail("tls", "OpenSSL: " + openssl_reason(), "openssl version");
  // Without this OpenSSL would ask on the terminal.
  ::SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
  if (::SSL_CTX_use_certificate_chain_file(context.get(), cert_path.c_str()) != 1) {
    return fail("tls", fmt::format("{} is no certificate chain: {}", cert_path, openssl_reason()),
                "openssl x509 -noout -text -in " + shell_quoted(cert_path));
  }
  if (::SSL_CTX_use_PrivateKey_file(context.get(), key_path.c_str(), SSL_FILETYPE_PEM) != 1 ||
      ::SSL_CTX_check_private_key(context.get()) != 1) {
    return fail("tls", fmt::format("{} is no key of {}: {}", key_path, cert_path, openssl_reason()),
                "openssl pkey -noout -check -in " + shell_quoted(key_path));
  }
  const X509* certificate = ::SSL_CTX_get0_certificate(context.get());
  if (::X509_cmp_current_time(::X509_get0_notAfter(certificate)) < 0) {
    return warn("tls", cert_path + " has expired", "openssl x509 -noout -enddate -in " + shell_quoted(cert_path));
  }
  if (::X509_cmp_current_time(::X509_get0_notBefore(certificate)) > 0) {
    return warn("tls", cert_path + " is not valid yet",
                "openssl x509 -noout -startdate -in " + shell_quoted(cert_path));
  }
  return ok("tls", cert_path + " and its key fit together");
}

Check check_fleet(const Options& options) {
  if (options.zookeeper.empty()) return ok("fleet", "no fleet is configured, so this node works alone");
  const std::string& path = options.zookeeper_credential_file;
  const std::string cure =
      "(umask 077; echo \"histod:$(openssl rand -hex 24)\" > zookeeper), the same file on all nodes, "
      "then --zookeeper-credential-file zookeeper";
  if (path.empty()) return warn("fleet", "without a credential the fleet's znodes are open to all", cure);
  if (const auto credential = control::read_credential(path); !credential)
    return fail("fleet", "the credential cannot be used: " + credential.error(), cure);
  if (!options.peer_token_file.empty()) {
    if (const auto token = read_secret(options.peer_token_file); !token)
      return fail("fleet", "the peer token cannot be used: " + token.error(),
                  "(umask 077; openssl rand -hex 24 > peer-token), then --peer-token-file peer-token");
  }
  const std::string url = advertised_url(options, options.listen.front().port);
  if (is_loopback_url(url))
    return warn("fleet", fmt::format("the other nodes are told {}, which other machines cannot reach", url),
                "set --advertise-url");
  return ok("fleet", fmt::format("the fleet is at {}, and its nodes reach this one at {}", options.zookeeper, url));
}

Check check_file_roots(const std::string& option) {
  const auto roots = parse_file_roots(option);
  if (!roots) return fail("file-roots", "--file-root " + roots.error(), "histod --help");
  for (const FileRootOption& root : *roots)
    if (const auto opened = FileRoot::open(root); !opened)
      return fail("file-roots", fmt::format("{} cannot be used: {}", root.name, opened.error()),
                  "ls -ld " + shell_quoted(root.folder));
  if (roots->empty()) return ok("file-roots", "no directories are configured, so images are not taken by name");
  return ok("file-roots", fmt::format("{} director{} can be read", roots->size(), roots->size() == 1 ? "y" : "ies"));
}

std::vector<Check> run_preflight(const Options& options, const Probes& probes) {
  const std::uint64_t workers = std::max<std::uint64_t>(options.workers, 1);
  std::vector<Check> checks;
  if (probes.uring)
    checks.push_back(judge_uring(options.io == Io::epoll ? std::error_code{} : probes.uring(), options.io));
  checks.push_back(judge_memlock(memlock_limit(), workers * k_resident_bytes));
  checks.push_back(judge_huge_pages(free_huge_pages(), workers * k_resident_bytes / k_huge_page_bytes));
  if (probes.arena_pin_failures && options.pin) checks.push_back(judge_pinning(probes.arena_pin_failures()));
  checks.push_back(check_spool(options.spool_path, options.spool_budget_bytes));
  checks.push_back(check_token_file(options.token_file));
  checks.push_back(check_tls(options.tls_cert_path, options.tls_key_path));
  checks.push_back(check_fleet(options));
  checks.push_back(check_file_roots(options.file_roots));
  checks.push_back(check_open_files(workers * options.connections + 64));
  checks.push_back(check_clock());
  return checks;
}

CheckState worst(std::span<const Check> checks) {
  CheckState state = CheckState::ok;
  for (const Check& check : checks) state = std::max(state, check.state);
  return state;
}

std::string format_checks(std::span<const Check> checks) {
  static constexpr std::string_view k_states[] = {"ok  ", "warn", "FAIL"};
  std::string out;
  for (const Check& check : checks) {
    out += fmt::format("{}  {:<11}  {}.\n", k_states[static_cast<std::size_t>(check.state)], check.name, check.what);
    if (!check.cure.empty()) out += fmt::format("{:19}cure: {}\n", "", check.cure);
  }
  return out;
}

}  // namespace histod::daemon
