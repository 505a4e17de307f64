// SPDX-License-Identifier: Apache-2.0
// Copies of other nodes' jobs: kept until their owner drops them, or this node takes the jobs over.
#include <utility>

#include "daemon/jobs/copy_record.hpp"
#include "daemon/jobs/digest.hpp"
#include "daemon/jobs/engine.hpp"

namespace histod::daemon::jobs {

namespace {

constexpr std::int64_t k_kept_ms = 60'000;  ///< longer than a request between nodes and a write take
constexpr std::size_t k_at_once = 16;       ///< of many ids, before others have their turn

bool same_image(const JobInput& a, const JobInput& b) { return a.sha256 == b.sha256 && a.mask_sha256 == b.mask_sha256; }

bool describes(const JobInput& described, Bytes input, Bytes mask) {
  if (described.bytes != input.size() || described.mask_bytes != mask.size()) return false;
  return described.sha256 == sha256_hex(input) && described.mask_sha256 == (mask.empty() ? "" : sha256_hex(mask));
}

/// For who only wants to know that it was done.
Reply<std::uint64_t> without_count(Reply<void> reply) {
  return [reply = std::move(reply)](Outcome<std::uint64_t> done) mutable {
    if (!done) return reply(std::unexpected(std::move(done.error())));
    reply({});
  };
}

}  // namespace

JobRecord as_submitted(const JobRecord& record) {
  JobRecord copy;
  copy.id = record.id;
  copy.created_ms = record.created_ms;
  copy.options = record.options;
  copy.input = record.input;
  copy.idempotency_sha256 = record.idempotency_sha256;
  copy.request_sha256 = record.request_sha256;
  copy.program_version = record.program_version;
  copy.dataset = record.dataset;
  copy.owner = record.owner;
  copy.placement.asked = record.placement.asked;
  copy.files = record.files;
  copy.traceparent = record.traceparent;
  return copy;
}

struct Engine::Batch {
  std::vector<std::string> ids;
  EachOp op;
  std::size_t next = 0;
  std::uint64_t done = 0;
  std::optional<api::Problem> failure;  ///< the first; what comes behind it is tried all the same
};

void Engine::each(std::vector<std::string> ids, EachOp op, Reply<std::uint64_t> reply) {
  go_on({.ids = std::move(ids), .op = std::move(op), .failure = {}}, std::move(reply));
}

void Engine::go_on(Batch batch, Reply<std::uint64_t> reply) {
  call(std::move(reply), [this, batch = std::move(batch)](Reply<std::uint64_t>& answer) mutable {
    for (std::size_t i = 0; i < k_at_once && batch.next < batch.ids.size(); ++i) {
      auto done = batch.op(batch.ids[batch.next++]);
      if (done) batch.done += *done ? 1 : 0;
      if (!done && !batch.failure) batch.failure = std::move(done.error());
    }
    if (batch.next < batch.ids.size()) return go_on(std::move(batch), std::move(answer));
    if (batch.failure) return answer(std::unexpected(std::move(*batch.failure)));
    answer(batch.done);
  });
}

void Engine::hold(JobRecord record, Bytes input, Bytes mask, Reply<void> reply) {
  call(std::move(reply),
       [this, record = std::move(record), input, mask](Reply<void>& answer) { answer(hold_now(record, input, mask)); });
}

Outcome<void> Engine::hold_now(const JobRecord& record, Bytes input, Bytes mask) {
  if (!is_ulid(record.id) || !is_ulid(record.owner))
    return std::unexpected(problem(400, "bad-request", "a copy needs the ids of its job and of its owner"));
  if (jobs_.contains(record.id))
    return std::unexpected(problem(409, "conflict", "this node owns job " + record.id + " itself"));
  if (const auto known = copies_.find(record.id); known != copies_.end()) return hold_again(known->second, record);
  // It was this node's own, and what comes of the attempt must not be taken for that of a later one.
  if (running_.contains(record.id))
    return std::unexpected(problem(503, "overloaded", "an attempt at job " + record.id + " has not ended here yet"));
  if (!describes(record.input, input, mask))
    return std::unexpected(problem(400, "bad-request", "image and mask are not what the copy's record says"));
  if (const std::size_t kept = jobs_.size() + copies_.size(); kept >= options_.kept_max)
    return std::unexpected(
        problem(507, "spool-full", "the spool keeps as many jobs as it may", kept, options_.kept_max));
  JobRecord copy = as_submitted(record);
  const std::span<const Bytes> masks(&mask, mask.empty() ? 0 : 1);
  if (auto made = spool_.create(copy, std::span(&input, 1), masks); !made)
    return std::unexpected(disk_problem(made.error(), "storing a copy"));
  keep_copy(std::move(copy));
  return {};
}

void Engine::keep_copy(JobRecord copy) {
  if (!copy.idempotency_sha256.empty()) copy_by_key_[copy.idempotency_sha256] = copy.id;
  const std::string id = copy.id;
  copies_.emplace(id, std::move(copy));
}

void Engine::drop_copy(std::map<std::string, JobRecord>::iterator copy) {
  const auto key = copy_by_key_.find(copy->second.idempotency_sha256);
  if (key != copy_by_key_.end() && key->second == copy->first) copy_by_key_.erase(key);
  copies_.erase(copy);
}

void Engine::find_key(std::string key_sha256, Reply<Keyed> reply) {
  call(std::move(reply), [this, key = std::move(key_sha256)](Reply<Keyed>& answer) {
    if (const auto own = id_by_key_.find(key); own != id_by_key_.end()) return answer(Keyed{own->second, {}});
    if (const auto copy = copy_by_key_.find(key); copy != copy_by_key_.end())
      return answer(Keyed{copy->second, copies_.at(copy->second).owner});
    answer(std::unexpected(problem(404, "not-found", "no job here has this key")));
  });
}

/// Its owner may be another one by now, which took it over.
Outcome<void> Engine::hold_again(JobRecord& copy, const JobRecord& record) {
  if (!same_image(copy.input, record.input))
    return std::unexpected(problem(409, "conflict", "a copy of job " + copy.id + " with another image is here"));
  if (copy.owner == record.owner) return {};
  JobRecord next = copy;
  next.owner = record.owner;
  if (auto stored = spool_.update(next); !stored)
    return std::unexpected(disk_problem(stored.error(), "storing a copy's owner"));
  copy = std::move(next);
  return {};
}

void Engine::release(std::vector<std::string> ids, Reply<void> reply) {
  each(std::move(ids), [this](const std::string& id) { return release_now(id); }, without_count(std::move(reply)));
}

void Engine::release_images(std::set<std::string> datasets, Reply<void> reply) {
  call(std::move(reply), [this, datasets = std::move(datasets)](Reply<void>& answer) {
    std::vector<std::string> ids;
    for (const auto& [id, copy] : copies_)
      if (datasets.contains(copy.dataset)) ids.push_back(id);
    each(std::move(ids), [this](const std::string& id) { return release_now(id); }, without_count(std::move(answer)));
  });
}

Outcome<bool> Engine::release_now(const std::string& id) {
  const auto found = copies_.find(id);
  if (found == copies_.end()) return false;
  const auto removed = spool_.remove(id);
  if (!spool_.has(id)) drop_copy(found);
  if (!removed) return std::unexpected(disk_problem(removed.error(), "removing a copy"));
  return true;
}

void Engine::removed_elsewhere(std::string id, Reply<void> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<void>& answer) {
    if (jobs_.contains(id)) return answer(remove_for_good(id));
    const auto released = release_now(id);
    answer(released ? Outcome<void>() : std::unexpected(released.error()));
  });
}

void Engine::copies(Reply<std::map<std::string, std::vector<std::string>>> reply) {
  call(std::move(reply), [this](Reply<std::map<std::string, std::vector<std::string>>>& answer) {
    std::map<std::string, std::vector<std::string>> out;
    for (const auto& [id, copy] : copies_) out[copy.owner].push_back(id);
    answer(std::move(out));
  });
}

void Engine::adopt(std::string owner, Reply<std::uint64_t> reply) {
  call(std::move(reply), [this, owner = std::move(owner)](Reply<std::uint64_t>& answer) {
    std::vector<std::string> ids;
    for (const auto& [id, copy] : copies_)
      if (copy.owner == owner) ids.push_back(id);
    each(std::move(ids), [this, owner](const std::string& id) { return adopt_now(id, owner); }, std::move(answer));
  });
}

/// One write for each: whatever of them is on the disk when the power goes, every job is either a copy or this node's.
Outcome<bool> Engine::adopt_now(const std::string& id, const std::string& owner) {
  const auto found = copies_.find(id);
  if (found == copies_.end() || found->second.owner != owner) return false;
  if (removed_.contains(id)) {
    const auto released = release_now(id);
    return released ? Outcome<bool>(false) : released;
  }
  JobRecord next = found->second;
  if (!next.dataset.empty() && datasets_.find_any(next.dataset) == nullptr) return false;
  next.former = std::exchange(next.owner, {});
  if (auto stored = spool_.update(next); !stored)
    return std::unexpected(disk_problem(stored.error(), "taking over a job"));
  drop_copy(found);
  ++counts_.adopted;
  if (!next.idempotency_sha256.empty()) id_by_key_.emplace(next.idempotency_sha256, id);
  queue_.push_back(id);
  add(std::move(next));
  return true;
}

void Engine::owned(std::vector<std::string> ids, Reply<std::vector<std::string>> reply) {
  call(std::move(reply), [this, ids = std::move(ids)](Reply<std::vector<std::string>>& answer) mutable {
    std::erase_if(ids, [this](const std::string& id) { return !jobs_.contains(id); });
    answer(std::move(ids));
  });
}

void Engine::keep(std::vector<std::string> ids, std::string from, Reply<std::vector<std::string>> reply) {
  call(std::move(reply), [this, ids = std::move(ids), from](Reply<std::vector<std::string>>& answer) mutable {
    std::vector<std::string> held_there;
    for (const std::string& id : ids) {
      const auto own = jobs_.find(id);
      if (own == jobs_.end()) continue;
      kept_[id] = interfaces_.steady_ms() + k_kept_ms;
      if (own->second.holder == from) held_there.push_back(id);
    }
    // What `from` lets go of, it keeps no copy of either: that is on the disk before it does.
    each(
        std::move(held_there), [this](const std::string& id) { return lose_copy(id); },
        [this, ids = std::move(ids), answer = std::move(answer)](const Outcome<std::uint64_t>& stored) mutable {
          if (!stored) return answer(std::unexpected(stored.error()));
          std::erase_if(ids, [this](const std::string& id) { return !jobs_.contains(id) && !removed_.contains(id); });
          answer(std::move(ids));
        });
  });
}

Outcome<bool> Engine::lose_copy(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return false;
  JobRecord next = found->second;
  next.holder.clear();
  if (auto stored = spool_.update(next); !stored)
    return std::unexpected(disk_problem(stored.error(), "storing that a job has no copy"));
  found->second = std::move(next);
  return true;
}

void Engine::own_ids(Reply<std::vector<std::string>> reply) {
  call(std::move(reply), [this](Reply<std::vector<std::string>>& answer) {
    std::vector<std::string> ids;
    ids.reserve(jobs_.size());
    for (const auto& [id, record] : jobs_) ids.push_back(id);
    answer(std::move(ids));
  });
}

void Engine::disown(std::vector<std::string> ids, Reply<void> reply) {
  each(std::move(ids), [this](const std::string& id) { return disown_now(id); }, without_count(std::move(reply)));
}

Outcome<bool> Engine::disown_now(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return false;
  if (const auto kept = kept_.find(id); kept != kept_.end() && kept->second > interfaces_.steady_ms()) return false;
  // It is not cancelled: who asks again is told by its owner how it goes on.
  const auto [first, last] = waiters_.equal_range(id);
  for (auto i = first; i != last; ++i) i->second.reply(found->second);
  waiters_.erase(first, last);
  if (auto removed = remove_now(id); !removed) return std::unexpected(std::move(removed.error()));
  ++counts_.disowned;
  return true;
}

void Engine::uncopied(std::set<std::string> holders, std::size_t limit, Reply<std::vector<JobRecord>> reply) {
  call(std::move(reply), [this, holders = std::move(holders), limit](Reply<std::vector<JobRecord>>& answer) {
    std::vector<JobRecord> out;
    for (auto i = jobs_.begin(); i != jobs_.end() && out.size() < limit; ++i)
      if (needs_copy(i->second, holders)) out.push_back(i->second);
    answer(std::move(out));
  });
}

/// An image of a dataset may be made again whenever its tables change, so long as the dataset is there.
bool Engine::needs_copy(const JobRecord& record, const std::set<std::string>& holders) {
  if (holders.contains(record.holder)) return false;
  return record.dataset.empty() ? !is_final(record.state) : datasets_.find(record.dataset) != nullptr;
}

void Engine::copied(std::string id, std::string holder) {
  call(Reply<void>([](Outcome<void>) {}), [this, id = std::move(id), holder = std::move(holder)](Reply<void>&) {
    if (const auto found = jobs_.find(id); found != jobs_.end()) found->second.holder = holder;
  });
}

void Engine::read_own(const JobRecord& record, std::span<std::byte> input, std::span<std::byte> mask,
                      Reply<void> reply) {
  call(std::move(reply),
       [this, record, input, mask](Reply<void>& answer) { answer(read_input_now(record, input, mask)); });
}

}  // namespace histod::daemon::jobs
