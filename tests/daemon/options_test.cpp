// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.hpp"

#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/options_table.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon {
namespace {

using namespace std::chrono_literals;
using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Args = std::vector<std::string>;

ParsedOptions parsed(const Args& args, const Environment& environment = {}) {
  auto result = parse_options(args, environment);
  EXPECT_TRUE(result) << (result ? "" : result.error().front());
  return result ? *result : ParsedOptions{};
}

std::vector<std::string> errors(const Args& args, const Environment& environment = {}) {
  const auto result = parse_options(args, environment);
  return result ? std::vector<std::string>{} : result.error();
}

TEST(Options, DefaultsNeedNothing) {
  const ParsedOptions result = parsed({});
  EXPECT_EQ(result.action, Action::run);
  EXPECT_THAT(result.options.listen, ElementsAre(ListenAddress{"127.0.0.1", 8080}));
  EXPECT_EQ(result.options.io, Io::uring);
  EXPECT_TRUE(result.options.metrics_public);
  EXPECT_FALSE(result.options.node_name.empty());
  EXPECT_GE(result.options.memory_budget_bytes, 64u << 20);
  EXPECT_LE(result.options.memory_budget_bytes, 8ull << 30);
  EXPECT_TRUE(result.origins.empty());
}

TEST(Options, FlagsComeInAllForms) {
  const Options o = parsed({"--io=auto", "--spool", "/s p", "--no-pin", "--metrics-public=false", "--max-pixels", "7",
                            "--spool-budget=3GiB", "--result-ttl", "90min", "--log-level", "debug", "--isa=avx2",
                            "--log-format=json"})
                        .options;
  EXPECT_EQ(o.io, Io::automatic);
  EXPECT_EQ(o.spool_path, "/s p");
  EXPECT_FALSE(o.pin);
  EXPECT_FALSE(o.metrics_public);
  EXPECT_EQ(o.max_pixels, 7u);
  EXPECT_EQ(o.spool_budget_bytes, 3ull << 30);
  EXPECT_EQ(o.result_ttl, 90min);
  EXPECT_EQ(o.log_level, LogLevel::debug);
  EXPECT_EQ(o.isa, Isa::avx2);
  EXPECT_EQ(o.log_format, LogFormat::json);
}

TEST(Options, ListenTakesManyAddresses) {
  const Options o = parsed({"--listen", "0.0.0.0:80, [::1]:8080", "--listen=[::]:0"}).options;
  EXPECT_THAT(o.listen, ElementsAre(ListenAddress{"0.0.0.0", 80}, ListenAddress{"::1", 8080}, ListenAddress{"::", 0}));
  EXPECT_EQ(o.listen[1].text(), "[::1]:8080");
  for (const char* bad :
       {"", "8080", "localhost:8080", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:8a", "::1:8080",
        "[1.2.3.4]:80", "[::1]80", "1.2.3.4:80,1.2.3.4:80", ",", "256.0.0.1:80"}) {
    EXPECT_EQ(errors({"--listen", bad}).size(), 1u) << bad;
  }
}

TEST(Options, FileRootsAddUp) {
  EXPECT_EQ(parsed({"--file-root", "a=/x", "--file-root=b=/y:rw,c=/z"}).options.file_roots, "a=/x,b=/y:rw,c=/z");
  const TemporaryFolder folder;
  const std::string file = folder.file("c.toml", "file-root = [\"a=/x\", \"b=/y:rw\"]\n");
  EXPECT_EQ(parsed({"--config", file}).options.file_roots, "a=/x,b=/y:rw");
  EXPECT_EQ(parsed({"--config", file}, {{"HISTOD_FILE_ROOT", "c=/z"}}).options.file_roots, "c=/z");
  for (const char* bad : {"x", "a=x", "a=/x,a=/y", "a b=/x"})
    EXPECT_THAT(errors({"--file-root", bad}), ElementsAre(HasSubstr("--file-root"))) << bad;
}

TEST(Options, LaterSourcesBeatEarlierOnes) {
  const TemporaryFolder folder;
  const std::string file = folder.file("c.toml", "max-pages = 1\nmax-pixels = 1\nmax-dimension = 1\nworkers = 3\n");
  const Environment environment{{"HISTOD_CONFIG", file}, {"HISTOD_MAX_PIXELS", "2"}, {"HISTOD_MAX_DIMENSION", "2"}};
  const ParsedOptions result = parsed({"--max-dimension=2", "--max-dimension=3"}, environment);
  EXPECT_EQ(result.options.max_pages, 1u);
  EXPECT_EQ(result.options.max_pixels, 2u);
  EXPECT_EQ(result.options.max_dimension, 3u);
  EXPECT_EQ(result.origins.at("max-pages"), file + ":1");
  EXPECT_EQ(result.origins.at("max-pixels"), "HISTOD_MAX_PIXELS");
  EXPECT_EQ(result.origins.at("max-dimension"), "--max-dimension");
  EXPECT_FALSE(result.origins.contains("max-upload-bytes"));
}

TEST(Options, TheFileTakesTheTypesOfToml) {
  const TemporaryFolder folder;
  const std::string file =
      folder.file("c.toml",
                  "listen = [\"127.0.0.1:1\", \"[::1]:2\"]\npin = false\nmax-upload-bytes = \"1MiB\"\n"
                  "spool-budget = 2097152\nidle-timeout = '250ms'\nspool = \"a\\\"b\"\n");
  const Options o = parsed({"--config", file}).options;
  EXPECT_EQ(o.listen.size(), 2u);
  EXPECT_FALSE(o.pin);
  EXPECT_EQ(o.max_upload_bytes, 1u << 20);
  EXPECT_EQ(o.spool_budget_bytes, 2u << 20);
  EXPECT_EQ(o.idle_timeout, 250ms);
  EXPECT_EQ(o.spool_path, "a\"b");
}

TEST(Options, ErrorsOfTheFileHaveTheirLine) {
  const TemporaryFolder folder;
  const std::string file = folder.file(
      "c.toml",
      "max-pixel = 1\nio = 5\nconfig = \"x\"\nmax-pages = [\"1\"]\nmax-jobs-queued = 1.5\n[network]\nlisten = \"\"\n");
  EXPECT_THAT(
      errors({"--config", file}),
      testing::UnorderedElementsAre(
          AllOf(HasSubstr("c.toml:1:"), HasSubstr("\"max-pixel\" is unknown; did you mean \"max-pixels\"?")),
          AllOf(HasSubstr("c.toml:2: io must be one of uring|auto|epoll"), HasSubstr("\"5\"")),
          HasSubstr("c.toml:3: config files cannot name another"), HasSubstr("c.toml:4: max-pages must be one value"),
          HasSubstr("c.toml:5: max-jobs-queued must be one value"), HasSubstr("\"network\" is unknown")));
  EXPECT_THAT(errors({"--config", folder.file("d.toml", "a = \n")}), ElementsAre(HasSubstr("d.toml:1: ")));
  EXPECT_THAT(errors({"--config", folder.path().string()}), ElementsAre(HasSubstr("cannot be read")));
  EXPECT_THAT(errors({"--config", "/no/such/file"}), ElementsAre(HasSubstr("\"/no/such/file\" cannot be read")));
  EXPECT_THAT(errors({"--config", folder.file("empty.toml", "")}), IsEmpty());
}

TEST(Options, AllErrorsAreToldTogether) {
  const auto all =
      errors({"--max-pages=0", "--unknown-thing", "--io=select", "stray", "--spool-budget=1XB", "--tls-cert=c"},
             {{"HISTOD_IDLE_TIMEOUT", "10"}});
  EXPECT_THAT(all,
              testing::UnorderedElementsAre(HasSubstr("--max-pages: the flag is 0, but at least 1 is needed"),
                                            HasSubstr("\"--unknown-thing\" is unknown"),
                                            HasSubstr("--io: the flag must be one of uring|auto|epoll, not \"select\""),
                                            HasSubstr("\"stray\" is not an option"),
                                            HasSubstr("--spool-budget: the flag must be a size such as 512MiB"),
                                            HasSubstr("belong together"),
                                            HasSubstr("HISTOD_IDLE_TIMEOUT: the variable must be a time such as")));
}

TEST(Options, MistypedFlagsGetASuggestion) {
  EXPECT_THAT(errors({"--liste=1.2.3.4:5"}), ElementsAre(HasSubstr("did you mean \"--listen\"?")));
  EXPECT_THAT(errors({"--tokenfile=x"}), ElementsAre(HasSubstr("did you mean \"--token-file\"?")));
  EXPECT_THAT(errors({"--max_pixels=5"}), ElementsAre(HasSubstr("did you mean \"--max-pixels\"?")));
  EXPECT_THAT(errors({"--qqqqqqqqqqqq"}), ElementsAre(Not(HasSubstr("did you mean"))));
}

TEST(Options, FlagsWithoutTheirValueAreErrors) {
  EXPECT_THAT(errors({"--spool"}), ElementsAre(HasSubstr("--spool needs a value: DIR")));
  EXPECT_THAT(errors({"--spool", "--pin"}), ElementsAre(HasSubstr("--spool needs a value")));
  EXPECT_THAT(errors({"--no-spool"}), ElementsAre(HasSubstr("is unknown")));
  EXPECT_THAT(errors({"--"}), ElementsAre(HasSubstr("\"--\" is not an option")));
  EXPECT_THAT(errors({"--token=secret"}), ElementsAre(Not(HasSubstr("secret"))));  // tokens are never arguments
}

TEST(Options, SizesTimesAndCountsHaveBounds) {
  const std::pair<const char*, bool> cases[] = {{"--max-upload-bytes=1TiB", true},
                                                {"--max-upload-bytes=2TiB", false},
                                                {"--max-upload-bytes=5 MiB", true},
                                                {"--max-upload-bytes=5mib", false},
                                                {"--max-upload-bytes=1kB", true},
                                                {"--max-upload-bytes=-1", false},
                                                {"--max-upload-bytes=99999999999999999999", false},
                                                {"--max-upload-bytes=99999999999TiB", false},
                                                {"--max-upload-bytes=", false},
                                                {"--max-pages=10x", false},
                                                {"--max-pages=+1", false},
                                                {"--max-pages=1e3", false},
                                                {"--max-pages=1000000", true},
                                                {"--max-pages=1000001", false},
                                                {"--idle-timeout=100ms", true},
                                                {"--idle-timeout=99ms", false},
                                                {"--idle-timeout=1d", true},
                                                {"--idle-timeout=25h", false},
                                                {"--drain-timeout=0", true},
                                                {"--header-timeout=1.5s", false},
                                                {"--pin=maybe", false},
                                                {"--pin=on", true},
                                                {"--memory-budget=64MiB", true},
                                                {"--memory-budget=63MiB", false}};
  for (const auto& [argument, valid] : cases) EXPECT_EQ(errors({argument}).empty(), valid) << argument;
}

TEST(Options, TheFleetsComeFromEverywhere) {
  const TemporaryFolder folder;
  const std::string file = folder.file("c.toml", "zookeeper = \"zk1:2181,zk2:2181\"\nmin-nodes = 3\n");
  const Options o =
      parsed({"--config", file, "--zookeeper-root=/f"}, {{"HISTOD_ADVERTISE_URL", "http://n1:80"}}).options;
  EXPECT_EQ(o.zookeeper, "zk1:2181,zk2:2181");
  EXPECT_EQ(o.min_nodes, 3u);
  EXPECT_EQ(o.zookeeper_root, "/f");
  EXPECT_EQ(o.advertise_url, "http://n1:80");
  EXPECT_EQ(o.zookeeper_session_timeout, 10s);
  EXPECT_THAT(errors({}, {{"HISTOD_ZOOKEEPER", "zk1"}}), ElementsAre(HasSubstr("\"zk1\"")));
}

TEST(Options, StrangeVariablesAreWarnedOfAndThoseOfKubernetesAreNot) {
  const ParsedOptions result = parsed({}, {{"HISTOD_MAX_PIXEL", "5"},
                                           {"HISTOD_PORT", "tcp://10.0.0.1:80"},
                                           {"HISTOD_PORT_80_TCP_ADDR", "10.0.0.1"},
                                           {"HISTOD_SERVICE_HOST", "10.0.0.1"},
                                           {"HISTOD_FALLBACK_REASON", "x"},
                                           {"HOME", "/"}});
  EXPECT_THAT(result.warnings,
              ElementsAre(AllOf(HasSubstr("HISTOD_MAX_PIXEL"), HasSubstr("did you mean HISTOD_MAX_PIXELS?"))));
}

TEST(Options, TheEnvironmentIsSplitAtTheFirstSign) {
  std::string a = "A=b=c", b = "NOTHING", c = "E=";
  char* entries[] = {a.data(), b.data(), c.data(), nullptr};
  EXPECT_EQ(environment_of(entries), (Environment{{"A", "b=c"}, {"E", ""}}));
  EXPECT_TRUE(environment_of(nullptr).empty());
}

TEST(Options, ActionsAreFound) {
  EXPECT_EQ(parsed({"--help"}).action, Action::help);
  EXPECT_EQ(parsed({"-V"}).action, Action::version);
  EXPECT_EQ(parsed({"--check", "--io=auto"}).action, Action::check);
  EXPECT_EQ(parsed({"--print-config"}).action, Action::print_config);
  EXPECT_EQ(parsed({"--bad-flag", "--check", "-h"}).action, Action::help);  // who asks for help gets it
}

TEST(Options, PrintedConfigurationIsReadBackTheSame) {
  const TemporaryFolder folder;
  const ParsedOptions first =
      parsed({"--listen=[::1]:80,0.0.0.0:81", "--spool=größe \"b\"\\c\n", "--idle-timeout=1500ms", "--no-pin",
              "--spool-budget=1025MiB", "--io=epoll", "--file-root=a=/x,b=/y:rw", "--max-pages=12", "--node-name=n1"});
  const std::string text = print_config(first);
  const ParsedOptions second = parsed({"--config", folder.file("c.toml", text)});
  for (const OptionRow& row : option_rows()) {
    if (row.name == "config") continue;
    EXPECT_EQ(option_text(first.options, row), option_text(second.options, row)) << row.name;
    EXPECT_TRUE(second.origins.contains(std::string(row.name))) << row.name;
  }
  EXPECT_THAT(text, HasSubstr("max-pages = 12  # --max-pages\n"));
  EXPECT_THAT(text, HasSubstr("max-pixels = 256000000  # default\n"));
}

TEST(Options, EveryOptionHasAFlagAVariableAndHelp) {
  const std::string help = help_text();
  for (const OptionRow& row : option_rows()) {
    EXPECT_THAT(help, HasSubstr(std::string(row.name))) << row.name;
    EXPECT_FALSE(row.help.empty());
    EXPECT_EQ(find_option(row.name), &row) << "two options with one name";
    EXPECT_EQ(is_flag(row), row.value.empty()) << row.name;
    // The default is a value that the option itself takes.
    Options options;
    const std::string text = option_text(options, row);
    if (row.name == "memory-budget") continue;  // depends on the machine
    EXPECT_EQ(set_option(options, row, text), std::nullopt) << row.name << " = " << text;
    EXPECT_EQ(option_text(options, row), text);
  }
  EXPECT_EQ(variable_name("auth-failures-per-minute"), "HISTOD_AUTH_FAILURES_PER_MINUTE");
}

TEST(Options, HelpIsAtMostAHundredColumnsWide) {
  std::istringstream lines(help_text());
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

TEST(Options, UnitsAreTheLargestThatDivide) {
  EXPECT_EQ(format_bytes(0), "0B");
  EXPECT_EQ(format_bytes(1000), "1000B");
  EXPECT_EQ(format_bytes(512ull << 20), "512MiB");
  EXPECT_EQ(format_bytes(3ull << 40), "3TiB");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(120s), "2min");
  EXPECT_EQ(format_duration(48h), "2d");
}

}  // namespace
}  // namespace histod::daemon
