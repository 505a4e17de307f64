// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/machine.hpp"

#include <fstream>
#include <thread>

#include <opencv2/core/version.hpp>
#include <sys/utsname.h>

#include "compute/kernels.hpp"

namespace histod::bench {

namespace {

std::string cpu_model() {
  std::ifstream stream("/proc/cpuinfo");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "unknown";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> machine_facts() {
  return {{"histod", HISTOD_VERSION},  {"instructions", std::string(compute::kernels().isa)},
          {"cpu", cpu_model()},        {"cpus", std::to_string(std::thread::hardware_concurrency())},
          {"linux", kernel_release()}, {"opencv", CV_VERSION}};
}

}  // namespace histod::bench
