// SPDX-License-Identifier: Apache-2.0
#include "daemon/tables_json.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include <boost/json/basic_parser_impl.hpp>
#include <fmt/format.h>

namespace histod::daemon {
namespace {

namespace json = boost::json;
using boost::system::error_code;
using compute::Errc;
using compute::Error;
using compute::KindTables;

constexpr std::uint64_t k_version = 1;
constexpr std::uint32_t k_bins_max = 65536;
constexpr std::size_t k_planes_max = 255;
constexpr std::size_t k_depth_max = 6;  // one more than is good, for a better message

/// Where in the document the parser is.
enum class At : std::uint8_t { outside, document, kinds, kind, tables, table };

enum class Member : std::uint8_t { none, version, digest, kinds, quantity, planes, bins, levels, tables };

struct MemberSpec {
  Member member;
  std::string_view name;
  At where;
};

constexpr std::array<MemberSpec, 8> k_members{{{Member::version, "histod_lut", At::document},
                                               {Member::digest, "digest", At::document},
                                               {Member::kinds, "kinds", At::document},
                                               {Member::quantity, "quantity", At::kind},
                                               {Member::planes, "planes", At::kind},
                                               {Member::bins, "bins", At::kind},
                                               {Member::levels, "levels", At::kind},
                                               {Member::tables, "tables", At::kind}}};

/// What Boost's parser calls, piece by piece: the entries go into their tables at once, so that a text full of tiny
/// values cannot take many times its size.
class Reader {
 public:
  // Boost's parser refuses what is larger.
  static constexpr std::size_t max_object_size = k_members.size();
  static constexpr std::size_t max_array_size = k_bins_max;
  static constexpr std::size_t max_key_size = 64;
  static constexpr std::size_t max_string_size = 128;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_comment_part(std::string_view, error_code&) { return true; }
  bool on_comment(std::string_view, error_code&) { return true; }
  bool on_number_part(std::string_view, error_code&) { return true; }

  bool on_object_begin(error_code& ec);
  bool on_object_end(std::size_t, error_code& ec);
  bool on_array_begin(error_code& ec);
  bool on_array_end(std::size_t, error_code&);
  bool on_key_part(std::string_view part, std::size_t, error_code&) { return append(part); }
  bool on_key(std::string_view part, std::size_t, error_code& ec);
  bool on_string_part(std::string_view part, std::size_t, error_code&) { return append(part); }
  bool on_string(std::string_view part, std::size_t, error_code& ec);
  bool on_int64(std::int64_t number, std::string_view, error_code& ec);
  bool on_uint64(std::uint64_t number, std::string_view, error_code& ec) { return take(number, ec); }
  bool on_double(double, std::string_view, error_code& ec) { return fail(ec, "only whole numbers may stand here"); }
  bool on_bool(bool, error_code& ec) { return fail(ec, "true and false have no place here"); }
  bool on_null(error_code& ec) { return fail(ec, "null has no place here"); }

  const std::optional<Error>& error() const { return error_; }
  /// After the last byte.
  compute::Result<std::vector<KindTables>> finish();

 private:
  bool append(std::string_view part) {
    text_ += part;
    return true;
  }
  bool has(Member member) const { return (seen_ & bit(member)) != 0; }
  static std::uint32_t bit(Member member) { return 1u << static_cast<unsigned>(member); }
  bool fail(error_code& ec, std::string_view what, std::uint64_t value = 0, std::uint64_t limit = 0,
            Errc code = Errc::corrupt);
  bool take(std::uint64_t number, error_code& ec);
  bool take_entry(std::uint64_t number, error_code& ec);
  bool has_all(At where, error_code& ec);
  std::string place() const;

  At at_ = At::outside;
  Member member_ = Member::none;  ///< the one whose value is next
  std::uint32_t seen_ = 0;        ///< members, by bit
  std::string text_;              ///< of a name or a text
  std::string digest_;
  std::vector<KindTables> kinds_;
  std::optional<Error> error_;
};

std::string Reader::place() const {
  std::string out;
  if (at_ == At::kind || at_ == At::tables || at_ == At::table) out = fmt::format("kind {}: ", kinds_.size() - 1);
  if (at_ == At::table) {
    const auto& tables = kinds_.back().tables;
    out += fmt::format("table {}, entry {}: ", tables.size() - 1, tables.back().size());
  }
  return out;
}

bool Reader::fail(error_code& ec, std::string_view what, std::uint64_t value, std::uint64_t limit, Errc code) {
  error_ = Error{compute::make_error_code(code), place() + std::string(what), value, limit};
  ec = json::error::syntax;  // any: what ends the parsing is what error() says
  return false;
}

bool Reader::on_object_begin(error_code& ec) {
  if (at_ == At::outside) {
    at_ = At::document;
  } else if (at_ == At::kinds) {
    at_ = At::kind;
    kinds_.emplace_back();
  } else {
    return fail(ec, "an object has no place here");
  }
  return true;
}

bool Reader::has_all(At where, error_code& ec) {
  for (const MemberSpec& spec : k_members) {
    if (spec.where != where || spec.member == Member::digest || has(spec.member)) continue;
    return fail(ec, fmt::format("\"{}\" is missing", spec.name));
  }
  return true;
}

bool Reader::on_object_end(std::size_t, error_code& ec) {
  if (!has_all(at_, ec)) return false;
  if (at_ == At::document) {
    at_ = At::outside;
    return true;
  }
  for (const MemberSpec& spec : k_members) {
    if (spec.where == At::kind) seen_ &= ~bit(spec.member);
  }
  KindTables& kind = kinds_.back();
  if (const auto good = check(kind); !good) {
    return fail(ec, good.error().detail, good.error().value, good.error().limit);
  }
  at_ = At::kinds;
  return true;
}

bool Reader::on_array_begin(error_code& ec) {
  if (at_ == At::document && member_ == Member::kinds) {
    at_ = At::kinds;
  } else if (at_ == At::kind && member_ == Member::tables) {
    at_ = At::tables;
  } else if (at_ == At::tables) {
    auto& tables = kinds_.back().tables;
    if (tables.size() == k_planes_max) return fail(ec, "too many tables", tables.size() + 1, k_planes_max);
    tables.emplace_back();
    at_ = At::table;
  } else {
    return fail(ec, "a list has no place here");
  }
  return true;
}

bool Reader::on_array_end(std::size_t, error_code&) {
  if (at_ == At::table) kinds_.back().tables.back().shrink_to_fit();
  at_ = at_ == At::kinds ? At::document : at_ == At::table ? At::tables : At::kind;
  return true;
}

bool Reader::on_key(std::string_view part, std::size_t, error_code& ec) {
  text_ += part;
  const std::string name = std::exchange(text_, {});
  const auto* found =
      std::ranges::find_if(k_members, [&](const MemberSpec& spec) { return spec.where == at_ && spec.name == name; });
  if (found == k_members.end()) return fail(ec, "there is a member of an unknown name");
  if (has(found->member)) return fail(ec, fmt::format("\"{}\" stands there twice", found->name));
  member_ = found->member;
  seen_ |= bit(member_);
  return true;
}

bool Reader::on_string(std::string_view part, std::size_t, error_code& ec) {
  text_ += part;
  std::string text = std::exchange(text_, {});
  if (at_ == At::document && member_ == Member::digest) {
    digest_ = std::move(text);
    return true;
  }
  if (at_ != At::kind || member_ != Member::quantity) return fail(ec, "a text has no place here");
  const auto quantity = compute::quantity_from_name(text);
  if (!quantity) return fail(ec, "the quantity is brightness, lightness or channels");
  kinds_.back().kind.quantity = *quantity;
  return true;
}

bool Reader::on_int64(std::int64_t number, std::string_view, error_code& ec) {
  if (number < 0) return fail(ec, "a number is below 0");
  return take(static_cast<std::uint64_t>(number), ec);
}

bool Reader::take(std::uint64_t number, error_code& ec) {
  if (at_ == At::table) return take_entry(number, ec);
  if (at_ == At::document && member_ == Member::version) {
    return number == k_version || fail(ec, "unknown version", number, k_version, Errc::unsupported_feature);
  }
  const bool in_kind = at_ == At::kind && member_ != Member::quantity && member_ != Member::tables;
  if (!in_kind) return fail(ec, "a number has no place here");
  if (number > k_bins_max) return fail(ec, "a number is too large", number, k_bins_max);
  compute::TableKind& kind = kinds_.back().kind;
  std::uint32_t& into = member_ == Member::planes ? kind.planes : member_ == Member::bins ? kind.bins : kind.levels;
  into = static_cast<std::uint32_t>(number);
  return true;
}

bool Reader::take_entry(std::uint64_t number, error_code& ec) {
  compute::Lut& table = kinds_.back().tables.back();
  if (number >= k_bins_max) return fail(ec, "the entry is too large", number, k_bins_max - 1);
  table.push_back(static_cast<std::uint16_t>(number));
  return true;
}

compute::Result<std::vector<KindTables>> Reader::finish() {
  if (kinds_.empty()) return compute::fail(Errc::corrupt, "there is no kind of tables");
  std::ranges::sort(kinds_, {}, &KindTables::kind);
  const auto twice = std::ranges::adjacent_find(kinds_, {}, &KindTables::kind);
  if (twice != kinds_.end()) {
    return compute::fail(Errc::corrupt, "a kind stands there twice: " + compute::describe(twice->kind));
  }
  if (has(Member::digest) && digest_ != lut_digest(kinds_)) {
    return compute::fail(Errc::corrupt, "the digest is not that of the tables");
  }
  return std::move(kinds_);
}

void append_kind(std::string& out, const KindTables& tables) {
  const compute::TableKind& kind = tables.kind;
  out += fmt::format(R"({{"quantity":"{}","planes":{},"bins":{},"levels":{},"tables":[)", name(kind.quantity),
                     kind.planes, kind.bins, kind.levels);
  for (std::size_t p = 0; p < tables.tables.size(); ++p) {
    if (p > 0) out += ',';
    char before = '[';
    for (const std::uint16_t entry : tables.tables[p]) {
      out += std::exchange(before, ',');
      out += fmt::format_int(entry).c_str();
    }
    out += ']';
  }
  out += "]}";
}

}  // namespace

std::string lut_digest(std::span<const KindTables> kinds) {
  LutDigest digest;
  for (const KindTables& kind : kinds) {
    for (const compute::Lut& lut : kind.tables) digest.add(lut);
  }
  return digest.finish();
}

std::string tables_to_json(std::span<const KindTables> kinds) {
  std::string out = fmt::format(R"({{"histod_lut":{},"digest":"{}","kinds":[)", k_version, lut_digest(kinds));
  for (const KindTables& kind : kinds) {
    if (out.back() == '}') out += ',';
    append_kind(out, kind);
  }
  return out + "]}";
}

compute::Result<std::vector<KindTables>> tables_from_json(std::string_view text) {
  if (text.size() > k_tables_json_bytes_max) {
    return compute::fail(Errc::bytes_over_limit, "the JSON is too long, bytes", text.size(), k_tables_json_bytes_max);
  }
  json::parse_options options;
  options.max_depth = k_depth_max;
  json::basic_parser<Reader> parser(options);
  error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  Reader& reader = parser.handler();
  if (reader.error()) return std::unexpected(*reader.error());
  if (ec) return compute::fail(Errc::corrupt, "no JSON of tables: " + ec.message() + ", at byte", used);
  if (used < text.size()) return compute::fail(Errc::corrupt, "more follows behind the JSON, at byte", used);
  return reader.finish();
}

}  // namespace histod::daemon
