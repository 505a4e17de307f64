// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/output_file.hpp"

namespace histod::ctl {

std::string image_query(const Arguments& arguments) {
  constexpr std::array<std::string_view, 13> k_names = {"method", "rule",      "color", "clip",   "tiles",
                                                        "nodata", "range",     "pages", "format", "quality",
                                                        "png",    "placement", "bins"};
  std::string query;
  for (const std::string_view name : k_names) {
    if (!arguments.has(name)) continue;
    query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, percent_encoded(arguments.get(name)));
  }
  return query;
}

std::string reference_query(const Arguments& arguments, const std::string& name) {
  std::string query = image_query(arguments);
  query += fmt::format("{}file={}", query.empty() ? '?' : '&', percent_encoded(name));
  if (arguments.has("result")) query += "&result=" + percent_encoded(arguments.get("result"));
  if (arguments.has("overwrite")) query += "&overwrite=true";
  return query;
}

Result<void> check_image_options(const Arguments& arguments) {
  const bool clahe = arguments.get("method") == "clahe";
  for (const std::string_view name : {"clip", "tiles"}) {
    if (arguments.has(name) && !clahe) return fail(Exit::usage, fmt::format("--{}: only with --method clahe", name));
  }
  const std::string format = arguments.get("format", "jpeg");
  if (arguments.has("quality") && format != "jpeg") return fail(Exit::usage, "--quality: only with --format jpeg");
  if (arguments.has("png") && arguments.get("format", "png") != "png")
    return fail(Exit::usage, "--png: only with --format png");
  return {};
}

Result<Upload> make_upload(const Arguments& arguments, const std::string& operand) {
  Upload upload;
  upload.mask_path = arguments.get("mask");
  upload.as_form = !upload.mask_path.empty();
  std::error_code error;
  if (operand == "-") {
    auto data = read_standard_input();
    if (!data) return std::unexpected(std::move(data.error()));
    upload.data = std::make_shared<const std::string>(std::move(*data));
    upload.filename = "stdin";
    return upload;
  }
  if (std::filesystem::is_directory(operand, error)) return fail(Exit::some_failed, "is a folder");
  if (!std::filesystem::exists(operand, error)) return fail(Exit::some_failed, "no such file");
  upload.path = operand;
  upload.filename = std::filesystem::path(operand).filename();
  return upload;
}

}  // namespace histod::ctl
