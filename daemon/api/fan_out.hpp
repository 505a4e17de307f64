// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "daemon/api/api.hpp"
#include "net/http/client.hpp"

/// Requests that other nodes of the fleet have a part in answering. They are asked with the field `Histod-Forwarded:
/// 1`, which says: answer from what you have yourself, and ask nobody.
namespace histod::daemon::api {

inline constexpr std::string_view k_forwarded = "Histod-Forwarded";

/// The members but this node, by name. None where the others cannot be asked, or where another node is asking.
std::vector<std::string> others(const Context& context);

/// The members but this node, whoever is asking.
std::vector<std::string> members_but_this(const Services& services);

struct Question {
  std::string method = "GET";
  std::string target;
  std::vector<std::pair<std::string, std::string>> fields = {};  ///< beside that one
  std::uint64_t answer_bytes_max = 4u << 20;
  net::http::Deadlines deadlines;
  std::string traceparent = {};  ///< of the request for whose sake it is asked; empty: a trace begins
};

/// What one node said.
struct Heard {
  std::string node;
  std::expected<net::http::PeerAnswer, net::http::PeerError> answer;
};

/// Who listens to the nodes that were asked. Used on the worker's thread.
class Listening {
 public:
  virtual ~Listening() = default;
  /// Once for each node until it returns false, which means: enough; the others are cancelled.
  virtual bool hear(Heard heard) = 0;
  /// The last call: all have answered, or enough was heard.
  virtual void end() = 0;
};

/// Asks all of them at once. What is heard is heard from the event loop, but for nodes that have no address.
void ask_all(Services& services, Worker& worker, const std::vector<std::string>& nodes, const Question& question,
             std::unique_ptr<Listening> listening);

/// The same target at other nodes; 2 s for all of it.
Question same_question(const Context& context);

/// Answers with what the first node says that has what is asked for. `not_here` is the answer when nobody has it; 503
/// when a node that may have it does not answer.
void look_elsewhere(Context context, const Question& question, Problem not_here);

/// A list of this node and of all others, as one.
struct MergedList {
  std::string member;  ///< of the answer, where the list is
  std::uint64_t limit = 0;
  bool newest_first = true;  ///< by id
  bool more = false;         ///< there is `next`: where the next page begins
};
/// Answers with `own`, the answer of this node, joined with what the others say to the same request. Things of one id
/// are one. Nodes that do not answer within 2 s are named under `unreachable`.
void answer_list(Context context, MergedList form, const boost::json::object& own);

/// Another node's answer as this one's.
net::http::Response passed_on(net::http::PeerAnswer answer);

/// The object that a node answered with 200; nothing when it is anything else.
std::optional<boost::json::object> object_of(const Heard& heard);

}  // namespace histod::daemon::api
