// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/jobs/finalize.hpp"
#include "tests/daemon/engine_rig.hpp"

namespace histod::daemon::jobs {

using test::bytes_of;
using test::EngineRig;

using Samples = std::vector<std::uint8_t>;

/// What the pipeline makes of an image of these samples.
inline std::vector<std::byte> tally_of(Samples samples) {
  compute::Arena arena({.cpus = {}, .threads = 1});
  compute::EqualizePage page;
  page.image = {
      reinterpret_cast<std::byte*>(samples.data()), static_cast<std::uint32_t>(samples.size()), 1, samples.size(), {}};
  return compute::tally_of(std::span(&page, 1), {}, arena).value().to_bytes();
}

/// floor(((cdf - h[m]) * 255 + (N - h[m]) / 2) / (N - h[m])).
inline compute::Lut exact_table(const Samples& all) {
  std::array<std::uint64_t, 256> counts{};
  for (const std::uint8_t sample : all) ++counts[sample];
  std::size_t first = 0;
  while (counts[first] == 0) ++first;
  const std::uint64_t others = all.size() - counts[first];
  compute::Lut lut(256);
  std::uint64_t cdf = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    cdf += counts[i];
    if (i >= first) lut[i] = static_cast<std::uint16_t>(((cdf - counts[first]) * 255 + others / 2) / others);
  }
  return lut;
}

inline const Samples k_dark{1, 2, 3, 3, 3, 4}, k_light{100, 150, 200, 200}, k_more{1, 1, 7, 250, 251, 252, 253};

inline Samples joined(std::initializer_list<Samples> parts) {
  Samples all;
  for (const Samples& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// An engine with datasets, and what a coordinator would do with them. Oracle: `exact_table` of all samples in one row.
class DatasetsTest : public testing::Test {
 protected:
  DatasetsTest() {
    rig_.emplace(spool(0));
    rig_->engine->resume();
  }
  ~DatasetsTest() override { end_attempts(); }
  std::filesystem::path spool(int number) const { return folder_.path() / ("spool" + std::to_string(number)); }
  /// As a power loss would leave it now, found by another process.
  void crash(const Engine::Options& options = {}) {
    rig_->settle();  // nothing is being written while it is copied
    std::filesystem::copy(spool(crashes_), spool(crashes_ + 1), std::filesystem::copy_options::recursive);
    end_attempts();
    rig_.emplace(spool(++crashes_), options);
    rig_->engine->resume();
  }
  /// An engine waits for what is under way before it ends.
  void end_attempts() {
    rig_->engine->drain();
    rig_->settle();
    for (const std::string& id : std::exchange(begun_, {})) rig_->finish(id);
    while (rig_->attempts.waiting() > 0) rig_->finish(rig_->attempts.next().id);
  }
  /// The next attempt, which nobody ends before the crash.
  void begin_next() { begun_.push_back(rig_->attempts.next().id); }
  /// What a coordinator does of it.
  std::string create(std::map<std::string, std::string> options = {{"rule", "exact"}}, std::string reference = {}) {
    const std::int64_t now = rig_->now_ms;
    return put({ulids_.next(now), "mosaic", now, now, std::move(options), std::move(reference), {}, 0, false})
        .value()
        .record.id;
  }
  Outcome<DatasetStatus> put(DatasetRecord record, SharedTables tables = nullptr) {
    return rig_->ask<DatasetStatus>(&Engine::put_dataset, std::move(record), std::move(tables));
  }
  Share share(const std::string& id) { return rig_->ask<Share>(&Engine::share, id).value(); }
  Outcome<DatasetStatus> put_in_force(DatasetRecord record, NewTables made, const std::string& tally_sha256) {
    record.lut = std::move(made.lut);
    record.lut->tally_sha256 = tally_sha256;
    return put(std::move(record), std::make_shared<const std::vector<compute::KindTables>>(std::move(made.tables)));
  }
  Outcome<Submitted> submit(const std::string& dataset, std::string_view content) {
    return rig_->submit({{}, bytes_of(content), {}, "a.png", "", dataset});
  }
  /// An image that is there and counted; its id.
  std::string add(const std::string& dataset, const Samples& samples, std::string_view content = "content") {
    const std::string id = submit(dataset, content).value().record.id;
    count_next(samples);
    return id;
  }
  void count_next(const Samples& samples) {
    const JobRecord record = rig_->attempts.next();
    EXPECT_EQ(rig_->attempts.latest_tables(), nullptr) << "it is only to be counted";
    Finished outcome;
    outcome.tally = tally_of(samples);
    rig_->end(record.id, std::move(outcome));
  }
  /// Makes the next image; the table that it was given.
  compute::Lut make_next(std::string_view result = "the result") {
    const JobRecord record = rig_->attempts.next();
    const SharedTables tables = rig_->attempts.latest_tables();
    rig_->finish(record.id, result);
    return tables ? tables->front().tables.front() : compute::Lut();
  }
  Outcome<DatasetStatus> status(const std::string& id) { return rig_->ask<DatasetStatus>(&Engine::get_dataset, id); }
  Outcome<DatasetStatus> finalize(const std::string& id) {
    DatasetRecord record = status(id)->record;
    const Share own = share(id);
    if (auto busy = not_ready(std::span(&own, 1), record.applied_revision)) return std::unexpected(std::move(*busy));
    std::optional<compute::Tally> reference;
    if (!record.reference.empty()) {
      const Share other = share(record.reference);
      reference = sum_of(std::span(&other, 1)).value();
    }
    auto made =
        make_tables(record, sum_of(std::span(&own, 1)).value(), reference ? &*reference : nullptr, rig_->now_ms);
    if (!made) return std::unexpected(std::move(made.error()));
    return put_in_force(std::move(record), std::move(*made), own.tally_sha256);
  }
  Outcome<DatasetStatus> apply(const std::string& id) {
    DatasetRecord record = status(id)->record;
    record.applied_revision = record.lut->revision;
    return put(std::move(record));
  }
  compute::Lut table(const std::string& id) {
    return rig_->ask<SharedTables>(&Engine::get_tables, id, 0).value()->front().tables.front();
  }
  JobState state(const std::string& image) { return rig_->get(image).value().state; }

  test::TemporaryFolder folder_;
  std::optional<EngineRig> rig_;
  int crashes_ = 0;
  UlidSource ulids_;
  std::vector<std::string> begun_;
};

}  // namespace histod::daemon::jobs
