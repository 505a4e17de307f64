// SPDX-License-Identifier: Apache-2.0
#include "compute/table_text.hpp"

#include <charconv>
#include <cstdint>
#include <numeric>
#include <optional>
#include <utility>

namespace histod::compute {
namespace {

constexpr std::string_view k_title = "# histod lut ";
constexpr std::uint32_t k_version = 1;

/// Digits without a sign or zeros before them.
std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool padded = text.size() > 1 && text.front() == '0';
  if (error != std::errc() || end != text.data() + text.size() || padded) return std::nullopt;
  return value;
}

class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  Result<std::string_view> next() {
    ++number_;
    if (text_.empty()) return std::unexpected(error(Errc::truncated, "the text ends before its tables do"));
    const std::size_t end = text_.find('\n');
    std::string_view line = text_.substr(0, end);
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  Error error(Errc code, std::string_view what, std::uint64_t value = 0, std::uint64_t limit = 0) const {
    return {make_error_code(code), "line " + std::to_string(number_) + ": " + std::string(what), value, limit};
  }
  std::unexpected<Error> corrupt(std::string_view what, std::uint64_t value = 0, std::uint64_t limit = 0) const {
    return std::unexpected(error(Errc::corrupt, what, value, limit));
  }

  std::size_t left() const { return text_.size(); }

 private:
  std::string_view text_;
  std::uint64_t number_ = 0;
};

/// What follows `prefix` on the next line.
Result<std::string_view> value_after(Lines& lines, std::string_view prefix) {
  auto line = lines.next();
  if (!line) return line;
  if (!line->starts_with(prefix)) return lines.corrupt("it should begin with \"" + std::string(prefix) + "\"");
  return line->substr(prefix.size());
}

Result<std::uint32_t> number_after(Lines& lines, std::string_view prefix) {
  const auto text = value_after(lines, prefix);
  if (!text) return std::unexpected(text.error());
  const auto number = number_of(*text);
  if (!number) return lines.corrupt("a plain number should follow \"" + std::string(prefix) + "\"");
  return *number;
}

Result<TableKind> read_kind(Lines& lines) {
  const auto version = number_after(lines, k_title);
  if (!version) return std::unexpected(version.error());
  if (*version != k_version) {
    return std::unexpected(lines.error(Errc::unsupported_feature, "unknown version", *version, k_version));
  }
  TableKind kind;
  const auto word = value_after(lines, "# quantity ");
  if (!word) return std::unexpected(word.error());
  const auto quantity = quantity_from_name(*word);
  if (!quantity) return lines.corrupt("the quantity is brightness, lightness or channels");
  kind.quantity = *quantity;
  for (const auto& [prefix, into] :
       {std::pair("# planes ", &kind.planes), {"# bins ", &kind.bins}, {"# levels ", &kind.levels}}) {
    const auto number = number_after(lines, prefix);
    if (!number) return std::unexpected(number.error());
    *into = *number;
  }
  if (const auto checked = check(kind); !checked) {
    return lines.corrupt("above is no image's kind: " + checked.error().detail, checked.error().value,
                         checked.error().limit);
  }
  return kind;
}

Result<void> read_entries(Lines& lines, std::uint32_t value, KindTables& tables) {
  const auto line = lines.next();
  if (!line) return std::unexpected(line.error());
  std::string_view rest = *line;
  for (std::size_t p = 0; p < tables.tables.size(); ++p) {
    const bool last = p + 1 == tables.tables.size();
    const std::size_t end = last ? rest.size() : rest.find(' ');
    if (end == std::string_view::npos)
      return lines.corrupt("an entry for each plane is wanted", p + 1, tables.kind.planes);
    const auto entry = number_of(rest.substr(0, end));
    if (!entry) return lines.corrupt("an entry is not a plain number, in plane", p);
    if (*entry >= tables.kind.levels) {
      return lines.corrupt("an entry is at or above the levels", *entry, tables.kind.levels);
    }
    tables.tables[p][value] = static_cast<std::uint16_t>(*entry);
    rest.remove_prefix(last ? end : end + 1);
  }
  return {};
}

}  // namespace

std::string to_text(const KindTables& tables) {
  const TableKind& kind = tables.kind;
  std::string text(k_title);
  text += std::to_string(k_version) + "\n# quantity " + std::string(name(kind.quantity));
  text += "\n# planes " + std::to_string(kind.planes) + "\n# bins " + std::to_string(kind.bins);
  text += "\n# levels " + std::to_string(kind.levels) + "\n";
  for (std::uint32_t i = 0; i < kind.levels; ++i) {
    for (std::size_t p = 0; p < tables.tables.size(); ++p) {
      if (p > 0) text += ' ';
      text += std::to_string(tables.tables[p][i]);
    }
    text += '\n';
  }
  return text;
}

Result<KindTables> tables_from_text(std::string_view text) {
  Lines lines(text);
  auto kind = read_kind(lines);
  if (!kind) return std::unexpected(std::move(kind.error()));
  // An entry is a digit and what parts it from the next.
  const std::uint64_t least = std::uint64_t{2} * kind->levels * kind->planes - 1;
  if (lines.left() < least) {
    return std::unexpected(lines.error(Errc::truncated, "too few bytes follow for the entries", lines.left(), least));
  }
  Lut identity(kind->bins);
  std::iota(identity.begin(), identity.end(), std::uint16_t{0});
  KindTables tables{.kind = *kind, .tables = std::vector(kind->planes, identity)};
  for (std::uint32_t value = 0; value < kind->levels; ++value) {
    if (auto read = read_entries(lines, value, tables); !read) return std::unexpected(std::move(read.error()));
  }
  if (lines.left() == 0) return tables;
  static_cast<void>(lines.next());
  return lines.corrupt("there are more lines than levels", lines.left(), kind->levels);
}

}  // namespace histod::compute
