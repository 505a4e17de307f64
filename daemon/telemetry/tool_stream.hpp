// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the normalisers of all tools are made of; only they include it.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "daemon/telemetry/normalizer.hpp"
#include "daemon/telemetry/redact.hpp"

namespace histod::daemon::telemetry {

/// What a tool said, before it is an event: still with secrets, and of any length.
struct Fact {
  std::string verb;          ///< what comes behind io.histod.rollout.TOOL.
  std::string message = {};  ///< becomes one line
  Severity severity = Severity::info;
  std::string time = {};  ///< dropped when it is not RFC 3339
  std::string node = {};
  std::string_view layer = {};   ///< hardware, os, kubernetes, gitops, workload
  std::string resource = {};     ///< also the event's subject
  std::string_view status = {};  ///< started, progress, succeeded, failed, skipped, changed
  std::optional<std::int64_t> duration_ms = {};
  std::string error = {};
  boost::json::value raw = nullptr;
  boost::json::object more = {};  ///< further members of data: no text of the tool's but names
  std::size_t plain_bytes = 0;    ///< of the message's beginning that is no secret for sure: an address
};

class ToolStream : public Normalizer {
 public:
  /// `tool` outlives it: one of normalizer_tools().
  ToolStream(std::string_view tool, NormalizerOptions options);
  std::vector<Event> feed(std::string_view line) final;
  std::vector<Event> end() final;

 protected:
  /// One JSON object, complete; `text` is what it was read from.
  virtual void take(const boost::json::object& document) = 0;
  /// A line that is no JSON object; not empty. Tells it as "output".
  virtual void take_text(std::string_view line);
  virtual void take_blank() {}
  virtual void take_end() {}

  /// Adds an event to those that feed() or end() gives: at most 1,000 for a line, and one that says so.
  void tell(Fact fact);
  /// A line of text as a fact: without secrets already, since a private key may go over several lines.
  Fact text_fact(std::string_view line);
  /// From now on the rolloutid of events, unless one was given; and the place that ids are made of, when the tool
  /// numbers what it says.
  void adopt_rollout(std::string_view id);
  void set_place(std::string place) { place_ = std::move(place); }
  std::string last_id() const { return last_id_; }
  std::size_t line_number() const { return line_number_; }

 private:
  void take_line(std::string_view line);
  void take_document(std::string_view text);
  void tell_unreadable(std::string_view text, std::string_view why);
  std::string make_id();

  const std::string_view tool_;
  NormalizerOptions options_;
  std::vector<Event> out_;
  std::string document_;   ///< the lines so far of one that goes over several
  bool skipping_ = false;  ///< the rest of a document that became too long
  std::size_t line_number_ = 0;
  std::string place_;
  std::string_view text_;  ///< of which the facts of now are told
  unsigned told_ = 0;      ///< facts of this text so far
  std::string text_digest_;
  std::string last_id_;
  LineRedactor lines_;
};

/// Members of foreign JSON, of which nothing can be relied on: what is missing or of another kind is null, empty, none.
/// Of a text the first 8 KiB are given.
using JsonPath = std::initializer_list<std::string_view>;
// Both, since an object as a value would be a copy, and what is found in it gone at once.
const boost::json::value* json_at(const boost::json::object& from, JsonPath path);
const boost::json::value* json_at(const boost::json::value& from, JsonPath path);
std::string text_of(const boost::json::value* found);
std::optional<std::int64_t> number_of(const boost::json::value* found);
const boost::json::object& object_of(const boost::json::value* found);
const boost::json::array& array_of(const boost::json::value* found);
std::string text_at(const auto& from, JsonPath path) { return text_of(json_at(from, path)); }
std::optional<std::int64_t> number_at(const auto& from, JsonPath path) { return number_of(json_at(from, path)); }
const boost::json::object& object_at(const auto& from, JsonPath path) { return object_of(json_at(from, path)); }
const boost::json::array& array_at(const auto& from, JsonPath path) { return array_of(json_at(from, path)); }

/// "Ready To Go!" -> "ready_to_go": what may be a part of an event's type; at most 64 bytes, "unknown" when nothing is
/// left.
std::string verb_of(std::string_view text);
/// Go's "1h2m3.5s" in ms.
std::optional<std::int64_t> go_duration_ms(std::string_view text);
std::string lower_case(std::string_view text);

/// Tables of what was seen are of bounded size: a full one is forgotten as a whole, so that something may be told
/// twice. Their texts are shortened by seen_text().
template <class Map>
void make_room(Map& seen, std::size_t entries_max = 256) {
  if (seen.size() >= entries_max) seen.clear();
}
inline std::string seen_text(std::string text) {
  text.resize(std::min<std::size_t>(text.size(), 256));
  return text;
}

std::unique_ptr<Normalizer> make_terraform(NormalizerOptions options);
std::unique_ptr<Normalizer> make_tinkerbell(NormalizerOptions options);
std::unique_ptr<Normalizer> make_ansible(NormalizerOptions options);
std::unique_ptr<Normalizer> make_kubeadm(NormalizerOptions options);
std::unique_ptr<Normalizer> make_k8s(NormalizerOptions options);
std::unique_ptr<Normalizer> make_argocd(NormalizerOptions options);
std::unique_ptr<Normalizer> make_flux(NormalizerOptions options);
std::unique_ptr<Normalizer> make_systemd(NormalizerOptions options);

}  // namespace histod::daemon::telemetry
