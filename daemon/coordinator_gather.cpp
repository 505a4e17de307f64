// SPDX-License-Identifier: Apache-2.0
// What all nodes together have of a dataset, each image once.
#include <set>
#include <utility>

#include <fmt/core.h>

#include "daemon/coordinator.hpp"

namespace histod::daemon {

using jobs::Outcome;
using jobs::Share;
using Where = Custody::Whereabouts;

struct Coordinator::Gathering {
  OperationPtr operation;
  AskedDataset dataset;
  std::function<void(std::map<std::string, Share>)> then;
  std::map<std::string, Share> shares;  ///< by identity
  std::size_t left = 0;
  std::optional<api::Problem> trouble;
};

void Coordinator::gather(const OperationPtr& operation, AskedDataset dataset,
                         std::function<void(std::map<std::string, Share>)> then) {
  auto gathering = std::make_shared<Gathering>(operation, std::move(dataset), std::move(then));
  catalog_.parts(paths_.dataset(gathering->dataset.id),
                 lifetime_.guard([this, gathering](const control::Result<std::vector<control::Entry>>& parts) {
                   if (refuse(gathering->operation, parts ? std::error_code() : parts.error())) return;
                   ask_all(gathering, *parts);
                 }));
}

/// Those that may have images, and the members: one of them may keep copies of a dataset that it has not heard of yet.
void Coordinator::ask_all(const GatheringPtr& gathering, const std::vector<control::Entry>& parts) {
  std::set<std::string> identities;
  for (const control::Entry& part : parts) identities.insert(part.path.substr(part.path.rfind('/') + 1));
  for (const auto& [name, member] : membership_.members()) identities.insert(member.identity);
  std::map<std::string, std::string> asked;  // names, by identity
  for (const std::string& identity : identities) {
    const Custody::Node node = custody_.find(identity);
    if (node.where == Where::member) asked[identity] = node.name;
    if (node.where == Where::away)
      return again(
          gathering->operation,
          jobs::problem(503, "node-away", fmt::format("{}, which may have images of the dataset, is away", node.name)));
    if (node.where == Where::returning)
      return again(gathering->operation,
                   jobs::problem(503, "node-away", fmt::format("{} is only coming back", node.name)));
  }
  gathering->left = asked.size();
  for (const auto& [identity, name] : asked) {
    const auto shared = [this, gathering, identity](Outcome<Share> share) {
      if (share)
        gathering->shares[identity] = std::move(*share);
      else
        gathering->trouble = std::move(share.error());
      if (--gathering->left == 0) gathered(gathering);
    };
    if (identity == custody_.identity())
      engine_.share(gathering->dataset.id, here<Share>(shared));
    else
      link_.share(name, gathering->dataset, lifetime_.guard(shared));
  }
}

void Coordinator::gathered(const GatheringPtr& gathering) {
  const OperationPtr& operation = gathering->operation;
  if (gathering->trouble) {
    // A node that does not know the dataset yet will in a moment.
    if (gathering->trouble->status == 404)
      gathering->trouble = jobs::problem(503, "node-away", "a node has not heard of the dataset yet");
    return again(operation, std::move(*gathering->trouble));
  }
  // Whose owner has not been asked: he is given up and others take over, or he has come back since.
  for (const auto& [identity, share] : gathering->shares)
    for (const auto& [owner, images] : share.held)
      if (!gathering->shares.contains(owner))
        return again(operation,
                     jobs::problem(503, "node-away", "images of a node that is given up are being taken over", images));
  if (auto both = twice(*gathering)) {
    const auto let_go = [this, operation](const Outcome<void>&) {
      again(operation, jobs::problem(503, "node-away", "two nodes have the same images"));
    };
    log_.warn("images are at two nodes, one lets go of them",
              {{"dataset", gathering->dataset.id}, {"images", both->second.size()}});
    if (both->first == custody_.identity()) return engine_.disown(std::move(both->second), here<void>(let_go));
    return link_.disown(custody_.find(both->first).name, std::move(both->second), lifetime_.guard(let_go));
  }
  gathering->then(std::move(gathering->shares));
}

/// A node that has images which another one has as well, and which: it had been given up, and came back.
std::optional<std::pair<std::string, std::vector<std::string>>> Coordinator::twice(const Gathering& gathering) const {
  std::set<std::string_view> seen;
  for (const auto& [identity, share] : gathering.shares) {
    std::vector<std::string> again;
    for (const std::string& image : share.images)
      if (!seen.insert(image).second) again.push_back(image);
    if (!again.empty()) return std::pair(identity, std::move(again));
  }
  return std::nullopt;
}

}  // namespace histod::daemon
