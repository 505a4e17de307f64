// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "control/session.hpp"
#include "control/store.hpp"

namespace histod::control {

/// Every znode of the fleet.
///
///     ROOT/nodes/NAME             ephemeral: a member
///     ROOT/leader/GUID-n_SEQUENCE ephemeral: a candidate; the lowest sequence leads
///     ROOT/epoch                  written once by each new leader: its version is the epoch
///     ROOT/identities/IDENTITY    a node that is, or was: Roster
///     ROOT/datasets/ID            a dataset; a child for each IDENTITY that may have images of it
class Paths {
 public:
  explicit Paths(std::string root = "/histod") : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string nodes() const { return root_ + "/nodes"; }
  std::string node(std::string_view name) const { return nodes() + "/" + std::string(name); }
  std::string leader() const { return root_ + "/leader"; }
  std::string epoch() const { return root_ + "/epoch"; }
  std::string identities() const { return root_ + "/identities"; }
  std::string identity(std::string_view identity) const { return identities() + "/" + std::string(identity); }
  std::string datasets() const { return root_ + "/datasets"; }
  std::string dataset(std::string_view id) const { return datasets() + "/" + std::string(id); }

 private:
  std::string root_;
};

/// May be a node's name or identity, or an entry's id: 1 to 64 of letters, digits, dot, dash and underscore, not
/// beginning with a dot.
bool is_name(std::string_view text);

/// Makes the persistent znodes, those of the root's own path included, where they are missing. Replies once, unless the
/// session object goes before; no_auth when somebody else's credential owns them.
void make_layout(Session& session, const Paths& paths, Reply<void> reply);

}  // namespace histod::control
