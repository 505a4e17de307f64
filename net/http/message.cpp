// SPDX-License-Identifier: Apache-2.0
#include "net/http/message.hpp"

#include <algorithm>
#include <cassert>

#include "net/http/text.hpp"

namespace histod::net::http {

std::string_view RequestHead::field(std::string_view name) const {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [name](const Field& field) { return iequals(field.name, name); });
  return found == fields.end() ? std::string_view() : found->value;
}

std::size_t Response::body_bytes() const {
  struct Size {
    std::size_t operator()(std::monostate) const { return 0; }
    std::size_t operator()(const std::string& text) const { return text.size(); }
    std::size_t operator()(std::span<const std::byte> bytes) const { return bytes.size(); }
    std::size_t operator()(const LeasedBytes& leased) const { return leased.size; }
    std::size_t operator()(const StreamedBody& streamed) const {
      return streamed->length().value_or(streamed->bytes().size());
    }
  };
  return std::visit(Size(), body);
}

namespace {

/// Without a body: the connection lets the handler word it.
void answer_500(Responder::Sink& sink) {
  Response response;
  response.status = 500;
  sink.respond(std::move(response));
}

}  // namespace

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    if (sink_) answer_500(*sink_);
    sink_ = std::move(other.sink_);
  }
  return *this;
}

Responder::~Responder() {
  if (sink_) answer_500(*sink_);
}

void Responder::send(Response response) { send_streamed(std::move(response)); }

// tidy: allow(shared-ptr) the connection, which lives as long as its answer
std::shared_ptr<Responder::Sink> Responder::send_streamed(Response response) {
  assert(sink_ && "a request is answered once");
  std::shared_ptr<Sink> sink = std::move(sink_);
  sink->respond(std::move(response));
  return sink;
}

bool Responder::peer_gone() const { return !sink_ || sink_->peer_gone(); }

std::string_view reason_phrase(unsigned status) {
  struct Phrase {
    unsigned status;
    std::string_view text;
  };
  static constexpr Phrase k_phrases[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {426, "Upgrade Required"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {507, "Insufficient Storage"},
  };
  const auto found = std::ranges::find(k_phrases, status, &Phrase::status);
  return found == std::end(k_phrases) ? std::string_view("Unknown") : found->text;
}

}  // namespace histod::net::http
