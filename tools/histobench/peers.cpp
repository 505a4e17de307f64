// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/peers.hpp"

#include <chrono>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"

namespace histod::bench {

extern const char* const k_flask_opencv;  // generated from peers/flask_opencv.py

namespace {

constexpr const char* k_echo_module = "/usr/lib/nginx/modules/ngx_http_echo_module.so";

/// The body stays in memory, as histod's does; only errors are logged.
constexpr std::string_view k_nginx_configuration = R"(
load_module {module};
daemon off;
worker_processes auto;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 16m;
  client_body_in_single_buffer on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port};
    location / {{ echo_read_request_body; echo_exec @answer; }}
    location @answer {{ return 200 $request_body; }}
  }}
}}
)";

/// Debian's own Python: its packages are for that one.
std::string python() { return ::access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : find_program("python3"); }

/// What the peer wrote, once that ends with a line.
std::string first_words(Process& process, const std::string& path) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (process.running() && std::chrono::steady_clock::now() < deadline) {
    if (std::string text = text_of(path); text.contains('\n')) return text.substr(0, text.find('\n'));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

/// What stands behind `mark`.
std::string after(const std::string& text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  return at == std::string::npos ? "" : text.substr(at + mark.size());
}

}  // namespace

ServerPeer flask_server() {
  ServerPeer peer;
  const std::string script = peer.folder->file("peer.py");
  std::ofstream(script) << k_flask_opencv;
  peer.process = std::make_unique<Process>(
      Command{.words = {python(), "-B", script}, .environment = {}, .output_path = peer.folder->file("out")});
  std::istringstream words(first_words(*peer.process, peer.folder->file("out")));
  std::string port;
  words >> port >> peer.port >> std::ws;
  std::getline(words, peer.version);
  if (port != "port" || peer.port == 0) peer.missing = "install python3-flask and python3-opencv";
  return peer;
}

ServerPeer nginx_server() {
  ServerPeer peer;
  // Debian has it where only root's PATH leads.
  const std::string found = find_program("nginx");
  const std::string program = found.empty() ? "/usr/sbin/nginx" : found;
  if (::access(program.c_str(), X_OK) != 0 || ::access(k_echo_module, R_OK) != 0) {
    peer.missing = "install nginx-light and libnginx-mod-http-echo";
    return peer;
  }
  peer.version = after(first_line_of({program, "-v"}), "nginx/");
  peer.listening = std::make_unique<Listening>();
  peer.port = peer.listening->port;
  const std::string configuration = peer.folder->file("nginx.conf");
  std::ofstream(configuration) << fmt::format(fmt::runtime(k_nginx_configuration), fmt::arg("module", k_echo_module),
                                              fmt::arg("folder", peer.folder->file("")), fmt::arg("port", peer.port));
  // nginx takes over a socket whose number NGINX names: so nobody else can have got the port meanwhile. All of its
  // workers try to accept, and those that come late must not wait there.
  ::fcntl(peer.listening->fd, F_SETFL, O_NONBLOCK);
  peer.process = std::make_unique<Process>(
      Command{.words = {program, "-e", "stderr", "-p", peer.folder->file(""), "-c", configuration},
              .environment = {"NGINX=3;"},
              .output_path = peer.folder->file("log"),
              .handed_fd = peer.listening->fd});
  const std::string text = "as it went";
  try {
    const auto back = HttpClient(peer.port).post_ok("/", std::as_bytes(std::span(text)));
    if (back.size() != text.size()) throw Failure("it answers with something else");
  } catch (const Failure& failure) {
    peer.missing = fmt::format("nginx does not echo: {}", failure.what());
  }
  return peer;
}

// Another program of that name is not this peer: `convert` in particular is what many things are called.
std::string ToolPeer::missing() const { return version().empty() ? "install " + package : ""; }

std::string ToolPeer::version() const {
  if (find_program(before.front()).empty()) return {};
  const std::string line = histod::bench::after(first_line_of(version_words), maker);
  const std::size_t digit = line.find_first_of("0123456789");
  return digit == 1 ? line.substr(digit, line.find(' ', digit) - digit) : "";
}

std::vector<std::string> ToolPeer::words(const std::string& input, const std::string& output) const {
  std::vector<std::string> out = before;
  if (std::string found = find_program(out.front()); !found.empty()) out.front() = std::move(found);
  out.push_back(input);
  out.insert(out.end(), between.begin(), between.end());
  out.push_back(output);
  out.insert(out.end(), after.begin(), after.end());
  return out;
}

std::vector<ToolPeer> tool_peers() {
  return {{.name = "vips hist_equal",
           .package = "libvips-tools",
           .maker = "vips",
           .version_words = {"vips", "--version"},
           .before = {"vips", "hist_equal"},
           .between = {},
           .after = {},
           .is_vips = true},
          {.name = "gm convert -equalize",
           .package = "graphicsmagick",
           .maker = "GraphicsMagick",
           .version_words = {"gm", "version"},
           .before = {"gm", "convert"},
           .between = {"-equalize"},
           .after = {},
           .levels = 2},
          {.name = "convert -equalize",
           .package = "imagemagick",
           .maker = "ImageMagick",
           .version_words = {"convert", "--version"},
           .before = {"convert"},
           .between = {"-equalize"},
           .after = {},
           .levels = 2}};
}

}  // namespace histod::bench
