// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/session.hpp"

namespace histod::control {

/// The data of all children of a znode, kept up to date by watches: one read for each change. Lives on the executor's
/// thread, and not longer than the session object.
class Mirror {
 public:
  struct Item {
    std::string data;
    std::int32_t version = 0;
    bool operator==(const Item&) const = default;
  };
  using Items = std::map<std::string, Item, std::less<>>;

  Mirror(Session& session, std::string path) : session_(session), path_(std::move(path)) {}
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  /// Once the znode is there. `changed` is called after each change of what is said below.
  void start(std::function<void()> changed);
  /// By the children's names. While the session is not CONNECTED: as they were last seen.
  const Items& items() const { return items_; }
  /// All that were there at one moment of the present session have been read.
  bool complete() const { return complete_ && session_.state() == SessionState::connected; }

 private:
  void list();
  void listed(const std::vector<std::string>& names);
  void read(const std::string& name);
  void settle();

  Session& session_;
  const std::string path_;
  std::function<void()> changed_;
  Items items_;
  std::set<std::string, std::less<>> watched_;  ///< have been read, or are being read, in this session
  std::set<std::string, std::less<>> reading_;
  std::uint64_t session_number_ = 0;
  bool listing_ = false, stale_ = false, listed_ = false, complete_ = false;
  Lifetime lifetime_;  ///< of callbacks that belong to the present session
  Lifetime object_;
};

}  // namespace histod::control
