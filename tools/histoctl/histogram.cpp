// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

constexpr std::size_t k_columns = 64;

json::value member(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found ? *found : json::value();
}

std::string cell(const json::object& object, std::string_view key) {
  const json::value value = member(object, key);
  if (value.is_double()) return fmt::format("{:.2f}", value.get_double());
  if (value.is_string()) return one_line(value.get_string());
  return value.is_null() ? "-" : one_line(to_text(value));
}

double number_of(const json::value& value) {
  boost::system::error_code error;
  const double number = value.to_number<double>(error);
  return error ? 0 : number;
}

/// The counts as k_columns blocks of eight heights; heights go by the root, so that small counts stay visible.
std::string blocks(const json::value& counts) {
  constexpr std::string_view k_blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (!counts.is_array() || counts.get_array().empty()) return {};
  const json::array& bins = counts.get_array();
  const std::size_t columns = std::min(k_columns, bins.size());
  std::vector<double> sums(columns, 0.0);
  for (std::size_t i = 0; i < bins.size(); ++i) sums[i * columns / bins.size()] += number_of(bins[i]);
  const double top = *std::ranges::max_element(sums);
  std::string out;
  for (const double sum : sums) {
    const double height = top > 0 ? std::sqrt(sum / top) * 8 : 0;
    out += k_blocks[sum > 0 ? std::clamp(static_cast<int>(std::lround(height)), 1, 8) : 0];
  }
  return out;
}

std::string table(const std::string& file, const json::object& answer) {
  std::string out = fmt::format("{}: {} {}x{}, {} bit, {} channel(s), {} page(s)\n", one_line(file),
                                cell(answer, "format"), cell(answer, "width"), cell(answer, "height"),
                                cell(answer, "depth"), cell(answer, "channels"), cell(answer, "pages"));
  out += fmt::format("{:>4} {:>7} {:>6} {:>11} {:>9} {:>6} {:>6} {:>9} {:>9} {:>7} {:>7}\n", "page", "channel",
                     "levels", "counted", "masked", "min", "max", "mean", "stddev", "median", "entropy");
  const json::value planes = member(answer, "planes");
  if (!planes.is_array()) return out;
  for (const json::value& each : planes.get_array()) {
    if (!each.is_object()) continue;
    const json::object& plane = each.get_object();
    out += fmt::format("{:>4} {:>7} {:>6} {:>11} {:>9} {:>6} {:>6} {:>9} {:>9} {:>7} {:>7}\n", cell(plane, "page"),
                       cell(plane, "channel"), cell(plane, "levels"), cell(plane, "counted"), cell(plane, "masked"),
                       cell(plane, "min"), cell(plane, "max"), cell(plane, "mean"), cell(plane, "stddev"),
                       cell(plane, "median"), cell(plane, "entropy_bits"));
    if (!output_is_terminal()) continue;
    out += fmt::format("  before |{}|\n", blocks(member(plane, "histogram")));
    out += fmt::format("  after  |{}|\n", blocks(member(plane, "after")));
  }
  return out;
}

/// Answers are printed in the order of the operands, whatever the order they come in.
class Histograms {
 public:
  Histograms(const Arguments& arguments, const Settings& settings)
      : arguments_(arguments),
        client_(settings),
        query_(image_query(arguments)),
        console_({.json = arguments.has("json"), .quiet = arguments.has("quiet")}, arguments.operands.size()) {}

  Exit run() {
    if (console_.has_bar()) {
      client_.on_tick([this] { console_.draw(client_.bytes_moved()); });
    }
    const std::uint64_t parallel = arguments_.number("parallel", 4);
    for (std::uint64_t i = 0; i < parallel; ++i) start_next();
    return client_.run() ? verdict_.exit() : Exit::interrupted;
  }

 private:
  void start_next() {
    if (next_ == arguments_.operands.size() || verdict_.hopeless()) return;
    const std::size_t index = next_++;
    auto upload = make_upload(arguments_, arguments_.operands[index]);
    if (!upload) {
      client_.after({},
                    [this, index, failure = std::move(upload.error())] { settle(index, std::unexpected(failure)); });
      return;
    }
    Request request;
    request.method = "POST";
    request.target = "/v1/histogram" + query_;
    if (!upload->as_form) request.fields = {"Content-Type: application/octet-stream"};
    request.upload = std::move(*upload);
    client_.start(std::move(request), [this, index](Result<Reply> reply) { settle(index, std::move(reply)); });
  }

  void settle(std::size_t index, Result<Reply> reply) {
    console_.item_done();
    Result<std::string> text = reply ? text_of(index, reply->body) : std::unexpected(std::move(reply.error()));
    if (!text) {
      verdict_.add(text.error());
      console_.report(arguments_.operands[index], text.error());
      waiting_[index] = failure_text(index, text.error());
    } else {
      verdict_.add_success();
      waiting_[index] = std::move(*text);
    }
    while (!waiting_.empty() && waiting_.begin()->first == printed_) {
      console_.erase();
      print(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      ++printed_;
    }
    start_next();
  }

  Result<std::string> text_of(std::size_t index, const std::string& body) const {
    boost::system::error_code error;
    json::value answer = json::parse(body, error);
    if (error || !answer.is_object()) return fail(Exit::some_failed, "the server's answer is not a JSON object");
    if (!arguments_.has("json")) return table(arguments_.operands[index], answer.get_object());
    json::object line;
    line["file"] = arguments_.operands[index];
    for (const auto& [key, value] : answer.get_object()) line[key] = value;
    return to_text(line) + "\n";
  }

  std::string failure_text(std::size_t index, const Failure& failure) const {
    if (!arguments_.has("json")) return {};
    json::object line;
    line["file"] = arguments_.operands[index];
    line["error"] = to_json(failure);
    return to_text(line) + "\n";
  }

  const Arguments& arguments_;
  Client client_;
  std::string query_;
  Console console_;
  Verdict verdict_;
  std::map<std::size_t, std::string> waiting_;
  std::size_t next_ = 0;
  std::size_t printed_ = 0;
};

}  // namespace

Result<Exit> run_histogram(const Arguments& arguments, const Settings& settings) {
  if (arguments.operands.empty()) return fail(Exit::usage, "histogram: no input was given (IN...)");
  if (const auto good = check_image_options(arguments); !good) return std::unexpected(good.error());
  return Histograms(arguments, settings).run();
}

}  // namespace histod::ctl
