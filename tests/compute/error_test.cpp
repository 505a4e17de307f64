// SPDX-License-Identifier: Apache-2.0
#include "compute/error.hpp"

#include <set>

#include <gtest/gtest.h>

namespace histod::compute {
namespace {

TEST(Error, EveryCodeHasItsOwnMessage) {
  std::set<std::string> messages;
  for (int code = static_cast<int>(Errc::unknown_format); code <= static_cast<int>(Errc::output_full); ++code) {
    const std::error_code error = make_error_code(static_cast<Errc>(code));
    EXPECT_EQ(error.value(), code);
    EXPECT_EQ(error.message().find("unknown error"), std::string::npos) << code;
    messages.insert(error.message());
  }
  EXPECT_EQ(messages.size(), 14u);
}

TEST(Error, NumbersAreStable) {
  EXPECT_EQ(static_cast<int>(Errc::unknown_format), 1);
  EXPECT_EQ(static_cast<int>(Errc::bad_option), 12);
  EXPECT_EQ(static_cast<int>(Errc::output_full), 14);
}

TEST(Error, BelongsToItsCategory) {
  const std::error_code error = Errc::corrupt;
  EXPECT_EQ(error.category(), error_category());
  EXPECT_STREQ(error.category().name(), "histod.compute");
  EXPECT_NE(error_category().message(99).find("99"), std::string::npos);
}

TEST(Error, FailCarriesTheValueAndTheLimit) {
  const Result<int> result = fail(Errc::pixels_over_limit, "too many pixels", 12, 10);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::pixels_over_limit);
  EXPECT_EQ(result.error().detail, "too many pixels");
  EXPECT_EQ(result.error().value, 12u);
  EXPECT_EQ(result.error().limit, 10u);
}

}  // namespace
}  // namespace histod::compute
