// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/decode_one.hpp"
#include "tests/fuzz/normalize_one.hpp"
#include "tests/fuzz/read_one.hpp"
#include "tests/fuzz/rtp_one.hpp"

namespace histod::test {
namespace {

struct Folder {
  const char* name;
  bool (*read)(std::span<const std::byte>);
};

class Corpus : public testing::TestWithParam<Folder> {};

/// All seeds and finds go the way of the fuzzers; the names that begin with "ok" must be read, the others need not.
TEST_P(Corpus, replays) {
  std::size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(HISTOD_CORPUS) / GetParam().name)) {
    SCOPED_TRACE(entry.path().filename().string());
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::vector<char> file{std::istreambuf_iterator<char>(stream), {}};
    const bool read = GetParam().read(std::as_bytes(std::span(file)));
    if (entry.path().filename().string().starts_with("ok")) {
      EXPECT_TRUE(read);
    }
    ++files;
  }
  EXPECT_GE(files, 5u);
}

INSTANTIATE_TEST_SUITE_P(Decoders, Corpus,
                         testing::Values(Folder{"netpbm", decode_one}, Folder{"png", decode_one},
                                         Folder{"jpeg", decode_one}, Folder{"tiff", decode_one}));
INSTANTIATE_TEST_SUITE_P(Readers, Corpus,
                         testing::Values(Folder{"tally", read_tally}, Folder{"table_text", read_table_text}));
INSTANTIATE_TEST_SUITE_P(Streams, Corpus, testing::Values(Folder{"normalize", normalize_one}));
INSTANTIATE_TEST_SUITE_P(Video, Corpus, testing::Values(Folder{"rtp", receive_rtp}, Folder{"sdp", read_sdp}));

}  // namespace
}  // namespace histod::test
