// SPDX-License-Identifier: Apache-2.0
#include "net/error.hpp"

#include <string>

namespace histod::net {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "histod.net"; }
  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::bad_address:
        return "not a numeric IPv4 or IPv6 address";
      case Errc::not_listening:
        return "not a listening TCP socket";
      case Errc::no_registered_buffers:
        return "this back-end has no registered buffers";
    }
    return "unknown error " + std::to_string(value);
  }
};

}  // namespace

const std::error_category& error_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc error) { return {static_cast<int>(error), error_category()}; }

}  // namespace histod::net
