// SPDX-License-Identifier: Apache-2.0
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/options.hpp"
#include "daemon/streams/config.hpp"
#include "daemon/streams/dpdk_devices.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::test {
namespace {

using namespace daemon::streams;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

boost::json::object object(std::string text) {
  std::ranges::replace(text, '\'', '"');
  return boost::json::parse(text).as_object();
}

constexpr const char* k_least =
    "'listen': '127.0.0.1:5004', 'sampling': 'YCbCr-4:2:2', 'depth': 8, 'width': 1920, 'height': 1080";

std::string with(const std::string& more) {
  return "{" + std::string(k_least) + (more.empty() ? "" : ", " + more) + "}";
}

StreamConfig good(const std::string& text) {
  const auto read = read_stream("cam-1", object(text));
  EXPECT_TRUE(read) << (read ? "" : text_of(read.error().front()));
  return read.value_or(StreamConfig());
}

std::vector<std::string> wrong(const std::string& text, std::string_view name = "cam-1") {
  std::vector<std::string> out;
  const auto read = read_stream(name, object(text));
  if (!read)
    for (const ConfigError& error : read.error()) out.push_back(text_of(error));
  return out;
}

TEST(StreamConfigTest, LeastThatIsNeeded) {
  const StreamConfig config = good(with(""));
  EXPECT_EQ(config.name, "cam-1");
  EXPECT_EQ(config.listen.text(), "127.0.0.1:5004");
  EXPECT_EQ(config.live, compute::video::LiveOptions());
  EXPECT_EQ(config.live.frames, 32u);
  EXPECT_EQ(config.backend, Backend::uring);
  EXPECT_TRUE(config.targets.empty());
  EXPECT_FALSE(config.cpu || config.payload_type);
}

TEST(StreamConfigTest, AllMembersComeBackFromJsonAndToml) {
  const char* const all[] = {
      "'rule': 'exact', 'window': {'frames': 7}, 'clip_limit': 2.5, 'scene_cut': 0.25, 'cpu': 3, 'payload_type': 112,"
      "'targets': ['10.0.0.9:5006', '239.1.1.1:6000'], 'preview': {'per_second': 2.5, 'height_max': 200},"
      "'interlaced': true, 'line_numbering': 'field', 'colorimetry': 'BT601-5'",
      "'window': {'average_frames': 64}, 'backend': 'dpdk', 'dpdk_port': 'net_af_packet0,iface=eth1',"
      "'targets': ['10.0.0.9:5006'], 'next_hop': '02:00:00:ab:CD:ef'"};
  const TemporaryFolder folder;
  for (const char* const more : all) {
    const StreamConfig config = good(with(more));
    const boost::json::object json = config_json(config);
    EXPECT_EQ(read_stream("cam-1", json).value(), config) << boost::json::serialize(json);
    const std::string file = folder.file("c.toml", "dpdk = true\n" + config_toml(config));
    const auto parsed = daemon::parse_options(std::vector<std::string>{"--config", file}, {});
    ASSERT_TRUE(parsed) << parsed.error().front() << config_toml(config);
    EXPECT_THAT(parsed->options.streams, ElementsAre(config));
  }
  const StreamConfig config = good(with(all[0]));
  EXPECT_EQ(config.live.clip_permille, 2'500u);
  EXPECT_EQ(config.live.cut_permille, 250u);
  EXPECT_EQ(good(with(all[1])).live.shift, 6u);
}

TEST(StreamConfigTest, SaysAllThatIsWrong) {
  EXPECT_THAT(wrong("{'listen': 'localhost:1', 'depth': 9, 'width': 0, 'height': 1080, 'rule': 'best', 'clip': 2}"),
              UnorderedElementsAre(HasSubstr("sampling is missing"), HasSubstr("listen must be ADDRESS:PORT"),
                                   "depth must be 8, 10, 12 or 16, not \"9\"",
                                   "width must be a whole number from 1 to 32767, not \"0\"", HasSubstr("rule must be"),
                                   HasSubstr("clip is unknown here; there are listen, interface")));
  const std::pair<const char*, const char*> cases[] = {
      {"'window': {'frames': 0}", "window.frames must be a whole number from 1 to 1024, not \"0\""},
      {"'window': {'frames': 1025}", "window.frames must be a whole number from 1 to 1024, not \"1025\""},
      {"'window': {'average_frames': 3}", "window.average_frames must be a power of two, not \"3\""},
      {"'window': {'frames': 3, 'average_frames': 4}", "window.frames or average_frames must be there, and not both"},
      {"'window': {}", "window.frames or average_frames must be there, and not both"},
      {"'window': 32", "window must be an object, not \"32\""},
      {"'clip_limit': 0.5", "clip_limit must be 0 (none), or at least 1, not \"0.5\""},
      {"'scene_cut': 1.5", "scene_cut must be a number from 0 to 1, not \"1.5\""},
      {"'targets': ['a', 'b', 'c', 'd', 'e']", "targets has at most 4 addresses, not \"5\""},
      {"'targets': ['10.0.0.1:0']", "targets must be ADDRESS:PORT, each of them, not \"10.0.0.1:0\""},
      {"'targets': ['10.0.0.1:1', '10.0.0.1:1']", "targets has an address twice, not \"10.0.0.1:1\""},
      {"'targets': ['[::1]:1']", "targets must be of the IP version that is listened on, not \"[::1]:1\""},
      {"'targets': ['127.0.0.1:5004']", "targets must not be what is listened on, not \"127.0.0.1:5004\""},
      {"'cpu': -1", "cpu must be a whole number from 0 to 4095, not \"-1\""},
      {"'preview': {'per_second': 50}", "preview.per_second must be a number from 0 to 5, not \"50\""},
      {"'preview': {'per_second': 0.001}", "preview.per_second must be 0 (none), or at least 0.01, not \"0.001\""},
      {"'next_hop': '02:00:00:00:00'",
       "next_hop must be an Ethernet address such as 02:00:00:00:00:01, not \"02:00:00:00:00\""},
      {"'next_hop': '02:00:00:00:00:01'", "next_hop is for backend dpdk: the kernel knows its own"},
      {"'backend': 'netmap'", "backend must be io_uring or dpdk, not \"netmap\""},
      {"'dpdk_port': 'net_ring0'", "dpdk_port is for backend dpdk"},
      {"'payload_type': 128", "payload_type must be a whole number from 0 to 127, not \"128\""},
      {"'interface': 'eth0'",
       "interface must be the numeric address of one, of the IP version that is listened on, not \"eth0\""},
      {"'interlaced': 'no'", "interlaced must be true or false, not \"no\""}};
  for (const auto& [text, error] : cases) EXPECT_THAT(wrong(with(text)), ElementsAre(error));
  EXPECT_THAT(wrong(with(""), "Cam"), ElementsAre(HasSubstr("name must be")));
  EXPECT_THAT(wrong(with(""), ""), ElementsAre(HasSubstr("name must be")));
  EXPECT_THAT(wrong("{'listen': '0.0.0.0:5004', 'sampling': 'RGB', 'depth': 8, 'width': 32767, 'height': 32767}"),
              ElementsAre(HasSubstr("width times height is at most 67108864 pixels")));
  EXPECT_THAT(wrong(with("'backend': 'dpdk'")), ElementsAre(HasSubstr("dpdk_port is missing")));
}

TEST(StreamConfigTest, DepthBoundsWindowAndRule) {
  EXPECT_EQ(window_capacity(8), 1024u);
  EXPECT_EQ(window_capacity(10), 1024u);
  EXPECT_EQ(window_capacity(16), 32u);
  const std::string deep = "{'listen': '0.0.0.0:1', 'sampling': 'RGB', 'depth': 16, 'width': 8, 'height': 8, ";
  EXPECT_THAT(wrong(deep + "'window': {'frames': 33}}"), ElementsAre(HasSubstr("from 1 to 32")));
  EXPECT_THAT(wrong(deep + "'rule': 'pillow'}"), ElementsAre("rule pillow is for a depth of 8, not \"16\""));
}

TEST(StreamConfigTest, ADescriptionStandsForTheFormat) {
  const std::string sdp =
      "v=0\\r\\no=- 1 1 IN IP4 10.0.0.1\\r\\ns=cam\\r\\nc=IN IP4 239.1.1.1/16\\r\\nt=0 0\\r\\nm=video 5004 RTP/AVP "
      "112\\r\\n"
      "a=rtpmap:112 raw/90000\\r\\na=fmtp:112 sampling=YCbCr-4:2:2; width=1280; height=720; depth=10; "
      "colorimetry=BT709-2\\r\\n";
  const StreamConfig config = good("{'sdp': '" + sdp + "'}");
  EXPECT_EQ(config.listen.text(), "239.1.1.1:5004");
  EXPECT_EQ(config.format.width, 1280u);
  EXPECT_EQ(config.format.depth, 10u);
  EXPECT_EQ(config.payload_type, 112);
  EXPECT_EQ(config.colorimetry, "BT709-2");
  EXPECT_EQ(good("{'sdp': '" + sdp + "', 'listen': '127.0.0.1:9'}").listen.text(), "127.0.0.1:9");
  EXPECT_THAT(wrong("{'sdp': '" + sdp + "', 'width': 8}"), ElementsAre("width is said by sdp already"));
  EXPECT_THAT(wrong("{'sdp': 'v=0', 'listen': '127.0.0.1:9'}"), Contains(HasSubstr("sdp is not taken")));
}

TEST(StreamConfigTest, SomeOfItChangesWhileItRuns) {
  const StreamConfig config = good(with("'targets': ['10.0.0.9:5006']"));
  const auto next = changed(config, object("{'window': {'average_frames': 8}, 'rule': 'vips', 'targets': []}"));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->live.smoothing, compute::video::Smoothing::exponential);
  EXPECT_EQ(next->live.rule, compute::Rule::vips);
  EXPECT_TRUE(next->targets.empty());
  EXPECT_EQ(next->format, config.format);
  EXPECT_EQ(changed(config, {}).value(), config);
  const StreamConfig card = good(with("'backend': 'dpdk', 'dpdk_port': 'pci0', 'next_hop': '02:00:00:00:00:01'"));
  EXPECT_EQ(changed(card, object("{'targets': []}"))->next_hop, card.next_hop);
  EXPECT_EQ(changed(card, object("{'next_hop': '02:00:00:00:00:02'}"))->next_hop, (net::udp::Mac{2, 0, 0, 0, 0, 2}));
  EXPECT_EQ(changed(card, object("{'next_hop': ''}"))->next_hop, std::nullopt);
  const auto none = changed(config, object("{'depth': 10, 'cpu': 1}"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().size(), 2u);
  EXPECT_THAT(text_of(none.error().front()), HasSubstr("depth is unknown here; there are rule, window, clip_limit"));
}

std::vector<std::string> file_errors(const std::string& text) {
  const TemporaryFolder folder;
  const auto parsed = daemon::parse_options(std::vector<std::string>{"--config", folder.file("c.toml", text)}, {});
  return parsed ? std::vector<std::string>{} : parsed.error();
}

TEST(StreamConfigTest, TheFileHasTablesAndTheirErrorsHaveTheirLine) {
  const std::string table =
      "[[stream]]\nname = \"a\"\nlisten = \"127.0.0.1:5004\"\nsampling = \"RGB\"\ndepth = 8\nwidth = 64\nheight = 48\n";
  EXPECT_THAT(file_errors(table), IsEmpty());
  EXPECT_THAT(file_errors("max-page = 1\n" + table + "colour = 1\n\n[[stream]]\ndepth = 11\n"),
              AllOf(Contains(AllOf(HasSubstr("c.toml:2: stream \"a\": colour is unknown"))),
                    Contains(HasSubstr("c.toml:11: stream \"\": depth must be 8")),
                    Contains(HasSubstr("c.toml:11: stream \"\": name must be")), Contains(HasSubstr("max-page"))));
  EXPECT_THAT(file_errors(table + table), ElementsAre(HasSubstr("has the name of another one")));
  std::string other = table;
  other.replace(other.find("\"a\""), 3, "\"b\"");
  EXPECT_THAT(file_errors(table + other), ElementsAre(HasSubstr("listens where stream \"a\" does: 127.0.0.1:5004")));
  EXPECT_THAT(file_errors("stream = 5\n"), ElementsAre(HasSubstr("stream must be tables: [[stream]]")));
  EXPECT_THAT(file_errors(table + "backend = \"dpdk\"\ndpdk_port = \"net_ring0\"\n"),
              ElementsAre(HasSubstr("stream \"a\" has backend dpdk, which needs --dpdk")));
  std::string many;
  for (unsigned i = 0; i < 17; ++i)
    many += "[[stream]]\nname = \"s" + std::to_string(i) + "\"\nlisten = \"127.0.0.1:" + std::to_string(6000 + i) +
            "\"\nsampling = \"RGB\"\ndepth = 8\nwidth = 64\nheight = 48\n";
  EXPECT_THAT(file_errors(many), ElementsAre(HasSubstr("there are 17 streams; at most 16 are possible")));
}

TEST(StreamConfigTest, DevicesOfDpdkAreAddressesInTheKernelsForm) {
  EXPECT_THAT(*read_pci_addresses(""), IsEmpty());
  EXPECT_THAT(*read_pci_addresses("0000:3b:02.0,,10000:e1:00.7,"), ElementsAre("0000:3b:02.0", "10000:e1:00.7"));
  // The last is what remains of a variable that Kubernetes does not know.
  for (const std::string wrong : {"3b:02.0", "0000:3B:02.0", "0000:3b:02.8", "0000:3b:2.0", "0000-3b-02.0", "eth1",
                                  "0000:3b:02.0 ", "000000000:3b:02.0", "$(PCIDEVICE_HISTOD_IO_DPDK)"}) {
    EXPECT_THAT(read_pci_addresses("0000:3b:02.0," + wrong).error(), HasSubstr("by \"" + wrong + "\""));
    const auto refused = daemon::parse_options(std::vector<std::string>{"--dpdk-pci=" + wrong}, {});
    ASSERT_FALSE(refused) << wrong;
    EXPECT_THAT(refused.error(), ElementsAre(HasSubstr("--dpdk-pci names no PCI address")));
  }
}

TEST(StreamConfigTest, ADeviceIsNamedByItsPlaceToo) {
  const std::vector<std::string> pci{"0000:3b:02.0", "0000:3b:02.1"};
  EXPECT_EQ(device_named("pci0", pci), "0000:3b:02.0");
  EXPECT_EQ(device_named("pci1", pci), "0000:3b:02.1");
  for (const std::string own : {"0000:3b:02.1", "net_ring0", "net_af_packet0,iface=eth1"})
    EXPECT_EQ(device_named(own, pci), own);
  for (const std::string none : {"pci2", "pci", "pci-1", "pci0x", "pci99999999999999999999"})
    EXPECT_THAT(device_named(none, pci).error(), HasSubstr(none + " is none of the 2 devices"));
  EXPECT_FALSE(device_named("pci0", {}));
}

TEST(StreamConfigTest, HelpAndPrintedConfigurationHaveThem) {
  EXPECT_THAT(daemon::help_text(), AllOf(HasSubstr("[[stream]]"), HasSubstr("at most 16"), HasSubstr("--stream-cpus")));
  daemon::ParsedOptions parsed;
  parsed.options.streams.push_back(good(with("'window': {'frames': 5}")));
  EXPECT_THAT(daemon::print_config(parsed),
              AllOf(HasSubstr("[[stream]]\nname = \"cam-1\"\nlisten = \"127.0.0.1:5004\"\n"),
                    HasSubstr("window = { frames = 5 }\n")));
}

}  // namespace
}  // namespace histod::test
