// SPDX-License-Identifier: Apache-2.0
// What must be so when a simulated fleet has come to rest.
#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "tests/sim/image.hpp"
#include "tests/sim/world.hpp"

namespace histod::sim {

using daemon::jobs::Engine;
using daemon::jobs::JobRecord;
using daemon::jobs::JobState;

namespace {

constexpr std::size_t k_all = 1'000'000;

std::vector<JobRecord> jobs_of(Machine& machine) {
  return machine.process->look<std::vector<JobRecord>>(&Engine::list, k_all, std::optional<JobState>()).value();
}

}  // namespace

/// By the tables that were made last, which each node hears of in its own time. If not: what is missing.
std::string World::unmade(std::size_t which) {
  std::map<std::uint64_t, std::string> applied;  // by revision, a node
  for (Machine* const machine : up()) {
    const auto status = machine->process->look<Status>(&Engine::get_dataset, sets_[which].id);
    if (!status) return fmt::format("{} does not know dataset {}", machine->name, which);
    const auto& images = status->images;
    if (images.made != images.counted || images.waiting > 0)
      return fmt::format("{} has made {} of {} images, and {} wait", machine->name, images.made, images.counted,
                         images.waiting);
    applied.emplace(status->record.applied_revision, machine->name);
  }
  if (applied.size() < 2) return {};
  return fmt::format("{} applies revision {}, {} applies {}", applied.begin()->second, applied.begin()->first,
                     applied.rbegin()->second, applied.rbegin()->first);
}

/// Datasets that were removed are so everywhere, which each node hears of in its own time.
bool World::all_removed() {
  return std::ranges::none_of(sets_, [this](const Set& set) {
    return set.removed && std::ranges::any_of(up(), [&](Machine* machine) {
             return machine->process->look<Status>(&Engine::get_dataset, set.id).has_value();
           });
  });
}

void World::judge() {
  judge_owners();
  for (std::size_t which = 0; which < sets_.size(); ++which)
    if (sets_[which].removing)
      judge_removed(which);
    else
      judge_dataset(which);
  if (!fenced_.ascending) fail("a leader wrote after a later one");
  if (network_.answered_twice > 0) fail(fmt::format("{} requests were answered twice", network_.answered_twice));
  // Nodes ask each other at all times; each is answered soon.
  drive([this] { return network_.unanswered() == 0; }, std::chrono::seconds(30), "all requests are answered");
  if (network_.never_answered > 0) fail(fmt::format("{} requests were never answered", network_.never_answered));
}

/// Of all jobs; one that two have is wrong.
std::map<std::string, Machine*> World::owners() {
  std::map<std::string, Machine*> found;
  for (Machine* const machine : up())
    for (const JobRecord& record : jobs_of(*machine)) {
      const auto [owner, first] = found.emplace(record.id, machine);
      if (!first) fail(fmt::format("{} is at {} and at {}", record.id, owner->second->name, machine->name));
    }
  return found;
}

void World::remember_ended(Machine& machine) {
  for (const JobRecord& record : jobs_of(machine))
    if (record.dataset.empty() && daemon::jobs::is_final(record.state)) ended_.insert(record.id);
}

void World::judge_owners() {
  const auto all = owners();
  for (const auto& [id, number] : accepted_) {
    const std::size_t dataset = sent_[number].dataset;
    if (dataset != k_plain && sets_[dataset].removing) continue;
    if (!perhaps_removed_.contains(id) && !ended_.contains(id) && !all.contains(id))
      fail(fmt::format("{}, which is image {}, was accepted and is lost", id, number));
  }
  // Who holds a copy hears of a removal later; if the owner is given up before, the copy becomes a job again.
  for (const auto& [id, where] : removed_)
    if (!where->perhaps_given_up && all.contains(id))
      fail(fmt::format("{} was removed at {} and is at {}", id, where->name, all.at(id)->name));
  for (Machine* const machine : up())
    for (const JobRecord& record : jobs_of(*machine)) {
      if (!number_of_.contains(record.input.sha256)) fail(fmt::format("nobody has sent {}", record.id));
      if (!record.dataset.empty()) continue;
      const std::string& samples = sent_[number_of_.at(record.input.sha256)].content;
      judge_image(*machine, record, exact_table(samples), 0);
    }
}

void World::judge_image(Machine& machine, const JobRecord& record, const compute::Lut& table, std::uint64_t revision) {
  if (record.state != JobState::done || record.revision != revision)
    return fail(fmt::format("{} at {} is {}, of revision {}", record.id, machine.name, state_name(record.state),
                            record.revision));
  std::string result(record.result->bytes, '\0');
  if (!machine.process->look<void>(&Engine::read_result, record.id, std::as_writable_bytes(std::span(result))))
    return fail(fmt::format("the result of {} cannot be read", record.id));
  const std::string& samples = sent_[number_of_.at(record.input.sha256)].content;
  if (result != applied(samples, table)) fail(fmt::format("{} at {} has another result", record.id, machine.name));
}

/// Against all samples of all images in one row.
void World::judge_dataset(std::size_t which) {
  const std::string& id = sets_[which].id;
  std::map<std::string, std::pair<Machine*, JobRecord>> images;
  for (Machine* const machine : up())
    for (const JobRecord& record : jobs_of(*machine))
      if (record.dataset == id) images[record.id] = {machine, record};
  if (images.empty() || certain(which) == 0) return;
  std::string all;
  for (const auto& [image, at] : images) all += sent_[number_of_.at(at.second.input.sha256)].content;
  const compute::Lut table = exact_table(all);
  std::uint64_t revision = 0;
  for (Machine* const machine : up()) {
    const auto status = machine->process->look<Status>(&Engine::get_dataset, id);
    if (!status || !status->record.lut) {
      fail(fmt::format("{} does not know the dataset's tables", machine->name));
      continue;
    }
    revision = status->record.lut->revision;
    if (status->record.lut->digest != digest_of(all))
      fail(fmt::format("{} has other tables than one node would have: {}", machine->name, status->record.lut->digest));
    const auto tables = machine->process->look<daemon::jobs::SharedTables>(&Engine::get_tables, id, std::uint64_t{0});
    if (!tables || (*tables)->size() != 1 || (*tables)->front().tables.front() != table)
      fail(fmt::format("{} has other tables than the definition", machine->name));
  }
  for (const auto& [image, at] : images) judge_image(*at.first, at.second, table, revision);
}

void World::judge_removed(std::size_t which) {
  for (Machine* const machine : up()) {
    if (machine->process->look<Status>(&Engine::get_dataset, sets_[which].id))
      fail(fmt::format("{} has dataset {}, which was removed", machine->name, which));
    for (const JobRecord& record : jobs_of(*machine))
      if (record.dataset == sets_[which].id)
        fail(fmt::format("{} at {} is of a dataset that was removed", record.id, machine->name));
  }
}

}  // namespace histod::sim
