// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "control/paths.hpp"
#include "control/record.hpp"
#include "control/session.hpp"

namespace histod::control {

/// Looks at everything below the fleet's root, one znode after the other, for what no node of the fleet makes: somebody
/// with more rights, or on servers that are not set up as they should be, has been there. Lives on the executor's
/// thread, and not longer than the session object.
class Inspection {
 public:
  /// What is wrong with each, by path: a clause.
  using Intruders = std::map<std::string, std::string>;

  Inspection(Session& session, Paths paths, RecordFormat format)
      : session_(session), paths_(std::move(paths)), format_(format) {}
  Inspection(const Inspection&) = delete;
  Inspection& operator=(const Inspection&) = delete;

  /// Once around. An error: it could not look at all of them.
  void look(Reply<Intruders> reply);

 private:
  enum class Kind : std::uint8_t { root, folder, epoch, member, candidate, identity, dataset, part };
  struct Round;
  using RoundPtr = std::shared_ptr<Round>;
  void next(const RoundPtr& round);
  void look_at(const RoundPtr& round, const std::string& path, Kind kind);
  std::string fault_of(const Node& node, Kind kind) const;
  void look_at_acl(const RoundPtr& round, const std::string& path, Kind kind);
  void look_inside(const RoundPtr& round, const std::string& path, Kind kind);
  void enter(Round& round, const std::string& path, Kind kind, const std::string& child) const;

  Session& session_;
  const Paths paths_;
  const RecordFormat format_;
  Lifetime lifetime_;
};

}  // namespace histod::control
