// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/streams.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "daemon/api/api.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/api/query.hpp"
#include "daemon/api/results.hpp"
#include "daemon/streams/state_json.hpp"
#include "net/rtp/sdp.hpp"

namespace histod::daemon::api {

namespace http = net::http;
namespace json = boost::json;
using streams::Streams;

namespace {

constexpr unsigned k_high_definition_rows = 720;

/// Null, and answered, when there is none.
Streams::RecordPtr find(Context& context) {
  auto record = context.services.streams->find(context.parameter);
  if (!record) context.fail(make_problem(404, "not-found", fmt::format("there is no stream {}", context.parameter)));
  return record;
}

std::optional<json::object> body_object(Context& context) {
  const auto bytes = context.request.body;
  boost::system::error_code error;
  const json::value value = json::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, error);
  if (!error && value.is_object()) return value.get_object();
  context.fail(make_problem(400, "bad-request", "the body must be one object of JSON"));
  return std::nullopt;
}

/// What is sent to the first target, as it comes in now.
std::expected<std::string, Problem> describe(const streams::StreamRecord& record) {
  const streams::StreamRecord::Status status = record.status();
  const streams::StreamConfig& config = status.config;
  if (config.targets.empty()) return std::unexpected(make_problem(404, "no-target", "the stream is sent to nobody"));
  const streams::StreamSnapshot now = record.board.read_short();
  const net::udp::Address& to = config.targets.front();
  net::udp::Address host = to;
  host.port = 0;
  std::string address = host.text();
  address = address.substr(0, address.rfind(':'));
  if (to.v6) address = address.substr(1, address.size() - 2);
  net::rtp::StreamDescription out;
  out.session_name = config.name;
  out.address = address;
  out.ipv6 = to.v6;
  out.ttl = to.is_multicast() && !to.v6 ? net::udp::k_multicast_ttl : std::uint8_t{0};
  out.port = to.port;
  out.payload_type = now.heard ? now.payload_type : config.payload_type.value_or(96);
  out.format = now.format.width > 0 ? now.format : config.format;
  out.colorimetry = config.colorimetry;
  if (out.colorimetry.empty()) out.colorimetry = out.format.height >= k_high_definition_rows ? "BT709-2" : "BT601-5";
  auto text = net::rtp::write_sdp(out, {.session_id = record.epoch, .session_version = record.epoch});
  if (!text) return std::unexpected(make_problem(409, "stream-unavailable", text.error().detail));
  return std::move(*text);
}

std::string etag_of(const streams::PreviewBoard::Picture& picture, std::string_view side) {
  return fmt::format("\"{:x}-{:x}-{}\"", picture.epoch, picture.number, side);
}

}  // namespace

void streams_list(Context context) {
  json::array list;
  for (const auto& record : context.services.streams->list()) list.push_back(streams::state_json(*record, false));
  context.send(json_response(200, json::object{{"streams", std::move(list)}}));
}

void streams_get(Context context) {
  if (const auto record = find(context)) context.send(json_response(200, streams::state_json(*record, true)));
}

void streams_put(Context context) {
  const auto object = body_object(context);
  if (!object) return;
  auto config = streams::read_stream(context.parameter, *object);
  if (!config) return context.fail(streams::problem_of(config.error()));
  if (const json::value* name = object->if_contains("name"); name != nullptr && *name != json::value(config->name))
    return context.fail(make_problem(422, "bad-stream", "name must be that of the path, or not there"));
  Streams& all = *context.services.streams;
  all.put(std::move(*config), at_home<bool>(wait_with(std::move(context)), [](WaitingPtr waiting, bool created) {
            Context& home = waiting->context;
            // It may have been removed again meanwhile.
            if (const auto record = find(home))
              home.send(json_response(created ? 201 : 200, streams::state_json(*record, true)));
          }));
}

void streams_patch(Context context) {
  auto object = body_object(context);
  if (!object) return;
  Streams& all = *context.services.streams;
  std::string name = context.parameter;
  all.change(std::move(name), std::move(*object),
             at_home<Streams::RecordPtr>(wait_with(std::move(context)), [](WaitingPtr waiting, auto record) {
               waiting->context.send(json_response(200, streams::state_json(*record, true)));
             }));
}

void streams_delete(Context context) {
  Streams& all = *context.services.streams;
  std::string name = context.parameter;
  all.remove(std::move(name), at_home<void>(wait_with(std::move(context)), [](WaitingPtr waiting) {
               http::Response response;
               response.status = 204;
               waiting->context.send(std::move(response));
             }));
}

void streams_preview(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  std::string side = "out";
  for (const auto& [name, value] : *query) {
    if (name != "side" || (value != "in" && value != "out"))
      return context.fail(bad_option("there is the option side, which is out or in, and no other"));
    side = value;
  }
  const auto record = find(context);
  if (!record) return;
  using Side = streams::PreviewBoard::Side;
  const auto picture = record->previews.read(side == "in" ? Side::in : Side::out);
  if (!picture) return context.fail(make_problem(404, "no-frame", "no whole frame came in yet"));
  http::Response response;
  const std::string etag = etag_of(*picture, side);
  response.fields = {{"ETag", etag}, {"Cache-Control", "no-cache"}};
  response.content_type = "image/jpeg";
  if (context.request.head.field("If-None-Match") == etag)
    response.status = 304;
  else
    response.body = picture->jpeg;
  context.send(std::move(response));
}

void streams_sdp(Context context) {
  const auto record = find(context);
  if (!record) return;
  auto text = describe(*record);
  if (!text) return context.fail(text.error());
  context.send(text_response(200, "application/sdp", std::move(*text)));
}

}  // namespace histod::daemon::api
