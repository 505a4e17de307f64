// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/finalize.hpp"

#include <string>
#include <utility>

#include "daemon/api/results.hpp"
#include "daemon/tables_json.hpp"

namespace histod::daemon::jobs {

namespace {

compute::Rule rule_of(const DatasetRecord& record) {
  const auto rule = record.options.find("rule");
  return rule == record.options.end() ? compute::Rule::opencv
                                      : compute::rule_from_name(rule->second).value_or(compute::Rule::opencv);
}

api::Problem problem_of(compute::Error error) { return api::problem_of({std::move(error), false}); }

NewTables described(const DatasetRecord& record, std::vector<compute::KindTables> tables, LutOrigin origin,
                    const compute::Tally* made_of, std::int64_t now_ms) {
  DatasetLut lut;
  lut.revision = record.lut ? record.lut->revision + 1 : 1;
  lut.digest = lut_digest(tables);
  lut.origin = origin;
  lut.made_ms = now_ms;
  for (const compute::KindTables& one : tables) {
    const compute::TableKind& kind = one.kind;
    LutKind& out =
        lut.kinds.emplace_back(LutKind{std::string(name(kind.quantity)), kind.planes, kind.bins, kind.levels});
    const compute::TallyEntry* entry = made_of == nullptr ? nullptr : made_of->find(kind);
    if (entry == nullptr) continue;
    out.images = entry->images;
    out.counted = entry->counted;
    out.masked = entry->masked;
    lut.images += entry->images;
  }
  return {std::move(tables), std::move(lut)};
}

}  // namespace

std::optional<api::Problem> not_ready(std::span<const Share> shares, std::uint64_t applied) {
  std::uint64_t waiting = 0, unmade = 0;
  for (const Share& share : shares) {
    waiting += share.waiting;
    unmade += share.applied_revision == applied ? share.unmade : share.images.size();
  }
  if (unmade > 0) return problem(409, "not-finished", "images are still being made by the tables in force", unmade);
  if (waiting > 0) return problem(409, "not-finished", "images are not counted yet", waiting);
  return std::nullopt;
}

Outcome<compute::Tally> sum_of(std::span<const Share> shares) {
  compute::Tally sum;
  for (const Share& share : shares) {
    if (share.tally.empty()) continue;
    const auto tally = compute::Tally::from_bytes(share.tally);
    if (!tally) return std::unexpected(problem_of(tally.error()));
    if (auto merged = sum.merge(*tally); !merged) return std::unexpected(problem_of(std::move(merged.error())));
  }
  return sum;
}

Outcome<NewTables> make_tables(const DatasetRecord& record, const compute::Tally& sum, const compute::Tally* reference,
                               std::int64_t now_ms) {
  if (sum.entries().empty()) return std::unexpected(problem(409, "empty-dataset", "no image is counted in it"));
  auto tables = reference == nullptr ? compute::make_tables(rule_of(record), sum) : match_tables(sum, *reference);
  if (!tables) return std::unexpected(problem_of(std::move(tables.error())));
  return described(record, std::move(*tables), reference == nullptr ? LutOrigin::counted : LutOrigin::matched, &sum,
                   now_ms);
}

NewTables take_tables(const DatasetRecord& record, std::vector<compute::KindTables> tables, std::int64_t now_ms) {
  return described(record, std::move(tables), LutOrigin::uploaded, nullptr, now_ms);
}

}  // namespace histod::daemon::jobs
