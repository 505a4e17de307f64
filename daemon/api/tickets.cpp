// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/tickets.hpp"

#include <openssl/rand.h>

#include "daemon/jobs/digest.hpp"

namespace histod::daemon::api {

namespace {

constexpr std::size_t k_ticket_bytes = 32, k_ticket_chars = 43;

std::string base64url(const std::array<unsigned char, k_ticket_bytes>& bytes) {
  static constexpr std::string_view k_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0, held = 0;
  for (const unsigned char byte : bytes) {
    held = held << 8 | byte;
    for (bits += 8; bits >= 6; bits -= 6) out += k_digits[held >> (bits - 6) & 63];
    held &= (1u << bits) - 1;
  }
  out += k_digits[held << (6 - bits) & 63];
  return out;
}

}  // namespace

void TicketStore::forget_old() {
  const auto now = now_();
  std::erase_if(alive_until_, [now](const auto& entry) { return entry.second <= now; });
}

std::optional<std::string> TicketStore::issue() {
  std::array<unsigned char, k_ticket_bytes> random{};
  if (::RAND_bytes(random.data(), random.size()) != 1) return std::nullopt;
  std::string ticket = base64url(random);
  const std::lock_guard lock(mutex_);
  forget_old();
  if (alive_until_.size() >= k_tickets_max) return std::nullopt;
  alive_until_[jobs::sha256(ticket)] = now_() + k_life;
  return ticket;
}

bool TicketStore::redeem(std::string_view ticket) {
  if (ticket.size() != k_ticket_chars) return false;
  const auto digest = jobs::sha256(ticket);
  const std::lock_guard lock(mutex_);
  forget_old();
  return alive_until_.erase(digest) > 0;
}

}  // namespace histod::daemon::api
