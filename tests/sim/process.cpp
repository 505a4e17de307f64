// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/process.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "daemon/node_identity.hpp"
#include "tests/sim/image.hpp"

namespace histod::sim {

using daemon::jobs::Engine;
using daemon::jobs::JobRecord;
using daemon::jobs::Share;
using daemon::jobs::SharedTables;
using daemon::jobs::Submitted;
using std::chrono::seconds;

namespace {

constexpr std::int64_t k_start_ms = 1'700'000'000'000;
constexpr milliseconds k_tick{250};
constexpr std::uint64_t k_budget_bytes = 1u << 30;
constexpr milliseconds k_year{365ll * 24 * 3'600'000};

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::int64_t wall_clock_ms(const Machine& machine) {
  const auto up = machine.around.loop.now().time_since_epoch();
  return k_start_ms + machine.clock_ms + std::chrono::duration_cast<milliseconds>(up).count();
}

Engine::Options engine_options() {
  Engine::Options options;
  options.queued_max = options.kept_max = 1'000'000;
  options.result_ttl = k_year;
  options.mailbox_messages = 2'048;
  options.program_version = "1.2.3";
  return options;
}

}  // namespace

NodeExecutor& Network::executor_of(Process& process) { return process.executor(); }

Machine::Machine(Surroundings& around_, std::size_t number_)
    : around(around_), number(number_), name(fmt::format("node{:03}", number_)), wire(around_.loop) {
  auto kept = std::make_unique<test::MemoryDisk>();
  memory = kept.get();
  disk = std::move(kept);
}

/// Asks other processes over the network.
class Process::Link final : public daemon::PeerLink {
 public:
  explicit Link(Process& process) : process_(process) {}
  void share(std::string node, daemon::AskedDataset dataset, Reply<Share> reply) override {
    ask<Share>(node, std::move(reply),
               [id = dataset.id](Process& p, auto back) { p.engine().share(id, std::move(back)); });
  }
  void stage(std::string node, daemon::AskedDataset dataset, std::uint64_t revision, SharedTables tables,
             Reply<void> reply) override {
    ask<void>(node, std::move(reply), [id = dataset.id, revision, tables](Process& p, auto back) {
      p.engine().stage_tables(id, revision, tables, std::move(back));
    });
  }
  void tables(std::string node, daemon::AskedDataset dataset, std::uint64_t revision,
              Reply<SharedTables> reply) override {
    ask<SharedTables>(node, std::move(reply), [id = dataset.id, revision](Process& p, auto back) {
      p.engine().get_tables(id, revision, std::move(back));
    });
  }
  void disown(std::string node, std::vector<std::string> ids, Reply<void> reply) override {
    ask<void>(node, std::move(reply), [ids](Process& p, auto back) {
      for (const std::string& id : ids) p.say("is to disown " + id);
      p.engine().disown(ids, std::move(back));
    });
  }
  void owned(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) override {
    ask<std::vector<std::string>>(node, std::move(reply), [ids](Process& p, auto back) {
      p.say(fmt::format("is asked whether it owns {}", fmt::join(ids, " ")));
      p.engine().owned(ids, std::move(back));
    });
  }
  void keep(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) override {
    ask<std::vector<std::string>>(node, std::move(reply),
                                  [ids, from = process_.machine_.identity](Process& p, auto back) {
                                    p.say(fmt::format("is asked to keep {}", fmt::join(ids, " ")));
                                    p.engine().keep(ids, from, std::move(back));
                                  });
  }
  void copy(JobRecord record, Reply<void> reply) override {
    auto content = std::make_shared<std::string>(record.input.bytes, '\0');
    auto shared = std::make_shared<Reply<void>>(std::move(reply));
    process_.engine().read_own(
        record, std::as_writable_bytes(std::span(*content)), {},
        [&process = process_, record, content, shared](Outcome<void> read) mutable {
          process.executor().post([&process, record, content, shared, read = std::move(read)]() mutable {
            if (!read) return (*shared)(std::move(read));
            process.send_copies(std::move(record), *content, 1, [shared](std::size_t kept) {
              (*shared)(kept > 0 ? Outcome<void>() : Outcome<void>(peer_failed("no node takes a copy")));
            });
          });
        });
  }

 private:
  template <class T, class F>
  void ask(const std::string& node, Reply<T> reply, F op) {
    const auto fleet = process_.fleet();
    if (std::ranges::find(fleet->members, node, &control::Member::name) == fleet->members.end())
      return process_.executor_.post(
          [reply = std::move(reply)]() mutable { reply(peer_failed("no member has this name")); });
    Surroundings& around = process_.around_;
    around.network.ask<T>(process_.executor_, process_.machine_.number, around.index_of(node), std::move(op),
                          std::move(reply));
  }
  Process& process_;
};

Process::Process(Machine& machine, NodeExecutor& executor)
    : machine_(machine),
      around_(machine.around),
      executor_(executor),
      log_(
          around_.log ? daemon::LogLevel::debug : daemon::LogLevel::error, daemon::LogFormat::logfmt,
          [this](std::string_view line) {
            if (around_.log) around_.log(machine_.name + ": " + std::string(line));
          },
          [this] { return wall_clock_ms(machine_); }),
      spool_(*machine.disk, k_budget_bytes) {
  const auto random = [&executor] {
    daemon::jobs::UlidSource::Random bytes{};
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(executor.random() >> 32);
    return bytes;
  };
  const auto now_ms = [&machine] { return wall_clock_ms(machine); };
  engine_ = std::make_unique<Engine>(
      engine_options(), spool_, log_,
      Engine::Interfaces{
          now_ms, [this](const JobRecord& record, const SharedTables& tables) { return begin(record, tables); }, random,
          [&machine] {
            const auto up = machine.around.loop.now().time_since_epoch();
            return std::chrono::duration_cast<milliseconds>(up).count();
          }});
  if (auto opened = engine_->open(); !opened) throw std::system_error(opened.error(), "opening a spool");
  engine_->resume();
  const auto made = daemon::node_identity(
      *machine.disk, [&] { return daemon::jobs::UlidSource(random).next(wall_clock_ms(machine)); });
  if (!made) throw std::system_error(made.error(), "a node's identity");
  machine.identity = *made;

  const Settings& settings = around_.settings;
  daemon::FleetSettings fleet;
  fleet.inspect_every = {};  // there are no strangers
  fleet.servers = {"simulated"};
  fleet.self = {machine.name, machine.identity, "http://" + machine.name, "1.2.3", 4};
  const auto opener = machine.wire.opener(
      executor,
      control::faulty_opener(around_.loop,
                             audited(around_.server.opener({settings.session_timeout, "histod:0123456789abcdef"}),
                                     control::Paths(fleet.root).epoch(), machine.asked, around_.fenced),
                             around_.faults));
  daemon::FleetWork::Settings work;
  work.custody = {machine.identity, settings.takeover_after, settings.replicas > 1};
  work.datasets.patience = settings.patience;
  work.datasets.ttl = work.datasets.tombstone = k_year;
  const auto make_work = [&](const daemon::FleetParts& parts) {
    auto task = std::make_unique<daemon::FleetWork>(parts, work, *engine_, std::make_unique<Link>(*this), nullptr, log_,
                                                    now_ms);
    coordinator_ = &task->coordinator();
    return task;
  };
  fleet_ = std::make_unique<daemon::FleetNode>(executor, opener, fleet, log_, board_, now_ms, make_work);
  fleet_->start();
  tick();
}

Process::~Process() {
  executor_.kill();
  coordinator_ = nullptr;
  fleet_.reset();
  engine_.reset();
}

void Process::say(const std::string& what) const {
  if (around_.log) around_.log(machine_.name + ": " + what + "\n");
}

void Process::tick() {
  wake();
  executor_.after(k_tick, [this] { tick(); });
}

void Process::wake() {
  if (std::exchange(waking_, true)) return;
  const auto slow = around_.loop.now() < machine_.slow_until ? milliseconds(400) : machine_.disk_ms;
  around_.loop.after(milliseconds(1 + around_.random() % static_cast<std::uint64_t>(slow.count())),
                     [this, &executor = executor_] {
                       if (!executor.dead()) executor.post([this] { step(); });
                     });
}

void Process::ran() {
  if (!std::exchange(stepped_, false)) wake();
}

/// What the round itself has asked of the engine waits for another one.
void Process::step() {
  waking_ = false;
  stepped_ = true;
  if (engine_->step() || !std::exchange(followed_, !followed_)) wake();
}

struct Process::Attempt {
  JobRecord record;
  SharedTables tables;
  std::string samples;
  std::string result;
};

bool Process::begin(const JobRecord& record, const SharedTables& tables) {
  if (around_.random() % 100 == 0) return false;
  auto attempt = std::make_shared<Attempt>(Attempt{record, tables, std::string(record.input.bytes, '\0'), {}});
  ++attempts_;
  executor_.after(milliseconds(1 + around_.random() % 20), [this, attempt] {
    if (around_.random() % 50 == 0) {
      --attempts_;
      return engine_->yielded(attempt->record.id);
    }
    engine_->read_input(attempt->record, std::as_writable_bytes(std::span(attempt->samples)), {},
                        [this, attempt](Outcome<void> read) {
                          executor_.after(milliseconds(1 + around_.random() % 40), [this, attempt, read] {
                            if (read) return work(attempt);
                            daemon::jobs::Finished failed;
                            failed.error = read.error();
                            --attempts_;
                            engine_->finished(attempt->record.id, std::move(failed), [] {});
                          });
                        });
  });
  return true;
}

void Process::work(const std::shared_ptr<Attempt>& attempt) {
  daemon::jobs::Finished outcome;
  if (!attempt->record.dataset.empty() && !attempt->tables) {
    outcome.tally = tally_of(attempt->samples);
  } else {
    attempt->result = applied(
        attempt->samples, attempt->tables ? attempt->tables->front().tables.front() : exact_table(attempt->samples));
    outcome.result = bytes_of(attempt->result);
    outcome.described = {attempt->result.size(), "image/x-portable-graymap", "pgm", "sha-256=00"};
  }
  --attempts_;
  engine_->finished(attempt->record.id, std::move(outcome), [attempt] {});
}

std::vector<control::Member> Process::holders() const {
  std::vector<control::Member> ring = board_.read()->members;  // by name
  std::ranges::rotate(ring, std::ranges::upper_bound(ring, machine_.name, {}, &control::Member::name));
  std::erase_if(ring, [this](const control::Member& member) {
    return member.name == machine_.name || member.identity == machine_.identity;
  });
  return ring;
}

struct Sending {
  JobRecord record;
  std::string content;
  std::size_t wanted;
  std::function<void(std::size_t kept)> done;
  std::vector<control::Member> holders;
  std::size_t next = 0, kept = 0;
};

void Process::send_copies(JobRecord record, std::string content, std::size_t wanted,
                          std::function<void(std::size_t kept)> done) {
  record.owner = machine_.identity;
  send_next(std::make_shared<Sending>(std::move(record), std::move(content), wanted, std::move(done), holders()));
}

void Process::send_next(const std::shared_ptr<Sending>& sending) {
  if (sending->kept >= sending->wanted || sending->next == sending->holders.size()) return sending->done(sending->kept);
  const control::Member holder = sending->holders[sending->next++];
  around_.network.ask<void>(
      executor_, machine_.number, around_.index_of(holder.name),
      [sending](Process& target, Reply<void> back) {
        target.engine().hold(sending->record, bytes_of(sending->content), {},
                             [sending, back = std::move(back)](Outcome<void> held) mutable { back(std::move(held)); });
      },
      [this, sending, holder](const Outcome<void>& held) {
        say(fmt::format("a copy of {} to {}: {}", sending->record.id, holder.name,
                        held ? "kept" : held.error().detail));
        if (held) {
          ++sending->kept;
          engine_->copied(sending->record.id, holder.identity);
        }
        send_next(sending);
      });
}

void Process::remove(const std::string& id, Reply<void> reply) {
  const auto shared = std::make_shared<Reply<void>>(std::move(reply));
  engine_->remove(id, [this, id, shared](const Outcome<void>& done) {
    executor_.post([this, id, shared, done] {
      if (!done) return (*shared)(done);
      drop_copies(id, true, [shared] { (*shared)({}); });
    });
  });
}

/// Unless another request was told of it, and it has stayed.
void Process::drop_withdrawn(const std::string& id, std::function<void()> done) {
  engine_->owned({id}, [this, id, done](const Outcome<std::vector<std::string>>& owned) {
    executor_.post([this, id, done, gone = owned && owned->empty()] {
      if (!gone) return done();
      drop_copies(id, false, done);
    });
  });
}

void Process::drop_copies(const std::string& id, bool removed, std::function<void()> done) {
  const auto members = holders();
  const auto left = std::make_shared<std::size_t>(members.size());
  if (members.empty()) return done();
  for (const control::Member& member : members)
    around_.network.ask<void>(
        executor_, machine_.number, around_.index_of(member.name),
        [id, removed](Process& target, Reply<void> back) {
          if (removed) return target.engine().removed_elsewhere(id, std::move(back));
          target.engine().release({id}, std::move(back));
        },
        [left, done](const Outcome<void>&) {
          if (--*left == 0) done();
        },
        seconds(2));
}

void Process::accept(std::string content, std::string dataset, std::string key, Reply<JobRecord> reply) {
  auto kept = std::make_shared<std::string>(std::move(content));
  auto shared = std::make_shared<Reply<JobRecord>>(std::move(reply));
  daemon::jobs::NewJob job{{{"rule", "exact"}}, bytes_of(*kept), {}, "a.pgm", std::move(key), std::move(dataset), true};
  const auto submitted = [this, kept, shared](const Submitted& done) {
    const JobRecord& record = done.record;
    const auto able = holders();
    const bool has_copy = std::ranges::find(able, record.holder, &control::Member::identity) != able.end();
    const bool ended = record.dataset.empty() && daemon::jobs::is_final(record.state);
    const std::size_t wanted =
        ended || (done.replayed && has_copy) ? 0 : std::min(around_.settings.replicas - 1, able.size());
    send_copies(record, *kept, wanted, [this, shared, done, wanted](std::size_t sent) {
      if (sent >= wanted) {
        engine_->settle(done.record.id);
        return (*shared)(done.record);
      }
      const auto refuse = [shared](const Outcome<void>&) {
        (*shared)(std::unexpected(daemon::jobs::problem(503, "no-replica", "too few take a copy")));
      };
      if (done.replayed) return refuse({});
      engine_->withdraw(done.record.id, [this, refuse, id = done.record.id](const Outcome<void>&) {
        executor_.post([this, refuse, id] { drop_withdrawn(id, [refuse] { refuse({}); }); });
      });
    });
  };
  engine_->submit(std::move(job), [this, shared, kept, submitted](Outcome<Submitted> done) {
    executor_.post([shared, submitted, done = std::move(done)] {
      if (!done) return (*shared)(std::unexpected(done.error()));
      submitted(*done);
    });
  });
}

}  // namespace histod::sim
