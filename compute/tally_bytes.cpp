// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "compute/tally.hpp"

namespace histod::compute {
namespace {

constexpr std::array<std::byte, 4> k_magic{std::byte{'H'}, std::byte{'T'}, std::byte{'L'}, std::byte{'Y'}};
constexpr std::uint64_t k_version = 1;
constexpr std::uint64_t k_any = std::numeric_limits<std::uint64_t>::max();

void put(std::vector<std::byte>& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<std::byte>(number | 0x80));
  out.push_back(static_cast<std::byte>(number));
}

void put_plane(std::vector<std::byte>& out, const Histogram& plane) {
  std::uint64_t filled = 0;
  for (const std::uint64_t count : plane.counts()) filled += count != 0;
  put(out, filled);
  std::uint64_t gap = 0;
  for (const std::uint64_t count : plane.counts()) {
    if (count == 0) {
      ++gap;
      continue;
    }
    put(out, gap);
    put(out, count);
    gap = 0;
  }
}

/// Numbers until the first that is wrong; all after it are 0, so that only loops and allocations need to look.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::size_t at) : bytes_(bytes), at_(at) {}

  bool failed() const { return error_.has_value(); }
  Error error() const { return *error_; }
  std::size_t left() const { return bytes_.size() - at_; }

  void refuse(Errc code, std::string detail, std::uint64_t value = 0, std::uint64_t limit = 0) {
    if (!error_) error_ = Error{make_error_code(code), std::move(detail), value, limit};
  }
  void refuse(Error error) {
    if (!error_) error_ = std::move(error);
  }

  /// `what` is a number from `least` to `most`.
  std::uint64_t number(const char* what, std::uint64_t least, std::uint64_t most) {
    const std::uint64_t value = read();
    if (failed()) return 0;
    if (value >= least && value <= most) return value;
    refuse(Errc::corrupt, std::string(what) + " of a tally is out of its bounds", value, most);
    return 0;
  }

 private:
  std::uint64_t read() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; !failed(); shift += 7) {
      if (left() == 0) {
        refuse(Errc::truncated, "a tally ends within its numbers, at byte", at_);
        break;
      }
      const auto byte = std::to_integer<std::uint64_t>(bytes_[at_++]);
      const std::uint64_t bits = byte & 0x7f;
      const bool last = byte < 0x80;
      if (shift == 63 ? byte != 1 : last && bits == 0 && shift > 0) {
        refuse(Errc::corrupt, "a number of a tally is not written as it should be, at byte", at_ - 1);
        break;
      }
      value |= bits << shift;
      if (last) return value;
    }
    return 0;
  }

  const std::span<const std::byte> bytes_;
  std::size_t at_;
  std::optional<Error> error_;
};

TallyEntry read_head(Reader& reader) {
  TallyEntry entry;
  entry.kind.quantity = static_cast<Quantity>(reader.number("the quantity", 0, 2));
  entry.kind.planes = static_cast<std::uint32_t>(reader.number("the number of planes", 1, 255));
  entry.kind.bins = static_cast<std::uint32_t>(reader.number("the number of bins", 256, 65536));
  entry.kind.levels = static_cast<std::uint32_t>(reader.number("the number of levels", 2, 65536));
  entry.images = reader.number("the number of images", 1, k_any);
  entry.masked = reader.number("the number of masked pixels", 0, k_any);
  if (reader.failed()) return entry;
  if (auto checked = check(entry.kind); !checked) reader.refuse(std::move(checked.error()));
  return entry;
}

Histogram read_plane(Reader& reader, const TableKind& kind) {
  Histogram plane(kind.bins);
  std::uint64_t total = 0;
  std::uint64_t bin = 0;
  for (std::uint64_t left = reader.number("the number of filled bins", 0, kind.levels); left > 0; --left) {
    // As many bins as are still to come must have room behind the gap.
    bin += reader.number("a gap", 0, kind.levels - bin - left);
    const std::uint64_t count = reader.number("a count", 1, k_any);
    if (__builtin_add_overflow(total, count, &total)) {
      reader.refuse(Errc::corrupt, "the counts of a tally sum to more than 64 bits, in bin", bin);
    }
    if (reader.failed()) break;
    plane.counts()[bin++] = count;
  }
  return plane;
}

void read_planes(Reader& reader, TallyEntry& entry) {
  for (std::uint32_t p = 0; p < entry.kind.planes && !reader.failed(); ++p) {
    const Histogram& plane = entry.planes.emplace_back(read_plane(reader, entry.kind));
    const std::uint64_t counted = plane.total();
    if (p == 0) entry.counted = counted;
    if (counted != entry.counted) {
      reader.refuse(Errc::corrupt, "the planes of a tally were not counted from the same pixels", counted,
                    entry.counted);
    }
  }
}

}  // namespace

std::vector<std::byte> Tally::to_bytes() const {
  std::vector<std::byte> out(k_magic.begin(), k_magic.end());
  put(out, k_version);
  put(out, entries_.size());
  for (const TallyEntry& entry : entries_) {
    for (const std::uint64_t number :
         {static_cast<std::uint64_t>(entry.kind.quantity), std::uint64_t{entry.kind.planes},
          std::uint64_t{entry.kind.bins}, std::uint64_t{entry.kind.levels}, entry.images, entry.masked}) {
      put(out, number);
    }
    for (const Histogram& plane : entry.planes) put_plane(out, plane);
  }
  return out;
}

Result<Tally> Tally::from_bytes(std::span<const std::byte> bytes, std::uint64_t memory_bytes_max) {
  if (bytes.size() < k_magic.size()) {
    return fail(Errc::truncated, "a tally ends before its header does, in bytes", bytes.size(), k_magic.size());
  }
  if (!std::equal(k_magic.begin(), k_magic.end(), bytes.begin())) return fail(Errc::corrupt, "not a tally");
  Reader reader(bytes, k_magic.size());
  const std::uint64_t version = reader.number("the version", 0, k_any);
  if (!reader.failed() && version != k_version) {
    return fail(Errc::unsupported_feature, "unknown version of a tally", version, k_version);
  }
  Tally tally;
  std::uint64_t memory = 0;
  for (std::uint64_t left = reader.number("the number of kinds", 0, k_any); left > 0 && !reader.failed(); --left) {
    TallyEntry entry = read_head(reader);
    if (!tally.entries_.empty() && !reader.failed() && entry.kind <= tally.entries_.back().kind) {
      reader.refuse(Errc::corrupt, "the kinds of a tally are not in order");
    }
    memory += entry.memory_bytes();
    if (auto checked = check_memory(memory, memory_bytes_max); !checked) reader.refuse(std::move(checked.error()));
    if (!reader.failed()) read_planes(reader, entry);
    tally.entries_.push_back(std::move(entry));
  }
  if (!reader.failed() && reader.left() > 0) reader.refuse(Errc::corrupt, "bytes follow a tally", reader.left());
  if (reader.failed()) return std::unexpected(reader.error());
  return tally;
}

}  // namespace histod::compute
