// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>

#include "daemon/api/problem.hpp"

namespace histod::daemon::jobs {

template <class T>
using Outcome = std::expected<T, api::Problem>;
/// Whoever needs it on another thread posts it there.
template <class T>
using Reply = std::move_only_function<void(Outcome<T>)>;

api::Problem problem(unsigned status, std::string code, std::string detail, std::uint64_t value = 0,
                     std::uint64_t limit = 0);

}  // namespace histod::daemon::jobs
