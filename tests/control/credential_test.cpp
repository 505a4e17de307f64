// SPDX-License-Identifier: Apache-2.0
#include "control/credential.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace histod::control::tests {

namespace fs = std::filesystem;

TEST(Credential, IsOneLineOfUserAndPassword) {
  for (const char* text : {"histod:0123456789abcdef", "histod:0123456789abcdef\n", "histod:0123456789abcdef\r\n"}) {
    const auto credential = parse_credential(text);
    ASSERT_TRUE(credential) << credential.error();
    EXPECT_EQ(credential->text, "histod:0123456789abcdef");
  }
  EXPECT_EQ(parse_credential("u:with:colons:0123456789")->text, "u:with:colons:0123456789");
}

TEST(Credential, RefusalsNameTheFaultAndNothingOfTheSecret) {
  for (const std::string text :
       {"", "histod", ":0123456789abcdef", "histod:s3cret", "histod:s3cret s3cret s3cret",
        "histod:s3cret0123456789\nmore", "histod:s3cret0123456789\x01", "histod:s3cret0123456789\xc3\xa4"}) {
    const auto credential = parse_credential(text);
    ASSERT_FALSE(credential) << text;
    EXPECT_EQ(credential.error().find("s3cret"), std::string::npos) << credential.error();
  }
  EXPECT_FALSE(parse_credential("histod:" + std::string(2000, 'x')));
}

struct CredentialFile : testing::Test {
  CredentialFile() { std::ofstream(path_) << "histod:0123456789abcdef\n"; }
  ~CredentialFile() override { fs::remove(path_); }
  fs::path path_ = fs::path(testing::TempDir()) / ("histod-credential-" + std::to_string(::getpid()));
};

TEST_F(CredentialFile, IsReadWhenItIsPrivate) {
  fs::permissions(path_, fs::perms{0640});
  const auto credential = read_credential(path_);
  ASSERT_TRUE(credential) << credential.error();
  EXPECT_EQ(credential->text, "histod:0123456789abcdef");
}

TEST_F(CredentialFile, IsRefusedWhenOthersMayUseIt) {
  fs::permissions(path_, fs::perms{0644});
  const auto credential = read_credential(path_);
  ASSERT_FALSE(credential);
  EXPECT_NE(credential.error().find("mode 644"), std::string::npos) << credential.error();
}

TEST_F(CredentialFile, IsNamedWhenItIsBrokenOrMissing) {
  fs::permissions(path_, fs::perms{0600});
  std::ofstream(path_) << "nothing";
  EXPECT_NE(read_credential(path_).error().find(path_.string()), std::string::npos);
  EXPECT_NE(read_credential(path_.string() + "-missing").error().find("No such file"), std::string::npos);
  EXPECT_NE(read_credential(testing::TempDir()).error().find("no file"), std::string::npos);
}

// By `printf '%s' 'user:password' | openssl dgst -sha1 -binary | base64`.
TEST(Credential, IsShownInAclsAsUserAndDigest) {
  EXPECT_EQ(acl_user({"histod:0123456789abcdef"}), "histod:q6zYPNZhSwLrONAojaPXF3/5PdY=");
  EXPECT_EQ(acl_user({"a:b:c:secret-secret"}), "a:Rc3x2bcE1zDJjGTSQOLEFU9p2Eo=");
  EXPECT_EQ(acl_user({}), "");
}

}  // namespace histod::control::tests
