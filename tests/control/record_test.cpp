// SPDX-License-Identifier: Apache-2.0
#include "control/record.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace histod::control::tests {

const RecordFormat k_now(3, 2), k_next(4, 2), k_break(5, 5);

TEST(RecordFormat, SaysForWhomItIsWritten) {
  EXPECT_EQ(k_now.write({{"a", 1}}), R"({"a":1,"format":3,"since":2})");
  EXPECT_EQ(number_of(*k_now.read(k_now.write({{"a", 1}})), "a"), 1);
}

TEST(RecordFormat, OneReleaseReadsTheNextAndKeepsWhatItDoesNotKnow) {
  auto fields = k_now.read(k_next.write({{"phase", "open"}, {"shape", "round"}}));
  ASSERT_TRUE(fields);
  (*fields)["phase"] = "done";
  const auto again = k_next.read(k_now.write(*fields));
  ASSERT_TRUE(again);
  EXPECT_EQ(text_of(*again, "shape"), "round");
  EXPECT_EQ(text_of(*again, "phase"), "done");
  EXPECT_EQ(number_of(*again, "format"), 4);
}

TEST(RecordFormat, WhatOnlyLaterReleasesUnderstandIsRefusedAsSuch) {
  const auto fields = k_now.read(k_break.write({}));
  ASSERT_FALSE(fields);
  EXPECT_EQ(fields.error(), Errc::newer_format);
  // And stays so, whoever writes it again.
  const auto upgraded = k_break.read(k_now.write({}));
  ASSERT_TRUE(upgraded);
  EXPECT_EQ(k_now.read(k_break.write(*upgraded)).error(), Errc::newer_format);
}

TEST(RecordFormat, WhatIsNoRecordIsRefused) {
  const std::string deep = "{\"format\":1,\"since\":1,\"a\":" + std::string(100, '[') + std::string(100, ']') + "}";
  for (const std::string& text : std::vector<std::string>{
           "", std::string("[]"), std::string("{}"), std::string("{\"format\":1}"),
           std::string("{\"format\":\"1\",\"since\":1}"), std::string("{\"format\":-1,\"since\":1}"),
           std::string("{\"format\":1,\"since\":1} x"), std::string("\0\xff", 2), deep}) {
    const auto fields = k_now.read(text);
    ASSERT_FALSE(fields) << text;
    EXPECT_EQ(fields.error(), Errc::bad_record) << text;
  }
}

TEST(RecordFormat, FieldsOfAnotherKindAreAsIfMissing) {
  const auto fields = k_now.read(R"({"format":1,"since":1,"a":-1,"b":"x","c":1e30,"d":7.0})");
  ASSERT_TRUE(fields);
  EXPECT_EQ(number_of(*fields, "a"), 0);
  EXPECT_EQ(number_of(*fields, "b"), 0);
  EXPECT_EQ(number_of(*fields, "c"), 0);
  EXPECT_EQ(number_of(*fields, "d"), 7);
  EXPECT_EQ(text_of(*fields, "a"), "");
  EXPECT_EQ(text_of(*fields, "b"), "x");
}

}  // namespace histod::control::tests
