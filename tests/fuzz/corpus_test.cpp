// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/decode_one.hpp"

namespace histod::test {
namespace {

class Corpus : public testing::TestWithParam<const char*> {};

/// All seeds and finds go the way of the fuzzers; the names that begin with "ok" must decode, the others need not.
TEST_P(Corpus, replays) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(HISTOD_CORPUS) / GetParam())) {
    SCOPED_TRACE(entry.path().filename().string());
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::vector<char> file{std::istreambuf_iterator<char>(stream), {}};
    const bool decoded = decode_one(std::as_bytes(std::span(file)));
    if (entry.path().filename().string().starts_with("ok")) {
      EXPECT_TRUE(decoded);
    }
    ++files;
  }
  EXPECT_GE(files, 5u);
}

INSTANTIATE_TEST_SUITE_P(Decoders, Corpus, testing::Values("netpbm", "png", "jpeg", "tiff"));

}  // namespace
}  // namespace histod::test
