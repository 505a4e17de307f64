// SPDX-License-Identifier: Apache-2.0
#include "daemon/custody.hpp"

#include <algorithm>
#include <utility>

namespace histod::daemon {

using jobs::Outcome;

namespace {

constexpr std::chrono::seconds k_sweep{60};
constexpr std::chrono::seconds k_copies{5};
constexpr std::chrono::seconds k_compare{15}, k_compare_max{240};
constexpr std::size_t k_ids_at_once = 10'000;
constexpr std::size_t k_copies_at_once = 256;

}  // namespace

Custody::Custody(control::Session& session, const control::Paths& paths, const control::Membership& membership,
                 const control::Election& election, jobs::Engine& engine, PeerLink& link, Log& log, Settings settings)
    : session_(session),
      membership_(membership),
      election_(election),
      engine_(engine),
      link_(link),
      log_(log),
      settings_(std::move(settings)),
      compare_after_(k_compare),
      roster_(session, paths, control::RecordFormat(), settings_.identity, membership.self().name) {}

void Custody::start() {
  roster_.start([this] { roster_changed_ = true; });
  engine_.own_ids(here<std::vector<std::string>>([this](const Outcome<std::vector<std::string>>& ids) {
    if (ids) doubt(*ids);
  }));
}

const control::Member* Custody::member(const std::string& identity) const {
  for (const auto& [name, member] : membership_.members())
    if (member.identity == identity) return &member;
  return nullptr;
}

Custody::Node Custody::find(const std::string& identity) const {
  const auto standing = roster_.all().find(identity);
  const bool retired = standing != roster_.all().end() && standing->second.retired;
  if (const control::Member* const found = member(identity))
    return {found->name, retired ? Whereabouts::returning : Whereabouts::member};
  return {standing == roster_.all().end() ? identity : standing->second.name,
          retired ? Whereabouts::retired : Whereabouts::away};
}

std::vector<std::string> Custody::others() const {
  std::vector<std::string> names;
  for (const auto& [name, member] : membership_.members())
    if (name != membership_.self().name) names.push_back(name);
  return names;
}

void Custody::tick() {
  if (!roster_.complete()) return absent_since_.clear();
  retire_absent();
  if (find(settings_.identity).where == Whereabouts::returning && !std::exchange(returning_, true)) come_back();
  const auto now = session_.executor().now();
  const bool changed = std::exchange(roster_changed_, false);
  if (changed) compare_after_ = k_compare;
  if (changed || now - swept_at_ >= k_sweep) {
    swept_at_ = now;
    look_after_copies();
  }
  // Who is only coming back may have jobs that are others' by now: he lets go of them first, and their copies are made
  // by those.
  const bool member = find(settings_.identity).where == Whereabouts::member;
  if (member) look_for_doubles();
  if (settings_.copies && member && !copying_ && now - copied_at_ >= k_copies && membership_.members().size() > 1) {
    copied_at_ = now;
    make_copies();
  }
}

/// A new leader begins to wait from the beginning: his predecessor may have seen who has come since.
void Custody::retire_absent() {
  const auto leadership = election_.leadership();
  if (!leadership) return absent_since_.clear();
  const auto now = session_.executor().now();
  for (const auto& [identity, standing] : roster_.all()) {
    if (standing.retired || member(identity) != nullptr) {
      absent_since_.erase(identity);
      continue;
    }
    const auto since = absent_since_.try_emplace(identity, now).first->second;
    if (now - since < settings_.takeover_after) continue;
    absent_since_.erase(identity);
    log_.warn("a node is given up, others take over its jobs", {{"node", standing.name}, {"identity", identity}});
    // What fails here is tried again after the same time.
    roster_.retire(identity, *leadership, [](const control::Result<void>&) {});
  }
}

void Custody::look_after_copies() {
  using ByOwner = std::map<std::string, std::vector<std::string>>;
  engine_.copies(here<ByOwner>([this](Outcome<ByOwner> copies) {
    if (!copies || !roster_.complete()) return;
    for (auto& [owner, ids] : *copies) {
      const Node node = find(owner);
      if (node.where == Whereabouts::member)
        ask_owner(node.name, std::move(ids));
      else if (node.where == Whereabouts::retired)
        adopt(owner, node.name, std::move(ids));
    }
  }));
}

void Custody::adopt(const std::string& owner, const std::string& name, std::vector<std::string> ids) {
  engine_.adopt(owner, here<std::uint64_t>([this, name, ids = std::move(ids)](const Outcome<std::uint64_t>& adopted) {
                  doubt(ids);
                  if (adopted && *adopted > 0)
                    log_.warn("jobs of a node that is given up are taken over", {{"node", name}, {"jobs", *adopted}});
                }));
}

void Custody::doubt(const std::vector<std::string>& ids) {
  const std::size_t before = doubtful_.size();
  doubtful_.insert(ids.begin(), ids.end());
  if (doubtful_.size() > before) compare_after_ = k_compare;
}

struct Custody::Doubles {
  std::vector<std::string> ids;                              ///< of this node
  std::vector<std::pair<std::string, std::string>> nodes{};  ///< still to be asked: identity and name
  bool complete = true;                                      ///< everybody has been asked, and has none of them
};

/// A job may have two copies, for one at a node that is away is replaced by another; then two adopt it. So who has
/// adopted, or has started and does not know any more what it has adopted, asks all others; those that are away later,
/// and those that come back ask themselves.
void Custody::look_for_doubles() {
  const auto now = session_.executor().now();
  if (doubtful_.empty() || now - compared_at_ < compare_after_ || std::exchange(comparing_, true)) return;
  compared_at_ = now;
  using Ids = std::vector<std::string>;
  engine_.owned(Ids(doubtful_.begin(), doubtful_.end()), here<Ids>([this](Outcome<Ids> own) {
                  if (!own) {
                    comparing_ = false;
                    return;
                  }
                  doubtful_ = {own->begin(), own->end()};
                  auto doubles = std::make_shared<Doubles>(Doubles{std::move(*own)});
                  for (const auto& [identity, standing] : roster_.all()) {
                    const Node node = find(identity);
                    if (identity == settings_.identity || node.where == Whereabouts::retired) continue;
                    if (node.where == Whereabouts::member)
                      doubles->nodes.emplace_back(identity, node.name);
                    else
                      doubles->complete = false;
                  }
                  ask_for_doubles(doubles);
                }));
}

void Custody::ask_for_doubles(const std::shared_ptr<Doubles>& doubles) {
  if (find(settings_.identity).where != Whereabouts::member) {
    comparing_ = false;
    return;
  }
  if (doubles->nodes.empty() || doubles->ids.empty()) {
    comparing_ = false;
    if (doubles->complete)
      for (const std::string& id : doubles->ids) doubtful_.erase(id);
    // While a node is away the answers of the others stay the same, and there may be a hundred thousand ids in each.
    compare_after_ = doubles->complete ? k_compare : std::min(2 * compare_after_, k_compare_max);
    return;
  }
  const auto [identity, name] = std::move(doubles->nodes.back());
  doubles->nodes.pop_back();
  link_.owned(name, doubles->ids,
              lifetime_.guard([this, doubles, identity, name](Outcome<std::vector<std::string>> owned) {
                doubles->complete = doubles->complete && owned && owned->empty();
                if (owned && !owned->empty()) part_with(identity, name, std::move(*owned));
                ask_for_doubles(doubles);
              }));
}

/// Whoever finds out first, the same node keeps them.
void Custody::part_with(const std::string& identity, const std::string& name, std::vector<std::string> ids) {
  using Ids = std::vector<std::string>;
  log_.warn("jobs are at two nodes, one lets go of them", {{"node", name}, {"jobs", ids.size()}});
  if (identity < settings_.identity)
    link_.keep(name, std::move(ids), lifetime_.guard([this](Outcome<Ids> kept) {
      if (kept) engine_.disown(std::move(*kept), [](const Outcome<void>&) {});
    }));
  else
    engine_.keep(std::move(ids), identity, here<Ids>([this, name](Outcome<Ids> kept) {
                   if (kept) link_.disown(name, std::move(*kept), [](const Outcome<void>&) {});
                 }));
}

/// What the owner does not know any more has been removed there, or has never been accepted.
void Custody::ask_owner(const std::string& name, std::vector<std::string> ids) {
  for (std::size_t first = 0; first < ids.size(); first += k_ids_at_once) {
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<std::string> some(begin,
                                  begin + static_cast<std::ptrdiff_t>(std::min(k_ids_at_once, ids.size() - first)));
    link_.owned(name, some, lifetime_.guard([this, some](Outcome<std::vector<std::string>> owned) {
      if (!owned) return;
      std::ranges::sort(*owned);
      std::vector<std::string> unneeded;
      for (const std::string& id : some)
        if (!std::ranges::binary_search(*owned, id)) unneeded.push_back(id);
      if (!unneeded.empty()) engine_.release(std::move(unneeded), [](const Outcome<void>&) {});
    }));
  }
}

void Custody::make_copies() {
  std::set<std::string> holders;
  for (const auto& [name, member] : membership_.members())
    if (member.identity != settings_.identity) holders.insert(member.identity);
  copying_ = true;
  engine_.uncopied(std::move(holders), k_copies_at_once,
                   here<std::vector<jobs::JobRecord>>([this](Outcome<std::vector<jobs::JobRecord>> jobs) {
                     copying_ = false;
                     if (!jobs) return;
                     more_to_copy_ = jobs->size() == k_copies_at_once;
                     copy_next(std::move(*jobs));
                   }));
}

void Custody::copy_next(std::vector<jobs::JobRecord> left) {
  copying_ = !left.empty();
  if (left.empty()) return;
  jobs::JobRecord next = std::move(left.back());
  left.pop_back();
  const std::string id = next.id;
  link_.copy(std::move(next), lifetime_.guard([this, id, left = std::move(left)](const Outcome<void>& copied) mutable {
    // Where nobody takes one, nobody takes the others now. Who has the job itself takes no copy of it.
    copying_ = false;
    if (!copied) doubt({id});
    if (copied && left.empty() && more_to_copy_) return make_copies();
    if (copied) copy_next(std::move(left));
  }));
}

struct Custody::Return {
  std::vector<std::string> ids;    ///< of this node's jobs
  std::vector<std::string> nodes;  ///< still to be asked
  std::vector<std::string> elsewhere;
};

void Custody::come_back() {
  log_.warn("this node had been given up: it asks what others have taken over");
  engine_.own_ids(here<std::vector<std::string>>([this](Outcome<std::vector<std::string>> ids) {
    if (!ids) {
      returning_ = false;
      return;
    }
    auto home = std::make_shared<Return>(std::move(*ids), others(), std::vector<std::string>());
    // Who is away, and not given up, may have taken over some, too.
    returning_ = std::ranges::none_of(roster_.all(),
                                      [this](const auto& each) { return find(each.first).where == Whereabouts::away; });
    if (returning_) ask_next(home);
  }));
}

void Custody::ask_next(const std::shared_ptr<Return>& home) {
  if (home->nodes.empty() || home->ids.empty()) return let_go(home);
  const std::string name = home->nodes.back();
  home->nodes.pop_back();
  link_.keep(name, home->ids, lifetime_.guard([this, home](Outcome<std::vector<std::string>> kept) {
    if (!kept) {
      returning_ = false;  // with the next tick again
      return;
    }
    home->elsewhere.insert(home->elsewhere.end(), kept->begin(), kept->end());
    ask_next(home);
  }));
}

void Custody::let_go(const std::shared_ptr<Return>& home) {
  const std::size_t count = home->elsewhere.size();
  doubt(home->elsewhere);  // those that this node must keep are at two
  engine_.disown(std::move(home->elsewhere), here<void>([this, count](const Outcome<void>& gone) {
                   if (!gone) {
                     returning_ = false;
                     return;
                   }
                   roster_.reinstate(lifetime_.guard([this, count](const control::Result<void>& done) {
                     returning_ = false;
                     if (done) log_.info("this node is back in the fleet", {{"jobs_let_go", count}});
                   }));
                 }));
}

}  // namespace histod::daemon
