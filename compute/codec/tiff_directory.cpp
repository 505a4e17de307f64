// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_directory.hpp"

#include <array>

namespace histod::compute::codec::tiff {
namespace {

constexpr std::uint64_t k_usual_tags = 48;
constexpr unsigned k_nesting_max = 3;

std::uint64_t load_offset(Bytes file, std::size_t at, const Format& format) {
  return format.big ? load<std::uint64_t>(file, at, format.order) : load<std::uint32_t>(file, at, format.order);
}

bool holds(Bytes file, std::uint64_t offset, std::uint64_t bytes) {
  return offset <= file.size() && bytes <= file.size() - offset;
}

std::unexpected<Error> past_the_end() {
  return fail(Errc::truncated, "a TIFF directory or tag lies beyond the end of the file");
}

Result<std::optional<Entry>> read_entry(Bytes file, const Format& format, std::size_t at) {
  Entry entry{.tag = load<std::uint16_t>(file, at, format.order),
              .type = load<std::uint16_t>(file, at + 2, format.order),
              .count = load_offset(file, at + 4, format),
              .data = {}};
  const std::uint64_t each_bytes = type_bytes(entry.type);
  if (each_bytes == 0 || entry.count == 0) return std::nullopt;
  if (entry.count > file.size() / each_bytes) return past_the_end();
  const std::uint64_t bytes = entry.count * each_bytes;
  const std::size_t value_at = at + 4 + format.offset_bytes();
  const std::uint64_t data_at = bytes <= format.offset_bytes() ? value_at : load_offset(file, value_at, format);
  if (!holds(file, data_at, bytes)) return past_the_end();
  entry.data = file.subspan(data_at, bytes);
  return entry;
}

bool holds_pixels(std::uint16_t tag) {
  return tag == k_strip_offsets || tag == k_strip_byte_counts || tag == k_tile_offsets || tag == k_tile_byte_counts;
}

/// Counts what the tags of a directory, and of those it points at, take; refuses what a copy would lose.
Result<void> check_tags(Bytes file, const Format& format, const Directory& directory, unsigned depth,
                        LimitCheck& check) {
  for (const Entry& entry : directory.entries) {
    if (auto done = check.add_ancillary(format.entry_bytes() + (holds_pixels(entry.tag) ? 0 : entry.data.size()));
        !done)
      return done;
    if (!points_at_directory(entry.tag)) {
      if (entry.tag == k_sub_ifds || entry.type == k_ifd || entry.type == k_ifd8)
        return fail(Errc::unsupported_feature, "the TIFF has sub-directories in a tag that is not EXIF or GPS",
                    entry.tag);
      continue;
    }
    if (depth == k_nesting_max)
      return fail(Errc::corrupt, "the TIFF nests directories too deep", depth + 1, k_nesting_max);
    const auto offset = entry.number(0, format.order);
    if (!offset || entry.count != 1) return fail(Errc::corrupt, "a TIFF tag should point at one directory", entry.tag);
    const auto nested = read_directory(file, format, *offset);
    if (!nested) return std::unexpected(nested.error());
    if (auto done = check_tags(file, format, *nested, depth + 1, check); !done) return done;
  }
  return {};
}

Result<Format> read_format(Bytes file, std::uint64_t& first) {
  Format format;
  if (file.size() < 8) return past_the_end();
  format.order = starts_with(file, "II") ? std::endian::little : std::endian::big;
  format.big = load<std::uint16_t>(file, 2, format.order) == 43;
  if (file.size() < format.header_bytes()) return past_the_end();
  if (format.big && load<std::uint16_t>(file, 4, format.order) != 8)
    return fail(Errc::corrupt, "the header of the BigTIFF does not say 8-byte offsets");
  first = load_offset(file, format.big ? 8 : 4, format);
  return format;
}

}  // namespace

std::size_t type_bytes(std::uint16_t type) {
  constexpr std::array<std::uint8_t, 19> k_bytes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
  return type < k_bytes.size() ? k_bytes[type] : 0;
}

std::optional<std::uint64_t> Entry::number(std::uint64_t index, std::endian order) const {
  if (index >= count) return std::nullopt;
  switch (type) {
    case k_byte:
      return std::to_integer<std::uint64_t>(data[index]);
    case k_short:
      return load<std::uint16_t>(data, index * 2, order);
    case k_long:
    case k_ifd:
      return load<std::uint32_t>(data, index * 4, order);
    case k_long8:
    case k_ifd8:
      return load<std::uint64_t>(data, index * 8, order);
    default:
      return std::nullopt;
  }
}

std::optional<double> Entry::rational(std::endian order) const {
  if (type != k_rational) return std::nullopt;
  const auto denominator = load<std::uint32_t>(data, 4, order);
  if (denominator == 0) return std::nullopt;
  return static_cast<double>(load<std::uint32_t>(data, 0, order)) / denominator;
}

std::string_view Entry::text() const {
  if (type != k_ascii) return {};
  const std::string_view all = as_text(data);
  return all.substr(0, all.find('\0'));
}

const Entry* Directory::find(std::uint16_t tag) const {
  const auto at = std::lower_bound(entries.begin(), entries.end(), tag,
                                   [](const Entry& entry, std::uint16_t wanted) { return entry.tag < wanted; });
  return at != entries.end() && at->tag == tag ? &*at : nullptr;
}

std::uint64_t Directory::number_or(std::uint16_t tag, std::endian order, std::uint64_t otherwise) const {
  const Entry* entry = find(tag);
  return entry == nullptr ? otherwise : entry->number(0, order).value_or(otherwise);
}

bool points_at_directory(std::uint16_t tag) {
  return tag == k_exif_ifd || tag == k_gps_ifd || tag == k_interoperability_ifd || tag == k_global_parameters_ifd;
}

Result<Directory> read_directory(Bytes file, const Format& format, std::uint64_t offset,
                                 std::pmr::memory_resource& memory) {
  if (!holds(file, offset, format.count_bytes())) return past_the_end();
  const std::uint64_t count =
      format.big ? load<std::uint64_t>(file, offset, format.order) : load<std::uint16_t>(file, offset, format.order);
  const std::uint64_t begin = offset + format.count_bytes();
  if (count == 0) return fail(Errc::corrupt, "a TIFF directory is empty");
  if (count > file.size() / format.entry_bytes()) return past_the_end();
  const std::uint64_t bytes = count * format.entry_bytes();
  if (!holds(file, begin, bytes + format.offset_bytes())) return past_the_end();
  if (count > 65535) return fail(Errc::corrupt, "tags of a TIFF directory", count, 65535);
  Directory directory{.entries = std::pmr::vector<Entry>(&memory)};
  directory.entries.reserve(std::min<std::uint64_t>(count, k_usual_tags));
  for (std::uint64_t i = 0; i < count; ++i) {
    auto entry = read_entry(file, format, begin + i * format.entry_bytes());
    if (!entry) return std::unexpected(entry.error());
    if (*entry) directory.entries.push_back(**entry);
  }
  const auto by_tag = [](const Entry& a, const Entry& b) {
    return a.tag != b.tag ? a.tag < b.tag : a.data.data() < b.data.data();
  };
  const auto same_tag = [](const Entry& a, const Entry& b) { return a.tag == b.tag; };
  std::sort(directory.entries.begin(), directory.entries.end(), by_tag);
  directory.entries.erase(std::unique(directory.entries.begin(), directory.entries.end(), same_tag),
                          directory.entries.end());
  directory.next = load_offset(file, begin + bytes, format);
  return directory;
}

Result<Container> read_container(Bytes file, const Limits& limits, LimitCheck& check,
                                 std::pmr::memory_resource& memory) {
  Container container{.format = {}, .pages = std::pmr::vector<Directory>(&memory)};
  std::uint64_t offset = 0;
  const auto format = read_format(file, offset);
  if (!format) return std::unexpected(format.error());
  container.format = *format;
  if (offset == 0) return fail(Errc::corrupt, "the TIFF has no directory");
  std::pmr::vector<std::uint64_t> seen(&memory);
  while (offset != 0) {
    if (std::find(seen.begin(), seen.end(), offset) != seen.end())
      return fail(Errc::corrupt, "the directories of the TIFF form a loop");
    seen.push_back(offset);
    if (seen.size() > limits.pages) return fail(Errc::pages_over_limit, "pages of the file", seen.size(), limits.pages);
    auto directory = read_directory(file, container.format, offset, memory);
    if (!directory) return std::unexpected(directory.error());
    if (auto done = check_tags(file, container.format, *directory, 0, check); !done)
      return std::unexpected(done.error());
    offset = directory->next;
    container.pages.push_back(std::move(*directory));
  }
  return container;
}

}  // namespace histod::compute::codec::tiff
