// SPDX-License-Identifier: Apache-2.0
// When a dataset is done on all nodes, and that it has been said.
#include <utility>

#include "daemon/coordinator.hpp"

namespace histod::daemon {

using jobs::DatasetRecord;
using jobs::Outcome;

namespace {

bool is_unannounced(const DatasetRecord& record) {
  return !record.webhook.empty() && record.lut && record.applied_revision == record.lut->revision &&
         record.notified_revision < record.applied_revision;
}

api::Problem not_done() { return jobs::problem(409, "not-finished", "not all images of the dataset are made yet"); }

}  // namespace

std::vector<DatasetRecord> Coordinator::unannounced() const {
  std::vector<DatasetRecord> out;
  for (const auto& [id, record] : own_)
    if (is_unannounced(record)) out.push_back(record);
  return out;
}

void Coordinator::completion(const std::string& id, jobs::Reply<Completion> reply) {
  // Operations end with the dataset's status: what was found goes beside it.
  const auto found = std::make_shared<Completion>();
  const auto end = [found,
                    reply = std::make_shared<jobs::Reply<Completion>>(std::move(reply))](Outcome<Status> status) {
    if (!status) return (*reply)(std::unexpected(std::move(status.error())));
    (*reply)(*found);
  };
  begin(id, end, [this, found](const OperationPtr& operation) {
    with_known(operation, [this, operation, found](const Known& known) {
      const DatasetRecord& record = known.record;
      if (!is_unannounced(record)) return finish(operation, std::unexpected(not_done()));
      gather(operation, {record.id, record.traceparent},
             [this, operation, found, record](const std::map<std::string, jobs::Share>& shares) {
               *found = {record.id, record.webhook, record.applied_revision, record.lut->digest};
               found->traceparent = record.traceparent;
               std::vector<jobs::Share> list;
               for (const auto& [identity, share] : shares) {
                 if (share.applied_revision != record.applied_revision)
                   return finish(operation, std::unexpected(not_done()));
                 found->images += share.total;
                 found->failed += share.failed;
                 list.push_back(share);
               }
               if (found->images == 0 || jobs::not_ready(list, record.applied_revision))
                 return finish(operation, std::unexpected(not_done()));
               finish(operation, Status{record, false, {}, 0});
             });
    });
  });
}

void Coordinator::announced(const std::string& id, std::uint64_t revision, jobs::Reply<Status> reply) {
  begin(id, std::move(reply), [this, revision](const OperationPtr& operation) {
    with_known(operation, [this, operation, revision](Known known) {
      if (known.record.notified_revision >= revision) return answer(operation, known, nullptr);
      known.record.notified_revision = revision;
      commit(operation, std::move(known), nullptr);
    });
  });
}

}  // namespace histod::daemon
