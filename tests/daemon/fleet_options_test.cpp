// SPDX-License-Identifier: Apache-2.0
#include "daemon/fleet_options.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "daemon/node_identity.hpp"
#include "tests/daemon/memory_disk.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> errors(const std::vector<std::string>& args) {
  const auto result = parse_options(args, {});
  return result ? std::vector<std::string>{} : result.error();
}

Options parsed(const std::vector<std::string>& args) {
  const auto result = parse_options(args, {});
  EXPECT_TRUE(result) << (result ? "" : result.error().front());
  return result ? result->options : Options();
}

TEST(FleetOptions, ServersAreHostsWithPorts) {
  for (const char* good :
       {"", "zk1:2181", "zk1:2181,zk2.example.org:2182,10.0.0.1:65535", "[::1]:2181,[2001:db8::7]:1"})
    EXPECT_THAT(errors({"--zookeeper=" + std::string(good)}), IsEmpty()) << good;
  for (const char* bad : {"zk1", "zk1:", ":2181", "zk1:0", "zk1:65536", "zk1:2181x", "zk1:+1", "zk 1:2181", "zk1:2181,",
                          ",zk1:2181", "zk1:2181, zk2:2181", "::1:2181", "[::1:2181", "[zk1]:2181", "user@zk1:2181"})
    EXPECT_THAT(errors({"--zookeeper=" + std::string(bad)}), Not(IsEmpty())) << bad;
  EXPECT_THAT(errors({"--zookeeper=zk1:2181,zk2:1,zk1:2181"}), ElementsAre("--zookeeper names zk1:2181 twice"));
  EXPECT_THAT(errors({"--zookeeper=zk1:2181/histod"}), ElementsAre(HasSubstr("--zookeeper-root")));
  std::string many = "zk:1";
  for (int port = 2; port <= 33; ++port) many += ",zk:" + std::to_string(port);
  EXPECT_THAT(errors({"--zookeeper=" + many}), ElementsAre("--zookeeper names 33 servers, but at most 32 are allowed"));
  EXPECT_THAT(zookeeper_servers(parsed({"--zookeeper=zk1:2181,zk2:2182"})), ElementsAre("zk1:2181", "zk2:2182"));
  EXPECT_THAT(zookeeper_servers(parsed({})), IsEmpty());
}

TEST(FleetOptions, RootsNamesAndUrlsHaveTheirShapes) {
  const std::pair<const char*, bool> cases[] = {{"--zookeeper-root=/a/b-c.d_e", true},
                                                {"--zookeeper-root=/", false},
                                                {"--zookeeper-root=", false},
                                                {"--zookeeper-root=histod", false},
                                                {"--zookeeper-root=/histod/", false},
                                                {"--zookeeper-root=/a//b", false},
                                                {"--zookeeper-root=/a/../b", false},
                                                {"--zookeeper-root=/zookeeper", false},
                                                {"--zookeeper-root=/zookeeper/quota", false},
                                                {"--zookeeper-root=/zookeepers", true},
                                                {"--node-name=rack1.node-2_x", true},
                                                {"--node-name=", false},
                                                {"--node-name=two words", false},
                                                {"--node-name=a/b", false},
                                                {"--node-name=.hidden", false},
                                                {"--advertise-url=", true},
                                                {"--advertise-url=http://node1:8080", true},
                                                {"--advertise-url=https://[2001:db8::1]:8443", true},
                                                {"--advertise-url=https://node1.example.org", true},
                                                {"--advertise-url=node1:8080", false},
                                                {"--advertise-url=http://", false},
                                                {"--advertise-url=http://node1:0", false},
                                                {"--advertise-url=http://node1:8080/", false},
                                                {"--advertise-url=http://user:pw@node1:8080", false},
                                                {"--advertise-url=ftp://node1:8080", false},
                                                {"--min-nodes=1", true},
                                                {"--min-nodes=0", false},
                                                {"--min-nodes=10001", false},
                                                {"--zookeeper-session-timeout=1s", true},
                                                {"--zookeeper-session-timeout=999ms", false},
                                                {"--zookeeper-session-timeout=10min", true},
                                                {"--zookeeper-session-timeout=11min", false}};
  for (const auto& [argument, valid] : cases) EXPECT_EQ(errors({argument}).empty(), valid) << argument;
  EXPECT_THAT(errors({"--node-name=" + std::string(65, 'a')}), Not(IsEmpty()));
}

TEST(FleetOptions, ErrorsAreReportedTogether) {
  EXPECT_THAT(errors({"--zookeeper=zk1", "--zookeeper-root=x", "--advertise-url=y", "--node-name=/", "--min-nodes=0"}),
              ElementsAre(HasSubstr("--min-nodes"), HasSubstr("--zookeeper takes HOST:PORT"),
                          HasSubstr("--zookeeper-root"), HasSubstr("--advertise-url"), HasSubstr("--node-name")));
  EXPECT_THAT(errors({"--zookeeper-credential-file=f"}), ElementsAre(HasSubstr("--zookeeper is not")));
}

TEST(FleetOptions, APeerTokenIsForMembersOnly) {
  EXPECT_THAT(errors({"--peer-token-file=f"}), ElementsAre(HasSubstr("anybody could enter the fleet")));
  EXPECT_THAT(errors({"--peer-token-file=f", "--zookeeper=zk1:2181"}), ElementsAre(HasSubstr("anybody could enter")));
  EXPECT_THAT(errors({"--peer-token-file=f", "--zookeeper=zk1:2181", "--zookeeper-credential-file=g"}), IsEmpty());
  EXPECT_THAT(errors({"--peer-ca-file=c"}), ElementsAre(HasSubstr("no other node is asked")));
}

TEST(FleetOptions, WebhooksAreSigned) {
  EXPECT_THAT(errors({"--webhook-allow=ci.example"}), ElementsAre(HasSubstr("belong together")));
  EXPECT_THAT(errors({"--webhook-secret-file=f"}), ElementsAre(HasSubstr("belong together")));
  EXPECT_THAT(errors({"--webhook-allow=ci.example,10.0.0.1:8080,[::1]:90", "--webhook-secret-file=f"}), IsEmpty());
  for (const char* bad : {"--webhook-allow=http://ci.example", "--webhook-allow=a,", "--webhook-allow=a:0"})
    EXPECT_THAT(errors({bad, "--webhook-secret-file=f"}), ElementsAre(HasSubstr("HOST[:PORT]"))) << bad;
}

TEST(FleetOptions, APeerTokenIsOneLineInAFileOfItsOwner) {
  const test::TemporaryFolder folder;
  const auto read = [&](const std::string& content, unsigned mode = 0600) {
    return read_secret(folder.file("token", content, mode));
  };
  for (const char* end : {"", "\n", "\r\n"}) {
    EXPECT_EQ(read(std::string("0123456789abcdef") + end), "0123456789abcdef");
    EXPECT_EQ(read(std::string(512, 'x') + end), std::string(512, 'x'));
  }
  EXPECT_EQ(read("0123456789abcdef", 0400), "0123456789abcdef");
  for (const unsigned mode : {0604u, 0620u, 0660u, 0601u, 0666u}) {
    const auto refused = read("0123456789abcdef", mode);
    ASSERT_FALSE(refused) << std::oct << mode;
    EXPECT_THAT(refused.error(), HasSubstr("chmod 0600"));
  }
  for (const std::string& bad : {std::string(), std::string("\n"), std::string("0123456789abcde"),
                                 std::string(513, 'x'), std::string(5'000, 'x'), std::string("0123456789abcdef\n\n"),
                                 std::string("0123456789 abcdef"), std::string("0123456789abcdef\nmore"),
                                 std::string("0123456789abcdef\xc3\xa9"), std::string("0123456789abcdef\0", 17)}) {
    const auto refused = read(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error(), Not(HasSubstr("0123456789abcde")));
  }
  EXPECT_THAT(read_secret((folder.path() / "none").string()).error(), HasSubstr("No such file"));
  EXPECT_THAT(read_secret(folder.path().string()).error(), HasSubstr("it is no file"));
}

TEST(FleetOptions, OnlyRootMayLetAGroupReadASecret) {
  for (const uid_t owner : {0u, 1u, 65532u}) {
    for (const mode_t mode : {0400u, 0600u, 0700u, 0100600u}) EXPECT_TRUE(is_private(mode, owner)) << mode;
    for (const mode_t mode : {0604u, 0620u, 0660u, 0610u, 0601u, 0602u, 0444u, 0666u})
      EXPECT_FALSE(is_private(mode, owner)) << mode;
    for (const mode_t mode : {0440u, 0640u, 0100440u}) EXPECT_EQ(is_private(mode, owner), owner == 0) << mode;
  }
  const test::TemporaryFolder folder;
  const std::string path = folder.file("token", "0123456789abcdef", 0440);
  EXPECT_EQ(read_secret(path).has_value(), ::getuid() == 0);
  if (::getuid() != 0) return;
  ASSERT_EQ(::chown(path.c_str(), 65532, 65532), 0);
  EXPECT_THAT(read_secret(path).error(), HasSubstr("chmod 0600"));
}

TEST(FleetOptions, PeersAreToldWhatIsListenedOn) {
  const auto url = [](const std::vector<std::string>& args) { return advertised_url(parsed(args), 4711); };
  EXPECT_EQ(url({}), "http://127.0.0.1:4711");
  EXPECT_EQ(url({"--listen=10.1.2.3:0", "--listen=127.0.0.1:1"}), "http://10.1.2.3:4711");
  EXPECT_EQ(url({"--listen=[2001:db8::1]:0"}), "http://[2001:db8::1]:4711");
  EXPECT_EQ(url({"--listen=0.0.0.0:0"}), "http://" + default_node_name() + ":4711");
  EXPECT_EQ(url({"--listen=[::]:0", "--tls-cert=c", "--tls-key=k"}), "https://" + default_node_name() + ":4711");
  EXPECT_EQ(url({"--advertise-url=https://front:443"}), "https://front:443");
  for (const char* near : {"http://127.0.0.1:1", "https://[::1]:1", "http://localhost:1"})
    EXPECT_TRUE(is_loopback_url(near));
  for (const char* far : {"http://10.0.0.1:1", "https://[2001:db8::1]:1", "http://node1"})
    EXPECT_FALSE(is_loopback_url(far));
}

TEST(FleetOptions, BecomeTheFleets) {
  const test::TemporaryFolder folder;
  const std::string credential = folder.file("zookeeper", "histod:0123456789abcdef\n");
  const auto made = fleet_options(
      parsed({"--zookeeper=zk1:2181", "--zookeeper-credential-file", credential, "--node-name=n1", "--min-nodes=3",
              "--zookeeper-root=/x", "--zookeeper-session-timeout=4s", "--listen=10.1.2.3:0"}),
      "the-id", 80);
  ASSERT_TRUE(made) << made.error();
  EXPECT_EQ(made->settings.root, "/x");
  EXPECT_EQ(made->settings.min_nodes, 3u);
  EXPECT_EQ(made->session_timeout, std::chrono::seconds(4));
  EXPECT_EQ(made->credential.text, "histod:0123456789abcdef");
  const control::Member& self = made->settings.self;
  EXPECT_EQ(std::tie(self.name, self.identity, self.address, self.version),
            std::make_tuple("n1", "the-id", "http://10.1.2.3:80", HISTOD_VERSION));
  EXPECT_GE(self.cpus, 1);

  const auto refused = fleet_options(
      parsed({"--zookeeper=zk1:2181", "--zookeeper-credential-file", folder.file("short", "histod:secret")}), "", 80);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), AllOf(HasSubstr("--zookeeper-credential-file: "), Not(HasSubstr("secret"))));
}

constexpr const char* k_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
constexpr const char* k_other = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
std::string make_id() { return k_id; }
std::string make_other() { return k_other; }

TEST(NodeIdentity, IsMadeOnceAndSurvivesAPowerLoss) {
  test::MemoryDisk disk;
  EXPECT_EQ(node_identity(disk, make_id).value(), k_id);
  EXPECT_EQ(node_identity(disk, make_other).value(), k_id);
  const auto after = disk.after_power_loss(false);
  EXPECT_EQ(node_identity(*after, make_other).value(), k_id);
  for (const char* broken : {"", "short", "01ARZ3NDEKTSV4RRFFQ69G5FA/", "01ARZ3NDEKTSV4RRFFQ69G5FAVX"}) {
    disk.put("node-id", broken);
    EXPECT_EQ(node_identity(disk, make_other).value(), k_other) << broken;
    disk.put("node-id", k_id);
  }
}

TEST(NodeIdentity, ADiskThatFailsIsAnError) {
  std::uint64_t calls = 0;
  {
    test::MemoryDisk disk;
    ASSERT_TRUE(node_identity(disk, make_id));
    calls = disk.calls;
  }
  EXPECT_GE(calls, 4u);
  for (std::uint64_t at = 0; at < calls; ++at) {
    test::MemoryDisk disk;
    disk.fail_at = at;
    EXPECT_FALSE(node_identity(disk, make_id)) << at;
    EXPECT_EQ(node_identity(disk, make_id).value(), k_id) << at;
  }
}

}  // namespace
}  // namespace histod::daemon
