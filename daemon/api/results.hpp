// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "daemon/api/problem.hpp"
#include "daemon/jobs/record.hpp"
#include "daemon/pipeline.hpp"
#include "net/http/message.hpp"

namespace histod::daemon::api {

/// 415 for formats and features we do not take, 422 for a broken image, 413 for limits, 400 for options, 503 when busy.
Problem problem_of(const ImageFailure& failure);
/// Adds Retry-After to 429 and 503.
net::http::Response problem_response(const Problem& problem);
net::http::Response json_response(unsigned status, const boost::json::value& body);
net::http::Response text_response(unsigned status, std::string_view media_type, std::string text);

/// "receive;dur=1.2, decode;dur=3.4, ..." in milliseconds.
/// Not `encoded`: the result goes out while it is, and neither that time nor the total is known.
std::string server_timing(const Timings& timings, bool encoded = true);
void append_server_timing(std::string& out, const Timings& timings, bool encoded = true);
std::map<std::string, double> timing_ms(const Timings& timings);

/// The body of POST /v1/histogram. `bins`: arrays of more bins than that are folded to it.
boost::json::object histogram_json(const ImageResult& result, const ImageOptions& options, std::uint32_t bins);
std::vector<jobs::JobPlane> job_planes(const ImageResult& result, const ImageOptions& options);
/// The two estimates are null where nothing was measured.
boost::json::object placement_json(const jobs::JobPlacement& placement);
/// The same as a field: "local; asked=auto; local-ms=12.3; fleet-ms=45.6; why=\"...\"".
std::string placement_field(const jobs::JobPlacement& placement);
/// `node`: the name of the one that has it.
boost::json::object job_json(const jobs::JobRecord& record, std::string_view node);

/// `attachment` or `inline`, with the name quoted as RFC 6266 has it.
std::string content_disposition(std::string_view kind, std::string_view filename);
/// "photo.tiff" -> "photo_equalized.png"; "image" when there is no usable name.
std::string result_filename(std::string_view original, std::string_view extension);

}  // namespace histod::daemon::api
