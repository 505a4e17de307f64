// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/histobench/process.hpp"

namespace histod::bench {

/// A server of somebody else's, run beside ours on 127.0.0.1. Where it cannot be run, `missing` says what to install.
struct ServerPeer {
  std::string missing;
  std::string version;
  std::uint16_t port = 0;
  std::unique_ptr<TemporaryFolder> folder = std::make_unique<TemporaryFolder>();
  std::unique_ptr<Listening> listening = {};
  std::unique_ptr<Process> process = {};
};

/// POST /equalize: an image file in, an uncompressed TIFF out, by Flask's threaded server and OpenCV.
ServerPeer flask_server();

/// POST anything: nginx, a worker for each CPU, reads the body and answers with it.
ServerPeer nginx_server();

/// A tool that equalizes one file into another.
struct ToolPeer {
  std::string name;     ///< as the table shows it
  std::string package;  ///< of Debian
  std::string maker;    ///< what the line that tells its version calls it, right before the number
  std::vector<std::string> version_words;
  std::vector<std::string> before, between, after;  ///< of the input's and the output's name
  double levels = 0;     ///< by which its samples may differ from those of OpenCV's rule, on average
  bool is_vips = false;  ///< its rule is vips'

  std::string missing() const;  ///< how to get it; empty: it is there
  std::string version() const;  ///< empty: it is not there
  std::vector<std::string> words(const std::string& input, const std::string& output) const;
};
std::vector<ToolPeer> tool_peers();

}  // namespace histod::bench
