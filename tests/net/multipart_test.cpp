// SPDX-License-Identifier: Apache-2.0
#include "net/http/multipart.hpp"

#include <string>

#include <gtest/gtest.h>

namespace histod::test {
namespace {

using net::http::multipart_boundary;
using net::http::parse_multipart;
using net::http::Part;

std::span<std::byte> bytes(std::string& text) { return {reinterpret_cast<std::byte*>(text.data()), text.size()}; }

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string part(const std::string& disposition, const std::string& body, const std::string& more = "") {
  return "--b\r\nContent-Disposition: " + disposition + "\r\n" + more + "\r\n" + body + "\r\n";
}

unsigned status_of(std::string body, const net::http::MultipartLimits& limits = {}) {
  const auto parts = parse_multipart(bytes(body), "b", limits);
  return parts ? 200 : parts.error().status;
}

/// What Content-Disposition becomes; "?" when it is refused, "-" for no file name.
std::string named(const std::string& disposition) {
  std::string body = part(disposition, "x") + "--b--\r\n";
  const auto parts = parse_multipart(bytes(body), "b");
  return parts ? parts->at(0).name + "|" + parts->at(0).filename.value_or("-") : "?";
}

TEST(Multipart, ReadsPartsWhereTheyLie) {
  std::string body =
      part("form-data; name=\"image\"; filename=\"a.png\"", "\x89PNG\r\n--\r\n--bx-", "Content-Type: image/png\r\n");
  body.replace(body.find("--bx-"), 5, "-b-x-");
  body += part("form-data; name=mask", "") + "--b--\r\nepilogue";
  const auto parts = parse_multipart(bytes(body), "b");
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 2u);
  const Part& image = parts->at(0);
  EXPECT_EQ(image.name, "image");
  EXPECT_EQ(image.filename, "a.png");
  EXPECT_EQ(image.content_type, "image/png");
  EXPECT_EQ(text(image.body), "\x89PNG\r\n--\r\n-b-x-");
  EXPECT_EQ(image.body.data(), bytes(body).data() + body.find("\x89PNG"));
  EXPECT_EQ(parts->at(1).name, "mask");
  EXPECT_FALSE(parts->at(1).filename);
  EXPECT_EQ(parts->at(1).content_type, "text/plain");
  EXPECT_TRUE(parts->at(1).body.empty());
}

TEST(Multipart, WhatCurlSends) {
  std::string body =
      "--------------------------d74496d66958873e\r\n"
      "Content-Disposition: form-data; name=\"image\"; filename=\"in.pgm\"\r\n"
      "Content-Type: application/octet-stream\r\n\r\n"
      "P5\n1 1\n255\n\x07\r\n"
      "--------------------------d74496d66958873e--\r\n";
  const auto boundary = multipart_boundary("multipart/form-data; boundary=------------------------d74496d66958873e");
  ASSERT_TRUE(boundary);
  const auto parts = parse_multipart(bytes(body), *boundary);
  ASSERT_TRUE(parts);
  EXPECT_EQ(text(parts->at(0).body), "P5\n1 1\n255\n\x07");
}

TEST(Multipart, NoPartsAndEmptyBodies) {
  EXPECT_EQ(status_of("--b--\r\n"), 200u);
  EXPECT_EQ(status_of("--b--"), 200u);
  EXPECT_EQ(status_of(""), 400u);
  EXPECT_EQ(status_of("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--"), 200u)
      << "no body, not even an empty one";
}

TEST(Multipart, UnderstandsNames) {
  EXPECT_EQ(named("form-data; name=\"a\""), "a|-");
  EXPECT_EQ(named("form-data; name=a; filename=b.png"), "a|b.png");
  EXPECT_EQ(named("Form-Data;NAME=a;FileName=\"b\""), "a|b");
  EXPECT_EQ(named("form-data; name=\"a\"; filename=\"\""), "a|");
  EXPECT_EQ(named("form-data; name=\"a\"; filename=\"x;y=z.png\""), "a|x;y=z.png");
  EXPECT_EQ(named("form-data; name=\"a\"; filename=\"q\\\"q\\\\.png\""), "a|q\"q\\.png");
  EXPECT_EQ(named("form-data; name=\"a\"; filename=\"C:\\dir\\f.png\""), "a|C:\\dir\\f.png");
  EXPECT_EQ(named("form-data; name=\"a\"; filename=\"q%22q.png\""), "a|q\"q.png");
  EXPECT_EQ(named("form-data; name=\"\xc3\xa9\""), "\xc3\xa9|-");
  EXPECT_EQ(named("form-data; name=a; size=3"), "a|-") << "other parameters do not matter";
}

TEST(Multipart, RefusesBadDispositions) {
  for (const char* const bad :
       {"", "form-data", "attachment; name=a", "form-data; name=", "form-data; name", "form-data; name=\"a",
        "form-data; name=\"\"", "form-data; name=a; name=b", "form-data; name=a; filename=x; filename=y",
        "form-data; filename=x", "form-data name=a", "form-data; name=a b", "form-data; name=a; =b",
        "form-data; name=a;;", "form-data; na me=a"}) {
    EXPECT_EQ(named(bad), "?") << bad;
  }
}

TEST(Multipart, IsStrictAboutBoundaries) {
  const std::string good = part("form-data; name=a", "x") + "--b--\r\n";
  EXPECT_EQ(status_of(good), 200u);
  EXPECT_EQ(status_of("preamble\r\n" + good), 400u);
  EXPECT_EQ(status_of("\r\n" + good), 400u);
  EXPECT_EQ(status_of(part("form-data; name=a", "x")), 400u) << "no closing boundary";
  EXPECT_EQ(status_of(part("form-data; name=a", "x") + "--bb--"), 400u);
  EXPECT_EQ(status_of(part("form-data; name=a", "x") + "--b "), 400u);
  EXPECT_EQ(status_of(part("form-data; name=a", "x") + "--b-"), 400u);
  EXPECT_EQ(status_of(part("form-data; name=a", "x") + "--b"), 400u);
  EXPECT_EQ(status_of("--b\nContent-Disposition: form-data; name=a\n\nx\n--b--"), 400u);
  EXPECT_EQ(status_of("--b\r\nContent-Disposition: form-data; name=a\r\n"), 400u) << "the header does not end";
  for (std::size_t length = 0; length < good.size() - 2; ++length) {
    EXPECT_EQ(status_of(good.substr(0, length)), 400u) << length;
  }
}

TEST(Multipart, IsStrictAboutPartHeaders) {
  const std::string end = "\r\n\r\nx\r\n--b--";
  const std::string good = "--b\r\nContent-Disposition: form-data; name=a";
  EXPECT_EQ(status_of(good + end), 200u);
  EXPECT_EQ(status_of("--b\r\nX: y" + end), 400u) << "no Content-Disposition";
  EXPECT_EQ(status_of("--b\r\n\r\nx\r\n--b--"), 400u) << "no header at all";
  EXPECT_EQ(status_of(good + "\r\nContent-Disposition: form-data; name=b" + end), 400u);
  EXPECT_EQ(status_of(good + "\r\nno colon" + end), 400u);
  EXPECT_EQ(status_of(good + "\r\n folded" + end), 400u);
  EXPECT_EQ(status_of(good + "\r\nX : y" + end), 400u);
  EXPECT_EQ(status_of(good + "\r\nX: a\nb" + end), 400u);
  EXPECT_EQ(status_of(good + "\r\nContent-Transfer-Encoding: base64" + end), 400u);
  EXPECT_EQ(status_of(good + "\r\nContent-Transfer-Encoding: binary" + end), 200u);
}

TEST(Multipart, HasLimits) {
  std::string body;
  for (int i = 0; i < 16; ++i) body += part("form-data; name=a", "x");
  EXPECT_EQ(status_of(body + "--b--"), 200u);
  EXPECT_EQ(status_of(body + part("form-data; name=a", "x") + "--b--"), 413u);
  const std::string filler(8 * 1024, 'x');
  EXPECT_EQ(status_of(part("form-data; name=a", "x", "X: " + filler.substr(200) + "\r\n") + "--b--"), 200u);
  EXPECT_EQ(status_of(part("form-data; name=a", "x", "X: " + filler + "\r\n") + "--b--"), 413u);
}

TEST(Multipart, FindsTheBoundaryOfAContentType) {
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(multipart_boundary("Multipart/Form-Data;charset=utf-8;Boundary=\"a b:c\""), "a b:c");
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=" + std::string(70, 'x')), std::string(70, 'x'));
  EXPECT_EQ(multipart_boundary("image/png").error().status, 415u);
  EXPECT_EQ(multipart_boundary("").error().status, 415u);
  EXPECT_EQ(multipart_boundary("multipart/mixed; boundary=abc").error().status, 415u);
  for (const std::string& bad :
       {std::string(), std::string("; boundary="), std::string("; boundary=\"\""), std::string("; boundary=\"a "),
        std::string("; boundary=\"a \""), std::string("; boundary=a; boundary=b"), "; boundary=" + std::string(71, 'x'),
        std::string("; boundary=\"a\tb\""), std::string("; boundary")}) {
    const auto boundary = multipart_boundary("multipart/form-data" + bad);
    ASSERT_FALSE(boundary) << bad;
    EXPECT_EQ(boundary.error().status, 400u) << bad;
  }
}

}  // namespace
}  // namespace histod::test
