// SPDX-License-Identifier: Apache-2.0
// This node's part of each dataset follows the record that the fleet has of it; and datasets end.
#include <algorithm>
#include <utility>

#include "compute/tally.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/tables_json.hpp"

namespace histod::daemon {

using control::Errc;
using jobs::DatasetRecord;
using jobs::Outcome;
namespace json = boost::json;

namespace {

constexpr std::chrono::milliseconds k_turn{10};
constexpr std::chrono::seconds k_strays{60};
constexpr std::size_t k_all = 1'000'000;
constexpr std::size_t k_expiries = 4;  ///< at one time

}  // namespace

std::optional<Coordinator::Known> Coordinator::known_of(const std::string& id, const json::object& fields,
                                                        std::int32_t version) const {
  const auto* const dataset = fields.if_contains("dataset");
  if (dataset == nullptr) return std::nullopt;
  auto record = jobs::read_dataset(*dataset);
  if (!record || record->id != id) return std::nullopt;
  Known known{{paths_.dataset(id), fields, version}, std::move(*record), {}, control::text_of(fields, "maker")};
  const auto* const shares = fields.if_contains("shares");
  if (shares != nullptr && shares->is_object())
    for (const auto& [identity, digest] : shares->get_object())
      if (digest.is_string()) known.shares[identity] = digest.get_string();
  return known;
}

/// What this release does not know stays as it is.
control::Entry Coordinator::entry_of(const Known& known) const {
  control::Entry entry = known.entry;
  json::object dataset;
  if (const auto* const before = entry.fields.if_contains("dataset"); before != nullptr && before->is_object())
    dataset = before->get_object();
  for (auto& [name, value] : jobs::dataset_object(known.record)) dataset[name] = value;
  if (auto* const lut = dataset.if_contains("lut")) lut->as_object()["tally_sha256"] = "";
  json::object shares;
  for (const auto& [identity, digest] : known.shares) shares[identity] = digest;
  entry.fields["dataset"] = std::move(dataset);
  entry.fields["shares"] = std::move(shares);
  entry.fields["maker"] = known.maker;
  return entry;
}

/// The record as this node keeps it: with what it contributed to the tables.
DatasetRecord Coordinator::part_of(const Known& known) const {
  DatasetRecord record = known.record;
  if (!record.lut || record.lut->origin == jobs::LutOrigin::uploaded) return record;
  const auto share = known.shares.find(custody_.identity());
  record.lut->tally_sha256 =
      share == known.shares.end() ? jobs::sha256_hex(compute::Tally().to_bytes()) : share->second;
  return record;
}

void Coordinator::reconcile() {
  if (!listed_) {
    if (!busy_.insert("").second) return;
    return engine_.list_datasets(k_all, here<std::vector<Status>>([this](Outcome<std::vector<Status>> all) {
                                   busy_.erase("");
                                   if (!all) return;
                                   for (Status& one : *all) own_[one.record.id] = std::move(one.record);
                                   listed_ = true;
                                   reconcile();
                                 }));
  }
  // A node that no roster knows would be waited for by all, and never be given up.
  if (!mirror_.complete() || !custody_.complete()) return;
  if (std::exchange(session_number_, session_.number()) != session_.number()) {  // its servers may be other ones
    enrolled_.clear();
    settled_.clear();
  }
  for (const auto& [id, item] : mirror_.items()) {
    const auto settled = settled_.find(id);
    if ((settled != settled_.end() && settled->second == item.version) || busy_.contains(id)) continue;
    const auto fields = control::RecordFormat().read(item.data);
    const auto known = fields ? known_of(id, *fields, item.version) : std::nullopt;
    if (!known) continue;  // of a later release: it is its nodes' business
    if (known->record.removed) {
      remove_part(id, item.version);
      continue;
    }
    bring(*known, nullptr, [this, id](const Outcome<Status>& outcome) {
      if (!outcome) log_.debug("a dataset cannot be followed yet", {{"dataset", id}, {"why", outcome.error().detail}});
    });
  }
  for (const auto& [id, record] : own_)
    if (!mirror_.items().contains(id) && !busy_.contains(id)) publish_own(record);
  release_strays();
}

/// A copy may come after its dataset has been removed here; where its owner dies before it hears of the removal, there
/// is nobody else to drop it.
void Coordinator::release_strays() {
  std::erase_if(removed_, [this](const std::string& id) { return !mirror_.items().contains(id); });
  const auto now = session_.executor().now();
  if (removed_.empty() || now - strays_at_ < k_strays) return;
  strays_at_ = now;
  engine_.release_images(removed_, [](const Outcome<void>&) {});
}

/// A dataset that the fleet does not know: the servers have been set up anew, or this node was alone so far. What has
/// been removed is known as that.
void Coordinator::publish_own(const DatasetRecord& record) {
  Known known{{paths_.dataset(record.id), {}, 0}, record, {}, membership_.self().name};
  if (record.lut) known.shares[custody_.identity()] = record.lut->tally_sha256;
  busy_.insert(record.id);
  catalog_.publish(known.entry.path, entry_of(known).fields,
                   lifetime_.guard([this, id = record.id](const control::Result<void>&) { busy_.erase(id); }));
}

/// One change of a part at a time: what is based on an older record must not come behind a newer one.
void Coordinator::bring(const Known& known, jobs::SharedTables tables, std::function<void(Outcome<Status>)> then) {
  if (!busy_.insert(known.record.id).second)
    return session_.executor().after(
        k_turn, lifetime_.guard([this, known, tables = std::move(tables), then = std::move(then)]() mutable {
          bring(known, std::move(tables), std::move(then));
        }));
  enroll(known, std::move(tables), [this, id = known.record.id, then = std::move(then)](Outcome<Status> outcome) {
    busy_.erase(id);
    then(std::move(outcome));
  });
}

/// Enrolled before there can be an image here, so that nobody sums up without asking this node.
void Coordinator::enroll(const Known& known, jobs::SharedTables tables, std::function<void(Outcome<Status>)> then) {
  if (enrolled_.contains(known.record.id)) return put(known, std::move(tables), std::move(then));
  catalog_.enroll(
      known.entry.path, custody_.identity(),
      lifetime_.guard([this, known, tables = std::move(tables),
                       then = std::move(then)](const control::Result<void>& enrolled) mutable {
        if (!enrolled)
          return then(std::unexpected(jobs::problem(503, "zookeeper-unavailable", enrolled.error().message())));
        enrolled_.insert(known.record.id);
        put(known, std::move(tables), std::move(then));
      }));
}

void Coordinator::put(const Known& known, jobs::SharedTables tables, std::function<void(Outcome<Status>)> then) {
  const DatasetRecord record = part_of(known);
  const auto own = own_.find(record.id);
  const bool has_tables = own != own_.end() && own->second.lut && record.lut &&
                          own->second.lut->revision == record.lut->revision &&
                          own->second.lut->digest == record.lut->digest;
  const auto done = [this, record, version = known.entry.version, then](Outcome<Status> outcome) {
    if (outcome) {
      own_[record.id] = record;
      settled_[record.id] = version;
    }
    then(std::move(outcome));
  };
  if (!record.lut || has_tables || tables) return engine_.put_dataset(record, std::move(tables), here<Status>(done));
  // There must be a dataset before there can be tables of it.
  DatasetRecord bare = own == own_.end() ? record : own->second;
  if (own == own_.end()) {
    bare.lut.reset();
    bare.applied_revision = 0;
  }
  engine_.put_dataset(
      bare, nullptr, here<Status>([this, known, record, done, then](Outcome<Status> made) {
        if (!made) return then(std::move(made));
        find_tables(known, [this, record, done](jobs::SharedTables found) {
          if (found) return engine_.put_dataset(record, std::move(found), here<Status>(done));
          done(std::unexpected(jobs::problem(503, "peer-failed", "no node has the dataset's tables now")));
        });
      }));
}

struct Coordinator::Fetch {
  Known known;
  std::vector<std::string> nodes;  ///< still to be asked
  std::function<void(jobs::SharedTables)> then;

  bool good(const Outcome<jobs::SharedTables>& tables) const {
    return tables && *tables && lut_digest(**tables) == known.record.lut->digest;
  }
};

/// Here, where they may have been staged, then at who made them, then anywhere.
void Coordinator::find_tables(const Known& known, std::function<void(jobs::SharedTables)> then) {
  auto fetch = std::make_shared<Fetch>(known, custody_.others(), std::move(then));
  std::ranges::partition(fetch->nodes, [&](const std::string& name) { return name != known.maker; });
  engine_.get_tables(known.record.id, known.record.lut->revision,
                     here<jobs::SharedTables>([this, fetch](const Outcome<jobs::SharedTables>& tables) {
                       if (fetch->good(tables)) return fetch->then(*tables);
                       fetch_next(fetch);
                     }));
}

void Coordinator::fetch_next(const std::shared_ptr<Fetch>& fetch) {
  if (fetch->nodes.empty()) return fetch->then(nullptr);
  const std::string name = fetch->nodes.back();
  fetch->nodes.pop_back();
  link_.tables(name, {fetch->known.record.id, fetch->known.record.traceparent}, fetch->known.record.lut->revision,
               lifetime_.guard([this, fetch](const Outcome<jobs::SharedTables>& tables) {
                 if (fetch->good(tables)) return fetch->then(*tables);
                 fetch_next(fetch);
               }));
}

void Coordinator::remove_part(const std::string& id, std::int32_t version) {
  if (!busy_.insert(id).second)
    return session_.executor().after(k_turn, lifetime_.guard([this, id, version] { remove_part(id, version); }));
  engine_.remove_dataset(id, here<void>([this, id, version](const Outcome<void>& removed) {
                           busy_.erase(id);
                           if (!removed && removed.error().status != 404) return;
                           own_.erase(id);
                           removed_.insert(id);
                           settled_[id] = version;
                         }));
}

/// A dataset ends as one: as long after its last change, or its latest image on any node, as a job after its end.
void Coordinator::expire() {
  if (!election_.leadership()) return aged_at_.clear();
  const auto now = session_.executor().now();
  const std::int64_t oldest_ms = now_() - settings_.ttl.count();
  for (const auto& [id, record] : own_) {
    if (record.changed_ms > oldest_ms || operations_.size() >= k_expiries) continue;
    const auto [aged, first] = aged_at_.try_emplace(id, now);
    if (!first && now - aged->second < settings_.ttl / 8) continue;
    aged->second = now;
    begin(
        id, [](const Outcome<Status>&) {},
        [this](const OperationPtr& operation) {
          with_known(operation, [this, operation](const Known& known) { expire_now(operation, known); });
        });
  }
}

void Coordinator::expire_now(const OperationPtr& operation, const Known& known) {
  gather(operation, known.record.id, [this, operation, known](const std::map<std::string, jobs::Share>& shares) {
    std::int64_t active_ms = known.record.changed_ms;
    for (const auto& [identity, share] : shares) active_ms = std::max(active_ms, share.active_ms);
    if (active_ms <= now_() - settings_.ttl.count()) return remove_now(operation, known);
    finish(operation, std::unexpected(jobs::problem(409, "conflict", "the dataset is still in use")));
  });
}

/// Every node has heard of a removal by then.
void Coordinator::bury() {
  const auto leadership = election_.leadership();
  if (!leadership || !mirror_.complete()) return;
  for (const auto& [id, item] : mirror_.items()) {
    if (busy_.contains(id) || own_.contains(id)) continue;
    const auto fields = control::RecordFormat().read(item.data);
    const auto known = fields ? known_of(id, *fields, item.version) : std::nullopt;
    if (!known || !known->record.removed || known->record.changed_ms > now_() - settings_.tombstone.count()) continue;
    busy_.insert(id);
    catalog_.remove(paths_.dataset(id), leadership,
                    lifetime_.guard([this, id = id](const control::Result<void>&) { busy_.erase(id); }));
  }
}

}  // namespace histod::daemon
