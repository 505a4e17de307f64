// SPDX-License-Identifier: Apache-2.0
// What is told of datasets, whose images are on all nodes.
#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include <boost/json/array.hpp>

#include "daemon/api/dataset_json.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/api/fan_out.hpp"
#include "daemon/api/results.hpp"

namespace histod::daemon::api {

namespace json = boost::json;
using jobs::DatasetStatus;
using jobs::JobState;

namespace {

constexpr std::uint64_t k_list_default = 100, k_list_max = 1'000;
constexpr std::uint64_t k_answer_bytes_max = 8u << 20;

std::expected<std::uint64_t, Problem> list_limit(const Query& query) {
  const auto given = query.find("limit");
  if (given == query.end()) return k_list_default;
  return number_option("limit", given->second, 1, k_list_max);
}

/// What all nodes say of some datasets, this one first.
class Parts : public Listening {
 public:
  explicit Parts(Context context) : context_(std::move(context)) {}

  bool hear(Heard heard) override {
    if (heard.answer && heard.answer->status == 404) return true;
    const auto object = object_of(heard);
    if (!object || !take(heard.node, *object)) silent_.push_back(std::move(heard.node));
    return true;
  }
  /// Of one dataset, or of a list of them; false when it is something else.
  virtual bool take(const std::string& node, const json::object& answer) = 0;
  Context& context() { return context_; }

 protected:
  bool add(const std::string& node, const json::value& value) {
    const auto* part = value.if_object();
    if (part == nullptr || !is_dataset_part(*part)) return false;
    parts_[std::string(part->at("id").get_string())].push_back({node, *part});
    return true;
  }
  json::object join(std::vector<NodePart> parts) const {
    for (const std::string& node : silent_) parts.push_back({node, {}});
    return joined(std::move(parts));
  }

  Context context_;
  std::map<std::string, std::vector<NodePart>, std::greater<>> parts_;  ///< by id; newest first
  std::vector<std::string> silent_;
};

class OneDataset final : public Parts {
 public:
  OneDataset(Context context, Problem not_here) : Parts(std::move(context)), not_here_(std::move(not_here)) {}
  bool take(const std::string& node, const json::object& answer) override { return add(node, answer); }
  void end() override {
    const auto found = parts_.find(context_.parameter);
    if (found == parts_.end()) return context_.fail(not_here_);
    context_.send(json_response(200, join(std::move(found->second))));
  }

 private:
  Problem not_here_;
};

class ListOfDatasets final : public Parts {
 public:
  ListOfDatasets(Context context, std::uint64_t limit) : Parts(std::move(context)), limit_(limit) {}
  bool take(const std::string& node, const json::object& answer) override {
    const auto* list = answer.if_contains("datasets");
    if (list == nullptr || !list->is_array()) return false;
    return std::ranges::all_of(list->get_array(), [&](const json::value& one) { return add(node, one); });
  }
  void end() override {
    json::array list;
    for (auto& [id, parts] : parts_)
      if (list.size() < limit_) list.push_back(join(std::move(parts)));
    context_.send(json_response(200, json::object{{"datasets", std::move(list)}}));
  }

 private:
  std::uint64_t limit_;
};

void ask_others(std::unique_ptr<Parts> parts) {
  Context& context = parts->context();
  const auto nodes = others(context);
  if (nodes.empty()) return parts->end();
  Question question = same_question(context);
  question.answer_bytes_max = k_answer_bytes_max;
  Services& services = context.services;
  Worker& worker = context.worker;
  ask_all(services, worker, nodes, question, std::move(parts));
}

/// A node that asks is told what is here, all others what all nodes say.
void answer(std::unique_ptr<Parts> parts, const json::object& own) {
  Context& context = parts->context();
  if (context.forwarded) return context.send(json_response(200, own));
  parts->take(context.services.options.node_name, own);
  ask_others(std::move(parts));
}

}  // namespace

void datasets_list(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  const auto limit = list_limit(*query);
  if (!limit) return context.fail(limit.error());
  if (query->size() > query->count("limit")) return context.fail(bad_option("there is the option limit only"));
  jobs::Engine& engine = context.services.engine;
  engine.list_datasets(
      *limit, at_home<std::vector<DatasetStatus>>(
                  wait_with(std::move(context)), [limit = *limit](WaitingPtr w, const std::vector<DatasetStatus>& all) {
                    json::array list;
                    for (const DatasetStatus& one : all) list.push_back(dataset_part(one));
                    answer(std::make_unique<ListOfDatasets>(std::move(w->context), limit),
                           {{"datasets", std::move(list)}});
                  }));
}

void datasets_get(Context context) {
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  const auto tell = [](WaitingPtr w, const DatasetStatus& status) {
    answer(std::make_unique<OneDataset>(std::move(w->context), Problem()), dataset_part(status));
  };
  // Another node may know of it before this one does.
  const auto otherwise = [](WaitingPtr w, Problem problem) {
    if (problem.status != 404 || w->context.forwarded) return w->context.fail(problem);
    ask_others(std::make_unique<OneDataset>(std::move(w->context), std::move(problem)));
  };
  engine.get_dataset(id, at_home_or<DatasetStatus>(wait_with(std::move(context)), tell, otherwise));
}

void dataset_images_list(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  const auto limit = list_limit(*query);
  if (!limit) return context.fail(limit.error());
  std::optional<JobState> state;
  std::string after;
  for (const auto& [name, value] : *query) {
    if (name == "state") {
      state = jobs::state_from_name(value);
      if (!state) return context.fail(bad_option("state takes queued, running, counted, done, failed or cancelled"));
    } else if (name == "after") {
      after = value;
    } else if (name != "limit") {
      return context.fail(bad_option("there is no option " + name + "; there are limit, state and after"));
    }
  }
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  const auto tell = [limit = *limit](WaitingPtr w, const jobs::ImagePage& page) {
    json::array list;
    for (const jobs::JobRecord& record : page.images)
      list.push_back(job_json(record, w->context.services.options.node_name));
    answer_list(
        std::move(w->context), {"jobs", limit, false, true},
        {{"jobs", std::move(list)}, {"next", page.next.empty() ? json::value(nullptr) : json::value(page.next)}});
  };
  engine.list_images(id, *limit, after, state, at_home<jobs::ImagePage>(wait_with(std::move(context)), tell));
}

}  // namespace histod::daemon::api
