// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/control/store_rig.hpp"

namespace histod::control::tests {

/// What ZooKeeper does, asked of every store: each binary instantiates it with its own kinds.
class StoreSuite : public testing::TestWithParam<RigKind> {
 protected:
  StoreRig& rig() { return *rig_; }
  std::string at(const std::string& below) { return root_ + below; }
  bool see(const std::function<bool()>& done) { return rig_->loop().drive(done, std::chrono::seconds(20)); }

  std::unique_ptr<StoreRig> rig_ = GetParam().make();
  std::string root_ = rig_->root();
};

inline std::string kind_name(const testing::TestParamInfo<RigKind>& info) { return info.param.name; }

}  // namespace histod::control::tests
