// SPDX-License-Identifier: Apache-2.0
#include "control/error.hpp"

#include <string>

namespace histod::control {

namespace {

const char* text_of(Errc error) {
  switch (error) {
    case Errc::no_node:
      return "no such znode";
    case Errc::node_exists:
      return "the znode exists already";
    case Errc::bad_version:
      return "the znode was written in between";
    case Errc::not_empty:
      return "the znode has children";
    case Errc::no_children_for_ephemerals:
      return "an ephemeral znode has no children";
    case Errc::no_auth:
      return "the znode's ACL forbids it";
    case Errc::auth_failed:
      return "ZooKeeper refuses the credential";
    case Errc::bad_arguments:
      return "not a valid request";
    case Errc::too_large:
      return "the request is larger than a znode may be";
    case Errc::connection_loss:
      return "the connection to ZooKeeper was lost before the answer";
    case Errc::session_lost:
      return "the ZooKeeper session has ended";
    case Errc::unavailable:
      return "ZooKeeper's servers cannot be resolved";
    case Errc::newer_format:
      return "the record was written for a later release";
    case Errc::bad_record:
      return "not a valid record";
    case Errc::unexpected:
      return "an answer that the protocol does not have here";
  }
  return nullptr;
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "histod.control"; }
  std::string message(int value) const override {
    const char* text = text_of(static_cast<Errc>(value));
    return text != nullptr ? text : "unknown error " + std::to_string(value);
  }
};

}  // namespace

const std::error_category& error_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc error) { return {static_cast<int>(error), error_category()}; }

bool is_ambiguous(std::error_code error) { return error == Errc::connection_loss || error == Errc::session_lost; }

}  // namespace histod::control
