// SPDX-License-Identifier: Apache-2.0
// Datasets: many images that are counted, one table for all of them, and what becomes of it in a crash. Oracle: counts
// and tables of all the samples in one row, by the definition of rule=exact.
#include "daemon/jobs/datasets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/tables_json.hpp"
#include "tests/daemon/datasets_fixture.hpp"

namespace histod::daemon::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(DatasetsTest, OneTableIsMadeOfAllImagesAndAppliedToEach) {
  const std::string id = create();
  const std::string dark = add(id, k_dark), light = add(id, k_light);
  EXPECT_EQ(state(dark), JobState::counted);
  EXPECT_EQ(rig_->ask<SharedTables>(&Engine::get_tables, id, 0).error().code, "not-finalized");
  const auto finalized = finalize(id);
  ASSERT_TRUE(finalized);
  const DatasetLut& lut = *finalized->record.lut;
  EXPECT_EQ(lut.revision, 1u);
  EXPECT_EQ(lut.images, 2u);
  EXPECT_EQ(lut.kinds.at(0).counted, 10u);
  const compute::Lut expected = exact_table(joined({k_dark, k_light}));
  EXPECT_EQ(table(id), expected);
  ASSERT_TRUE(apply(id));
  EXPECT_EQ(make_next("first"), expected);
  EXPECT_EQ(make_next("second"), expected);
  for (const std::string& image : {dark, light}) {
    EXPECT_EQ(state(image), JobState::done);
    EXPECT_EQ(rig_->get(image)->revision, 1u);
    EXPECT_EQ(rig_->file("jobs/" + image + "/input"), "content") << "it may be made again";
  }
  EXPECT_EQ(status(id)->images.made, 2u);
  EXPECT_EQ(rig_->file("jobs/" + light + "/result"), "second");
}

TEST_F(DatasetsTest, ImagesComeAndGoExactly) {
  const std::string id = create();
  const std::string dark = add(id, k_dark), light = add(id, k_light);
  ASSERT_TRUE(finalize(id));
  EXPECT_FALSE(status(id)->stale);
  ASSERT_TRUE(rig_->remove(dark));
  EXPECT_TRUE(status(id)->stale);
  EXPECT_EQ(finalize(id)->record.lut->revision, 2u);
  EXPECT_EQ(table(id), exact_table(k_light));
  add(id, k_more);
  ASSERT_TRUE(rig_->remove(light));
  ASSERT_TRUE(finalize(id));
  EXPECT_EQ(table(id), exact_table(k_more));
  EXPECT_FALSE(rig_->has("datasets/" + id + "/tables-1-0")) << "those of before take room for nothing";
  EXPECT_TRUE(rig_->has("datasets/" + id + "/tables-3-0"));
}

TEST_F(DatasetsTest, WhatIsNotCountedIsWaitedFor) {
  const std::string id = create();
  EXPECT_EQ(finalize(id).error().code, "empty-dataset");
  add(id, k_dark);
  ASSERT_TRUE(submit(id, "more"));
  const auto refused = finalize(id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "not-finished");
  EXPECT_EQ(refused.error().status, 409u);
  Finished broken;
  broken.error = problem(422, "broken-image", "it is broken");
  rig_->end(rig_->attempts.next().id, std::move(broken));
  ASSERT_TRUE(finalize(id)) << "a broken image keeps nobody";
  EXPECT_EQ(table(id), exact_table(k_dark));
  EXPECT_EQ(status(id)->images.in_state[index_of(JobState::failed)], 1u);
}

TEST_F(DatasetsTest, WhatComesLaterIsMadeByTheTablesInForce) {
  const std::string id = create();
  add(id, k_dark);
  ASSERT_TRUE(finalize(id));
  ASSERT_TRUE(apply(id));
  const compute::Lut first = make_next();
  add(id, k_light);
  EXPECT_EQ(make_next(), first) << "the same table, though it is stale";
  EXPECT_TRUE(status(id)->stale);
  ASSERT_TRUE(finalize(id));
  rig_->settle();
  EXPECT_EQ(rig_->attempts.waiting(), 0u) << "nothing is made again before somebody says so";
  ASSERT_TRUE(apply(id));
  const compute::Lut both = exact_table(joined({k_dark, k_light}));
  EXPECT_EQ(make_next(), both);
  EXPECT_EQ(make_next(), both);
}

TEST_F(DatasetsTest, TablesAreNotChangedUnderImagesThatAreBeingMade) {
  const std::string id = create();
  add(id, k_dark);
  ASSERT_TRUE(finalize(id));
  ASSERT_TRUE(apply(id));
  EXPECT_EQ(finalize(id).error().code, "not-finished");
  make_next();
  EXPECT_TRUE(finalize(id));
}

TEST_F(DatasetsTest, TablesMayComeFromElsewhere) {
  const std::string id = create();
  add(id, k_dark);
  compute::Lut inverse(256);
  for (std::size_t i = 0; i < 256; ++i) inverse[i] = static_cast<std::uint16_t>(255 - i);
  std::vector<compute::KindTables> tables{{{}, {inverse}}};
  const std::string digest = lut_digest(tables);
  const auto set = put_in_force(status(id)->record, take_tables(status(id)->record, std::move(tables), 1), "");
  ASSERT_TRUE(set);
  EXPECT_EQ(set->record.lut->origin, LutOrigin::uploaded);
  EXPECT_EQ(set->record.lut->digest, digest);
  ASSERT_TRUE(apply(id));
  EXPECT_EQ(make_next(), inverse);
}

TEST_F(DatasetsTest, ADatasetIsMatchedToAnother) {
  const std::string reference = create(), id = create({{"rule", "exact"}}, reference);
  add(id, {10, 20, 30, 40});
  add(reference, {5, 6, 7, 200});
  ASSERT_TRUE(finalize(id));
  const compute::Lut lut = table(id);
  EXPECT_THAT((std::vector<std::uint16_t>{lut[10], lut[20], lut[30], lut[40]}), ElementsAre(5, 6, 7, 200));
  EXPECT_EQ(status(id)->record.lut->origin, LutOrigin::matched);
}

TEST_F(DatasetsTest, ACrashAtAnyPointChangesNothing) {
  const std::string id = create();
  crash();
  const std::string dark = add(id, k_dark);
  crash();
  ASSERT_TRUE(submit(id, "light"));
  begin_next();
  crash();
  count_next(k_light);
  crash();
  EXPECT_EQ(status(id)->images.counted, 2u);
  ASSERT_TRUE(finalize(id));
  crash();
  const compute::Lut expected = exact_table(joined({k_dark, k_light}));
  EXPECT_EQ(table(id), expected);
  EXPECT_FALSE(status(id)->stale);
  ASSERT_TRUE(apply(id));
  begin_next();
  crash();
  EXPECT_EQ(make_next(), expected) << "it was being made";
  crash();
  EXPECT_EQ(make_next(), expected) << "it was waiting";
  crash();
  EXPECT_EQ(state(dark), JobState::done);
  EXPECT_EQ(status(id)->images.made, 2u);
  ASSERT_TRUE(rig_->remove(dark));
  crash();
  EXPECT_TRUE(status(id)->stale);
  ASSERT_TRUE(finalize(id));
  EXPECT_EQ(table(id), exact_table(k_light));
}

TEST_F(DatasetsTest, AnImageThatKillsTheProgramIsGivenUpEachTimeItIsMade) {
  Engine::Options options;
  options.attempts_max = 2;
  const std::string id = create();
  const std::string image = add(id, k_dark);
  ASSERT_TRUE(finalize(id));
  ASSERT_TRUE(apply(id));
  for (int i = 0; i < 2; ++i) {
    begin_next();
    crash(options);
  }
  rig_->settle();
  EXPECT_EQ(state(image), JobState::failed);
  EXPECT_EQ(rig_->get(image)->error->code, "gave-up");
  EXPECT_EQ(status(id)->images.made, 1u) << "it is over, and keeps nobody from finalizing";
}

TEST_F(DatasetsTest, CountsThatCannotBeReadAreCountedAgain) {
  const std::string id = create();
  const std::string image = add(id, k_dark);
  std::ofstream(spool(0) / "jobs" / image / "tally") << "nonsense";
  crash();
  EXPECT_EQ(status(id)->images.counted, 0u);
  count_next(k_dark);
  ASSERT_TRUE(finalize(id));
  EXPECT_EQ(table(id), exact_table(k_dark));
}

TEST_F(DatasetsTest, SumsHaveOnlySoMuchMemory) {
  Engine::Options options;
  options.sums_bytes_max = 3'000;  // one table of 256 counts has 2048
  crash(options);
  const std::string first = create(), second = create();
  add(first, k_dark);
  add(first, k_light);
  EXPECT_EQ(status(first)->images.counted, 2u) << "a second image of the kind costs nothing";
  const std::string refused = add(second, k_dark);
  EXPECT_EQ(state(refused), JobState::failed);
  EXPECT_EQ(rig_->get(refused)->error->code, "limit-exceeded");
  EXPECT_EQ(status(second)->images.counted, 0u);
  ASSERT_TRUE(rig_->ask<void>(&Engine::remove_dataset, first));
  for (int i = 0; i < 1'000 && rig_->has("datasets/" + first); ++i) rig_->settle();
  EXPECT_EQ(state(add(second, k_dark)), JobState::counted) << "the room of the first";
}

TEST_F(DatasetsTest, ImagesOfADatasetThatIsBrokenSaySo) {
  const std::string id = create();
  const std::string image = add(id, k_dark);
  rig_->settle();
  std::ofstream(spool(0) / "datasets" / id / "record") << "nonsense";
  crash();
  EXPECT_EQ(status(id).error().status, 404u);
  count_next(k_dark);
  EXPECT_EQ(state(image), JobState::failed);
  EXPECT_EQ(rig_->get(image)->error->status, 404u);
  EXPECT_TRUE(rig_->remove(image));
}

TEST_F(DatasetsTest, ADatasetGoesWithAllItsImages) {
  const std::string id = create(), other = create();
  for (int i = 0; i < 40; ++i) add(id, k_dark, "image " + std::to_string(i));
  const std::string stays = add(other, k_light);
  rig_->disk->set([](std::string_view operation, const std::string& path) {  // its images stay for now
    return operation == "rename" && path.ends_with(".gone") ? std::make_error_code(std::errc::io_error)
                                                            : std::error_code();
  });
  ASSERT_TRUE(rig_->ask<void>(&Engine::remove_dataset, id));
  EXPECT_EQ(status(id).error().status, 404u) << "at once";
  EXPECT_EQ(submit(id, "more").error().status, 404u);
  crash();
  for (int i = 0; i < 1'000 && rig_->has("datasets/" + id); ++i) rig_->settle();
  EXPECT_FALSE(rig_->has("datasets/" + id));
  EXPECT_THAT(rig_->list(100), ElementsAre(stays));
}

TEST_F(DatasetsTest, ADatasetSaysWhenItWasLastInUse) {
  const std::string id = create();
  const std::int64_t made = rig_->now_ms;
  EXPECT_EQ(status(id)->active_ms, made);
  rig_->now_ms += 500;
  const std::string image = add(id, k_dark);
  EXPECT_EQ(status(id)->active_ms, made + 500);
  rig_->now_ms += Engine::Options().result_ttl.count() * 2;
  rig_->settle();
  EXPECT_TRUE(rig_->get(image)) << "a dataset's images end with it";
  ASSERT_TRUE(submit(id, "more"));
  EXPECT_EQ(status(id)->active_ms, rig_->now_ms.load()) << "something waits";
}

TEST_F(DatasetsTest, TablesAreStagedBesideThoseInForce) {
  const std::string id = create();
  add(id, k_dark);
  ASSERT_TRUE(finalize(id));
  compute::Lut inverse(256);
  for (std::size_t i = 0; i < 256; ++i) inverse[i] = static_cast<std::uint16_t>(255 - i);
  const auto tables = std::make_shared<const std::vector<compute::KindTables>>(1, compute::KindTables{{}, {inverse}});
  const auto stage = [&](std::uint64_t revision) {
    return rig_->ask<void>(&Engine::stage_tables, id, revision, tables);
  };
  EXPECT_EQ(stage(1).error().code, "conflict");
  ASSERT_TRUE(stage(2));
  ASSERT_TRUE(stage(2));
  crash();
  EXPECT_EQ(table(id), exact_table(k_dark));
  const auto get = [&](std::uint64_t revision) { return rig_->ask<SharedTables>(&Engine::get_tables, id, revision); };
  EXPECT_EQ(get(2).value()->front().tables.front(), inverse);
  EXPECT_EQ(get(3).error().status, 404u);
  const DatasetRecord record = status(id)->record;
  ASSERT_TRUE(put_in_force(record, take_tables(record, *get(2).value(), 1), ""));
  EXPECT_EQ(table(id), inverse);
}

TEST_F(DatasetsTest, WhatWaitsForTablesOfBeforeWaitsForTheNext) {
  const std::string id = create();
  add(id, k_dark);
  add(id, k_light);
  add(id, k_more);
  ASSERT_TRUE(finalize(id));
  const DatasetRecord record = status(id)->record;
  rig_->attempts.accept(false);
  ASSERT_TRUE(apply(id));
  // Another node put other tables in force, before it knew that these are applied.
  ASSERT_TRUE(
      put_in_force(record, take_tables(record, *rig_->ask<SharedTables>(&Engine::get_tables, id, 0).value(), 1), ""));
  EXPECT_EQ(status(id)->images.in_state[index_of(JobState::counted)], 3u);
  rig_->attempts.accept(true);
  rig_->now_ms += 1'000;
  rig_->settle();
  EXPECT_EQ(rig_->attempts.waiting(), 0u);
  ASSERT_TRUE(apply(id));
  for (int i = 0; i < 3; ++i) make_next();
  EXPECT_EQ(status(id)->images.made, 3u);
}

TEST_F(DatasetsTest, TheSumOfSharesIsThatOfAllTheirImages) {
  const std::string one = create(), two = create();
  add(one, k_dark);
  add(two, k_light);
  const std::string last = add(two, k_more);
  ASSERT_TRUE(submit(two, "waits"));
  std::array shares{share(one), share(two), Share()};
  EXPECT_EQ(shares[1].images.size(), 2u);
  EXPECT_EQ(shares[1].images.back(), last);
  EXPECT_EQ(shares[1].waiting, 1u);
  EXPECT_EQ(not_ready(shares, 0)->value, api::amount(1));
  const auto made = make_tables(status(one)->record, sum_of(shares).value(), nullptr, 1);
  EXPECT_EQ(made->tables.front().tables.front(), exact_table(joined({k_dark, k_light, k_more})));
  EXPECT_EQ(made->lut.images, 3u);
  EXPECT_EQ(not_ready(std::span(shares).first(1), 7)->value, api::amount(1))
      << "it does not know yet that it has to make one";
  shares[0].tally.pop_back();
  EXPECT_FALSE(sum_of(shares));
}

TEST_F(DatasetsTest, ARemovalThatFailsHalfWayTakesItsImageOut) {
  const std::string id = create(), dark = add(id, k_dark);
  add(id, k_light);
  rig_->disk->set([](std::string_view operation, const std::string& path) {
    return operation == "sync_directory" && path == "jobs" ? std::make_error_code(std::errc::io_error)
                                                           : std::error_code();
  });
  for (int i = 0; i < 2; ++i) EXPECT_EQ(rig_->remove(dark).error().status, 500) << "it may come back";
  rig_->disk->set(nullptr);
  EXPECT_EQ(rig_->remove(dark).error().status, 404);
  ASSERT_TRUE(finalize(id));
  EXPECT_EQ(table(id), exact_table(k_light));
}

TEST_F(DatasetsTest, OfAnImageThatIsNotAcceptedYetNoTableIsMade) {
  const std::string id = create();
  const auto provisional = [&] {
    return rig_->submit({{}, bytes_of("content"), {}, "a.png", "", id, true}).value().record.id;
  };
  const std::string accepted = provisional();
  count_next(k_dark);
  EXPECT_EQ(finalize(id).error().value, api::amount(1));
  rig_->engine->settle(accepted);
  ASSERT_TRUE(finalize(id));
  EXPECT_EQ(table(id), exact_table(k_dark));

  const std::string refused = provisional();
  count_next(k_light);
  EXPECT_FALSE(finalize(id));
  ASSERT_TRUE(rig_->ask<void>(&Engine::withdraw, refused));
  ASSERT_TRUE(finalize(id));
  EXPECT_EQ(table(id), exact_table(k_dark));

  provisional();
  count_next(k_more);
  EXPECT_FALSE(finalize(id));
  rig_->now_ms += 5 * 60'000;  // who submitted it is gone
  ASSERT_TRUE(finalize(id));
  EXPECT_EQ(table(id), exact_table(joined({k_dark, k_more})));
}

TEST_F(DatasetsTest, ImagesAreListedPageByPage) {
  const std::string id = create();
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(add(id, k_dark));
  const auto page = [&](std::size_t limit, const std::string& after, std::optional<JobState> state = {}) {
    return rig_->ask<ImagePage>(&Engine::list_images, id, limit, after, state).value();
  };
  const ImagePage first = page(2, "");
  EXPECT_EQ(first.images.size(), 2u);
  EXPECT_EQ(first.images[0].id, ids[0]);
  EXPECT_EQ(first.next, ids[1]);
  const ImagePage last = page(3, first.next);
  EXPECT_EQ(last.images.back().id, ids[4]);
  EXPECT_EQ(last.next, "");
  EXPECT_TRUE(page(5, "", JobState::done).images.empty());
  EXPECT_EQ(page(5, "", JobState::counted).images.size(), 5u);
}

TEST_F(DatasetsTest, AFullDiskRefusesAndLosesNothing) {
  const std::string id = create();
  add(id, k_dark);
  rig_->disk->set([](std::string_view operation, const std::string& path) {
    return operation == "create_file" && path.find("datasets/") != std::string::npos
               ? std::make_error_code(std::errc::no_space_on_device)
               : std::error_code();
  });
  EXPECT_EQ(finalize(id).error().status, 507u);
  EXPECT_EQ(put({ulids_.next(1), "", 1, 1, {}, "", {}, 0, false}).error().status, 507u);
  EXPECT_FALSE(status(id)->record.lut);
  rig_->disk->set(nullptr);
  EXPECT_TRUE(finalize(id));
}

}  // namespace
}  // namespace histod::daemon::jobs
