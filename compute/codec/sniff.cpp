// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cctype>
#include <string>

#include "compute/codec/internal.hpp"

namespace histod::compute::codec {
namespace {

using std::string_view_literals::operator""sv;

struct FormatName {
  FileFormat format;
  std::string_view name;
  std::string_view media_type;
  std::string_view extension;
  std::string_view other_name;
};

constexpr std::array k_names{
    FormatName{FileFormat::pgm, "pgm", "image/x-portable-graymap", "pgm", "pgm"},
    FormatName{FileFormat::ppm, "ppm", "image/x-portable-pixmap", "ppm", "ppm"},
    FormatName{FileFormat::pam, "pam", "image/x-portable-arbitrarymap", "pam", "pam"},
    FormatName{FileFormat::png, "png", "image/png", "png", "png"},
    FormatName{FileFormat::jpeg, "jpeg", "image/jpeg", "jpg", "jpe"},
    FormatName{FileFormat::tiff, "tiff", "image/tiff", "tif", "tiff"},
};

const FormatName& entry(FileFormat format) { return k_names.at(static_cast<std::size_t>(format)); }

}  // namespace

std::string_view name(FileFormat format) { return entry(format).name; }
std::string_view media_type(FileFormat format) { return entry(format).media_type; }
std::string_view extension(FileFormat format) { return entry(format).extension; }

std::optional<FileFormat> format_from_name(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const FormatName& row : k_names)
    if (lower == row.name || lower == row.extension || lower == row.other_name) return row.format;
  return std::nullopt;
}

std::optional<FileFormat> sniff(std::span<const std::byte> file) {
  const std::string_view text = as_text(file.first(std::min<std::size_t>(file.size(), 8)));
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return FileFormat::png;
  if (text.starts_with("\xff\xd8\xff")) return FileFormat::jpeg;
  if (text.starts_with("II*\0"sv) || text.starts_with("MM\0*"sv)) return FileFormat::tiff;
  if (text.starts_with("II+\0"sv) || text.starts_with("MM\0+"sv)) return FileFormat::tiff;
  if (text.size() < 3 || text[0] != 'P') return std::nullopt;
  const bool blank = text[2] == ' ' || text[2] == '\t' || text[2] == '\n' || text[2] == '\r' || text[2] == '#';
  if (!blank) return std::nullopt;
  // P1 and P4 (bitmaps) are taken for PGM here, so that probe() can say what they are.
  if (std::string_view("1245").find(text[1]) != std::string_view::npos) return FileFormat::pgm;
  if (text[1] == '3' || text[1] == '6') return FileFormat::ppm;
  if (text[1] == '7') return FileFormat::pam;
  return std::nullopt;
}

}  // namespace histod::compute::codec
