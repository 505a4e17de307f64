// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "daemon/telemetry/flux_signature.hpp"

namespace histod::daemon::telemetry {
namespace {

// RFC 4231, test case 2.
constexpr std::string_view k_key = "Jefe";
constexpr std::string_view k_body = "what do ya want for nothing?";
constexpr std::string_view k_signature = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

TEST(FluxSignature, is_the_rfcs) {
  EXPECT_TRUE(is_flux_signature(k_signature, k_body, k_key));
  std::string upper(k_signature);
  for (std::size_t i = 7; i < upper.size(); ++i) upper[i] = static_cast<char>(std::toupper(upper[i]));
  EXPECT_TRUE(is_flux_signature(upper, k_body, k_key));
}

TEST(FluxSignature, refuses_any_other) {
  for (std::size_t i = 0; i < k_signature.size(); ++i) {
    std::string wrong(k_signature);
    wrong[i] = wrong[i] == '0' ? '1' : '0';
    EXPECT_FALSE(is_flux_signature(wrong, k_body, k_key)) << i;
    EXPECT_FALSE(is_flux_signature(k_signature.substr(0, i), k_body, k_key)) << i;
  }
  EXPECT_FALSE(is_flux_signature(std::string(k_signature) + "0", k_body, k_key));
  EXPECT_FALSE(is_flux_signature(k_signature, "another body", k_key));
  EXPECT_FALSE(is_flux_signature(k_signature, k_body, "another key"));
  EXPECT_FALSE(is_flux_signature(k_signature, k_body, ""));
  EXPECT_FALSE(is_flux_signature("sha1=de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9", k_body, k_key));
}

}  // namespace
}  // namespace histod::daemon::telemetry
