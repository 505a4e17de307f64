// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/engine.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/core.h>
#include <poll.h>

#include "daemon/jobs/digest.hpp"
#include "daemon/trace_context.hpp"

namespace histod::daemon::jobs {

namespace {

constexpr std::int64_t k_tick_ms = 1'000;
constexpr std::int64_t k_retry_ms = 50;
constexpr std::int64_t k_unsettled_ms = 5 * 60'000;  ///< longer than who submitted a job tries to have it copied

/// The room that posts leave free: what each attempt says of itself, and resume, drain and stop.
std::size_t completions_max(const Engine::Options& options) { return 2 * options.running_max + 8; }

/// What makes two requests the same: the bytes and the options.
std::string request_sha256(const NewJob& job, const std::string& input_sha256, const std::string& mask_sha256) {
  std::string text = input_sha256 + "\n" + mask_sha256 + "\n" + job.dataset;
  for (const auto& [name, value] : job.options) text += fmt::format("{}={}\n", name, value);
  if (!job.files.result.empty()) text += fmt::format("\nresult {} {}\n", job.files.result, job.files.overwrite);
  return sha256_hex(text);
}

std::int64_t steady_clock_ms() {
  const auto up = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(up).count();
}

}  // namespace

api::Problem no_such_job(const std::string& id) {
  return problem(404, "not-found", is_ulid(id) ? "there is no job " + id : "this is not the id of a job");
}

Engine::Engine(const Options& options, Spool& spool, Log& log, Interfaces interfaces)
    : options_(options),
      spool_(spool),
      log_(log),
      interfaces_(std::move(interfaces)),
      mailbox_(options.mailbox_messages + completions_max(options), completions_max(options)),
      ulids_(interfaces_.random ? UlidSource(interfaces_.random) : UlidSource()),
      datasets_(spool, options.sums_bytes_max) {
  if (!interfaces_.steady_ms) interfaces_.steady_ms = steady_clock_ms;
}

Engine::~Engine() {
  if (!open_) return;
  drain();
  stop();
}

void Engine::resume() {
  mailbox_.complete([this] { paused_ = false; });
}

DiskResult<void> Engine::open() {
  auto scan = spool_.open();
  if (!scan) return std::unexpected(scan.error());
  recover(std::move(*scan));
  publish_counts();
  open_ = true;
  return {};
}

DiskResult<void> Engine::start() {
  if (auto opened = open(); !opened) return opened;
  thread_ = std::thread([this] { main(); });
  return {};
}

void Engine::drain() {
  if (!open_) return;
  mailbox_.complete([this] {
    draining_ = true;
    // Whoever waits learns how things stand.
    for (auto& [id, waiter] : std::exchange(waiters_, {})) waiter.reply(find(id));
  });
}

void Engine::stop() {
  if (!std::exchange(open_, false)) return;
  mailbox_.complete([this] { stopping_ = true; });
  if (thread_.joinable()) {
    thread_.join();
  } else {
    leave();
  }
  // Who was too late for the thread is answered here; who comes later still, at once.
  mailbox_.close();
  mailbox_.drain();
}

void Engine::main() {
  bool tidying = true;
  while (!(stopping_ && running_.empty())) {
    pollfd waiting{mailbox_.fd(), POLLIN, 0};
    ::poll(&waiting, 1, tidying ? 0 : retry_at_ms_ > 0 ? static_cast<int>(k_retry_ms) : static_cast<int>(k_tick_ms));
    tidying = step();
  }
  leave();
}

bool Engine::step() {
  mailbox_.drain();
  sweep_waiters();
  expire();
  const bool tidying = sweep_removed();
  dispatch_some();
  publish_counts();
  return tidying;
}

void Engine::leave() {
  mailbox_.drain();
  // An attempt that did not come about does not count, also not after a restart.
  for (const std::string& id : begun_on_disk_)
    if (auto stored = spool_.update(jobs_.at(id)); !stored)
      static_cast<void>(disk_problem(stored.error(), "storing a job that waits"));
}

void Engine::recover(SpoolScan scan) {
  for (const auto& refused : scan.quarantined)
    log_.error("a job's files are broken and were put aside", {{"job", refused.id}, {"reason", refused.reason}});
  for (const auto& refused : scan.left_alone)
    log_.warn("a job of a later release is left alone", {{"job", refused.id}, {"reason", refused.reason}});
  counts_.quarantined = scan.quarantined.size();
  removed_.insert(scan.removed.begin(), scan.removed.end());
  for (DatasetRecord& record : scan.datasets) datasets_.recover(std::move(record));
  for (JobRecord& record : scan.jobs) {
    const std::string id = record.id;
    if (!record.owner.empty()) {
      keep_copy(std::move(record));
      continue;
    }
    if (!record.idempotency_sha256.empty()) id_by_key_[record.idempotency_sha256] = id;
    const bool again = record.unwritten();  // it is made again, and then written
    if (again) record.attempts = 0;
    if (record.counted && (again || !is_final(record.state))) {
      record.state = JobState::counted;
      record.revision = 0;
    }
    if ((again || !is_final(record.state)) && !record.counted) {
      ++counts_.recovered;
      record.state = JobState::queued;
      queue_.push_back(id);
    }
    add(std::move(record));
  }
  recover_images();
  log_.info("spool recovered", {{"jobs", jobs_.size()},
                                {"unfinished", queue_.size() + table_queue_.size()},
                                {"copies", copies_.size()},
                                {"datasets", datasets_.all().size()},
                                {"leftovers", scan.leftovers_removed}});
}

void Engine::submit(NewJob job, Reply<Submitted> reply) {
  call(std::move(reply), [this, job = std::move(job)](Reply<Submitted>& answer) { answer(submit_now(job)); });
}

std::optional<Outcome<Submitted>> Engine::replay(const std::string& key_sha256, const std::string& request) {
  const auto known = id_by_key_.find(key_sha256);
  if (known == id_by_key_.end()) return std::nullopt;
  const JobRecord& record = jobs_.at(known->second);
  if (record.request_sha256 != request)
    return std::unexpected(problem(
        409, "conflict", "this Idempotency-Key belongs to job " + record.id + ", whose image or options differ"));
  ++counts_.replayed;
  replayed_.insert(record.id);
  return Submitted{record, true};
}

Outcome<Submitted> Engine::submit_now(const NewJob& job) {
  JobRecord record;
  record.input.sha256 = sha256_hex(job.input);
  if (!job.mask.empty()) record.input.mask_sha256 = sha256_hex(job.mask);
  record.request_sha256 = request_sha256(job, record.input.sha256, record.input.mask_sha256);
  if (!job.idempotency_key.empty()) {
    record.idempotency_sha256 = sha256_hex(job.idempotency_key);
    if (auto known = replay(record.idempotency_sha256, record.request_sha256)) return std::move(*known);
  }
  if (!job.dataset.empty()) {
    const auto dataset = find_dataset(job.dataset);
    if (!dataset) return std::unexpected(dataset.error());
    record.options = (*dataset)->record.options;
  }
  if (const std::size_t kept = jobs_.size() + copies_.size(); kept >= options_.kept_max)
    return std::unexpected(
        problem(507, "spool-full", "the spool keeps as many jobs as it may", kept, options_.kept_max));
  if (queue_.size() >= options_.queued_max)
    return std::unexpected(problem(503, "overloaded", "jobs are waiting", queue_.size(), options_.queued_max));
  record.created_ms = interfaces_.now_ms();
  record.id = ulids_.next(record.created_ms);
  if (job.dataset.empty()) record.options = job.options;
  record.dataset = job.dataset;
  record.input.bytes = job.input.size();
  record.input.mask_bytes = job.mask.size();
  record.input.filename = job.filename;
  record.placement.asked = job.placement;
  record.program_version = options_.program_version;
  record.files = job.files;
  record.traceparent = job.traceparent;
  const std::span<const Bytes> mask(&job.mask, job.mask.empty() ? 0 : 1);
  if (auto made = spool_.create(record, std::span(&job.input, 1), mask); !made)
    return std::unexpected(disk_problem(made.error(), "storing the job"));
  ++counts_.submitted;
  if (!record.idempotency_sha256.empty()) id_by_key_[record.idempotency_sha256] = record.id;
  queue_.push_back(record.id);
  if (job.provisional) unsettled_.emplace(record.id, interfaces_.steady_ms() + k_unsettled_ms);
  add(record);
  if (interfaces_.changed) interfaces_.changed(record, "accepted");
  return Submitted{std::move(record), false};
}

api::Problem Engine::disk_problem(std::error_code error, std::string_view doing) {
  if (error == make_error_code(SpoolErrc::no_space) || error == std::errc::no_space_on_device) {
    const Spool::Usage usage = spool_.usage();
    return problem(507, "spool-full", "the spool has no room for this job: bytes used, and the budget", usage.bytes,
                   usage.budget_bytes);
  }
  ++counts_.disk_errors;
  log_.error("the spool failed", {{"doing", doing}, {"error", error.message()}});
  return problem(500, "spool-failed", fmt::format("{} failed: {}", doing, error.message()));
}

Outcome<JobRecord> Engine::find(const std::string& id) const {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return std::unexpected(no_such_job(id));
  return found->second;
}

void Engine::get(std::string id, Reply<JobRecord> reply) {
  call(std::move(reply), [this, id = std::move(id)](Reply<JobRecord>& answer) { answer(find(id)); });
}

void Engine::list(std::size_t limit, std::optional<JobState> state, Reply<std::vector<JobRecord>> reply) {
  call(std::move(reply), [this, limit, state](Reply<std::vector<JobRecord>>& answer) {
    std::vector<JobRecord> out;
    for (auto i = jobs_.rbegin(); i != jobs_.rend() && out.size() < limit; ++i)
      if (!state || i->second.state == *state) out.push_back(i->second);
    answer(std::move(out));
  });
}

void Engine::read_result(std::string id, std::span<std::byte> into, Reply<void> reply) {
  call(std::move(reply), [this, id = std::move(id), into](Reply<void>& answer) {
    if (!jobs_.contains(id)) return answer(std::unexpected(no_such_job(id)));
    if (auto read = spool_.read_result(id, into); !read)
      return answer(std::unexpected(disk_problem(read.error(), "reading the result")));
    answer({});
  });
}

void Engine::add(JobRecord record) {
  ++in_state_[index_of(record.state)];
  datasets_.track(nullptr, &record);
  const std::string id = record.id;
  jobs_.emplace(id, std::move(record));
}

void Engine::replace(JobRecord& record, JobRecord next) {
  datasets_.track(&record, &next);
  --in_state_[index_of(record.state)];
  const bool changes = record.state != next.state;
  record = std::move(next);
  ++in_state_[index_of(record.state)];
  if (!changes || !interfaces_.changed) return;
  if (record.state == JobState::running) interfaces_.changed(record, "started");
  if (is_final(record.state)) interfaces_.changed(record, state_name(record.state));
}

void Engine::replace(JobRecord& record, JobState next) {
  JobRecord changed = record;
  changed.state = next;
  replace(record, std::move(changed));
}

void Engine::dispatch_some() {
  if (paused_ || draining_ || stopping_) return;
  // Further away than any retry: the clock was set back.
  if (const std::int64_t left = retry_at_ms_ - interfaces_.now_ms(); left > 0 && left <= k_tick_ms) return;
  retry_at_ms_ = 0;
  while (running_.size() < options_.running_max && !(queue_.empty() && table_queue_.empty())) {
    std::deque<std::string>& queue = queue_.empty() ? table_queue_ : queue_;
    const std::string id = queue.front();
    queue.pop_front();
    if (!begin(id)) return;
  }
}

bool Engine::begin(const std::string& id) {
  JobRecord& record = jobs_.at(id);
  JobRecord next = record;
  next.error.reset();
  SharedTables tables;
  if (record.counted) {
    auto read = tables_for(next);
    if (!read) next.error = std::move(read.error());
    tables = read.value_or(nullptr);
  }
  if (next.error) {
    next.state = JobState::failed;
    next.finished_ms = interfaces_.now_ms();
  } else if (next.attempts >= options_.attempts_max) {
    next.state = JobState::failed;
    next.finished_ms = interfaces_.now_ms();
    next.error = problem(500, "gave-up", "the program ended while it worked on this job, each time", next.attempts,
                         options_.attempts_max);
    log_.error("a job is given up", {{"job", id}, {"attempts", next.attempts}, trace_field(next.traceparent)});
  } else {
    next.state = JobState::running;
    next.started_ms = interfaces_.now_ms();
    ++next.attempts;
  }
  const bool runs = next.state == JobState::running;
  // The attempt is on stable storage before it begins: a job that kills the program is counted. One that was put off
  // is there already.
  const bool known = runs && begun_on_disk_.contains(id);
  auto stored = known ? DiskResult<void>() : spool_.update(next);
  if (stored && runs) begun_on_disk_.insert(id);
  if (!stored || (runs && !interfaces_.dispatch(next, tables))) {
    if (!stored) static_cast<void>(disk_problem(stored.error(), "starting a job"));
    queue_of(record).push_front(id);
    retry_at_ms_ = interfaces_.now_ms() + k_retry_ms;
    return false;
  }
  replace(record, std::move(next));
  if (runs)
    running_.insert(id);
  else
    drop_input(id);
  answer_waiters(id);
  return true;
}

void Engine::read_input(const JobRecord& record, std::span<std::byte> input, std::span<std::byte> mask,
                        Reply<void> reply) {
  mailbox_.complete(
      [this, record, input, mask, reply = std::move(reply)]() mutable { reply(read_input_now(record, input, mask)); });
}

Outcome<void> Engine::read_input_now(const JobRecord& record, std::span<std::byte> input, std::span<std::byte> mask) {
  const auto found = jobs_.find(record.id);
  // Whoever asks may have seen it before it ended, and its image went with that.
  if (found == jobs_.end() || (found->second.dataset.empty() && is_final(found->second.state)))
    return std::unexpected(no_such_job(record.id));
  auto read = spool_.read_input(record, input);
  if (read && !mask.empty()) read = spool_.read_mask(record, mask);
  if (!read) return std::unexpected(disk_problem(read.error(), "reading the job's image"));
  return {};
}

void Engine::finished(std::string id, Finished outcome, std::move_only_function<void()> stored) {
  mailbox_.complete([this, id = std::move(id), outcome = std::move(outcome), stored = std::move(stored)]() mutable {
    do_finished(id, std::move(outcome));
    stored();
  });
}

JobRecord Engine::describe(JobRecord record, const Finished& outcome) {
  record.finished_ms = interfaces_.now_ms();
  record.input.format = outcome.input.format;
  record.input.width = outcome.input.width;
  record.input.height = outcome.input.height;
  record.planes = outcome.planes;
  record.timing_ms = outcome.timing_ms;
  if (!outcome.placement.chosen.empty()) record.placement = outcome.placement;
  record.error = outcome.error;
  record.state = outcome.error ? JobState::failed : JobState::done;
  if (outcome.error) return record;
  record.result = outcome.described;
  if (outcome.files) record.files = *outcome.files;
  record.error = outcome.unwritten;
  return record;
}

void Engine::do_finished(const std::string& id, Finished outcome) {
  running_.erase(id);
  if (removed_while_running_.erase(id) > 0) return;
  JobRecord& record = jobs_.at(id);
  // Waiting for room helps only where there can be enough of it.
  if (const std::uint64_t budget = spool_.usage().budget_bytes; outcome.result.size() > budget)
    outcome.error = problem(507, "spool-full", "the result is larger than the spool's budget, in bytes",
                            outcome.result.size(), budget);
  JobRecord next = describe(record, outcome);
  const bool counts = !next.dataset.empty() && !next.counted && !next.error;
  if (counts) take_in(next, outcome);
  if (auto stored = store_end(next, outcome); !stored) {
    if (counts && next.counted) take_out(next, outcome);
    // It stays unfinished on the disk, so it is done again, here and after a restart: never lost.
    log_.warn("a job's end cannot be stored, it is done again",
              {{"job", id}, {"error", stored.error().message()}, trace_field(next.traceparent)});
    ++counts_.disk_errors;
    put_off(record);
    queue_of(record).push_back(id);
    retry_at_ms_ = interfaces_.now_ms() + k_tick_ms;
    return;
  }
  replace(record, std::move(next));
  log_.write(trace_level(record.traceparent), "an attempt at a job ended",
             {{"job", id}, {"state", state_name(record.state)}, trace_field(record.traceparent)});
  // An image of a dataset waits for whoever finalizes it.
  if (record.dataset.empty())
    durations_s_.observe(static_cast<double>(std::max<std::int64_t>(record.finished_ms - record.created_ms, 0)) / 1e3);
  drop_input(id);
  answer_waiters(id);
  if (needs_tables(record)) queue_for_tables(id);
}

DiskResult<void> Engine::store_end(const JobRecord& next, const Finished& outcome) {
  if (next.state == JobState::counted) {
    if (auto stored = spool_.store_tally(next.id, outcome.tally); !stored) return stored;
  } else if (next.state == JobState::done) {
    const Bytes bytes = outcome.result;
    if (auto stored = spool_.store_result(next.id, std::span(&bytes, 1)); !stored) return stored;
  }
  return spool_.update(next);
}

void Engine::drop_input(const std::string& id) {
  begun_on_disk_.erase(id);
  const JobRecord& record = jobs_.at(id);
  if (!record.dataset.empty() || record.unwritten()) return;  // it may be made again
  if (auto dropped = spool_.remove_input(id); !dropped)
    static_cast<void>(disk_problem(dropped.error(), "dropping a finished job's image"));
}

/// The attempt does not count: nothing is wrong with the job.
void Engine::put_off(JobRecord& record) {
  replace(record, JobState::queued);
  if (record.attempts > 0) --record.attempts;
}

void Engine::yielded(std::string id) {
  mailbox_.complete([this, id = std::move(id)] {
    running_.erase(id);
    if (removed_while_running_.erase(id) > 0) return;
    put_off(jobs_.at(id));
    queue_of(jobs_.at(id)).push_front(id);
    retry_at_ms_ = interfaces_.now_ms() + k_retry_ms;
  });
}

void Engine::publish_counts() {
  Counts now = counts_;
  now.queued = in_state_[index_of(JobState::queued)];
  now.running = in_state_[index_of(JobState::running)];
  now.done = in_state_[index_of(JobState::done)];
  now.failed = in_state_[index_of(JobState::failed)];
  now.counted = in_state_[index_of(JobState::counted)];
  now.datasets = datasets_.all().size();
  now.copies = copies_.size();
  const std::lock_guard lock(counts_mutex_);
  published_ = now;
}

Engine::Counts Engine::counts() const {
  const std::lock_guard lock(counts_mutex_);
  return published_;
}

}  // namespace histod::daemon::jobs
