// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <system_error>

#include "control/paths.hpp"
#include "control/record.hpp"
#include "control/session.hpp"

namespace histod::control {

struct Member {
  std::string name;           ///< unique in the fleet; is_name()
  std::string identity = {};  ///< of its spool: tells this node come back from another that took its name
  std::string address = {};   ///< where its peers reach it, "https://host:port"
  std::string version = {};   ///< of the program
  std::int64_t cpus = 0;
  bool operator==(const Member&) const = default;
};

/// This node's ephemeral, kept there in every session, and the list of all of them. Lives on the executor's thread, and
/// not longer than the session object.
class Membership {
 public:
  Membership(Session& session, Paths paths, RecordFormat format, Member self);
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  /// After make_layout(). `changed` is called after each change of what is said below.
  void start(std::function<void()> changed);
  /// By name. While the session is not CONNECTED: as they were last seen.
  const std::map<std::string, Member, std::less<>>& members() const { return members_; }
  const Member& self() const { return self_; }
  bool registered() const { return registered_; }
  /// node_exists: a node of another identity has this name; tried again when it goes. no_auth: not our fleet.
  std::error_code trouble() const { return trouble_; }

 private:
  void set_up();
  void enter();
  void look_at_holder();
  void replace(std::int32_t version);
  void entered(std::error_code error);
  void list();
  void listed(const std::vector<std::string>& names);
  void read(const std::string& name);
  void gone(const std::string& name);
  std::string record() const;
  Result<Member> member_of(const std::string& name, const std::string& data) const;

  Session& session_;
  const Paths paths_;
  const RecordFormat format_;
  const Member self_;
  std::function<void()> changed_;
  std::map<std::string, Member, std::less<>> members_;
  std::set<std::string, std::less<>> watched_;  ///< names that have been read, or are being read, in this session
  std::uint64_t session_number_ = 0;
  bool registered_ = false, entering_ = false, listing_ = false, stale_ = false;
  std::error_code trouble_;
  Lifetime lifetime_;  ///< of callbacks that belong to the present session
  Lifetime object_;
};

}  // namespace histod::control
