// SPDX-License-Identifier: Apache-2.0
#include "webui/assets.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

namespace histod::webui {
namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// zlib's own gunzip, to at most `limit` bytes.
std::string gunzip(std::span<const std::byte> packed, std::size_t limit) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
  std::string plain(limit + 1, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(plain.data());
  stream.avail_out = static_cast<uInt>(plain.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  plain.resize(stream.total_out);
  inflateEnd(&stream);
  return plain;
}

TEST(Assets, IndexIsFirstAndTheTableIsSortedWithoutDoubles) {
  const auto all = assets();
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.front().path, "/");
  EXPECT_TRUE(std::ranges::is_sorted(all, {}, &Asset::path));
  std::set<std::string_view> paths, etags;
  for (const Asset& asset : all) {
    EXPECT_TRUE(paths.insert(asset.path).second) << asset.path;
    EXPECT_TRUE(etags.insert(asset.etag).second) << asset.path;
  }
}

TEST(Assets, EveryAssetIsFoundByItsPathAndNothingElseIs) {
  for (const Asset& asset : assets()) EXPECT_EQ(find_asset(asset.path), &asset);
  for (const auto* path : {"", "//", "/index.html", "/assets", "/assets/", "/assets/../", "/z", "/assets/app.js"}) {
    EXPECT_EQ(find_asset(path), nullptr) << path;
  }
}

TEST(Assets, MetadataIsWhatHttpNeeds) {
  for (const Asset& asset : assets()) {
    EXPECT_FALSE(asset.bytes.empty()) << asset.path;
    EXPECT_FALSE(asset.media_type.empty()) << asset.path;
    EXPECT_TRUE(asset.etag.size() > 2 && asset.etag.starts_with('"') && asset.etag.ends_with('"')) << asset.etag;
    EXPECT_EQ(asset.gzip.empty(), asset.gzip_etag.empty()) << asset.path;
    EXPECT_NE(asset.etag, asset.gzip_etag) << asset.path;
    EXPECT_EQ(asset.immutable, asset.path != "/") << asset.path;
  }
}

TEST(Assets, GzipFormsUnpackToThePlainForms) {
  for (const Asset& asset : assets()) {
    if (asset.gzip.empty()) continue;
    EXPECT_LT(asset.gzip.size(), asset.bytes.size()) << asset.path;
    EXPECT_TRUE(gunzip(asset.gzip, asset.bytes.size()) == text_of(asset.bytes)) << asset.path;
  }
}

// What the index names must be there, and nothing inline: the policy would block it.
TEST(Assets, IndexNamesOnlyWhatIsEmbeddedAndHasNothingInline) {
  if (!has_dashboard()) GTEST_SKIP() << "built with HISTOD_WEBUI=OFF";
  const std::string index = text_of(assets().front().bytes);
  std::size_t named = 0;
  for (std::size_t at = index.find("\"/assets/"); at != std::string::npos; at = index.find("\"/assets/", at + 1)) {
    const std::string path = index.substr(at + 1, index.find('"', at + 1) - at - 1);
    EXPECT_NE(find_asset(path), nullptr) << path;
    ++named;
  }
  EXPECT_EQ(named, 3U);  // script, style, icon
  EXPECT_EQ(index.find("<style"), std::string::npos);
  EXPECT_EQ(index.find(" style="), std::string::npos);
  EXPECT_NE(index.find("<script type=\"module\" src=\"/assets/"), std::string::npos);
  EXPECT_NE(index.find("></script>"), std::string::npos);
}

TEST(Assets, BundleHoldsScriptStyleIconAndSamples) {
  if (!has_dashboard()) GTEST_SKIP() << "built with HISTOD_WEBUI=OFF";
  const auto count = [](std::string_view type) {
    return std::ranges::count_if(assets(), [&](const Asset& asset) { return asset.media_type.starts_with(type); });
  };
  EXPECT_EQ(count("text/html"), 1);
  EXPECT_EQ(count("text/javascript"), 1);
  EXPECT_EQ(count("text/css"), 1);
  EXPECT_EQ(count("image/svg+xml"), 1);
  EXPECT_EQ(count("image/png"), 3);
}

// What a browser loads before the page works: not the samples, which are fetched when they are looked at.
TEST(Assets, PageIsUnder150KiBPacked) {
  std::size_t bytes = 0;
  for (const Asset& asset : assets())
    if (asset.media_type != "image/png") bytes += asset.gzip.empty() ? asset.bytes.size() : asset.gzip.size();
  EXPECT_LT(bytes, 150U * 1024);
}

TEST(Assets, PolicyAllowsNothingInlineAndNoFraming) {
  EXPECT_EQ(k_content_security_policy.find("unsafe"), std::string_view::npos);
  EXPECT_EQ(k_content_security_policy.find('*'), std::string_view::npos);
  EXPECT_TRUE(k_content_security_policy.starts_with("default-src 'none'; "));
  EXPECT_NE(k_content_security_policy.find("frame-ancestors 'none'"), std::string_view::npos);
}

}  // namespace
}  // namespace histod::webui
