// SPDX-License-Identifier: Apache-2.0
#include "daemon/announcer.hpp"

#include <algorithm>
#include <set>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/trace_context.hpp"
#include "daemon/webhooks.hpp"

namespace histod::daemon {

namespace json = boost::json;
using jobs::Outcome;

namespace {

constexpr std::chrono::milliseconds k_pause_first{1'000};
constexpr std::chrono::milliseconds k_look_max{15'000};  ///< all nodes are asked how far they are
constexpr std::chrono::milliseconds k_call_max{300'000};

}  // namespace

std::string announcement(const Completion& completion) {
  return json::serialize(json::object{{"dataset", completion.dataset},
                                      {"revision", completion.revision},
                                      {"digest", completion.digest},
                                      {"images", completion.images},
                                      {"failed", completion.failed}});
}

void Announcer::tick() {
  if (caller_ == nullptr) return;
  if (!election_.leadership()) {
    std::erase_if(due_, [](const auto& item) { return !item.second.busy; });
    return;
  }
  std::set<Key> wanted;
  for (const jobs::DatasetRecord& record : coordinator_.unannounced())
    wanted.emplace(record.id, record.applied_revision);
  std::erase_if(due_, [&](const auto& item) { return !item.second.busy && !wanted.contains(item.first); });
  const auto now = executor_.now();
  auto busy = static_cast<std::size_t>(std::ranges::count_if(due_, [](const auto& item) { return item.second.busy; }));
  for (const Key& key : wanted) {
    Due& due = due_[key];
    if (due.busy || now < due.next || busy >= k_calls_max) continue;
    due.busy = true;
    ++busy;
    if (due.told)
      note(key);
    else
      look(key);
  }
}

void Announcer::look(const Key& key) {
  coordinator_.completion(key.first, lifetime_.guard([this, key](const Outcome<Completion>& completion) {
    if (!completion || completion->revision != key.second) return later(key, k_look_max);
    call(key, *completion);
  }));
}

void Announcer::call(const Key& key, const Completion& completion) {
  Due& due = due_[key];
  const auto now = executor_.now();
  if (!std::exchange(due.called, true)) {
    due.called_first = now;
    due.pause = {};
  }
  const auto heard = [this, key, trace = completion.traceparent](const Outcome<void>& taken) {
    if (taken) {
      log_.write(trace_level(trace), "somebody was told that a dataset is done",
                 {{"dataset", key.first}, {"revision", key.second}, trace_field(trace)});
      return note(key);
    }
    const bool over = executor_.now() - due_[key].called_first >= k_patience;
    log_.warn(over ? "nobody could be told that a dataset is done, given up"
                   : "nobody could be told yet that a dataset is done",
              {{"dataset", key.first}, {"revision", key.second}, {"why", taken.error().detail}, trace_field(trace)});
    if (over) return note(key);
    later(key, k_call_max);
  };
  caller_->call(completion.webhook, announcement(completion), completion.traceparent, lifetime_.guard(heard));
}

void Announcer::note(const Key& key) {
  due_[key].told = true;
  coordinator_.announced(key.first, key.second,
                         lifetime_.guard([this, key](const Outcome<Coordinator::Status>&) { later(key, k_look_max); }));
}

void Announcer::later(const Key& key, std::chrono::milliseconds pause_max) {
  Due& due = due_[key];
  due.busy = false;
  due.pause = std::clamp(due.pause * 2, k_pause_first, pause_max);
  due.next = executor_.now() + due.pause;
}

}  // namespace histod::daemon
