// SPDX-License-Identifier: Apache-2.0
#include "webui/assets.hpp"

#include <algorithm>

namespace histod::webui {

const Asset* find_asset(std::string_view path) {
  const auto all = assets();
  const auto found = std::ranges::lower_bound(all, path, {}, &Asset::path);
  return found != all.end() && found->path == path ? &*found : nullptr;
}

}  // namespace histod::webui
