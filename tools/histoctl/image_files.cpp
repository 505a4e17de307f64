// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/image_files.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <set>

#include <fmt/format.h>

namespace histod::ctl {
namespace fs = std::filesystem;
namespace {

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 10> k_extensions{".png", ".jpg", ".jpeg", ".tif", ".tiff",
                                                          ".pgm", ".ppm", ".pam",  ".pnm", ".jfif"};
  return std::ranges::find(k_extensions, extension) != k_extensions.end() && !path.filename().string().starts_with('.');
}

template <class Iterator>
Result<void> take_folder(const std::string& folder, std::vector<std::string>& files) {
  std::error_code error;
  std::set<std::string> found;
  for (Iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    std::error_code ignored;
    if (each->is_regular_file(ignored) && is_image_name(each->path())) found.insert(each->path().string());
  }
  if (error) return fail(Exit::some_failed, fmt::format("{}: cannot be listed: {}", folder, error.message()));
  files.insert(files.end(), found.begin(), found.end());
  return {};
}

}  // namespace

Result<std::vector<std::string>> files_of(std::span<const std::string> operands, bool recursive) {
  std::vector<std::string> files;
  for (const std::string& operand : operands) {
    std::error_code error;
    if (!fs::is_directory(operand, error)) {
      files.push_back(operand);
      continue;
    }
    const auto taken = recursive ? take_folder<fs::recursive_directory_iterator>(operand, files)
                                 : take_folder<fs::directory_iterator>(operand, files);
    if (!taken) return std::unexpected(taken.error());
  }
  return files;
}

}  // namespace histod::ctl
