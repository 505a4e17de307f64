// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/api.hpp"
#include "daemon/api/openapi.hpp"
#include "daemon/api/results.hpp"
#include "webui/assets.hpp"

namespace histod::daemon::api {

namespace http = net::http;

namespace {

bool accepts_gzip(const http::RequestHead& head) {
  return head.field("Accept-Encoding").find("gzip") != std::string_view::npos;
}

}  // namespace

void page(Context context) {
  const http::RequestHead& head = context.request.head;
  const webui::Asset* asset = webui::find_asset(head.path);
  if (asset == nullptr) return context.fail(make_problem(404, "not-found", "there is nothing at this path"));
  const bool gzip = !asset->gzip.empty() && accepts_gzip(head);
  const std::string_view etag = gzip ? asset->gzip_etag : asset->etag;
  http::Response response;
  response.content_type = asset->media_type;
  response.fields = {
      {"Cache-Control", std::string(asset->immutable ? webui::k_cache_immutable : webui::k_cache_revalidate)},
      {"Content-Security-Policy", std::string(webui::k_content_security_policy)},
      {"ETag", std::string(etag)},
      {"Referrer-Policy", "no-referrer"},
      {"Vary", "Accept-Encoding"},
      {"X-Content-Type-Options", "nosniff"}};
  if (gzip) response.fields.emplace_back("Content-Encoding", "gzip");
  if (head.field("If-None-Match") == etag)
    response.status = 304;
  else
    response.body = gzip ? asset->gzip : asset->bytes;
  context.send(std::move(response));
}

void openapi(Context context) {
  http::Response response;
  response.content_type = "application/yaml";
  response.body = openapi_yaml();
  context.send(std::move(response));
}

}  // namespace histod::daemon::api
