// SPDX-License-Identifier: Apache-2.0
#include <boost/json/object.hpp>

#include "daemon/api/api.hpp"
#include "daemon/api/results.hpp"

namespace histod::daemon::api {

void healthz(Context context) { context.send(text_response(200, "text/plain; charset=utf-8", "ok\n")); }

void readyz(Context context) {
  const bool draining = context.services.draining;
  const bool ready = context.services.ready && !draining;
  const boost::json::object body{{"ready", ready}, {"draining", draining}, {"version", HISTOD_VERSION}};
  net::http::Response response = json_response(ready ? 200 : 503, body);
  if (!ready) response.fields.emplace_back("Retry-After", "1");
  context.send(std::move(response));
}

void metrics(Context context) {
  const MetricsFormat format = metrics_format(context.request.head.field("Accept"));
  auto response = text_response(200, metrics_content_type(format), context.services.metrics.render(format));
  response.fields.emplace_back("Vary", "Accept");
  context.send(std::move(response));
}

}  // namespace histod::daemon::api
