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

compute::Rule rule_of(const DatasetRecord& record) {
  const auto rule = record.options.find("rule");
  return rule == record.options.end() ? compute::Rule::opencv
                                      : compute::rule_from_name(rule->second).value_or(compute::Rule::opencv);
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

DatasetStatus Engine::status_of(const Datasets::Dataset& dataset) {
  return {dataset.record, dataset.stale, dataset.images};
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

void Engine::create_dataset(NewDataset dataset, Reply<DatasetStatus> reply) {
  call(std::move(reply),
       [this, dataset = std::move(dataset)](Reply<DatasetStatus>& answer) { answer(create_dataset_now(dataset)); });
}

Outcome<DatasetStatus> Engine::create_dataset_now(const NewDataset& dataset) {
  if (datasets_.all().size() >= k_datasets_max)
    return std::unexpected(problem(507, "spool-full", "the spool keeps as many datasets as it may",
                                   datasets_.all().size(), k_datasets_max));
  if (!dataset.reference.empty()) {
    if (const auto reference = find_dataset(dataset.reference); !reference) return std::unexpected(reference.error());
  }
  DatasetRecord record;
  record.created_ms = record.changed_ms = interfaces_.now_ms();
  record.id = ulids_.next(record.created_ms);
  record.name = dataset.name;
  record.options = dataset.options;
  record.reference = dataset.reference;
  const std::string id = record.id;
  if (auto made = datasets_.create(std::move(record)); !made)
    return std::unexpected(disk_problem(made.error(), "storing the dataset"));
  return status_of(*datasets_.find(id));
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

/// What keeps the tables from being changed now: images that are to be made by those in force.
std::optional<api::Problem> Engine::under_way(const Datasets::Dataset& dataset) const {
  const Datasets::Images& images = dataset.images;
  if (!dataset.applies() || images.made == images.counted) return std::nullopt;
  return problem(409, "not-finished", "images are still being made by the tables in force",
                 images.counted - images.made);
}

void Engine::finalize_dataset(std::string id, Reply<DatasetStatus> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<DatasetStatus>& answer) { answer(finalize_now(id)); });
}

Outcome<DatasetStatus> Engine::finalize_now(const std::string& id) {
  const auto found = find_dataset(id);
  if (!found) return std::unexpected(found.error());
  Datasets::Dataset& dataset = **found;
  const Datasets::Images& images = dataset.images;
  if (auto busy = under_way(dataset)) return std::unexpected(std::move(*busy));
  if (images.waiting > 0)
    return std::unexpected(problem(409, "not-finished", "images are not counted yet", images.waiting));
  if (images.counted == 0) return std::unexpected(problem(409, "empty-dataset", "no image is counted in it"));
  const Datasets::Dataset* reference = nullptr;
  if (!dataset.record.reference.empty()) {
    const auto other = find_dataset(dataset.record.reference);
    if (!other) return std::unexpected(other.error());
    reference = *other;
  }
  auto tables = datasets_.make_tables(dataset, rule_of(dataset.record), reference);
  if (!tables) return std::unexpected(api::problem_of({std::move(tables.error()), false}));
  return put_in_force(dataset, std::move(*tables), reference ? LutOrigin::matched : LutOrigin::counted);
}

void Engine::set_tables(std::string id, std::vector<compute::KindTables> tables, Reply<DatasetStatus> reply) {
  call(std::move(reply), [this, id = std::move(id), tables = std::move(tables)](Reply<DatasetStatus>& answer) mutable {
    answer(set_tables_now(id, std::move(tables)));
  });
}

Outcome<DatasetStatus> Engine::set_tables_now(const std::string& id, std::vector<compute::KindTables> tables) {
  const auto found = find_dataset(id);
  if (!found) return std::unexpected(found.error());
  if (auto busy = under_way(**found)) return std::unexpected(std::move(*busy));
  return put_in_force(**found, std::move(tables), LutOrigin::uploaded);
}

Outcome<DatasetStatus> Engine::put_in_force(Datasets::Dataset& dataset, std::vector<compute::KindTables> tables,
                                            LutOrigin origin) {
  if (auto stored = datasets_.set_tables(dataset, std::move(tables), origin, interfaces_.now_ms()); !stored)
    return std::unexpected(disk_problem(stored.error(), "storing the tables"));
  datasets_.count_made(dataset, jobs_);
  return status_of(dataset);
}

void Engine::get_tables(std::string id, Reply<SharedTables> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<SharedTables>& answer) {
    const auto found = find_dataset(id);
    if (!found) return answer(std::unexpected(found.error()));
    if (!(*found)->record.lut)
      return answer(std::unexpected(problem(409, "not-finalized", "the dataset has no tables yet")));
    auto tables = datasets_.tables(**found);
    if (!tables) return answer(std::unexpected(disk_problem(tables.error(), "reading the tables")));
    answer(std::move(*tables));
  });
}

void Engine::apply_dataset(std::string id, Reply<DatasetStatus> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<DatasetStatus>& answer) { answer(apply_now(id)); });
}

Outcome<DatasetStatus> Engine::apply_now(const std::string& id) {
  const auto found = find_dataset(id);
  if (!found) return std::unexpected(found.error());
  Datasets::Dataset& dataset = **found;
  if (!dataset.record.lut)
    return std::unexpected(problem(409, "not-finalized", "the dataset has no tables yet: finalize it first"));
  if (!dataset.applies()) {
    DatasetRecord next = dataset.record;
    next.applied_revision = next.lut->revision;
    next.changed_ms = interfaces_.now_ms();
    if (auto stored = datasets_.change(dataset, std::move(next)); !stored)
      return std::unexpected(disk_problem(stored.error(), "storing that the tables are applied"));
    datasets_.count_made(dataset, jobs_);
  }
  // On the disk it is one record: a restart finds the same images without a result.
  for (const std::string& image : dataset.ids)
    if (needs_tables(jobs_.at(image))) queue_for_tables(image);
  return status_of(dataset);
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
    if (auto removed = datasets_.remove(std::string(id)); !removed) {
      static_cast<void>(disk_problem(removed.error(), "removing a dataset"));
      return false;
    }
    return true;
  }
  return false;
}

/// A dataset ends as one: as long after its last change, or its last image, as a job after its end.
void Engine::expire_datasets(std::int64_t oldest_ms) {
  std::vector<std::string> expired;
  for (const auto& [id, dataset] : datasets_.all()) {
    if (dataset.record.removed || dataset.record.changed_ms > oldest_ms) continue;
    const auto& in_state = dataset.images.in_state;
    if (in_state[index_of(JobState::queued)] + in_state[index_of(JobState::running)] > 0) continue;
    const bool fresh = !dataset.ids.empty() && jobs_.at(*dataset.ids.rbegin()).created_ms > oldest_ms;
    if (!fresh) expired.push_back(id);
  }
  for (const std::string& id : expired) {
    if (!remove_dataset_now(id)) return;
    ++counts_.expired;
  }
}

}  // namespace histod::daemon::jobs
