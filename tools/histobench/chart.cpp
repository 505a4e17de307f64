// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/chart.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace histod::bench {

namespace {

constexpr double k_label_px = 640, k_bar_px = 420, k_value_px = 180, k_row_px = 20, k_head_px = 60;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
  }
  return out;
}

/// From a ratio to a place on the bars' scale, whose ends are powers of ten around all that is to be shown.
struct Axis {
  int low = 0, high = 1;
  void include(double value) {
    low = std::min(low, static_cast<int>(std::floor(std::log10(value))));
    high = std::max(high, static_cast<int>(std::ceil(std::log10(value))));
  }
  double x(double value) const { return k_label_px + k_bar_px * (std::log10(value) - low) / (high - low); }
};

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, escaped(text));
}

std::string scale_of(const Axis& axis, double height) {
  std::string out;
  for (int power = axis.low; power <= axis.high; ++power) {
    const double x = axis.x(std::pow(10, power));
    out += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"{3}\"/>\n", x, k_head_px - 8,
                       height, power == 0 ? "#555" : "#ccc");
    out += text_at(x, k_head_px - 12, "middle", fmt::format("{:g}x", std::pow(10, power)));
  }
  return out;
}

std::string bar(const Row& row, const Axis& axis, double y) {
  const std::string said = verdict(row);
  const double from = axis.x(1), to = axis.x(ratio(row));
  const char* const color = said == "met" ? "#2e7d32" : said == "missed" ? "#c62828" : "#607d8b";
  std::string out =
      text_at(k_label_px - 8, y + 13, "end", fmt::format("{} {}, {} / {}", row.target, row.work, row.input, row.peer));
  out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"12\" fill=\"{}\"/>\n",
                     std::min(from, to), y + 3, std::max(1.0, std::abs(to - from)), color);
  std::string words = fmt::format("{:.2f}", ratio(row));
  if (row.target_ratio > 0) {
    const double x = axis.x(row.target_ratio);
    out += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" stroke=\"#000\" stroke-width=\"2\"/>\n", x,
        y, y + 18);
    words += fmt::format(" ({} {:g}: {})", row.judge == Judge::within ? "at most" : "at least", row.target_ratio, said);
  }
  return out + text_at(k_label_px + k_bar_px + 8, y + 13, "start", words);
}

}  // namespace

std::string to_svg(const Report& report) {
  Axis axis;
  std::vector<const Row*> rows;
  for (const Row& row : report.rows) {
    if (!has_ratio(row) || ratio(row) <= 0 || !std::isfinite(ratio(row))) continue;
    rows.push_back(&row);
    axis.include(ratio(row));
    if (row.target_ratio > 0) axis.include(row.target_ratio);
  }
  const double width = k_label_px + k_bar_px + k_value_px,
               height = k_head_px + k_row_px * static_cast<double>(rows.size());
  std::string title = "histobench";
  for (const auto& [name, value] : report.facts) {
    if (name == "commit" || name == "cpu" || name == "cpus") title += fmt::format(", {} {}", name, value);
  }
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
      width, height + 10);
  out += text_at(8, 20, "start", title);
  out += scale_of(axis, height);
  for (std::size_t i = 0; i < rows.size(); ++i)
    out += bar(*rows[i], axis, k_head_px + k_row_px * static_cast<double>(i));
  return out + "</svg>\n";
}

}  // namespace histod::bench
