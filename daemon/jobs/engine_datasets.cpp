// SPDX-License-Identifier: Apache-2.0
// The engine's part in datasets: their images are jobs that are counted, wait, and are made by the tables in force.
#include <algorithm>
#include <utility>

#include "daemon/api/results.hpp"
#include "daemon/jobs/engine.hpp"

namespace histod::daemon::jobs {

namespace {

constexpr std::size_t k_datasets_max = 1'000;
constexpr std::size_t k_removed_at_once = 16;  ///< images of a removed dataset, before others have their turn

api::Problem no_such_dataset(const std::string& id) {
  return problem(404, "not-found", is_ulid(id) ? "there is no dataset " + id : "this is not the id of a dataset");
}

}  // namespace

/// What each image contributes is read again, so that the sums are those of what is there.
void Engine::recover_images() {
  std::vector<std::string> broken;
  for (const auto& [id, record] : jobs_) {
    if (!record.counted) continue;
    auto* const dataset = datasets_.find_any(record.dataset);
    const auto tally = spool_.read_tally(id);
    const bool good = dataset != nullptr && tally && datasets_.add(*dataset, std::as_bytes(std::span(*tally)));
    if (!good) broken.push_back(id);
  }
  for (const std::string& id : broken) {
    log_.error("an image's counts cannot be read, it is counted again", {{"job", id}});
    JobRecord& record = jobs_.at(id);
    JobRecord next = record;
    next.counted = false;
    next.state = JobState::queued;
    replace(record, std::move(next));
    queue_.push_back(id);
  }
  datasets_.recovered();
  std::vector<std::string> ended;
  for (const auto& [id, record] : jobs_) {
    if (!needs_tables(record)) continue;
    // One that was being made when the program died keeps the count of its attempts.
    if (is_final(record.state))
      ended.push_back(id);
    else
      table_queue_.push_back(id);
  }
  for (const std::string& id : table_queue_) replace(jobs_.at(id), JobState::queued);
  for (const std::string& id : ended) queue_for_tables(id);
}

Outcome<Datasets::Dataset*> Engine::find_dataset(const std::string& id) {
  if (auto* const found = datasets_.find(id)) return found;
  return std::unexpected(no_such_dataset(id));
}

DatasetStatus Engine::status_of(const Datasets::Dataset& dataset) const {
  const auto& in_state = dataset.images.in_state;
  const bool busy = in_state[index_of(JobState::queued)] + in_state[index_of(JobState::running)] > 0;
  std::int64_t active_ms = busy ? interfaces_.now_ms() : dataset.record.changed_ms;
  if (!dataset.ids.empty()) active_ms = std::max(active_ms, jobs_.at(*dataset.ids.rbegin()).created_ms);
  return {dataset.record, dataset.stale, dataset.images, active_ms};
}

/// Counted, with no result of the tables in force, and not on its way to one.
bool Engine::needs_tables(const JobRecord& record) {
  if (!record.counted || record.state == JobState::queued || record.state == JobState::running) return false;
  const auto* const dataset = datasets_.find(record.dataset);
  return dataset != nullptr && dataset->applies() && record.revision != dataset->record.applied_revision;
}

void Engine::queue_for_tables(const std::string& id) {
  JobRecord& record = jobs_.at(id);
  JobRecord next = record;
  next.state = JobState::queued;
  next.attempts = 0;  // those were for other tables
  replace(record, std::move(next));
  table_queue_.push_back(id);
}

Outcome<SharedTables> Engine::tables_for(JobRecord& next) {
  auto* const dataset = datasets_.find_any(next.dataset);
  if (dataset == nullptr || !dataset->record.lut) return std::unexpected(no_such_dataset(next.dataset));
  next.revision = dataset->record.lut->revision;
  auto tables = datasets_.tables(*dataset);
  if (!tables) return std::unexpected(disk_problem(tables.error(), "reading a dataset's tables"));
  return std::move(*tables);
}

/// The image becomes part of its dataset's sum, or a failed one that is none.
void Engine::take_in(JobRecord& next, const Finished& outcome) {
  auto* const dataset = datasets_.find_any(next.dataset);
  next.state = JobState::failed;
  if (dataset == nullptr) {  // its record was broken, and put aside
    next.error = no_such_dataset(next.dataset);
    return;
  }
  if (auto added = datasets_.add(*dataset, outcome.tally); !added) {
    next.error = api::problem_of({std::move(added.error()), false});
    return;
  }
  next.counted = true;
  next.state = JobState::counted;
  next.attempts = 0;  // what comes next is another thing
  next.finished_ms = 0;
  next.result.reset();
}

void Engine::take_out(const JobRecord& next, const Finished& outcome) {
  if (auto* const dataset = datasets_.find_any(next.dataset))
    static_cast<void>(datasets_.subtract(*dataset, outcome.tally));
}

void Engine::get_dataset(std::string id, Reply<DatasetStatus> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<DatasetStatus>& answer) {
    const auto found = find_dataset(id);
    if (!found) return answer(std::unexpected(found.error()));
    answer(status_of(**found));
  });
}

void Engine::list_datasets(std::size_t limit, Reply<std::vector<DatasetStatus>> reply) {
  call(std::move(reply), [this, limit](Reply<std::vector<DatasetStatus>>& answer) {
    std::vector<DatasetStatus> out;
    const auto& all = datasets_.all();
    for (auto i = all.rbegin(); i != all.rend() && out.size() < limit; ++i)
      if (!i->second.record.removed) out.push_back(status_of(i->second));
    answer(std::move(out));
  });
}

void Engine::list_images(std::string id, std::size_t limit, std::string after, std::optional<JobState> state,
                         Reply<ImagePage> reply) {
  call(std::move(reply), [this, id = std::move(id), limit, after = std::move(after), state](Reply<ImagePage>& answer) {
    const auto found = find_dataset(id);
    if (!found) return answer(std::unexpected(found.error()));
    ImagePage page;
    const auto& ids = (*found)->ids;
    for (auto i = ids.upper_bound(after); i != ids.end(); ++i) {
      const JobRecord& record = jobs_.at(*i);
      if (state && record.state != *state) continue;
      if (page.images.size() == limit) {
        page.next = page.images.back().id;
        break;
      }
      page.images.push_back(record);
    }
    answer(std::move(page));
  });
}

void Engine::put_dataset(DatasetRecord record, SharedTables tables, Reply<DatasetStatus> reply) {
  call(std::move(reply),
       [this, record = std::move(record), tables = std::move(tables)](Reply<DatasetStatus>& answer) mutable {
         answer(put_dataset_now(std::move(record), tables));
       });
}

Outcome<void> Engine::make_room_for_dataset() const {
  if (datasets_.all().size() < k_datasets_max) return {};
  return std::unexpected(
      problem(507, "spool-full", "the spool keeps as many datasets as it may", datasets_.all().size(), k_datasets_max));
}

Outcome<DatasetStatus> Engine::put_dataset_now(DatasetRecord record, const SharedTables& tables) {
  const std::string id = record.id;
  if (datasets_.find_any(id) == nullptr) {
    if (auto room = make_room_for_dataset(); !room) return std::unexpected(std::move(room.error()));
    DatasetRecord made = record;
    made.lut.reset();
    made.applied_revision = 0;
    if (auto stored = datasets_.create(std::move(made)); !stored)
      return std::unexpected(disk_problem(stored.error(), "storing the dataset"));
  }
  auto* const dataset = datasets_.find(id);
  if (dataset == nullptr) return std::unexpected(no_such_dataset(id));
  const auto& now = dataset->record.lut;
  const bool other = record.lut && (!now || record.lut->revision != now->revision || record.lut->digest != now->digest);
  if (other && !tables)
    return std::unexpected(problem(409, "not-finalized", "the tables of the dataset are not known here"));
  if (record == dataset->record) return status_of(*dataset);
  if (other) take_back(*dataset);
  auto stored =
      other ? datasets_.put_tables(*dataset, std::move(record), tables) : datasets_.change(*dataset, std::move(record));
  if (!stored) return std::unexpected(disk_problem(stored.error(), "storing the dataset"));
  datasets_.count_made(*dataset, jobs_);
  // On the disk it is one record: a restart finds the same images without a result.
  for (const std::string& image : dataset->ids)
    if (needs_tables(jobs_.at(image))) queue_for_tables(image);
  return status_of(*dataset);
}

/// What waits for tables that are no longer in force waits for others.
void Engine::take_back(const Datasets::Dataset& dataset) {
  std::erase_if(table_queue_, [&](const std::string& id) {
    JobRecord& record = jobs_.at(id);
    if (record.dataset != dataset.record.id) return false;
    begun_on_disk_.erase(id);
    replace(record, JobState::counted);
    return true;
  });
}

void Engine::share(std::string id, Reply<Share> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<Share>& answer) { answer(share_now(id)); });
}

Outcome<Share> Engine::share_now(const std::string& id) {
  const auto found = find_dataset(id);
  if (!found) return std::unexpected(found.error());
  const Datasets::Dataset& dataset = **found;
  Share share;
  share.tally = dataset.sum.to_bytes();
  share.tally_sha256 = Datasets::tally_sha256(dataset);
  share.waiting = dataset.images.waiting;
  for (const std::string& image : dataset.ids) {
    if (!jobs_.at(image).counted) continue;
    share.images.push_back(image);
    const auto unsettled = unsettled_.find(image);
    if (unsettled != unsettled_.end() && unsettled->second > interfaces_.steady_ms()) ++share.waiting;
  }
  share.unmade = dataset.applies() ? dataset.images.counted - dataset.images.made : 0;
  share.applied_revision = dataset.record.applied_revision;
  share.total = dataset.images.total;
  share.failed = dataset.images.in_state[static_cast<std::size_t>(JobState::failed)];
  share.active_ms = status_of(dataset).active_ms;
  for (const auto& [image, copy] : copies_)
    if (copy.dataset == id) ++share.held[copy.owner];
  return share;
}

void Engine::stage_tables(std::string id, std::uint64_t revision, SharedTables tables, Reply<void> reply) {
  call(std::move(reply), [this, id = std::move(id), revision, tables = std::move(tables)](Reply<void>& answer) {
    const auto found = find_dataset(id);
    if (!found) return answer(std::unexpected(found.error()));
    if (const auto& lut = (*found)->record.lut; lut && lut->revision >= revision)
      return answer(std::unexpected(problem(409, "conflict", "tables of that revision are in force", revision)));
    if (auto stored = datasets_.stage(**found, revision, *tables); !stored)
      return answer(std::unexpected(disk_problem(stored.error(), "storing the tables")));
    answer({});
  });
}

void Engine::get_tables(std::string id, std::uint64_t revision, Reply<SharedTables> reply) {
  call(std::move(reply),
       [this, id = std::move(id), revision](Reply<SharedTables>& answer) { answer(tables_of(id, revision)); });
}

Outcome<SharedTables> Engine::tables_of(const std::string& id, std::uint64_t revision) {
  const auto found = find_dataset(id);
  if (!found) return std::unexpected(found.error());
  const auto& lut = (*found)->record.lut;
  if (revision == 0 && !lut) return std::unexpected(problem(409, "not-finalized", "the dataset has no tables yet"));
  auto tables = lut && (revision == 0 || lut->revision == revision) ? datasets_.tables(**found)
                                                                    : datasets_.staged(**found, revision);
  if (tables) return std::move(*tables);
  if (is_unknown(tables.error()))
    return std::unexpected(problem(404, "not-found", "there are no tables of that revision here", revision));
  return std::unexpected(disk_problem(tables.error(), "reading the tables"));
}

void Engine::remove_dataset(std::string id, Reply<void> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<void>& answer) { answer(remove_dataset_now(id)); });
}

Outcome<void> Engine::remove_dataset_now(const std::string& id) {
  const auto found = find_dataset(id);
  if (!found) return std::unexpected(found.error());
  DatasetRecord next = (*found)->record;
  next.removed = true;
  if (auto stored = datasets_.change(**found, std::move(next)); !stored)
    return std::unexpected(disk_problem(stored.error(), "removing the dataset"));
  return {};
}

/// Removes some images of removed datasets; true: there are more.
bool Engine::sweep_removed() {
  for (const auto& [id, dataset] : datasets_.all()) {
    if (!dataset.record.removed) continue;
    for (std::size_t i = 0; i < k_removed_at_once && !dataset.ids.empty(); ++i) {
      const std::string image = *dataset.ids.begin();
      if (!remove_now(image)) return false;  // the disk refuses: with the next tick again
    }
    if (!dataset.ids.empty()) return true;
    release_images({id}, [](const Outcome<void>&) {});
    // No image comes back that knows nothing of its dataset.
    auto removed = spool_.settle_removals();
    if (removed) removed = datasets_.remove(std::string(id));
    if (!removed) {
      static_cast<void>(disk_problem(removed.error(), "removing a dataset"));
      return false;
    }
    return true;
  }
  return false;
}

}  // namespace histod::daemon::jobs
