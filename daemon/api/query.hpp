// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/api/problem.hpp"
#include "daemon/pipeline.hpp"

namespace histod::daemon::api {

/// Names and values of a query, decoded. Ordered, so that the same options always make the same text.
using Query = std::map<std::string, std::string>;

/// Percent-decoding, '+' as a space. A name twice, bad escapes, control characters and more than 32 names are problems.
std::expected<Query, Problem> parse_query(std::string_view query);
/// Nothing for a bad escape.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

/// The options of an image, by name: method, rule, color, clip, tiles, nodata, range, pages, format, quality,
/// png. `also` lists further names that the resource takes; any other name is a problem that says which there are.
std::expected<ImageOptions, Problem> image_options(const Query& query,
                                                   std::initializer_list<std::string_view> also = {});

/// The format that an Accept field asks for first among those we write; nothing for "*/*", "image/*" or none. A field
/// that admits none of ours is a 406.
std::expected<std::optional<compute::codec::FileFormat>, Problem> accepted_format(std::string_view accept);

/// A whole number within bounds, from a query value.
std::expected<std::uint64_t, Problem> number_option(std::string_view name, std::string_view text, std::uint64_t min,
                                                    std::uint64_t max);

Problem bad_option(std::string detail);

}  // namespace histod::daemon::api
