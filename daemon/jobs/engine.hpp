// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "daemon/api/problem.hpp"
#include "daemon/jobs/datasets.hpp"
#include "daemon/jobs/outcome.hpp"
#include "daemon/jobs/record.hpp"
#include "daemon/jobs/share.hpp"
#include "daemon/jobs/spool.hpp"
#include "daemon/jobs/ulid.hpp"
#include "daemon/log.hpp"
#include "daemon/mailbox.hpp"
#include "daemon/metrics.hpp"

namespace histod::daemon::jobs {

struct NewJob {
  std::map<std::string, std::string> options;
  Bytes input;  ///< stays valid until the reply
  Bytes mask;
  std::string filename;
  std::string idempotency_key;  ///< empty: none
  std::string dataset = {};     ///< whose options it then has; empty: a job by itself
  /// Whether it is accepted is not sure yet: its dataset waits for it until settle() or withdraw().
  bool provisional = false;
  std::string placement = {};  ///< auto, local, fleet, or empty; no part of what makes two requests the same
  JobFiles files = {};
  std::string traceparent = {};  ///< of the request; empty: none
};

struct Submitted {
  JobRecord record;
  bool replayed = false;  ///< the key was known: nothing new was made
};

/// What this node has under an Idempotency-Key.
struct Keyed {
  std::string job;
  std::string owner;  ///< the identity of the node whose job it is a copy of; empty: it is this node's own
};

struct DatasetStatus {
  DatasetRecord record;
  bool stale = false;
  Datasets::Images images;
  std::int64_t active_ms = 0;  ///< since 1970: its last change, or its latest image
};

/// Some images of a dataset, by age.
struct ImagePage {
  std::vector<JobRecord> images;
  std::string next;  ///< where the next page begins; empty: this is the last
};

api::Problem no_such_job(const std::string& id);
inline bool is_unknown(std::error_code error) { return error == make_error_code(SpoolErrc::no_such_job); }
inline std::size_t index_of(JobState state) { return static_cast<std::size_t>(state); }

/// What a finished attempt leaves behind.
struct Finished {
  std::optional<api::Problem> error;
  Bytes result;                  ///< stays valid until the reply
  std::vector<std::byte> tally;  ///< instead, of an image that was counted
  JobResult described;
  JobInput input;  ///< format, width and height
  std::vector<JobPlane> planes;
  std::map<std::string, double> timing_ms;
  JobPlacement placement = {};            ///< nothing chosen: as it was
  std::optional<JobFiles> files;          ///< the result was written there
  std::optional<api::Problem> unwritten;  ///< the result could not be written there
};

/// The jobs of this node. One thread of its own owns the spool and the index, so neither has a lock; everything else
/// talks to it through its mailbox. Every member function may be called from any thread and does not block. A reply
/// comes exactly once, on the engine's thread; when the mailbox is full, at once with a 503 on the caller's.
class Engine {
 public:
  struct Options {
    std::size_t queued_max = 1'000;
    std::size_t kept_max = 100'000;   ///< ended ones and copies included: each is a record in memory
    std::size_t running_max = 2;      ///< at one time, over all workers
    std::uint32_t attempts_max = 10;  ///< a job that was running when the program died this often is given up
    std::chrono::milliseconds result_ttl{24 * 3'600'000};
    std::uint64_t sums_bytes_max = 256u << 20;  ///< memory for the sums of all datasets; a 16-bit one has 512 KiB
    std::size_t mailbox_messages = 16'384;      ///< calls that may wait; attempts have room of their own
    std::string program_version;
  };
  struct Interfaces {
    std::function<std::int64_t()> now_ms;  ///< since 1970
    /// Starts an attempt on some worker; false when none can take it now. It ends with finished() or yielded(). An
    /// image of a dataset is given the tables if there are any, else it is counted.
    std::function<bool(const JobRecord&, const SharedTables&)> dispatch;
    std::function<UlidSource::Random()> random = {};  ///< for ids; empty: the kernel's
    std::function<std::int64_t()> steady_ms = {};     ///< never set back or forth; empty: the kernel's
    /// Told of each own job that is accepted, started, done, failed or cancelled, on the engine's thread; empty:
    /// nobody.
    std::function<void(const JobRecord&, std::string_view verb)> changed = {};
  };
  struct Counts {
    std::uint64_t queued = 0, running = 0, done = 0, failed = 0, counted = 0;  ///< jobs in each state now
    std::uint64_t datasets = 0;                                                ///< kept now
    std::uint64_t submitted = 0, replayed = 0, recovered = 0, quarantined = 0, expired = 0, disk_errors = 0;
    std::uint64_t copies = 0;  ///< of other nodes' jobs, kept now
    std::uint64_t adopted = 0, disowned = 0;
  };

  Engine(const Options& options, Spool& spool, Log& log, Interfaces interfaces);
  ~Engine();  ///< drains and stops, if that was not done

  /// Recovers what the spool holds and starts the thread, without any attempt yet. Fails when the spool cannot be read.
  DiskResult<void> start();
  /// Instead, for whoever runs the engine without a thread: recovers only. All that follows then happens in step(): one
  /// round of what the thread does. True: there is more to do at once.
  DiskResult<void> open();
  bool step();
  /// From now on jobs are worked on.
  void resume();
  /// No new attempts from now on, and whoever waits for a job is answered; everything else goes on.
  void drain();
  /// After drain(): returns when the attempts under way have ended; without a thread, at once. No call may come later.
  void stop();

  void submit(NewJob job, Reply<Submitted> reply);
  void get(std::string id, Reply<JobRecord> reply);
  /// By the key's digest, as records have it; a job of this node's own rather than a copy. 404: there is none.
  void find_key(std::string key_sha256, Reply<Keyed> reply);
  /// Newest first.
  void list(std::size_t limit, std::optional<JobState> state, Reply<std::vector<JobRecord>> reply);
  /// Replies when the job has ended, or at the deadline with whatever it is then.
  void wait(std::string id, std::chrono::milliseconds at_most, Reply<JobRecord> reply);
  void read_result(std::string id, std::span<std::byte> into, Reply<void> reply);
  /// Cancels it if it has not ended, and removes it with all its files.
  void remove(std::string id, Reply<void> reply);
  /// From who submitted it and was not told that it is accepted: removes it, unless another request with its key has
  /// come meanwhile, and may have been told so.
  void withdraw(std::string id, Reply<void> reply);
  /// From who submitted it: it is accepted.
  void settle(std::string id);

  void get_dataset(std::string id, Reply<DatasetStatus> reply);
  /// Newest first.
  void list_datasets(std::size_t limit, Reply<std::vector<DatasetStatus>> reply);
  /// Replies when that is on the disk; its images are removed after it.
  void remove_dataset(std::string id, Reply<void> reply);
  /// Oldest first, those behind `after` (empty: from the first on).
  void list_images(std::string id, std::size_t limit, std::string after, std::optional<JobState> state,
                   Reply<ImagePage> reply);
  /// Makes the dataset here what the fleet says that it is, from nothing or from what it was; `tables`: the record's,
  /// which are needed unless they are in force already. Images that have no result of the applied revision are made.
  void put_dataset(DatasetRecord record, SharedTables tables, Reply<DatasetStatus> reply);
  void share(std::string id, Reply<Share> reply);
  /// Keeps tables that may come into force as that revision, until those of another one are put in force.
  void stage_tables(std::string id, std::uint64_t revision, SharedTables tables, Reply<void> reply);
  /// In force or staged; 0: those in force. 404: neither. 409: none are in force.
  void get_tables(std::string id, std::uint64_t revision, Reply<SharedTables> reply);

  // For the attempt that dispatch() began.
  void read_input(const JobRecord& record, std::span<std::byte> input, std::span<std::byte> mask, Reply<void> reply);
  void finished(std::string id, Finished outcome, std::move_only_function<void()> stored);
  void yielded(std::string id);  ///< no memory now: try again a little later

  // Copies of other nodes' jobs (engine_copies.cpp): kept, and not worked on, listed or expired.
  /// Keeps a copy of `record.owner`'s job as it was submitted; on stable storage when it replies. One that is there
  /// already is given that owner. 400: the bytes are not those of the record; 409: the job is this node's own; 503: an
  /// attempt at it is still under way here.
  void hold(JobRecord record, Bytes input, Bytes mask, Reply<void> reply);
  /// Drops copies. Those that are not there are no error.
  void release(std::vector<std::string> ids, Reply<void> reply);
  /// A client has removed a job at another node: its copy goes, and so does the job, if it was at two.
  void removed_elsewhere(std::string id, Reply<void> reply);
  /// Drops all copies of images of those datasets.
  void release_images(std::set<std::string> datasets, Reply<void> reply);
  /// Ids of copies, by owner.
  void copies(Reply<std::map<std::string, std::vector<std::string>>> reply);
  /// The copies of that owner's jobs become jobs of this node; how many. What is not taken over, because the disk fails
  /// or nothing is known of its dataset here, stays a copy, and may be adopted later.
  void adopt(std::string owner, Reply<std::uint64_t> reply);
  /// Which of these are this node's own jobs.
  void owned(std::vector<std::string> ids, Reply<std::vector<std::string>> reply);
  /// The same, and for a minute nobody but their client gets them away from here: the node `from` lets go of them
  /// because this one has them, and two that do so for each other at one time would lose them. Also those that this
  /// node had taken over and a client has removed here: they are not to be anywhere.
  void keep(std::vector<std::string> ids, std::string from, Reply<std::vector<std::string>> reply);
  void own_ids(Reply<std::vector<std::string>> reply);
  /// Own jobs that another node has taken over are removed here. Whoever waits for one gets it as it is now, and finds
  /// it there. Those that are not there, and those that keep() has promised, are no error.
  void disown(std::vector<std::string> ids, Reply<void> reply);
  /// Own jobs that none of `holders` keeps a copy of, though one is needed: oldest first. A job by itself that has
  /// ended needs none.
  void uncopied(std::set<std::string> holders, std::size_t limit, Reply<std::vector<JobRecord>> reply);
  /// Remembered at once, and on the disk with the record's next change.
  void copied(std::string id, std::string holder);
  /// The image of an own job, to be sent to a holder. (The room that read_input() has is that of attempts.)
  void read_own(const JobRecord& record, std::span<std::byte> input, std::span<std::byte> mask, Reply<void> reply);

  Counts counts() const;  ///< any thread; a copy of a moment ago
  /// Any thread: seconds from a job's submission to the end of its attempt, since the start; no images of datasets.
  MetricHistogram::Snapshot durations() const { return durations_s_.snapshot(); }
  Spool::Usage usage() const { return spool_.usage(); }

 private:
  struct Waiter {
    std::int64_t deadline_ms;
    Reply<JobRecord> reply;
  };

  /// Runs op(reply) on the engine's thread.
  template <class T, class Op>
  void call(Reply<T> reply, Op op);
  void main();
  void leave();
  void recover(SpoolScan scan);
  Outcome<JobRecord> find(const std::string& id) const;
  Outcome<Submitted> submit_now(const NewJob& job);
  std::optional<Outcome<Submitted>> replay(const std::string& key_sha256, const std::string& request_sha256);
  Outcome<void> remove_now(const std::string& id);
  Outcome<void> remove_for_good(const std::string& id);
  Outcome<void> note_removed(const std::string& id);
  void do_finished(const std::string& id, Finished outcome);
  void drop_input(const std::string& id);
  void put_off(JobRecord& record);
  JobRecord describe(JobRecord record, const Finished& outcome);
  void dispatch_some();
  bool begin(const std::string& id);
  void expire();
  void answer_waiters(const std::string& id);
  void sweep_waiters();
  Outcome<void> read_input_now(const JobRecord& record, std::span<std::byte> input, std::span<std::byte> mask);
  // engine_copies.cpp
  /// True: it did something.
  using EachOp = std::function<Outcome<bool>(const std::string& id)>;
  struct Batch;
  void each(std::vector<std::string> ids, EachOp op, Reply<std::uint64_t> reply);
  void go_on(Batch batch, Reply<std::uint64_t> reply);
  Outcome<void> hold_now(const JobRecord& record, Bytes input, Bytes mask);
  Outcome<void> hold_again(JobRecord& copy, const JobRecord& record);
  Outcome<bool> release_now(const std::string& id);
  Outcome<bool> adopt_now(const std::string& id, const std::string& owner);
  Outcome<bool> disown_now(const std::string& id);
  Outcome<bool> lose_copy(const std::string& id);
  bool needs_copy(const JobRecord& record, const std::set<std::string>& holders);
  void keep_copy(JobRecord copy);
  void drop_copy(std::map<std::string, JobRecord>::iterator copy);
  // engine_datasets.cpp
  void recover_images();
  Outcome<Datasets::Dataset*> find_dataset(const std::string& id);
  Outcome<DatasetStatus> put_dataset_now(DatasetRecord record, const SharedTables& tables);
  Outcome<void> make_room_for_dataset() const;
  void take_back(const Datasets::Dataset& dataset);
  Outcome<void> remove_dataset_now(const std::string& id);
  Outcome<Share> share_now(const std::string& id);
  Outcome<SharedTables> tables_of(const std::string& id, std::uint64_t revision);
  DatasetStatus status_of(const Datasets::Dataset& dataset) const;
  bool needs_tables(const JobRecord& record);
  void queue_for_tables(const std::string& id);
  std::deque<std::string>& queue_of(const JobRecord& record) { return record.counted ? table_queue_ : queue_; }
  Outcome<SharedTables> tables_for(JobRecord& next);
  void take_in(JobRecord& next, const Finished& outcome);
  void take_out(const JobRecord& next, const Finished& outcome);
  bool sweep_removed();

  void add(JobRecord record);
  void replace(JobRecord& record, JobRecord next);
  void replace(JobRecord& record, JobState next);
  void forget(const std::string& id);
  DiskResult<void> store_end(const JobRecord& next, const Finished& outcome);
  void publish_counts();
  api::Problem disk_problem(std::error_code error, std::string_view doing);

  Options options_;
  Spool& spool_;
  Log& log_;
  Interfaces interfaces_;
  Mailbox mailbox_;
  UlidSource ulids_;
  std::map<std::string, JobRecord> jobs_;               ///< by id, which is by age
  std::map<std::string, JobRecord> copies_;             ///< of other nodes' jobs
  std::array<std::uint64_t, k_job_states> in_state_{};  ///< how many jobs are in each JobState
  Datasets datasets_;
  std::unordered_map<std::string, std::string> id_by_key_, copy_by_key_;
  std::deque<std::string> queue_;
  std::deque<std::string> table_queue_;  ///< counted images that wait to be made; after all others
  std::set<std::string> running_;
  std::set<std::string> begun_on_disk_;  ///< their record says that an attempt is under way
  std::set<std::string> removed_while_running_;
  std::set<std::string> replayed_;                 ///< jobs that more than one request has been told of
  std::map<std::string, std::int64_t> unsettled_;  ///< provisional jobs, and until when at most (steady)
  std::map<std::string, std::int64_t> kept_;       ///< own jobs, and until when they are not let go of (steady)
  std::set<std::string> removed_;                  ///< former jobs of other nodes that a client has removed here
  std::multimap<std::string, Waiter> waiters_;
  std::int64_t retry_at_ms_ = 0;    ///< after a yield: no dispatch before
  std::int64_t expired_at_ms_ = 0;  ///< when it was last looked whose time is over
  bool open_ = false;               ///< of whoever opens and stops it; the rest is the engine's thread's
  bool paused_ = true;
  bool draining_ = false;
  bool stopping_ = false;
  Counts counts_;
  MetricHistogram durations_s_{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1'800, 7'200};
  mutable std::mutex counts_mutex_;
  Counts published_;
  std::thread thread_;
};

template <class T, class Op>
void Engine::call(Reply<T> reply, Op op) {
  struct Call {
    Reply<T> reply;
    Op op;
  };
  auto call = std::make_unique<Call>(std::move(reply), std::move(op));
  Call* kept = call.get();
  Mailbox::Message message = [call = std::move(call)]() mutable { call->op(call->reply); };
  if (!mailbox_.post(std::move(message)))
    kept->reply(std::unexpected(problem(503, "overloaded", "requests wait for the job engine",
                                        options_.mailbox_messages, options_.mailbox_messages)));
}

}  // namespace histod::daemon::jobs
