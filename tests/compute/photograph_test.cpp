// SPDX-License-Identifier: Apache-2.0
// Real photographs (package lomiri-wallpapers-20.04) and crops of them, against cv::equalizeHist.
#include <algorithm>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "compute/equalize.hpp"

namespace histod::compute {
namespace {

constexpr int k_crops = 24;

std::vector<std::string> photographs() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/share/backgrounds"))
    if (entry.path().filename().string().find("_by_") != std::string::npos) paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

void expect_equal_to_opencv(const cv::Mat& gray, Arena& arena) {
  cv::Mat expected, ours = gray.clone();
  cv::equalizeHist(gray, expected);
  EqualizePage page;
  page.image = {reinterpret_cast<std::byte*>(ours.data), static_cast<std::uint32_t>(ours.cols),
                static_cast<std::uint32_t>(ours.rows), ours.step[0], PixelFormat{}};
  ASSERT_TRUE(equalize({&page, 1}, EqualizeOptions{}, arena));
  EXPECT_EQ(cv::norm(expected, ours, cv::NORM_INF), 0);
}

TEST(Photograph, GrayEqualsOpenCv) {
  ASSERT_TRUE(std::filesystem::exists("/usr/share/backgrounds")) << "install lomiri-wallpapers-20.04";
  Arena arena({.cpus = {}, .threads = 2});
  const auto paths = photographs();
  ASSERT_GE(paths.size(), 4u) << "install lomiri-wallpapers-20.04";
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    const cv::Mat gray = cv::imread(path, cv::IMREAD_GRAYSCALE);
    ASSERT_FALSE(gray.empty());
    expect_equal_to_opencv(gray, arena);
    cv::RNG random(7);
    for (int i = 0; i < k_crops; ++i) {
      const int width = random.uniform(1, 700), height = random.uniform(1, 500);
      const cv::Rect crop(random.uniform(0, gray.cols - width), random.uniform(0, gray.rows - height), width, height);
      expect_equal_to_opencv(gray(crop).clone(), arena);
    }
  }
}

}  // namespace
}  // namespace histod::compute
