// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/client.hpp"

#include <algorithm>
#include <cassert>

#include <curl/curl.h>
#include <fmt/format.h>

#include "tools/histoctl/interrupt.hpp"
#include "tools/histoctl/transfer.hpp"

namespace histod::ctl {
namespace {

constexpr std::chrono::milliseconds k_tick{100};
constexpr std::chrono::milliseconds k_poll_max{1'000};

struct Timer {
  Clock::time_point due;
  std::move_only_function<void()> then;
};

}  // namespace

struct Client::State {
  explicit State(const Settings& all_settings) : settings(all_settings) {}

  const Settings& settings;
  CURLM* multi = nullptr;
  std::map<Transfer*, std::unique_ptr<Transfer>> transfers;  ///< under way, and waiting for their next try
  std::vector<Timer> timers;
  std::function<void()> tick;
  Clock::time_point next_tick;
  std::uint64_t bytes_moved = 0;

  void try_now(Transfer* transfer);
  void take(Transfer* transfer, CURLcode code);
  void fire_timers();
  void drain_messages();
  std::chrono::milliseconds poll_time() const;
};

void Client::State::try_now(Transfer* transfer) {
  if (auto ready = transfer->prepare(); !ready) {
    const auto owned = std::move(transfers.extract(transfer).mapped());
    owned->finish(std::move(ready.error()));
    return;
  }
  curl_multi_add_handle(multi, transfer->easy());
}

void Client::State::take(Transfer* transfer, CURLcode code) {
  curl_multi_remove_handle(multi, transfer->easy());
  if (const auto delay = transfer->retry_delay(code)) {
    timers.push_back({Clock::now() + *delay, [this, transfer] { try_now(transfer); }});
    return;
  }
  const auto owned = std::move(transfers.extract(transfer).mapped());
  owned->finish(code);
}

void Client::State::fire_timers() {
  const Clock::time_point now = Clock::now();
  for (;;) {
    const auto due = std::ranges::find_if(timers, [&](const Timer& timer) { return timer.due <= now; });
    if (due == timers.end()) break;
    auto then = std::move(due->then);
    timers.erase(due);
    then();
  }
  if (tick && now >= next_tick) {
    next_tick = now + k_tick;
    tick();
  }
}

void Client::State::drain_messages() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    char* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    take(reinterpret_cast<Transfer*>(transfer), code);
  }
}

std::chrono::milliseconds Client::State::poll_time() const {
  Clock::time_point until = Clock::now() + (tick ? k_tick : k_poll_max);
  for (const Timer& timer : timers) until = std::min(until, timer.due);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

Client::Client(const Settings& settings) : state_(std::make_unique<State>(settings)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  state_->multi = curl_multi_init();
  assert(state_->multi != nullptr);
}

Client::~Client() {
  for (const auto& [transfer, owned] : state_->transfers) curl_multi_remove_handle(state_->multi, transfer->easy());
  state_->transfers.clear();
  curl_multi_cleanup(state_->multi);
}

void Client::start(Request request, Done done) {
  auto owned = std::make_unique<Transfer>(state_->settings, std::move(request), std::move(done), state_->bytes_moved);
  Transfer* transfer = owned.get();
  state_->transfers.emplace(transfer, std::move(owned));
  after({}, [state = state_.get(), transfer] { state->try_now(transfer); });
}

void Client::after(std::chrono::milliseconds delay, std::move_only_function<void()> then) {
  state_->timers.push_back({Clock::now() + delay, std::move(then)});
}

void Client::on_tick(std::function<void()> tick) { state_->tick = std::move(tick); }

bool Client::run() {
  while (!interrupted()) {
    state_->fire_timers();
    int running = 0;
    curl_multi_perform(state_->multi, &running);
    state_->drain_messages();
    if (state_->transfers.empty() && state_->timers.empty()) return true;
    curl_waitfd signal = {wake_fd(), CURL_WAIT_POLLIN, 0};
    curl_multi_poll(state_->multi, &signal, 1, static_cast<int>(state_->poll_time().count()), nullptr);
  }
  return false;
}

std::uint64_t Client::bytes_moved() const { return state_->bytes_moved; }

std::string Reply::field(std::string_view name) const {
  const auto found = fields.find(std::string(name));
  return found == fields.end() ? std::string() : found->second;
}

Result<Reply> fetch(Client& client, Request request) {
  Result<Reply> outcome = fail(Exit::interrupted, "interrupted");
  client.start(std::move(request), [&outcome](Result<Reply> reply) { outcome = std::move(reply); });
  client.run();
  return outcome;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || std::string_view("-._~").contains(c);
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace histod::ctl
