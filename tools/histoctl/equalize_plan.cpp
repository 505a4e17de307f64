// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/equalize_plan.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace {

namespace fs = std::filesystem;

std::unexpected<Failure> usage(std::string text) { return fail(Exit::usage, std::move(text)); }

std::string extension_of_format(const std::string& format) {
  if (format == "jpeg") return ".jpg";
  if (format == "tiff") return ".tif";
  return "." + format;
}

/// The input's file name, with the extension of the format that was asked for.
fs::path result_name(const std::string& input, const std::string& format, std::string_view suffix) {
  const fs::path name = fs::path(input).filename();
  const std::string extension = format.empty() ? name.extension().string() : extension_of_format(format);
  return name.stem().string() + std::string(suffix) + extension;
}

Result<bool> output_is_folder(const std::string& output, std::size_t inputs) {
  std::error_code error;
  if (output.empty() || output == "-") return false;
  if (fs::is_directory(output, error)) return true;
  if (inputs == 1 && !output.ends_with('/')) return false;
  if (fs::exists(output, error)) return usage(fmt::format("{}: not a folder, but there are several inputs", output));
  if (!fs::create_directories(output, error) && error) {
    return usage(fmt::format("{}: cannot make the folder: {}", output, error.message()));
  }
  return true;
}

Result<void> check_items(const std::vector<EqualizeItem>& items, const Arguments& arguments) {
  std::set<std::string> outputs;
  const auto is_input = [](const EqualizeItem& item) { return item.input == "-"; };
  if (std::ranges::count_if(items, is_input) > 1) return usage("standard input (-) can be given once only");
  if (arguments.has("no-wait")) return {};
  for (const EqualizeItem& item : items) {
    if (!outputs.insert(item.output).second) {
      return usage(fmt::format("{}: the results of two inputs would have this name", item.output));
    }
    if (item.output != "-") continue;
    if (arguments.has("json")) return usage("--json: standard output cannot take the image too (-o OUT)");
    if (output_is_terminal()) return usage("an image is not written to a terminal (-o OUT)");
  }
  return {};
}

}  // namespace

Result<EqualizePlan> plan_equalize(const Arguments& arguments) {
  const std::vector<std::string>& inputs = arguments.operands;
  const std::string output = arguments.get("output");
  const std::string format = arguments.get("format");
  if (inputs.empty()) return usage("equalize: no input was given (IN...)");
  if (output == "-" && inputs.size() > 1) return usage("--output: - takes the result of one input only");
  EqualizePlan plan;
  plan.by_job = arguments.has("async") || arguments.has("no-wait");
  const auto folder = arguments.has("no-wait") ? Result<bool>(false) : output_is_folder(output, inputs.size());
  if (!folder) return std::unexpected(folder.error());
  for (const std::string& input : inputs) {
    EqualizeItem item{.input = input, .output = output};
    if (*folder) {
      const std::string name = input == "-" ? "stdin" : input;
      item.output = (fs::path(output) / result_name(name, format, "")).string();
    } else if (output.empty()) {
      item.output = input == "-" ? "-" : (fs::path(input).parent_path() / result_name(input, format, "_equalized"));
    }
    plan.items.push_back(std::move(item));
  }
  if (const auto good = check_items(plan.items, arguments); !good) return std::unexpected(good.error());
  return plan;
}

}  // namespace histod::ctl
