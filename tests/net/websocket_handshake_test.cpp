// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/http/message.hpp"
#include "net/http/websocket.hpp"
#include "tests/net/requests.hpp"
#include "tests/net/websocket_rig.hpp"

// The upgrade request: RFC 6455, 4.2.1 and 4.2.2.

namespace histod::test {
namespace {

using net::http::Field;
using net::http::RequestHead;

/// A valid handshake, of which tests spoil one thing.
struct Upgrade {
  Upgrade() {
    head.method = "GET";
    head.target = head.path = "/socket";
  }
  Upgrade&& without(std::string_view name) && {
    std::erase_if(fields, [name](const Field& field) { return field.name == name; });
    return std::move(*this);
  }
  Upgrade&& with(std::string_view name, std::string_view value) && {
    fields.push_back({name, value});
    return std::move(*this);
  }
  Upgrade&& having(std::string_view name, std::string_view value) && {
    for (Field& field : fields) {
      if (field.name == name) field.value = value;
    }
    return std::move(*this);
  }
  /// "" when it is valid, else status and rule.
  std::string trouble() {
    head.fields = fields;
    const auto refusal = net::http::websocket_trouble(head);
    return refusal ? std::to_string(refusal->status) + " " + refusal->detail : "";
  }
  bool asks() {
    head.fields = fields;
    return net::http::is_websocket_upgrade(head);
  }

  RequestHead head;
  std::vector<Field> fields = {{"Host", "test"},
                               {"Upgrade", "websocket"},
                               {"Connection", "Upgrade"},
                               {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                               {"Sec-WebSocket-Version", "13"}};
};

TEST(WebSocketHandshake, IsValidInAllItsSpellings) {
  EXPECT_EQ(Upgrade().trouble(), "");
  EXPECT_EQ(Upgrade().having("Upgrade", "WebSocket").trouble(), "");
  EXPECT_EQ(Upgrade().having("Upgrade", "h2c, websocket").trouble(), "");
  EXPECT_EQ(Upgrade().having("Connection", "keep-alive, Upgrade").trouble(), "");
  EXPECT_EQ(Upgrade().having("Connection", ",upgrade ,").trouble(), "");
  EXPECT_EQ(Upgrade().having("Connection", "keep-alive").with("connection", "UPGRADE").trouble(), "");
  EXPECT_EQ(Upgrade().having("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==").trouble(), "");
  EXPECT_EQ(Upgrade().having("Sec-WebSocket-Key", "+/+/+/+/+/+/+/+/+/+/+w==").trouble(), "");
  EXPECT_EQ(Upgrade().with("Sec-WebSocket-Protocol", "a, b.c").with("Sec-WebSocket-Extensions", "x").trouble(), "");
  Upgrade with_length;
  with_length.head.content_length = 0;
  EXPECT_EQ(with_length.trouble(), "");
}

TEST(WebSocketHandshake, NeedsGetAndHttp11AndNoBody) {
  Upgrade post;
  post.head.method = "POST";
  EXPECT_EQ(post.trouble(), "400 a WebSocket begins with GET");
  Upgrade old;
  old.head.version_minor = 0;
  EXPECT_EQ(old.trouble(), "400 a WebSocket begins with HTTP/1.1");
  Upgrade body;
  body.head.content_length = 1;
  EXPECT_EQ(body.trouble(), "400 a WebSocket begins without a body");
  Upgrade chunks;
  chunks.head.chunked = true;
  EXPECT_EQ(chunks.trouble(), "400 a WebSocket begins without a body");
}

TEST(WebSocketHandshake, NeedsUpgradeAndConnection) {
  const std::string no_upgrade = "400 the field Upgrade does not say websocket";
  EXPECT_EQ(Upgrade().without("Upgrade").trouble(), no_upgrade);
  EXPECT_EQ(Upgrade().having("Upgrade", "h2c").trouble(), no_upgrade);
  EXPECT_EQ(Upgrade().having("Upgrade", "websockets").trouble(), no_upgrade);
  EXPECT_EQ(Upgrade().having("Upgrade", "").trouble(), no_upgrade);
  const std::string no_connection = "400 the field Connection does not say upgrade";
  EXPECT_EQ(Upgrade().without("Connection").trouble(), no_connection);
  EXPECT_EQ(Upgrade().having("Connection", "keep-alive").trouble(), no_connection);
  EXPECT_EQ(Upgrade().having("Connection", "upgraded, not-upgrade").trouble(), no_connection);
}

TEST(WebSocketHandshake, SpeaksVersion13Only) {
  for (const char* const version : {"8", "14", "013", "13, 8", "1 3", ""}) {
    EXPECT_EQ(Upgrade().having("Sec-WebSocket-Version", version).trouble(),
              "426 only version 13 of WebSocket is spoken")
        << version;
  }
  const std::string wanted_once = "400 the field Sec-WebSocket-Version is wanted once";
  EXPECT_EQ(Upgrade().without("Sec-WebSocket-Version").trouble(), wanted_once);
  EXPECT_EQ(Upgrade().with("sec-websocket-version", "13").trouble(), wanted_once);
}

TEST(WebSocketHandshake, NeedsAKeyOf16Bytes) {
  const std::string wanted_once = "400 the field Sec-WebSocket-Key is wanted once";
  EXPECT_EQ(Upgrade().without("Sec-WebSocket-Key").trouble(), wanted_once);
  EXPECT_EQ(Upgrade().with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").trouble(), wanted_once);
  for (const char* const key : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
                                "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZ-==",
                                "SGVsbG8sIHdvcmxkIQ==", "dGhlIHNhbXBsZSBub25jZTE=", "dGhlIHNhbXBs ZSBub25jQ=="}) {
    EXPECT_EQ(Upgrade().having("Sec-WebSocket-Key", key).trouble(), "400 Sec-WebSocket-Key is not 16 bytes in base64")
        << key;
  }
}

TEST(WebSocketHandshake, IsAskedForByTheFieldUpgradeAlone) {
  EXPECT_TRUE(Upgrade().asks());
  EXPECT_TRUE(Upgrade().without("Connection").without("Sec-WebSocket-Key").asks()) << "badly, but it asks";
  EXPECT_FALSE(Upgrade().without("Upgrade").asks());
  EXPECT_FALSE(Upgrade().having("Upgrade", "h2c").asks());
}

TEST(WebSocketHandshake, ReadsTheOfferedSubprotocols) {
  Upgrade upgrade;
  upgrade.fields.push_back({"Sec-WebSocket-Protocol", "histod.events, ticket.abc"});
  upgrade.fields.push_back({"sec-websocket-protocol", " ,third"});
  upgrade.head.fields = upgrade.fields;
  EXPECT_EQ(net::http::websocket_subprotocols(upgrade.head),
            (std::vector<std::string_view>{"histod.events", "ticket.abc", "third"}));
  EXPECT_EQ(Upgrade().with("Sec-WebSocket-Protocol", "a b").trouble(),
            "400 Sec-WebSocket-Protocol is not a list of tokens");
}

TEST(WebSocketHandshake, AnswersAsTheRfcSays) {
  WebSocketRig rig;
  HttpClient client(rig.server.port());
  ASSERT_TRUE(
      client.send(upgrade_request("Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                  "Sec-WebSocket-Protocol: one, two\r\n")));
  const auto reply = client.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 101u);
  EXPECT_EQ(reply->version, "HTTP/1.1");
  EXPECT_EQ(reply->field("upgrade"), "websocket");
  EXPECT_EQ(reply->field("connection"), "upgrade");
  EXPECT_EQ(reply->field("sec-websocket-accept"), k_accept_of_the_rfc);
  EXPECT_EQ(reply->field("sec-websocket-extensions"), "") << "nothing is compressed";
  EXPECT_EQ(reply->field("sec-websocket-protocol"), "") << "none was chosen";
  EXPECT_EQ(reply->field("x-path"), "/socket") << "fields of the response go with it";
  EXPECT_EQ(reply->field("date").size(), 29u);
  EXPECT_EQ(reply->field("content-length"), "");
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
}

TEST(WebSocketHandshake, EchoesTheChosenSubprotocol) {
  WebSocketRig rig({.subprotocol = "histod.events"});
  HttpClient client(rig.server.port());
  ASSERT_TRUE(client.send(upgrade_request("Sec-WebSocket-Protocol: histod.events, ticket.abc\r\n")));
  EXPECT_EQ(client.read()->field("sec-websocket-protocol"), "histod.events");
}

TEST(WebSocketHandshake, ABadOneIsAnsweredAndTheConnectionLivesOn) {
  WebSocketRig rig;
  HttpClient client(rig.server.port());
  ASSERT_TRUE(client.send(get("/socket") + get("/socket", "Upgrade: websocket\r\n")));
  EXPECT_EQ(client.read()->body, "websocket|the field Upgrade does not say websocket|0|0|/socket");
  EXPECT_EQ(client.read()->body, "websocket|the field Connection does not say upgrade|0|0|/socket");
  const std::string fields = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: ";
  ASSERT_TRUE(client.send(get("/socket", fields + "short\r\nSec-WebSocket-Version: 13\r\n")));
  EXPECT_EQ(client.read()->status, 400u);
  ASSERT_TRUE(client.send(get("/socket", fields + "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n")));
  const auto other_version = client.read();
  EXPECT_EQ(other_version->status, 426u);
  EXPECT_EQ(other_version->field("sec-websocket-version"), "13");
  EXPECT_EQ(other_version->field("upgrade"), "websocket");
  ASSERT_TRUE(
      client.send(post("/socket", "body", fields + "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")));
  EXPECT_EQ(client.read()->status, 400u);
  ASSERT_TRUE(client.send(upgrade_request()));
  EXPECT_EQ(client.read()->status, 101u) << "the sixth is a good one";
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.opened == 1; }));
  EXPECT_EQ(rig.server.stats().websockets_opened.get(), 1u);
}

TEST(WebSocketHandshake, Http10CannotHaveOne) {
  WebSocketRig rig;
  std::string request = upgrade_request();
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  const auto reply = http_exchange(rig.server.port(), request);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 400u);
}

TEST(WebSocketHandshake, AHandlerThatUpgradesWhatCannotBeGets500) {
  WebSocketRig rig;
  HttpClient client(rig.server.port());
  ASSERT_TRUE(client.send(get("/socket-anyway") + get("/hello")));
  const auto reply = client.read();
  EXPECT_EQ(reply->status, 500u);
  EXPECT_TRUE(reply->body.starts_with("internal|")) << reply->body;
  EXPECT_EQ(client.read()->body, "hello");
  EXPECT_TRUE(rig.until([](SocketLog& log) { return log.destroyed == 1 && log.opened == 0; }));
}

TEST(WebSocketHandshake, FramesMayComeWithTheRequest) {
  WebSocketRig rig;
  HttpClient client(rig.server.port());
  std::string all = get("/hello") + upgrade_request();
  for (int i = 0; i < 300; ++i) all += text_frame("message " + std::to_string(i));
  ASSERT_TRUE(client.send(all));
  EXPECT_EQ(client.read()->body, "hello");
  EXPECT_EQ(client.read()->status, 101u);
  for (int i = 0; i < 300; ++i) {
    const auto frame = read_frame(client);
    ASSERT_TRUE(frame) << i;
    ASSERT_EQ(frame->payload, "message " + std::to_string(i));
  }
  rig.server.on_loop([&] { EXPECT_EQ(rig.server.pool().stats().leases, 0u) << "what came early went home"; });
}

TEST(WebSocketHandshake, ALongFirstMessageMayComeWithTheRequest) {
  WebSocketRig rig({.message_bytes_max = 60'000});
  HttpClient client(rig.server.port());
  const std::string message(50'000, 'x');
  ASSERT_TRUE(client.send(upgrade_request() + text_frame(message)));
  EXPECT_EQ(client.read()->status, 101u);
  const auto frame = read_frame(client);
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->payload == message);
}

TEST(WebSocketHandshake, ComesByteByByte) {
  WebSocketRig rig;
  HttpClient client(rig.server.port());
  for (const char c : upgrade_request() + text_frame("slow")) ASSERT_TRUE(client.send({&c, 1}));
  EXPECT_EQ(client.read()->status, 101u);
  EXPECT_EQ(read_frame(client)->payload, "slow");
}

}  // namespace
}  // namespace histod::test
