// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/bus.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "daemon/log.hpp"

namespace histod::daemon::telemetry {

Bus::Bus(const Options& options, NowMs now, jobs::Disk* disk, std::function<void(const std::string&)> trouble)
    : options_(options), now_(std::move(now)), trouble_(std::move(trouble)), ring_(options_.ring) {
  std::optional<EventLog> log;
  if (disk != nullptr) {
    EventLog::Options bounds;
    bounds.identity = options_.identity;
    bounds.events_max = options_.ring.events_max;
    recover(log.emplace(*disk, std::move(bounds)));
  }
  // What was published and not written before a crash had numbers that others may have seen: the clock is beyond them.
  last_ = std::max(last_, static_cast<std::uint64_t>(std::max<std::int64_t>(now_(), 0)) * 1'000);
  ring_.begin_run(last_);
  if (!log) return;
  const auto failed = [this](std::error_code error) { trouble_("events are not kept: " + error.message()); };
  writer_ = std::make_unique<EventWriter>(std::move(*log), options_.writer, failed);
}

Bus::~Bus() { stop(); }

void Bus::recover(EventLog& log) {
  EventLog::Recovered found = log.recover();
  for (const std::string& trouble : found.troubles) trouble_(trouble);
  for (EventPtr& event : found.events)
    if (!ring_.contains(event->key)) ring_.add(std::move(event));
  last_ = found.last;
  marks_ = std::move(found.marks);
}

void Bus::stop() {
  if (writer_) writer_->stop();
}

void Bus::flush() {
  if (writer_) writer_->flush();
}

void Bus::fill(Event& event) {
  const std::int64_t now_ms = now_();
  if (event.id.empty()) {
    const std::lock_guard lock(mutex_);
    event.id = ulids_.next(now_ms);
  }
  if (event.source.empty()) event.source = "/nodes/" + options_.node;
  if (event.time.empty()) event.time = format_time(now_ms);
  if (event.node.empty()) event.node = options_.node;
  event.extensions.erase("sequence");
}

bool Bus::add(const Event& event, const std::string& object, const std::string& origin, std::uint64_t origin_sequence) {
  StoredEvent stored{.key = event_key(event), .type = event.type, .node = event.node, .severity = event.severity};
  if (ring_.contains(stored.key)) {
    ++duplicates_;
    return false;
  }
  stored.sequence = ++last_;
  stored.origin = origin;
  stored.origin_sequence = origin_sequence == 0 ? stored.sequence : origin_sequence;
  stored.json = with_sequence(stored.sequence, object);
  auto shared = std::make_shared<const StoredEvent>(std::move(stored));
  ring_.add(shared);
  // In the mutex: the log's order is the ring's.
  if (writer_) writer_->offer({origin, shared->origin_sequence, shared});
  return true;
}

Bus::Published Bus::publish(Event event) {
  std::vector<Event> one;
  one.push_back(std::move(event));
  return publish(std::move(one));
}

Bus::Published Bus::publish(std::vector<Event> events) {
  std::vector<std::string> objects;
  for (Event& event : events) {
    fill(event);
    objects.push_back(boost::json::serialize(write_event(event)));
  }
  Published out;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < events.size(); ++i)
      ++(add(events[i], objects[i], options_.identity, 0) ? out.accepted : out.duplicates);
    published_ += out.accepted;
  }
  if (out.accepted > 0) wake_all();
  return out;
}

std::uint64_t Bus::receive(const std::string& origin, std::uint64_t after, std::vector<Foreign> events) {
  std::vector<std::string> objects;
  for (Foreign& foreign : events) {
    if (foreign.event) foreign.event->extensions.erase("sequence");
    objects.push_back(foreign.event ? boost::json::serialize(write_event(*foreign.event)) : std::string());
  }
  bool some = false;
  std::uint64_t have = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto mark = marks_.find(origin); mark != marks_.end()) have = mark->second;
    if (after > have) return have;
    for (std::size_t i = 0; i < events.size(); ++i) {
      const Foreign& foreign = events[i];
      if (foreign.sequence <= have) {
        ++duplicates_;
        continue;
      }
      have = foreign.sequence;
      raise_mark(marks_, origin, have);
      const bool added = foreign.event && add(*foreign.event, objects[i], origin, foreign.sequence);
      if (!added && writer_) writer_->offer({origin, foreign.sequence, nullptr});
      received_ += added ? 1 : 0;
      some = some || added;
    }
  }
  if (some) wake_all();
  return have;
}

EventsRead Bus::read(std::uint64_t after, std::size_t events_max, std::size_t bytes_max,
                     const EventFilter& filter) const {
  const std::lock_guard lock(mutex_);
  return ring_.read(after, events_max, bytes_max, filter);
}

EventsRead Bus::read_last(std::size_t events_max, std::size_t bytes_max, const EventFilter& filter) const {
  const std::lock_guard lock(mutex_);
  EventsRead out = ring_.read_last(events_max, bytes_max, filter);
  out.next = last_;
  return out;
}

std::vector<EventPtr> Bus::read_own(std::uint64_t after, std::size_t events_max, std::size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  return ring_.read_origin(options_.identity, after, events_max, bytes_max);
}

EventLag Bus::lag(std::uint64_t after) const {
  const std::lock_guard lock(mutex_);
  return ring_.lag(after);
}

std::uint64_t Bus::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

std::unique_ptr<Bus::Subscription> Bus::subscribe(std::function<void()> wake) {
  std::unique_ptr<Subscription> out(new Subscription(*this, std::move(wake)));
  const std::lock_guard lock(subscribers_mutex_);
  subscribers_.push_back(out.get());
  return out;
}

Bus::Subscription::~Subscription() {
  const std::lock_guard lock(bus_.subscribers_mutex_);
  std::erase(bus_.subscribers_, this);
}

void Bus::wake_all() {
  const std::lock_guard lock(subscribers_mutex_);
  for (Subscription* subscriber : subscribers_)
    if (!subscriber->outstanding_.exchange(true)) subscriber->wake_();
}

Bus::Counts Bus::counts() const {
  Counts out;
  {
    const std::lock_guard lock(mutex_);
    out.published = published_;
    out.received = received_;
    out.duplicates = duplicates_;
    out.evicted = ring_.evicted();
    out.ring_events = ring_.events();
    out.ring_bytes = ring_.bytes();
  }
  if (writer_) out.spool = writer_->counts();
  return out;
}

}  // namespace histod::daemon::telemetry
