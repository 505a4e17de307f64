// SPDX-License-Identifier: Apache-2.0
#include "control/mirror.hpp"

#include <algorithm>
#include <utility>

namespace histod::control {

void Mirror::start(std::function<void()> changed) {
  changed_ = std::move(changed);
  session_.listen(object_.guard([this](SessionState state) {
    if (state != SessionState::connected) return;
    if (std::exchange(session_number_, session_.number()) != session_.number()) {
      lifetime_.renew();
      watched_.clear();
      reading_.clear();
      listing_ = stale_ = listed_ = complete_ = false;
    }
    list();
  }));
}

void Mirror::list() {
  stale_ = listing_;
  if (listing_) return;
  listing_ = true;
  session_.store().children(path_, lifetime_.guard([this](const Result<std::vector<std::string>>& names) {
    listing_ = false;
    if (!names) return session_.later(lifetime_.guard([this] { list(); }));
    listed(*names);
    if (stale_) list();
  }),
                            lifetime_.guard([this](const WatchEvent&) { list(); }));
}

void Mirror::listed(const std::vector<std::string>& names) {
  const auto gone = [&](const auto& each) { return !std::ranges::binary_search(names, each.first); };
  const bool changed = std::erase_if(items_, gone) > 0;
  std::erase_if(watched_, [&](const std::string& name) { return !std::ranges::binary_search(names, name); });
  for (const std::string& name : names) {
    if (watched_.insert(name).second) read(name);
  }
  listed_ = true;
  if (changed) changed_();
  settle();
}

void Mirror::read(const std::string& name) {
  reading_.insert(name);
  const auto done = [this, name](const Result<Node>& node) {
    reading_.erase(name);
    if (!node) {
      watched_.erase(name);
      if (node.error() != Errc::no_node) return session_.later(lifetime_.guard([this] { list(); }));
      if (items_.erase(name) > 0) changed_();
      return settle();
    }
    Item now{node->data, node->stat.version};
    if (const auto known = items_.find(name); known == items_.end() || known->second != now) {
      items_[name] = std::move(now);
      changed_();
    }
    settle();
  };
  // A child that goes and comes again between two lists is told of by the watch on its data.
  const auto event = [this, name](const WatchEvent& happened) {
    if (happened.type != WatchType::removed) return read(name);
    watched_.erase(name);
    list();
  };
  session_.store().get(path_ + "/" + name, lifetime_.guard(done), lifetime_.guard(event));
}

void Mirror::settle() {
  if (complete_ || !listed_ || !reading_.empty()) return;
  complete_ = true;
  changed_();
}

}  // namespace histod::control
