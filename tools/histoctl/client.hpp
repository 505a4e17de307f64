// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/histoctl/failure.hpp"
#include "tools/histoctl/settings.hpp"

namespace histod::ctl {

/// What a request carries: a file that is streamed from disk, or bytes that are held in memory (standard input).
struct Upload {
  std::string path;                         ///< empty: `data` is sent
  std::shared_ptr<const std::string> data;  ///< shared by all tries of a request
  std::string filename;                     ///< as told to the server in a form
  std::string mask_path;                    ///< empty: there is none
  bool as_form = false;                     ///< multipart: tells the file's name, and can carry a mask
};

struct Request {
  std::string method = "GET";
  std::string target;  ///< path and query
  std::vector<std::string> fields;
  std::optional<Upload> upload;
  int sink_fd = -1;         ///< a 2xx body goes here, from offset 0, instead of into Reply::body
  bool any_status = false;  ///< every status is a reply, none a failure
  bool retry_5xx = false;   ///< other 5xx than 503 are tried again, too
  bool once = false;        ///< not sent again once it may have arrived
};

struct Reply {
  unsigned status = 0;
  std::map<std::string, std::string> fields;  ///< names in lower case
  std::string body;
  std::uint64_t body_bytes = 0;  ///< received, sink included
  unsigned tries = 0;

  std::string field(std::string_view name) const;
};

/// Many HTTP requests at a time on one thread. Repeats what is safe to repeat: nearly all of the daemon's requests are
/// pure or carry an Idempotency-Key, so 429 and 503 (after Retry-After), refused and broken connections are tried
/// again.
class Client {
 public:
  using Done = std::move_only_function<void(Result<Reply>)>;

  explicit Client(const Settings& settings);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// `done` is called once, from run(), unless run() is left early.
  void start(Request request, Done done);
  /// Calls `then` after `delay`, from run().
  void after(std::chrono::milliseconds delay, std::move_only_function<void()> then);
  /// Called about ten times a second while run() runs, when set.
  void on_tick(std::function<void()> tick);
  /// Until nothing is left to do; false when a signal came first (what was under way is dropped).
  bool run();
  /// Payload bytes sent and received so far, failed tries included.
  std::uint64_t bytes_moved() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One request on its own. Exit::interrupted when a signal came first.
Result<Reply> fetch(Client& client, Request request);

/// `text` with everything but unreserved characters as %XX.
std::string percent_encoded(std::string_view text);

}  // namespace histod::ctl
