// SPDX-License-Identifier: Apache-2.0
#include "daemon/coordinator.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include <fmt/core.h>

namespace histod::daemon {

using control::Errc;
using jobs::Outcome;
using jobs::Share;

namespace {

constexpr std::chrono::milliseconds k_retry{500};
constexpr std::chrono::milliseconds k_hear{50}, k_heard{3'000};
constexpr std::size_t k_datasets_max = 1'000;

api::Problem no_such_dataset(const std::string& id) {
  return jobs::problem(404, "not-found",
                       jobs::is_ulid(id) ? "there is no dataset " + id : "this is not the id of a dataset");
}

api::Problem zookeeper_problem(std::error_code error) {
  return jobs::problem(503, "zookeeper-unavailable", "datasets of the fleet cannot be changed now: " + error.message());
}

jobs::UlidSource::Random random_of(control::Executor& executor) {
  const std::array<std::uint64_t, 2> numbers{executor.random(), executor.random()};
  jobs::UlidSource::Random bytes{};
  std::ranges::copy_n(reinterpret_cast<const std::uint8_t*>(numbers.data()), std::ssize(bytes), bytes.begin());
  return bytes;
}

}  // namespace

struct Coordinator::Operation {
  std::string id;
  control::Executor::Clock::time_point deadline;
  std::function<void(const OperationPtr&)> attempt;
  jobs::Reply<Status> reply;
  api::Problem why;                       ///< it is not done yet
  std::optional<jobs::DatasetLut> tried;  ///< sent to ZooKeeper, perhaps without an answer
  jobs::SharedTables tables;              ///< of that
  std::string traceparent;                ///< of the request; empty: none
};

Coordinator::Coordinator(control::Session& session, control::Paths paths, const control::Membership& membership,
                         const control::Election& election, Custody& custody, jobs::Engine& engine, PeerLink& link,
                         Log& log, NowMs now, Settings settings)
    : session_(session),
      paths_(std::move(paths)),
      membership_(membership),
      election_(election),
      custody_(custody),
      engine_(engine),
      link_(link),
      log_(log),
      now_(std::move(now)),
      settings_(settings),
      ulids_([&executor = session.executor()] { return random_of(executor); }),
      catalog_(session, control::RecordFormat()),
      mirror_(session, paths_.datasets()) {}

Coordinator::~Coordinator() {
  for (const OperationPtr& operation : std::exchange(operations_, {}))
    operation->reply(std::unexpected(jobs::problem(503, "draining", "this node is leaving the fleet")));
}

void Coordinator::start() {
  mirror_.start([this] { reconcile(); });
}

void Coordinator::tick() {
  reconcile();
  expire();
  bury();
}

void Coordinator::begin(std::string id, jobs::Reply<Status> reply, std::function<void(const OperationPtr&)> attempt,
                        std::string traceparent) {
  auto operation = std::make_shared<Operation>();
  operation->id = std::move(id);
  operation->deadline = session_.executor().now() + settings_.patience;
  operation->attempt = std::move(attempt);
  operation->reply = std::move(reply);
  operation->traceparent = std::move(traceparent);
  operations_.insert(operation);
  run(operation);
}

void Coordinator::run(const OperationPtr& operation) {
  if (!operations_.contains(operation)) return;
  if (session_.state() != control::SessionState::connected || !custody_.complete() || !mirror_.complete() || !listed_)
    return again(operation, jobs::problem(503, "zookeeper-unavailable",
                                          fmt::format("the fleet cannot be asked now: ZooKeeper is {}",
                                                      control::state_name(session_.state()))));
  if (const std::size_t members = membership_.members().size(); members < settings_.min_nodes)
    return finish(operation, std::unexpected(jobs::problem(503, "too-few-nodes",
                                                           "work of the fleet takes more members than there are",
                                                           members, settings_.min_nodes)));
  operation->attempt(operation);
}

void Coordinator::again(const OperationPtr& operation, api::Problem why) {
  if (session_.executor().now() >= operation->deadline) return finish(operation, std::unexpected(std::move(why)));
  operation->why = std::move(why);
  session_.executor().after(k_retry, lifetime_.guard([this, operation] { run(operation); }));
}

void Coordinator::finish(const OperationPtr& operation, Outcome<Status> outcome) {
  if (operations_.erase(operation) > 0) operation->reply(std::move(outcome));
}

/// What becomes of an operation after an error of ZooKeeper; false: there is none.
bool Coordinator::refuse(const OperationPtr& operation, std::error_code error) {
  if (!error) return false;
  if (error == Errc::no_node && own_.contains(operation->id)) {
    again(operation, jobs::problem(503, "zookeeper-unavailable", "the dataset is only being made known to the fleet"));
  } else if (error == Errc::no_node) {
    finish(operation, std::unexpected(no_such_dataset(operation->id)));
  } else if (error == Errc::newer_format || error == Errc::bad_record) {
    finish(operation, std::unexpected(jobs::problem(409, "newer-release",
                                                    "the dataset's record is of another release: " + error.message())));
  } else {
    again(operation, zookeeper_problem(error));
  }
  return true;
}

/// The dataset as it is in ZooKeeper now; a removed one is none.
void Coordinator::with_known(const OperationPtr& operation, std::function<void(Known)> then) {
  if (!jobs::is_ulid(operation->id)) return finish(operation, std::unexpected(no_such_dataset(operation->id)));
  catalog_.read(
      paths_.dataset(operation->id),
      lifetime_.guard([this, operation, then = std::move(then)](const control::Result<control::Entry>& entry) {
        if (refuse(operation, entry ? std::error_code() : entry.error())) return;
        auto known = known_of(operation->id, entry->fields, entry->version);
        if (!known) return static_cast<void>(refuse(operation, Errc::bad_record));
        if (known->record.removed) return static_cast<void>(refuse(operation, Errc::no_node));
        then(std::move(*known));
      }));
}

void Coordinator::create(NewDataset dataset, jobs::Reply<Status> reply) {
  jobs::DatasetRecord record;
  record.created_ms = record.changed_ms = now_();
  record.id = ulids_.next(record.created_ms);
  record.name = std::move(dataset.name);
  record.options = std::move(dataset.options);
  record.reference = std::move(dataset.reference);
  record.webhook = std::move(dataset.webhook);
  record.traceparent = std::move(dataset.traceparent);
  const std::string id = record.id, traceparent = record.traceparent;
  const auto attempt = [this, record = std::move(record)](const OperationPtr& operation) {
    if (!record.reference.empty() && !own_.contains(record.reference))
      return finish(operation, std::unexpected(no_such_dataset(record.reference)));
    if (own_.size() >= k_datasets_max)
      return finish(operation,
                    std::unexpected(jobs::problem(507, "spool-full", "the fleet keeps as many datasets as it may",
                                                  own_.size(), k_datasets_max)));
    publish(operation, record);
  };
  begin(id, std::move(reply), attempt, traceparent);
}

void Coordinator::publish(const OperationPtr& operation, const jobs::DatasetRecord& record) {
  const Known known{{paths_.dataset(record.id), {}, 0}, record, {}, {}};
  catalog_.publish(known.entry.path, entry_of(known).fields,
                   lifetime_.guard([this, operation, known](const control::Result<void>& made) {
                     // Nobody else makes ids like this one: it is there because an answer got lost.
                     const bool there = made || made.error() == Errc::node_exists;
                     if (refuse(operation, there ? std::error_code() : made.error())) return;
                     bring(known, nullptr, [this, operation](Outcome<Status> status) {
                       if (!status) return finish(operation, std::move(status));
                       await_others(operation, *status, custody_.others(), session_.executor().now() + k_heard);
                     });
                   }));
}

/// Images may be sent to any node from now on: those that can be asked are to have heard of it.
void Coordinator::await_others(const OperationPtr& operation, const Status& status, std::vector<std::string> nodes,
                               control::Executor::Clock::time_point deadline) {
  if (nodes.empty() || session_.executor().now() >= deadline) return finish(operation, status);
  link_.share(nodes.back(), {operation->id, operation->traceparent},
              lifetime_.guard([this, operation, status, nodes, deadline](const Outcome<Share>& share) mutable {
                const bool asks_again = !share && share.error().status == 404;
                if (!asks_again) nodes.pop_back();
                const auto next =
                    lifetime_.guard([this, operation, status, nodes = std::move(nodes), deadline]() mutable {
                      await_others(operation, status, std::move(nodes), deadline);
                    });
                session_.executor().after(asks_again ? k_hear : std::chrono::milliseconds(0), next);
              }));
}

/// This node's part first: who asks it next is to see what has been done.
void Coordinator::answer(const OperationPtr& operation, const Known& known, jobs::SharedTables tables) {
  bring(known, std::move(tables),
        [this, operation](Outcome<Status> outcome) { finish(operation, std::move(outcome)); });
}

void Coordinator::commit(const OperationPtr& operation, Known known, jobs::SharedTables tables) {
  known.record.changed_ms = now_();
  if (!operation->traceparent.empty()) known.record.traceparent = operation->traceparent;
  const control::Entry entry = entry_of(known);
  const auto done = [this, operation, known = std::move(known), tables = std::move(tables)](
                        const std::expected<std::int32_t, control::MultiError>& version) mutable {
    if (!version && version.error().error == Errc::bad_version)
      return again(operation, jobs::problem(409, "conflict", "others change the dataset at the same time"));
    if (refuse(operation, version ? std::error_code() : version.error().error)) return;
    known.entry.version = *version;
    if (!known.record.removed) return answer(operation, known, std::move(tables));
    remove_part(known.record.id, *version);
    finish(operation, Status{known.record, false, {}, now_()});
  };
  catalog_.update(entry, {}, lifetime_.guard(done));
}

void Coordinator::remove(const std::string& id, jobs::Reply<Status> reply, std::string traceparent) {
  const auto attempt = [this](const OperationPtr& operation) {
    with_known(operation, [this, operation](Known known) { remove_now(operation, std::move(known)); });
  };
  begin(id, std::move(reply), attempt, std::move(traceparent));
}

void Coordinator::remove_now(const OperationPtr& operation, Known known) {
  known.record.removed = true;
  commit(operation, std::move(known), nullptr);
}

void Coordinator::apply(const std::string& id, jobs::Reply<Status> reply, std::string traceparent) {
  const auto attempt = [this](const OperationPtr& operation) {
    with_known(operation, [this, operation](Known known) { apply_now(operation, std::move(known)); });
  };
  begin(id, std::move(reply), attempt, std::move(traceparent));
}

void Coordinator::apply_now(const OperationPtr& operation, Known known) {
  if (!known.record.lut)
    return finish(operation, std::unexpected(jobs::problem(409, "not-finalized",
                                                           "the dataset has no tables yet: finalize it first")));
  if (known.record.applied_revision == known.record.lut->revision) return answer(operation, known, nullptr);
  known.record.applied_revision = known.record.lut->revision;
  commit(operation, std::move(known), nullptr);
}

void Coordinator::finalize(const std::string& id, jobs::Reply<Status> reply, std::string traceparent) {
  const auto attempt = [this](const OperationPtr& operation) {
    with_known(operation, [this, operation](Known known) { make_now(operation, std::move(known), nullptr); });
  };
  begin(id, std::move(reply), attempt, std::move(traceparent));
}

void Coordinator::set_tables(const std::string& id, std::vector<compute::KindTables> tables, jobs::Reply<Status> reply,
                             std::string traceparent) {
  auto given = std::make_shared<const std::vector<compute::KindTables>>(std::move(tables));
  const auto attempt = [this, given = std::move(given)](const OperationPtr& operation) {
    with_known(operation, [this, operation, given](Known known) { make_now(operation, std::move(known), given); });
  };
  begin(id, std::move(reply), attempt, std::move(traceparent));
}

void Coordinator::make_now(const OperationPtr& operation, Known known, const jobs::SharedTables& given) {
  // The answer to an earlier attempt got lost with its session.
  const auto& lut = known.record.lut;
  if (operation->tried && lut && lut->revision == operation->tried->revision &&
      lut->digest == operation->tried->digest && known.maker == membership_.self().name)
    return answer(operation, known, operation->tables);
  using Shares = std::map<std::string, Share>;
  const auto with_reference = [this, operation](Known of, const Shares& own, const Shares* reference,
                                                const jobs::SharedTables& tables) {
    std::vector<Share> list, other;
    for (const auto& [identity, share] : own) list.push_back(share);
    if (auto busy = jobs::not_ready(list, of.record.applied_revision))
      return finish(operation, std::unexpected(std::move(*busy)));
    if (reference != nullptr)
      for (const auto& [identity, share] : *reference) other.push_back(share);
    Outcome<jobs::NewTables> made = jobs::NewTables();
    if (tables) {
      made = jobs::take_tables(of.record, *tables, now_());
    } else {
      const auto sum = jobs::sum_of(list), matched = jobs::sum_of(other);
      if (!sum || !matched) return finish(operation, std::unexpected(sum ? matched.error() : sum.error()));
      made = jobs::make_tables(of.record, *sum, reference == nullptr ? nullptr : &*matched, now_());
    }
    if (!made) return finish(operation, std::unexpected(std::move(made.error())));
    of.record.lut = std::move(made->lut);
    of.maker = membership_.self().name;
    of.shares.clear();
    if (!tables)
      for (const auto& [identity, share] : own) of.shares[identity] = share.tally_sha256;
    stage(operation, std::move(of), std::make_shared<const std::vector<compute::KindTables>>(std::move(made->tables)));
  };
  const std::string id = known.record.id, reference = given ? std::string() : known.record.reference;
  const std::string& trace = operation->traceparent;
  gather(operation, {id, trace},
         [this, operation, known = std::move(known), given, reference, with_reference](const Shares& own) {
           if (reference.empty()) return with_reference(known, own, nullptr, given);
           gather(
               operation, {reference, operation->traceparent},
               [known, own, given, with_reference](const Shares& other) { with_reference(known, own, &other, given); });
         });
}

/// Before they can come into force, tables are where they outlive this node.
void Coordinator::stage(const OperationPtr& operation, Known known, jobs::SharedTables tables) {
  struct Staging {
    Known known;
    std::size_t left, kept = 0, needed;
    api::Problem why;
  };
  operation->tried = known.record.lut;
  operation->tables = tables;
  const std::vector<std::string> others = custody_.others();
  const std::string id = known.record.id;
  const std::uint64_t revision = known.record.lut->revision;
  auto staging = std::make_shared<Staging>(std::move(known), others.size() + 1, 0,
                                           1 + std::min(settings_.staged_min, others.size()), api::Problem());
  const auto staged = [this, operation, staging, tables](const Outcome<void>& kept) {
    if (kept)
      ++staging->kept;
    else
      staging->why = kept.error();
    if (--staging->left > 0) return;
    if (staging->kept < staging->needed) return again(operation, staging->why);
    commit(operation, std::move(staging->known), tables);
  };
  engine_.stage_tables(id, revision, tables, here<void>(staged));
  for (const std::string& name : others)
    link_.stage(name, {id, operation->traceparent}, revision, tables, lifetime_.guard(staged));
}

}  // namespace histod::daemon
