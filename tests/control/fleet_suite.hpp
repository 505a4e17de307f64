// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <gtest/gtest.h>

#include "tests/control/store_rig.hpp"

namespace histod::control::tests {

/// What a fleet does, over every store: each binary instantiates it with its own kinds.
class FleetSuite : public testing::TestWithParam<RigKind> {
 protected:
  std::unique_ptr<StoreRig> rig_ = GetParam().make();
};

}  // namespace histod::control::tests
