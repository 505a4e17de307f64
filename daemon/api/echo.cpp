// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "daemon/api/api.hpp"

namespace histod::daemon::api {

// What a request costs when nothing is computed: histobench measures the other resources against it. The answer is the
// body where it lies, in the request's own lease.
void echo(Context context) {
  net::http::Response response;
  response.content_type = "application/octet-stream";
  response.fields = {{"Cache-Control", "no-store"}};
  const std::span<std::byte> body = context.request.body;
  if (!body.empty()) {
    const auto offset = static_cast<std::size_t>(body.data() - context.request.lease.data());
    response.body = net::http::LeasedBytes{std::move(context.request.lease), offset, body.size()};
  }
  context.send(std::move(response));
}

}  // namespace histod::daemon::api
