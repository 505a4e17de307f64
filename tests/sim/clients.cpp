// SPDX-License-Identifier: Apache-2.0
// What the clients of a simulated fleet ask, and what they are told.
#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "daemon/jobs/digest.hpp"
#include "tests/sim/image.hpp"
#include "tests/sim/world.hpp"

namespace histod::sim {

using daemon::jobs::JobRecord;
using std::chrono::seconds;

namespace {

constexpr unsigned k_tries = 40;
constexpr seconds k_dataset_deadline{30};

std::string why(const daemon::api::Problem& problem) { return fmt::format("{} {}", problem.status, problem.code); }

}  // namespace

void World::begin_clients() {
  sets_.resize(options_.faults && drawn(4) == 0 ? 2 : 1);
  for (std::size_t i = 0; i < sets_.size(); ++i) create_dataset(i);
  sent_.resize(options_.images + options_.plain);
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    sent_[i].content = image(options_.seed, i);
    sent_[i].dataset = i < options_.plain ? k_plain : drawn(sets_.size());
    number_of_[daemon::jobs::sha256_hex(sent_[i].content)] = i;
    ++open_;
    const milliseconds spread = options_.faults ? milliseconds(35'000) : milliseconds(options_.quiet_spread);
    client_.after(milliseconds(drawn(static_cast<std::uint64_t>(spread.count()))), [this, i] { send(i); });
  }
  if (!options_.faults) return;
  for (std::uint64_t i = drawn(4); i > 0; --i) client_.after(milliseconds(drawn(40'000)), [this] { remove_some(); });
  for (std::uint64_t i = drawn(5); i > 0; --i) client_.after(milliseconds(drawn(44'000)), [this] { finalize_some(); });
  if (sets_.size() > 1) client_.after(milliseconds(20'000 + drawn(20'000)), [this] { remove_dataset(1); });
}

bool World::clients_done() const { return open_ == 0; }

template <class F>
void World::on_dataset(F op, Reply<Status> reply) {
  const std::size_t node = some().number;
  note(fmt::format("node {} is asked for a dataset", node));
  network_.ask<Status>(
      client_, Network::k_client, node,
      [op](Process& target, Reply<Status> back) {
        if (target.coordinator() == nullptr)
          return back(std::unexpected(daemon::jobs::problem(503, "draining", "the node begins or ends")));
        op(*target.coordinator(), std::move(back));
      },
      std::move(reply), k_dataset_deadline);
}

void World::create_dataset(std::size_t which) {
  ++open_;
  on_dataset([](daemon::Coordinator& all,
                Reply<Status> back) { all.create({"set", {{"rule", "exact"}}, ""}, std::move(back)); },
             [this, which](Outcome<Status> made) {
               --open_;
               note(fmt::format("dataset {}: {}", which, made ? made->record.id : why(made.error())));
               if (made)
                 sets_[which].id = made->record.id;
               else
                 create_dataset(which);
             });
}

void World::send(std::size_t number) {
  Sent& sent = sent_[number];
  const bool plain = sent.dataset == k_plain;
  if (!plain && sets_[sent.dataset].id.empty()) return client_.after(seconds(1), [this, number] { send(number); });
  ++sent.tries;
  const std::size_t node = some().number;
  network_.ask<JobRecord>(
      client_, Network::k_client, node,
      [content = sent.content, dataset = plain ? std::string() : sets_[sent.dataset].id,
       key = fmt::format("image {}", number)](Process& target, Reply<JobRecord> back) {
        target.accept(content, dataset, key, std::move(back));
      },
      [this, number, node](const Outcome<JobRecord>& outcome) { answered(number, node, outcome); });
}

void World::answered(std::size_t number, std::size_t node, const Outcome<JobRecord>& outcome) {
  Sent& sent = sent_[number];
  note(fmt::format("image {} at {}: {}", number, node, outcome ? outcome->id : why(outcome.error())));
  if (outcome) {
    --open_;
    sent.ids.insert(outcome->id);
    accepted_[outcome->id] = number;
    return;
  }
  ++(outcome.error().status == 502 ? report_.unknown : report_.refused);
  const bool gone = sent.dataset != k_plain && sets_[sent.dataset].removing;
  if (gone || sent.tries == k_tries) {
    if (!gone) fail(fmt::format("image {} is never taken: {}", number, why(outcome.error())));
    sent.refused = true;
    --open_;
    return;
  }
  client_.after(milliseconds(100 + drawn(2'000)), [this, number] { send(number); });
}

void World::remove_some() {
  if (accepted_.empty()) return;
  auto chosen = accepted_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(drawn(accepted_.size())));
  if (!perhaps_removed_.insert(chosen->first).second) return;
  std::vector<std::size_t> nodes;
  for (const Machine* const machine : up()) nodes.push_back(machine->number);
  ++open_;
  remove_image(chosen->first, std::move(nodes), true);
}

/// Asks all nodes, one after the other, as the one that is asked by a client would.
void World::remove_image(const std::string& id, std::vector<std::size_t> nodes, bool known) {
  if (nodes.empty()) {
    --open_;
    return note(fmt::format("{} is not removed: {}", id, known ? "nobody has it" : "not all have said so"));
  }
  const std::size_t node = nodes.back();
  nodes.pop_back();
  network_.ask<void>(
      client_, Network::k_client, node, [id](Process& target, Reply<void> back) { target.remove(id, std::move(back)); },
      [this, id, nodes = std::move(nodes), known, node](const Outcome<void>& done) mutable {
        if (!done) return remove_image(id, std::move(nodes), known && done.error().status == 404);
        --open_;
        removed_[id] = machines_[node].get();
        note(fmt::format("{} is removed at {}", id, node));
      });
}

void World::remove_dataset(std::size_t which) {
  Set& set = sets_[which];
  if (set.id.empty()) return client_.after(seconds(1), [this, which] { remove_dataset(which); });
  set.removing = true;
  ++open_;
  on_dataset([id = set.id](daemon::Coordinator& all, Reply<Status> back) { all.remove(id, std::move(back)); },
             [this, which](const Outcome<Status>& done) {
               --open_;
               note(fmt::format("dataset {} is removed: {}", which, done ? "yes" : why(done.error())));
               sets_[which].removed = done || done.error().status == 404;
               if (sets_[which].removed) return;
               ++open_;  // it is asked again
               client_.after(seconds(1), [this, which] {
                 --open_;
                 remove_dataset(which);
               });
             });
}

/// Images that must be in the tables of whoever finalizes from now on.
std::size_t World::certain(std::size_t dataset) const {
  return static_cast<std::size_t>(std::ranges::count_if(accepted_, [&](const auto& each) {
    return sent_[each.second].dataset == dataset && !perhaps_removed_.contains(each.first);
  }));
}

void World::finalize(std::size_t which, std::function<void(Outcome<Status>)> then) {
  ++open_;
  const std::size_t at_least = certain(which);
  const std::size_t before = perhaps_removed_.size();
  on_dataset(
      [id = sets_[which].id](daemon::Coordinator& all, Reply<Status> back) { all.finalize(id, std::move(back)); },
      [this, which, at_least, before, then](const Outcome<Status>& done) {
        --open_;
        note(fmt::format("dataset {} is finalized: {}", which,
                         done ? fmt::format("{}, {} images", done->record.lut->digest, done->record.lut->images)
                              : why(done.error())));
        if (done) ++report_.finalized;
        if (done && done->record.lut->images + perhaps_removed_.size() - before < at_least)
          fail(fmt::format("{} images had been accepted, but the tables are made of {}", at_least,
                           done->record.lut->images));
        then(done);
      });
}

void World::finalize_some() {
  if (sets_[0].id.empty()) return;
  finalize(0, [this](const Outcome<Status>& done) {
    if (!done || drawn(2) == 0) return;
    ++open_;
    on_dataset([id = sets_[0].id](daemon::Coordinator& all, Reply<Status> back) { all.apply(id, std::move(back)); },
               [this](const Outcome<Status>& applied) {
                 --open_;
                 note(fmt::format("dataset 0 is applied: {}", applied ? "yes" : why(applied.error())));
               });
  });
}

/// Until it is done; what the fleet cannot do now it can later.
bool World::ask_until(std::size_t which, bool applies) {
  bool done = false, asking = false;
  const auto then = [this, &done, &asking](const Outcome<Status>& outcome) {
    done = outcome.has_value();
    if (!done) note("not yet: " + outcome.error().detail);
    asking = false;
  };
  return drive(
      [&] {
        if (done || asking) return done;
        asking = true;
        if (!applies) {
          finalize(which, then);
        } else {
          on_dataset(
              [id = sets_[which].id](daemon::Coordinator& all, Reply<Status> back) { all.apply(id, std::move(back)); },
              then);
        }
        return false;
      },
      seconds(240), applies ? "the tables are applied" : "the dataset is finalized");
}

void World::finish_datasets() {
  for (std::size_t which = 0; which < sets_.size(); ++which) {
    if (sets_[which].removing || certain(which) == 0) continue;
    if (!ask_until(which, false) || !ask_until(which, true)) return;
    std::string last;
    if (!drive([&] { return (last = unmade(which)).empty(); }, seconds(120), "all images are made by the tables")) {
      report_.failures.back() += ": " + last;
      return;
    }
  }
  drive([this] { return all_removed(); }, seconds(60), "all removed datasets are gone");
  come_to_rest();
}

}  // namespace histod::sim
