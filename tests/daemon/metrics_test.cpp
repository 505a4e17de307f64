// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.hpp"

#include <limits>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace histod::daemon {
namespace {

TEST(Metrics, RendersFamiliesInOrder) {
  Metrics metrics;
  metrics.counter("histod_requests_total", "Requests.", [] { return 12.0; });
  metrics.gauge("histod_ready", "Whether requests are taken.", [] { return 1.0; });
  EXPECT_EQ(metrics.render(),
            "# HELP histod_requests_total Requests.\n# TYPE histod_requests_total counter\nhistod_requests_total 12\n"
            "# HELP histod_ready Whether requests are taken.\n# TYPE histod_ready gauge\nhistod_ready 1\n");
}

TEST(Metrics, AsksAtEachScrape) {
  Metrics metrics;
  double value = 1;
  metrics.gauge("g", "h", [&] { return value; });
  EXPECT_NE(metrics.render().find("\ng 1\n"), std::string::npos);
  value = 0.25;
  EXPECT_NE(metrics.render().find("\ng 0.25\n"), std::string::npos);
}

TEST(Metrics, NumbersAreExactAndPlain) {
  const std::pair<double, const char*> cases[] = {{0, "0"},
                                                  {-3, "-3"},
                                                  {1e15, "1000000000000000"},
                                                  {9007199254740992.0, "9007199254740992"},
                                                  {0.1, "0.1"},
                                                  {1e300, "1e+300"},
                                                  {std::numeric_limits<double>::infinity(), "+Inf"},
                                                  {-std::numeric_limits<double>::infinity(), "-Inf"},
                                                  {std::numeric_limits<double>::quiet_NaN(), "NaN"}};
  for (const auto& [value, text] : cases) {
    Metrics metrics;
    metrics.gauge("g", "h", [v = value] { return v; });
    EXPECT_EQ(metrics.render(), std::string("# HELP g h\n# TYPE g gauge\ng ") + text + "\n");
  }
}

TEST(Metrics, LabelsAndHelpAreEscaped) {
  Metrics metrics;
  metrics.counter("c_total", "line\nfeed \\ \"quote\"", [](const Metrics::Emit& emit) {
    emit({{"name", "a\"b\\c\nd"}, {"code", "200"}}, 5);
    emit({}, 6);
  });
  EXPECT_EQ(metrics.render(),
            "# HELP c_total line\\nfeed \\\\ \"quote\"\n# TYPE c_total counter\n"
            "c_total{name=\"a\\\"b\\\\c\\nd\",code=\"200\"} 5\nc_total 6\n");
}

TEST(Metrics, HistogramsAreCumulated) {
  MetricHistogram histogram{0.125, 1, 10};
  for (const double value : {0.0625, 0.125, 0.25, 1.0, 5.0, 10.5, 100.0}) histogram.observe(value);
  histogram.observe(std::numeric_limits<double>::quiet_NaN());
  Metrics metrics;
  metrics.histogram("h_seconds", "h",
                    [&](const Metrics::EmitHistogram& emit) { emit({{"worker", "0"}}, histogram.snapshot()); });
  EXPECT_EQ(metrics.render(),
            "# HELP h_seconds h\n# TYPE h_seconds histogram\n"
            "h_seconds_bucket{worker=\"0\",le=\"0.125\"} 2\nh_seconds_bucket{worker=\"0\",le=\"1.0\"} 4\n"
            "h_seconds_bucket{worker=\"0\",le=\"10.0\"} 5\nh_seconds_bucket{worker=\"0\",le=\"+Inf\"} 7\n"
            "h_seconds_sum{worker=\"0\"} 116.9375\nh_seconds_count{worker=\"0\"} 7\n");
}

TEST(Metrics, OpenMetricsHasUnitsTypesAndAnEnd) {
  MetricHistogram histogram{0.5};
  histogram.observe(0.25);
  Metrics metrics;
  metrics.counter("c_bytes_total", "Says \"bytes\".", [] { return 7.0; });
  metrics.gauge("g", "G.", [] { return 1.5; });
  metrics.histogram("h_seconds", "H.", [&](const Metrics::EmitHistogram& emit) { emit({}, histogram.snapshot()); });
  metrics.info("b_info", "B.", [] { return Metrics::Labels{{"version", "1"}}; });
  metrics.state_set("s", "S.", [](const Metrics::EmitState& emit) {
    emit("on", true);
    emit("off", false);
  });
  EXPECT_EQ(metrics.render(MetricsFormat::openmetrics),
            "# HELP c_bytes Says \\\"bytes\\\".\n# TYPE c_bytes counter\n# UNIT c_bytes bytes\nc_bytes_total 7\n"
            "# HELP g G.\n# TYPE g gauge\ng 1.5\n"
            "# HELP h_seconds H.\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n"
            "h_seconds_bucket{le=\"0.5\"} 1\nh_seconds_bucket{le=\"+Inf\"} 1\nh_seconds_sum 0.25\nh_seconds_count 1\n"
            "# HELP b B.\n# TYPE b info\nb_info{version=\"1\"} 1\n"
            "# HELP s S.\n# TYPE s stateset\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n# EOF\n");
  EXPECT_EQ(metrics.render(),
            "# HELP c_bytes_total Says \"bytes\".\n# TYPE c_bytes_total counter\nc_bytes_total 7\n"
            "# HELP g G.\n# TYPE g gauge\ng 1.5\n"
            "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
            "h_seconds_bucket{le=\"0.5\"} 1\nh_seconds_bucket{le=\"+Inf\"} 1\nh_seconds_sum 0.25\nh_seconds_count 1\n"
            "# HELP b_info B.\n# TYPE b_info gauge\nb_info{version=\"1\"} 1\n"
            "# HELP s S.\n# TYPE s gauge\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n");
}

TEST(Metrics, TheFormatIsNegotiated) {
  using enum MetricsFormat;
  const std::pair<const char*, MetricsFormat> cases[] = {
      {"", text},
      {"*/*", text},
      {"text/plain", text},
      {"application/*", text},
      {"application/openmetrics-text", openmetrics},
      {"Application/OpenMetrics-Text ; Version=1.0.0", openmetrics},
      {"application/openmetrics-text; version=2.0.0", text},
      {"application/openmetrics-text; version=0.0.1", text},
      {"application/openmetrics-text;q=0", text},
      {"application/openmetrics-text;q=x", text},
      {"text/plain;q=0.9, application/openmetrics-text;q=0.8", text},
      {"text/plain;q=0.9, application/openmetrics-text;q=0.9", openmetrics},
      {",;,=;q,application/openmetrics-textual", text},
      // Prometheus 2 and 3
      {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       openmetrics},
      {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
       openmetrics}};
  for (const auto& [accept, format] : cases) EXPECT_EQ(metrics_format(accept), format) << accept;
}

TEST(MetricHistogramTest, SnapshotsAddUp) {
  MetricHistogram a{1, 2}, b{1, 2};
  a.observe(0.5);
  b.observe(1.5);
  b.observe(3);
  auto sum = a.snapshot();
  sum.merge(b.snapshot());
  EXPECT_EQ(sum.counts, (std::vector<std::uint64_t>{1, 1, 1}));
  EXPECT_EQ(sum.count(), 3u);
  EXPECT_EQ(sum.sum, 5.0);
}

TEST(MetricHistogramTest, CanBeReadWhileItCounts) {
  MetricHistogram histogram{10, 100};
  std::thread writer([&] {
    for (int i = 0; i < 100'000; ++i) histogram.observe(i % 200);
  });
  std::uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t count = histogram.snapshot().count();
    EXPECT_GE(count, last);
    last = count;
  }
  writer.join();
  EXPECT_EQ(histogram.snapshot().count(), 100'000u);
}

TEST(MetricsDeathTest, BadNamesAreBugs) {
  Metrics metrics;
  EXPECT_DEATH(metrics.gauge("has space", "h", [] { return 0.0; }), "is_name");
  metrics.gauge("g", "h", [] { return 0.0; });
  EXPECT_DEATH(metrics.gauge("g", "h", [] { return 0.0; }), "families_");
  EXPECT_DEATH(metrics.gauge("g_total", "h", [] { return 0.0; }), "k_total");
  EXPECT_DEATH(metrics.counter("c", "h", [] { return 0.0; }), "k_total");
}

}  // namespace
}  // namespace histod::daemon
