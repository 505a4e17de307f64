// SPDX-License-Identifier: Apache-2.0
// How jobs end: who waits for that, and how they go when they are removed or their time is over.
#include <utility>

#include "daemon/jobs/engine.hpp"

namespace histod::daemon::jobs {

namespace {
constexpr std::int64_t k_expiry_ms = 1'000;
constexpr std::size_t k_removed_max = 16'384;  ///< the youngest, by id
}  // namespace

void Engine::wait(std::string id, std::chrono::milliseconds at_most, Reply<JobRecord> reply) {
  call(std::move(reply), [this, id = std::move(id), at_most](Reply<JobRecord>& answer) {
    auto found = find(id);
    if (!found || draining_ || is_final(found->state)) return answer(std::move(found));
    waiters_.emplace(id, Waiter{interfaces_.now_ms() + at_most.count(), std::move(answer)});
  });
}

void Engine::answer_waiters(const std::string& id) {
  const JobRecord& record = jobs_.at(id);
  if (!is_final(record.state)) return;
  const auto [first, last] = waiters_.equal_range(id);
  for (auto i = first; i != last; ++i) i->second.reply(record);
  waiters_.erase(first, last);
}

void Engine::sweep_waiters() {
  const std::int64_t now = interfaces_.now_ms();
  for (auto i = waiters_.begin(); i != waiters_.end();) {
    if (i->second.deadline_ms > now) {
      ++i;
      continue;
    }
    i->second.reply(jobs_.at(i->first));
    i = waiters_.erase(i);
  }
}

void Engine::remove(std::string id, Reply<void> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<void>& answer) { answer(remove_for_good(id)); });
}

/// Whoever had it before may come back with it, and is to hear that it is gone.
Outcome<void> Engine::remove_for_good(const std::string& id) {
  if (const auto found = jobs_.find(id); found != jobs_.end() && !found->second.former.empty())
    if (auto noted = note_removed(id); !noted) return noted;
  return remove_now(id);
}

Outcome<void> Engine::note_removed(const std::string& id) {
  if (auto noted = spool_.note_removed(id); !noted)
    return std::unexpected(disk_problem(noted.error(), "noting that a job is removed"));
  removed_.insert(id);
  if (removed_.size() > k_removed_max) {
    spool_.forget_removed(*removed_.begin());
    removed_.erase(removed_.begin());
  }
  return {};
}

void Engine::withdraw(std::string id, Reply<void> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<void>& answer) {
    unsettled_.erase(id);
    answer(replayed_.contains(id) ? Outcome<void>() : remove_now(id));
  });
}

void Engine::settle(std::string id) {
  call(Reply<void>([](const Outcome<void>&) {}), [this, id = std::move(id)](Reply<void>&) { unsettled_.erase(id); });
}

/// A removal that fails half-way has removed the job from here, too: there is nothing left of it to work with. Who asks
/// again is told that it is unknown once that is so for good.
Outcome<void> Engine::remove_now(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) {
    if (auto settled = spool_.settle_removals(); !settled)
      return std::unexpected(disk_problem(settled.error(), "removing the job"));
    return std::unexpected(no_such_job(id));
  }
  std::string tally;
  if (found->second.counted) {
    auto read = spool_.read_tally(id);
    if (!read) return std::unexpected(disk_problem(read.error(), "reading a tally"));
    tally = std::move(*read);
  }
  const auto removed = spool_.remove(id);
  if (spool_.has(id)) return std::unexpected(disk_problem(removed.error(), "removing the job"));
  if (auto* const dataset = datasets_.find_any(found->second.dataset); dataset && !tally.empty()) {
    if (auto out = datasets_.subtract(*dataset, std::as_bytes(std::span(tally))); !out)
      log_.error("an image was not what it was counted as", {{"job", id}, {"error", out.error().detail}});
  }
  if (running_.contains(id)) removed_while_running_.insert(id);
  if (!is_final(found->second.state)) {
    replace(found->second, JobState::cancelled);
    answer_waiters(id);
  }
  forget(id);
  if (!removed) return std::unexpected(disk_problem(removed.error(), "removing the job"));
  return {};
}

void Engine::forget(const std::string& id) {
  const auto found = jobs_.find(id);
  // A job that came from another node may have the key of one that was here before.
  const auto key = id_by_key_.find(found->second.idempotency_sha256);
  if (key != id_by_key_.end() && key->second == id) id_by_key_.erase(key);
  std::erase(queue_, id);
  std::erase(table_queue_, id);
  begun_on_disk_.erase(id);
  replayed_.erase(id);
  unsettled_.erase(id);
  kept_.erase(id);
  datasets_.track(&found->second, nullptr);
  --in_state_[index_of(found->second.state)];
  jobs_.erase(found);
}

void Engine::expire() {
  // Images of a dataset that is in use may be as old as they like: looking at them with each message would cost.
  const std::int64_t now_ms = interfaces_.now_ms();
  if (now_ms >= expired_at_ms_ && now_ms < expired_at_ms_ + k_expiry_ms) return;
  expired_at_ms_ = now_ms;
  const std::int64_t oldest_ms = now_ms - options_.result_ttl.count();
  std::vector<std::string> expired;
  for (const auto& [id, record] : jobs_) {
    if (record.created_ms > oldest_ms) break;  // ids are by age, and nothing ends before it began
    if (is_final(record.state) && record.finished_ms <= oldest_ms && record.dataset.empty()) expired.push_back(id);
  }
  for (const std::string& id : expired) {
    const auto removed = spool_.remove(id);
    if (!removed) static_cast<void>(disk_problem(removed.error(), "removing an expired job"));
    if (spool_.has(id)) return;
    ++counts_.expired;
    forget(id);
  }
}

}  // namespace histod::daemon::jobs
