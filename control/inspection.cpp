// SPDX-License-Identifier: Apache-2.0
#include "control/inspection.hpp"

#include <utility>
#include <vector>

namespace histod::control {

struct Inspection::Round {
  Reply<Intruders> reply;
  std::vector<std::pair<std::string, Kind>> left;
  Intruders found = {};
};

void Inspection::look(Reply<Intruders> reply) {
  auto round = std::make_shared<Round>(std::move(reply));
  round->left.emplace_back(paths_.root(), Kind::root);
  next(round);
}

void Inspection::next(const RoundPtr& round) {
  if (round->left.empty()) return round->reply(std::move(round->found));
  const auto [path, kind] = std::move(round->left.back());
  round->left.pop_back();
  look_at(round, path, kind);
}

/// Znodes come and go meanwhile: one that is gone is nobody's.
void Inspection::look_at(const RoundPtr& round, const std::string& path, Kind kind) {
  session_.store().get(path, lifetime_.guard([this, round, path, kind](const Result<Node>& node) {
    if (!node && node.error() == Errc::no_node) return next(round);
    if (!node && node.error() != Errc::no_auth) return round->reply(std::unexpected(node.error()));
    const std::string fault = node ? fault_of(*node, kind) : "it is for another credential";
    if (!fault.empty()) round->found[path] = fault;
    if (!node) return next(round);
    look_at_acl(round, path, kind);
  }));
}

std::string Inspection::fault_of(const Node& node, Kind kind) const {
  const auto fields = format_.read(node.data);
  // The root may have been made by who has set up the servers, and later releases may write what is not read here.
  if (kind != Kind::root && !fields && fields.error() == Errc::bad_record) return "its data are no record";
  const bool lives = kind == Kind::member || kind == Kind::candidate;
  if (lives && node.stat.ephemeral_owner == 0) return "it belongs to no session";
  const bool inner = kind == Kind::root || kind == Kind::folder || kind == Kind::dataset;
  if (!inner && node.stat.num_children > 0) return "there are znodes below it";
  return {};
}

void Inspection::look_at_acl(const RoundPtr& round, const std::string& path, Kind kind) {
  session_.store().guarded(path, lifetime_.guard([this, round, path, kind](const Result<bool>& guarded) {
    if (!guarded && guarded.error() != Errc::no_node) return round->reply(std::unexpected(guarded.error()));
    if (guarded && !*guarded) round->found.try_emplace(path, "others may change it");
    if (kind == Kind::root || kind == Kind::folder || kind == Kind::dataset) return look_inside(round, path, kind);
    next(round);
  }));
}

void Inspection::look_inside(const RoundPtr& round, const std::string& path, Kind kind) {
  session_.store().children(path,
                            lifetime_.guard([this, round, path, kind](const Result<std::vector<std::string>>& names) {
                              if (!names && names.error() != Errc::no_node)
                                return round->reply(std::unexpected(names.error()));
                              if (names)
                                for (const std::string& name : *names) enter(*round, path, kind, name);
                              next(round);
                            }));
}

void Inspection::enter(Round& round, const std::string& path, Kind kind, const std::string& child) const {
  const std::string whole = path + "/" + child;
  const auto look_later = [&](Kind as) { round.left.emplace_back(whole, as); };
  if (kind == Kind::dataset) return look_later(Kind::part);
  if (path == paths_.nodes()) return look_later(Kind::member);
  if (path == paths_.leader()) return look_later(Kind::candidate);
  if (path == paths_.identities()) return look_later(Kind::identity);
  if (path == paths_.datasets()) return look_later(Kind::dataset);
  if (whole == paths_.epoch()) return look_later(Kind::epoch);
  for (const std::string& folder : {paths_.nodes(), paths_.leader(), paths_.identities(), paths_.datasets()})
    if (whole == folder) return look_later(Kind::folder);
  round.found[whole] = "the fleet has no such znode";
}

}  // namespace histod::control
