// SPDX-License-Identifier: Apache-2.0
#include "control/paths.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "control/record.hpp"

namespace histod::control {

namespace {

struct Layout {
  Session& session;
  std::vector<std::string> paths;  ///< still to be made, the last first
  Reply<void> reply;
};

void make_next(const std::shared_ptr<Layout>& layout) {
  if (layout->paths.empty()) return layout->reply({});
  Session& session = layout->session;
  session.store().create(layout->paths.back(), RecordFormat().write({}), CreateMode::persistent,
                         session.guard([layout](const Result<std::string>& made) {
                           const auto error = made ? std::error_code() : made.error();
                           if (error && is_ambiguous(error)) {
                             return layout->session.later([layout] { make_next(layout); });
                           }
                           if (error && error != Errc::node_exists) return layout->reply(std::unexpected(error));
                           layout->paths.pop_back();
                           make_next(layout);
                         }));
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

bool is_name(std::string_view text) {
  constexpr std::size_t k_chars_max = 64;
  return !text.empty() && text.size() <= k_chars_max && text.front() != '.' && std::ranges::all_of(text, is_name_char);
}

void make_layout(Session& session, const Paths& paths, Reply<void> reply) {
  std::vector<std::string> all{paths.datasets(), paths.identities(), paths.epoch(), paths.leader(), paths.nodes()};
  for (std::string_view path = paths.root(); path != "/"; path = parent_of(path)) all.emplace_back(path);
  make_next(std::make_shared<Layout>(session, std::move(all), std::move(reply)));
}

}  // namespace histod::control
