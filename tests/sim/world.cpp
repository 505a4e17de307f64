// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fmt/core.h>

namespace histod::sim {

using daemon::jobs::Engine;
using std::chrono::seconds;

namespace {

constexpr std::size_t k_events_kept = 60;
constexpr seconds k_trouble{45}, k_settle{400};

double seconds_of(control::Executor::Clock::time_point now) {
  return std::chrono::duration<double>(now.time_since_epoch() - std::chrono::hours(1)).count();
}

}  // namespace

void World::Report::add(const Report& other) {
  for (auto field :
       {&Report::accepted, &Report::removed, &Report::unknown, &Report::refused, &Report::crashes, &Report::deaths,
        &Report::stops, &Report::cuts, &Report::takeovers, &Report::disk_failures, &Report::finalized, &Report::lost,
        &Report::twice, &Report::late, &Report::leader_writes, &Report::adopted, &Report::disowned})
    this->*field += other.*field;
  virtual_s += other.virtual_s;
}

World::World(const Options& options)
    : options_(options),
      random_(options.seed),
      loop_(TestLoop::Time::simulated, options.seed),
      network_(loop_, random_,
               [this](std::size_t node) { return node < machines_.size() ? machines_[node]->process.get() : nullptr; }),
      around_{
          loop_,
          random_,
          network_,
          server_,
          store_faults_,
          fenced_,
          options_.settings,
          [](const std::string& name) { return std::stoul(name.substr(4)); },
          options.trace
              ? [this](const std::string& line) { std::printf("%10.3f   %s", seconds_of(loop_.now()), line.c_str()); }
              : std::function<void(const std::string&)>()},
      client_(loop_, options.seed + 1, {}) {
  store_faults_.random.seed(options.seed);
  store_faults_.delay_max_ms = milliseconds(10);
  for (std::size_t i = 0; i < options.nodes; ++i) {
    machines_.push_back(std::make_unique<Machine>(around_, i));
    start(*machines_.back());
  }
}

World::~World() {
  client_.kill();
  for (const auto& machine : machines_) machine->process.reset();
  loop_.forget();
}

void World::note(std::string event) {
  if (report_.hash == 0) report_.hash = 1469598103934665603u;
  event = fmt::format("{:10.3f} {}", seconds_of(loop_.now()), event);
  for (const char c : event) report_.hash = (report_.hash ^ static_cast<std::uint8_t>(c)) * 1099511628211u;
  if (options_.trace) std::printf("%s\n", event.c_str());
  events_.push_back(std::move(event));
  if (!options_.trace && events_.size() > k_events_kept) events_.pop_front();
}

void World::fail(std::string what) {
  note("WRONG: " + what);
  report_.failures.push_back(std::move(what));
}

void World::start(Machine& machine) {
  note(fmt::format("{} starts", machine.name));
  ++machine.starts;
  auto executor = std::make_unique<NodeExecutor>(loop_, random_(), [&machine] {
    if (machine.process) machine.process->ran();
  });
  NodeExecutor& kept = *executor;
  executors_.push_back(std::move(executor));
  machine.process = std::make_unique<Process>(machine, kept);
}

/// The power fails. For good: nobody sees the machine or its disk again.
void World::crash(Machine& machine, bool for_good) {
  if (!machine.process) return;
  const auto counts = machine.process->engine().counts();
  report_.adopted += counts.adopted;
  report_.disowned += counts.disowned;
  if (for_good) remember_ended(machine);
  const bool lucky = drawn(2) == 0;
  note(fmt::format("{} {}", machine.name, for_good ? "dies" : lucky ? "crashes, luckily" : "crashes"));
  ++(for_good ? report_.deaths : report_.crashes);
  auto left = machine.memory->after_power_loss(lucky);
  machine.process.reset();
  machine.memory = left.get();
  machine.disk = std::move(left);
  machine.gone = for_good;
}

std::vector<Machine*> World::up() {
  std::vector<Machine*> out;
  for (const auto& machine : machines_)
    if (machine->process) out.push_back(machine.get());
  return out;
}

Machine& World::some() {
  const auto there = up();
  return there.empty() ? *machines_.front() : *there[drawn(there.size())];
}

/// Everything that was broken and is not gone works from now on.
void World::heal() {
  note("all is healed");
  trouble_ = false;
  network_.heal();
  network_.trouble = {};
  store_faults_.drop_permille = 0;
  for (const auto& machine : machines_) {
    machine->wire.heal();
    machine->slow_until = {};
    machine->memory->fail_at.reset();
    if (machine->gone) continue;
    if (!machine->process) start(*machine);
    machine->process->executor().go_on();
  }
}

bool World::drive(const std::function<bool()>& done, seconds at_most, std::string_view what) {
  const auto end = loop_.now() + at_most;
  while (!done()) {
    if (loop_.now() >= end) {
      fail(fmt::format("not within {} virtual seconds: {}", at_most.count(), what));
      return false;
    }
    loop_.pass(milliseconds(500));
  }
  return true;
}

/// Everybody who is not gone is a member and nobody else is, nothing waits to be taken over, and every job that needs a
/// copy has one. If not: what is missing.
std::string World::missing() {
  std::size_t alive = 0, leaders = 0;
  std::set<std::string> identities;
  for (const auto& machine : machines_) {
    if (machine->gone) continue;
    if (!machine->process || machine->process->executor().stopped()) return machine->name + " is down";
    ++alive;
    identities.insert(machine->identity);
  }
  for (Machine* const machine : up()) {
    const auto fleet = machine->process->fleet();
    if (!fleet->connected() || !fleet->registered || fleet->members.size() != alive)
      return machine->name + " does not see all";
    leaders += fleet->leads ? 1 : 0;
    const auto copies = machine->process->look<ByOwner>(&Engine::copies);
    for (const auto& [owner, ids] : *copies)
      if (!identities.contains(owner))
        return fmt::format("{} has {} copies of a dead node's", machine->name, ids.size());
    if (alive < 2 || options_.settings.replicas < 2) continue;
    auto others = identities;
    others.erase(machine->identity);
    const auto alone = machine->process->look<std::vector<daemon::jobs::JobRecord>>(&Engine::uncopied, others, 1);
    if (!alone->empty()) return fmt::format("{} at {} has no copy", alone->front().id, machine->name);
  }
  return leaders == 1 ? "" : fmt::format("there are {} leaders", leaders);
}

/// The same, and nobody works on anything.
std::string World::unrest() {
  if (std::string what = missing(); !what.empty()) return what;
  std::set<std::string> owned;
  for (Machine* const machine : up()) {
    const auto ids = machine->process->look<std::vector<std::string>>(&Engine::own_ids);
    for (const std::string& id : *ids)
      if (!owned.insert(id).second) return fmt::format("{} is at two nodes", id);
    // What a client has given up may still be done.
    if (const std::size_t pending = machine->process->coordinator()->pending(); pending > 0)
      return fmt::format("{} is at {} operations", machine->name, pending);
    const auto counts = machine->process->engine().counts();
    if (counts.queued + counts.running > 0)
      return fmt::format("{} has {} jobs queued and {} running", machine->name, counts.queued, counts.running);
  }
  return {};
}

void World::come_to_rest() {
  std::string last;
  if (!drive([&] { return (last = unrest()).empty(); }, k_settle, "the fleet comes to rest"))
    report_.failures.back() += ": " + last;
}

World::Report World::run() {
  drive([this] { return missing().empty(); }, seconds(60), "the fleet comes together");
  begin_clients();
  std::optional<Faults> faults;
  if (options_.faults) faults.emplace(*this).begin();
  loop_.pass(options_.faults ? k_trouble : seconds(5));
  heal();
  drive([this] { return clients_done(); }, k_settle, "every request has an answer");
  come_to_rest();
  if (report_.failures.empty()) finish_datasets();
  if (report_.failures.empty()) judge();
  for (Machine* const machine : up()) {
    const auto counts = machine->process->engine().counts();
    report_.adopted += counts.adopted;
    report_.disowned += counts.disowned;
  }
  report_.lost = network_.lost;
  report_.twice = network_.twice;
  report_.late = network_.late;
  report_.leader_writes = fenced_.writes;
  report_.accepted = accepted_.size();
  report_.removed = removed_.size();
  report_.virtual_s = seconds_of(loop_.now());
  return report_;
}

}  // namespace histod::sim
