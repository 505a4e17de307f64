// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/dataset.hpp"

namespace histod::ctl {
namespace {

/// Of a table in a file: JSON begins with a brace.
Result<std::string> media_type(const Upload& upload) {
  if (upload.data) {
    const std::size_t first = upload.data->find_first_not_of(" \t\r\n");
    return first != std::string::npos && (*upload.data)[first] == '{' ? "application/json" : "text/plain";
  }
  std::FILE* file = std::fopen(upload.path.c_str(), "rbe");
  if (!file) return fail(Exit::some_failed, fmt::format("{}: cannot read: {}", upload.path, std::strerror(errno)));
  int c = 0;
  do {
    c = std::getc(file);
  } while (c == ' ' || c == '\t' || c == '\r' || c == '\n');
  std::fclose(file);
  return c == '{' ? "application/json" : "text/plain";
}

Result<Exit> set_lut(const Arguments& arguments, Client& client, const std::string& id) {
  for (const std::string_view name : {"output", "text", "kind"}) {
    if (arguments.has(name)) return fail(Exit::usage, fmt::format("--{}: not with --set", name));
  }
  auto upload = make_upload(arguments, arguments.get("set"));
  if (!upload) return fail(upload.error().exit, fmt::format("{}: {}", arguments.get("set"), upload.error().text));
  const auto type = media_type(*upload);
  if (!type) return std::unexpected(type.error());
  const auto dataset = fetch_json(client, {.method = "PUT",
                                           .target = dataset_target(id) + "/lut",
                                           .fields = {"Content-Type: " + *type},
                                           .upload = std::move(*upload)});
  if (!dataset) return std::unexpected(dataset.error());
  print((arguments.has("json") ? to_text(*dataset) : field(*dataset, "lut", "digest")) + "\n");
  return Exit::ok;
}

}  // namespace

Result<Exit> handle_lut(const Arguments& arguments, Client& client, const std::string& id) {
  if (arguments.has("set")) return set_lut(arguments, client, id);
  Request request{.method = "GET", .target = dataset_target(id) + "/lut", .fields = {}, .upload = {}};
  if (arguments.has("kind")) request.target += "?kind=" + arguments.get("kind");
  request.fields = {arguments.has("text") ? "Accept: text/plain" : "Accept: application/json"};
  const auto reply = fetch_output(arguments, client, std::move(request));
  if (!reply) return std::unexpected(reply.error());
  return Exit::ok;
}

}  // namespace histod::ctl
