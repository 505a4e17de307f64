// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <system_error>
#include <type_traits>
#include <variant>
#include <vector>

#include "control/store.hpp"

namespace histod::control {

/// For stores: the reply to a request under way, of whatever kind.
using AnyReply = std::variant<Reply<Stat>, Reply<Node>, Reply<std::vector<std::string>>, Reply<bool>, MultiReply>;

inline void fail(AnyReply& any, std::error_code why) {
  std::visit(
      [why]<class R>(R& reply) {
        if constexpr (std::is_same_v<R, MultiReply>) {
          reply(std::unexpected(MultiError{why, 0}));
        } else {
          reply(std::unexpected(why));
        }
      },
      any);
}

}  // namespace histod::control
