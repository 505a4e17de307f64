// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/dataset.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

constexpr std::chrono::milliseconds k_poll_first{100};
constexpr std::chrono::milliseconds k_poll_max{2'000};
constexpr std::size_t k_page = 1000;

Request post(std::string target) {
  return {.method = "POST", .target = std::move(target), .fields = {"Content-Length: 0"}, .upload = {}};
}

Result<Exit> create(const Arguments& arguments, Client& client) {
  if (const auto good = check_image_options(arguments); !good) return std::unexpected(good.error());
  std::string query = image_query(arguments);
  const auto append = [&](std::string_view name, const std::string& value) {
    query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, percent_encoded(value));
  };
  if (arguments.has("name")) append("name", arguments.get("name"));
  if (arguments.has("webhook")) append("webhook", arguments.get("webhook"));
  if (arguments.has("match")) {
    append("method", "match");
    append("reference", arguments.get("match"));
  }
  Request request = post("/v1/datasets" + query);
  request.once = true;
  const auto dataset = fetch_json(client, std::move(request));
  if (!dataset) return std::unexpected(dataset.error());
  if (text_field(*dataset, "id").empty()) return fail(Exit::some_failed, "the server's answer names no dataset");
  print((arguments.has("json") ? to_text(*dataset) : field(*dataset, "id")) + "\n");
  return Exit::ok;
}

Result<Exit> list(const Arguments& arguments, Client& client) {
  const auto answer = fetch_json(client, fmt::format("/v1/datasets?limit={}", arguments.number("limit", 100)));
  if (!answer) return std::unexpected(answer.error());
  if (arguments.has("json")) {
    print(to_text(*answer) + "\n");
    return Exit::ok;
  }
  const json::value* datasets = answer->is_object() ? answer->get_object().if_contains("datasets") : nullptr;
  if (!datasets || !datasets->is_array()) return fail(Exit::some_failed, "the server's answer holds no datasets");
  if (datasets->get_array().empty()) return Exit::ok;
  print(fmt::format("{:<26}  {:<24}  {:>8}  {:>8}  {:>8}  {:<8}  {}\n", "id", "created", "images", "done", "failed",
                    "table", "name"));
  for (const json::value& each : datasets->get_array()) {
    const bool has_lut = field(each, "lut") != "-";
    const bool stale = field(each, "lut", "stale") == "true";
    print(fmt::format("{:<26}  {:<24}  {:>8}  {:>8}  {:>8}  {:<8}  {}\n", field(each, "id"), field(each, "created_at"),
                      number_field(each, "images", "total"), number_field(each, "images", "done"),
                      number_field(each, "images", "failed"), has_lut ? (stale ? "stale" : "yes") : "-",
                      field(each, "name")));
  }
  return Exit::ok;
}

/// Shows the progress until the dataset is in another phase than `phase`, or in none when that is empty.
Result<json::value> watch(Client& client, Console& console, const std::string& id, std::string_view phase) {
  std::chrono::milliseconds delay = k_poll_first;
  std::optional<std::uint64_t> bytes_before;
  for (;;) {
    auto dataset = fetch_json(client, dataset_target(id));
    if (!dataset) return dataset;
    const std::string now = text_field(*dataset, "progress", "phase");
    const bool over = phase.empty() ? now != "counting" && now != "applying" : now != phase;
    if (over || number_field(*dataset, "images", "total") == 0) return dataset;
    const std::uint64_t bytes = number_field(*dataset, "progress", "bytes_done");
    if (!bytes_before) bytes_before = bytes;
    console.set_progress(number_field(*dataset, "progress", "items_done"),
                         number_field(*dataset, "progress", "items_total"));
    console.draw(bytes - std::min(bytes, *bytes_before));
    client.after(delay, [] {});
    if (!client.run()) return fail(Exit::interrupted, "interrupted");
    delay = std::min(delay * 3 / 2, k_poll_max);
  }
}

Console console_of(const Arguments& arguments) {
  return Console({.json = arguments.has("json"), .quiet = arguments.has("quiet")}, 0);
}

/// A line for each image that failed.
Result<Exit> tell_failed(Client& client, Console& console, const std::string& id, const json::value& dataset) {
  if (number_field(dataset, "images", "failed") == 0) return Exit::ok;
  const auto listed = for_each_image(client, id, "failed", [&](const json::value& job) {
    const json::value* error = job.is_object() ? job.get_object().if_contains("error") : nullptr;
    const Failure failure = failure_of_response(0, error ? json::serialize(*error) : "");
    const std::string name = text_field(job, "input", "filename");
    console.report(fmt::format("{} ({})", name.empty() ? "image" : name, field(job, "id")), failure);
  });
  if (!listed) return std::unexpected(listed.error());
  return Exit::some_failed;
}

Result<Exit> show(const Arguments& arguments, Client& client, const std::string& id) {
  Console console = console_of(arguments);
  const auto dataset = arguments.has("watch") ? watch(client, console, id, "") : fetch_json(client, dataset_target(id));
  if (!dataset) return std::unexpected(dataset.error());
  console.erase();
  print_answer(arguments, *dataset);
  return Exit::ok;
}

Result<Exit> finalize(const Arguments& arguments, Client& client, const std::string& id) {
  Console console = console_of(arguments);
  for (;;) {
    if (arguments.has("wait")) {
      if (const auto counted = watch(client, console, id, "counting"); !counted) {
        return std::unexpected(counted.error());
      }
    }
    const auto dataset = fetch_json(client, post(dataset_target(id) + "/finalize"));
    if (dataset) {
      console.erase();
      print((arguments.has("json") ? to_text(*dataset) : field(*dataset, "lut", "digest")) + "\n");
      return tell_failed(client, console, id, *dataset);
    }
    Failure failure = dataset.error();
    if (failure.code != "not-finished") return std::unexpected(failure);
    if (arguments.has("wait")) {  // an image has come meanwhile
      client.after(k_poll_first, [] {});
      if (!client.run()) return Exit::interrupted;
      continue;
    }
    failure.text = fmt::format("{} images are not counted yet (--wait waits for them)", failure.value.value_or("some"));
    failure.value.reset();
    return std::unexpected(failure);
  }
}

Result<Exit> apply(const Arguments& arguments, Client& client, const std::string& id) {
  Console console = console_of(arguments);
  auto dataset = fetch_json(client, post(dataset_target(id) + "/apply"));
  if (dataset && arguments.has("wait")) dataset = watch(client, console, id, "applying");
  if (!dataset) return std::unexpected(dataset.error());
  console.summary(fmt::format("{} of {} images are done", number_field(*dataset, "images", "done"),
                              number_field(*dataset, "images", "total")));
  if (arguments.has("json")) print(to_text(*dataset) + "\n");
  return arguments.has("wait") ? tell_failed(client, console, id, *dataset) : Exit::ok;
}

/// Takes images out of the dataset, and only out of this one.
Result<Exit> remove(const Arguments& arguments, Client& client, const std::string& id) {
  const std::span jobs = std::span(arguments.operands).subspan(2);
  for (const std::string& job : jobs) {
    const auto record = fetch_json(client, "/v1/jobs/" + percent_encoded(job));
    if (!record) {
      if (record.error().status == 404) continue;  // DELETE says so again, in its turn
      return std::unexpected(record.error());
    }
    if (text_field(*record, "dataset") != id) {
      return fail(Exit::some_failed, fmt::format("{} is none of its images; nothing was removed", one_line(job)));
    }
  }
  return remove_each(arguments, client, "/v1/jobs/", "job_id", jobs);
}

struct Word {
  std::string_view name;
  std::size_t operands_min, operands_max;  ///< behind the word
  std::string_view wanted;
};

constexpr std::size_t k_any = 1u << 30;
constexpr std::array<Word, 10> k_words{{{"create", 0, 0, "takes no operands"},
                                        {"list", 0, 0, "takes no operands"},
                                        {"show", 1, 1, "name one dataset"},
                                        {"add", 2, k_any, "name a dataset and files or folders"},
                                        {"finalize", 1, 1, "name one dataset"},
                                        {"apply", 1, 1, "name one dataset"},
                                        {"get", 1, 1, "name one dataset"},
                                        {"lut", 1, 1, "name one dataset"},
                                        {"rm", 1, k_any, "name a dataset"},
                                        {"remove", 2, k_any, "name a dataset and jobs"}}};

struct OptionOf {
  std::string_view option;
  std::string_view words;  ///< " a b "
};

constexpr std::array<OptionOf, 23> k_options{{{"name", " create "},
                                              {"match", " create "},
                                              {"webhook", " create "},
                                              {"rule", " create "},
                                              {"color", " create "},
                                              {"range", " create "},
                                              {"nodata", " create "},
                                              {"format", " create "},
                                              {"quality", " create "},
                                              {"png", " create "},
                                              {"limit", " list "},
                                              {"watch", " show "},
                                              {"recursive", " add "},
                                              {"parallel", " add get "},
                                              {"wait", " finalize apply "},
                                              {"output", " get lut "},
                                              {"overwrite", " add get lut "},
                                              {"resume", " get "},
                                              {"set", " lut "},
                                              {"text", " lut "},
                                              {"kind", " lut "},
                                              {"by-reference", " add "},
                                              {"result", " add "}}};

Result<void> check_words(const Arguments& arguments) {
  const std::string what = arguments.operands.empty() ? "" : arguments.operands[0];
  const auto* word = std::ranges::find(k_words, what, &Word::name);
  if (word == k_words.end()) {
    return fail(Exit::usage, "dataset: say create, list, show, add, finalize, apply, get, lut, rm or remove");
  }
  const std::size_t operands = arguments.operands.size() - 1;
  if (operands < word->operands_min || operands > word->operands_max) {
    return fail(Exit::usage, fmt::format("dataset {}: {}", what, word->wanted));
  }
  for (const auto& [option, words] : k_options) {
    if (!arguments.has(option) || words.contains(fmt::format(" {} ", what))) continue;
    return fail(Exit::usage, fmt::format("--{}: not an option of dataset {}", option, what));
  }
  return {};
}

Result<Exit> run_word(const Arguments& arguments, const Settings& settings, const std::string& id) {
  const std::string& what = arguments.operands[0];
  if (what == "add") return add_images(arguments, settings, id);
  if (what == "get") return get_images(arguments, settings, id);
  Client client(settings);
  if (what == "create") return create(arguments, client);
  if (what == "list") return list(arguments, client);
  if (what == "show") return show(arguments, client, id);
  if (what == "finalize") return finalize(arguments, client, id);
  if (what == "apply") return apply(arguments, client, id);
  if (what == "lut") return handle_lut(arguments, client, id);
  if (what == "remove") return remove(arguments, client, id);
  return remove_each(arguments, client, "/v1/datasets/", "dataset", std::span(arguments.operands).subspan(1));
}

}  // namespace

std::string dataset_target(std::string_view id) { return "/v1/datasets/" + percent_encoded(id); }

Result<void> for_each_image(Client& client, std::string_view id, std::string_view state,
                            const std::function<void(const json::value&)>& take) {
  std::string after;
  do {
    std::string target = fmt::format("{}/images?limit={}", dataset_target(id), k_page);
    if (!state.empty()) target += fmt::format("&state={}", state);
    if (!after.empty()) target += "&after=" + percent_encoded(after);
    const auto page = fetch_json(client, std::move(target));
    if (!page) return std::unexpected(page.error());
    if (const auto whole = check_whole(*page); !whole) return whole;
    const json::value* jobs = page->is_object() ? page->get_object().if_contains("jobs") : nullptr;
    if (!jobs || !jobs->is_array()) return fail(Exit::some_failed, "the server's answer holds no list of jobs");
    for (const json::value& job : jobs->get_array()) take(job);
    std::string next = text_field(*page, "next");
    if (!next.empty() && next == after) return fail(Exit::some_failed, "the server's list goes round in a circle");
    after = std::move(next);
  } while (!after.empty());
  return {};
}

Result<Exit> run_dataset(const Arguments& arguments, const Settings& settings) {
  if (const auto good = check_words(arguments); !good) return std::unexpected(good.error());
  const std::string id = arguments.operands.size() > 1 ? arguments.operands[1] : "";
  auto exit = run_word(arguments, settings, id);
  const bool about_it = !exit && exit.error().exit == Exit::some_failed && !id.empty();
  if (about_it) exit.error().text = one_line(id) + ": " + exit.error().text;
  return exit;
}

}  // namespace histod::ctl
