// SPDX-License-Identifier: Apache-2.0
#include "daemon/reexec.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <unistd.h>

namespace histod::daemon {

std::optional<std::string> fallback_reason() {
  const char* reason = std::getenv(k_fallback_variable);
  if (reason == nullptr) return {};
  return reason;
}

std::string epoll_sibling_path() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / "histod-epoll").string();
}

std::error_code exec_fallback(const std::string& path, char** argv, const std::string& reason) {
  if (fallback_reason()) return std::make_error_code(std::errc::too_many_symbolic_link_levels);
  if (::setenv(k_fallback_variable, reason.c_str(), 1) != 0) return {errno, std::system_category()};
  ::execv(path.c_str(), argv);
  const std::error_code failure(errno, std::system_category());
  ::unsetenv(k_fallback_variable);
  return failure;
}

}  // namespace histod::daemon
