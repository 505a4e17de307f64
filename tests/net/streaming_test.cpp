// SPDX-License-Identifier: Apache-2.0
// Responses that are sent while they are made, and bodies that are looked at while they come in.
#include <string>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/net/requests.hpp"
#include "tests/net/test_server.hpp"
#include "tests/support/http_client.hpp"

namespace histod::test {
namespace {

class Streaming : public testing::Test {
 protected:
  /// On the loop's thread, as whoever makes the body does it.
  void grow(std::size_t ready_bytes) {
    server_.on_loop([&] {
      server_.handler().growing.ready_bytes = ready_bytes;
      server_.handler().growing_for->body_grew();
    });
  }
  void begin(std::size_t bytes, std::size_t ready_bytes) {
    server_.on_loop([&] {
      server_.handler().growing.text = noise(bytes);
      server_.handler().growing.ready_bytes = ready_bytes;
    });
    ASSERT_TRUE(client_.send(get("/streamed")));
    ASSERT_TRUE(server_.eventually([&] { return server_.handler().growing_for != nullptr; }));
  }
  bool released() {
    return server_.eventually([&] { return server_.handler().growing.releases == 1; });
  }
  TestServer server_;
  HttpClient client_{server_.port()};
};

TEST_F(Streaming, SendsWhatIsReadyAndWaitsForTheRest) {
  begin(3'000'000, 0);
  for (const std::size_t ready : {1uz, 2uz, 70'000uz, 70'000uz, 2'999'999uz, 3'000'000uz}) grow(ready);
  const auto reply = client_.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200u);
  EXPECT_EQ(reply->field("content-length"), "3000000");
  EXPECT_EQ(reply->field("x-streamed"), "yes");
  EXPECT_TRUE(reply->body == noise(3'000'000));
  EXPECT_TRUE(released());
  ASSERT_TRUE(client_.send(get("/hello")));
  EXPECT_EQ(client_.read()->body, "hello") << "the connection goes on";
}

TEST_F(Streaming, SendsWhatIsReadyAtOnceAtOnce) {
  begin(100, 100);
  EXPECT_TRUE(client_.read()->body == noise(100));
  EXPECT_TRUE(released());
}

/// A body whose length nobody knows when it begins.
class UnknownLength : public Streaming {
 protected:
  UnknownLength() {
    server_.on_loop([&] { server_.handler().growing.known = server_.handler().growing.known_from_start = false; });
  }
  void end() {
    server_.on_loop([&] {
      server_.handler().growing.known = true;
      server_.handler().growing_for->body_grew();
    });
  }
};

TEST_F(UnknownLength, GoesOutAsItGrowsAndEndsWithTheTrailer) {
  begin(3'000'000, 0);
  for (const std::size_t ready : {1uz, 70'000uz, 70'000uz, 3'000'000uz}) grow(ready);
  end();
  const auto reply = client_.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->field("transfer-encoding"), "chunked");
  EXPECT_EQ(reply->field("content-length"), "");
  EXPECT_EQ(reply->field("trailer"), "X-At-The-End");
  EXPECT_TRUE(reply->body == noise(3'000'000));
  ASSERT_GE(reply->chunks.size(), 2u);
  EXPECT_EQ(reply->chunks.back(), 0u);
  ASSERT_EQ(reply->trailers.size(), 1u);
  EXPECT_EQ(reply->trailers[0], std::pair(std::string("X-At-The-End"), std::string("it was long")));
  EXPECT_TRUE(released());
  ASSERT_TRUE(client_.send(get("/hello")));
  EXPECT_EQ(client_.read()->body, "hello") << "the connection goes on";
}

TEST_F(UnknownLength, TheFirstBytesAreThereBeforeTheLast) {
  begin(100'000, 60'000);
  std::string seen;
  while (!seen.ends_with(noise(100'000).substr(59'000, 1'000))) {
    char some[4'096];
    const auto got = ::recv(client_.fd(), some, sizeof some, 0);
    ASSERT_GT(got, 0) << "nothing more came, though 60000 bytes are ready";
    seen.append(some, static_cast<std::size_t>(got));
  }
  EXPECT_NE(seen.find("\r\n\r\nea60\r\n"), std::string::npos) << "one chunk of 60000 bytes";
  grow(100'000);
  end();
  EXPECT_TRUE(released());
}

TEST_F(UnknownLength, AnEmptyOneIsOnlyTheLastChunk) {
  begin(0, 0);
  end();
  const auto reply = client_.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "");
  EXPECT_EQ(reply->chunks, std::vector<std::size_t>{0});
}

TEST_F(UnknownLength, IsOrdinaryWhenItsLengthIsKnownInTime) {
  server_.on_loop([&] { server_.handler().growing.known = true; });
  begin(5'000, 5'000);
  const auto reply = client_.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->field("content-length"), "5000");
  EXPECT_TRUE(reply->chunks.empty());
  EXPECT_TRUE(reply->body == noise(5'000));
}

TEST_F(UnknownLength, Http10WaitsForTheLength) {
  server_.on_loop([&] { server_.handler().growing.text = noise(90'000) + "spare"; });
  server_.on_loop([&] { server_.handler().growing.spare_bytes = 5; });
  ASSERT_TRUE(client_.send("GET /streamed HTTP/1.0\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(server_.eventually([&] { return server_.handler().growing_for != nullptr; }));
  for (const std::size_t ready : {10uz, 90'000uz}) grow(ready);
  end();
  const auto reply = client_.read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->field("content-length"), "90000");
  EXPECT_EQ(reply->field("transfer-encoding"), "");
  EXPECT_TRUE(reply->body == noise(90'000));
  EXPECT_TRUE(client_.closed_by_peer());
}

TEST_F(UnknownLength, WhatFailsHalfWayIsNotTakenForWhole) {
  begin(100'000, 40'000);
  server_.on_loop([&] {
    server_.handler().growing.broken = true;
    server_.handler().growing_for->body_grew();
  });
  const std::string all = client_.read_to_end();
  EXPECT_NE(all.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_FALSE(all.ends_with("0\r\n\r\n")) << "no last chunk";
  EXPECT_TRUE(released());
}

TEST_F(UnknownLength, AClientThatGoesAwayReleasesTheBody) {
  begin(64u << 20, 1'000);
  client_.reset();
  grow(64u << 20);
  EXPECT_TRUE(released());
}

TEST_F(Streaming, AHeadRequestGetsTheLengthOnly) {
  server_.on_loop([&] { server_.handler().growing.text = noise(500); });
  ASSERT_TRUE(client_.send("HEAD /streamed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  EXPECT_NE(client_.read_to_end().find("Content-Length: 500\r\n"), std::string::npos);
  EXPECT_TRUE(released());
}

TEST_F(Streaming, AClientThatGoesAwayReleasesTheBody) {
  begin(64u << 20, 1'000);
  client_.reset();
  grow(64u << 20);
  EXPECT_TRUE(released());
}

TEST_F(Streaming, ABodyThatNeverGrowsEndsWithTheServer) {
  begin(1'000, 10);
  server_.on_loop([&] { server_.server().abort(); });
  EXPECT_TRUE(released());
  grow(1'000);  // too late, and nothing happens
}

/// Remembers what it saw.
struct Watcher final : net::http::BodyWatcher {
  void received(std::span<std::byte> so_far) override {
    same_place = same_place && (first == nullptr || first == so_far.data());
    first = so_far.data();
    grew = grew && so_far.size() > seen;
    seen = so_far.size();
  }
  void handle(net::http::Request request, net::http::Responder responder) override {
    same_place = same_place && (first == nullptr || first == request.body.data());
    handled.assign(reinterpret_cast<const char*>(request.body.data()), request.body.size());
    net::http::Response response;
    response.body = std::string("watched");
    responder.send(std::move(response));
  }
  void abandoned(net::Lease lease) override {
    ++abandonments;
    kept = std::move(lease);
  }
  std::byte* first = nullptr;
  std::size_t seen = 0;
  bool same_place = true, grew = true;
  std::string handled;
  int abandonments = 0;
  net::Lease kept;
};

class Watched : public testing::Test {
 protected:
  Watched() {
    server_.on_loop([&] { server_.handler().watcher = &watcher_; });
  }
  ~Watched() override {
    server_.on_loop([&] { watcher_.kept.reset(); });
  }
  Watcher watcher_;
  TestServer server_;
  HttpClient client_{server_.port()};
};

TEST_F(Watched, SeesTheBodyGrowAndAnswers) {
  for (const std::size_t bytes : {1uz, 100uz, 100'000uz, 5'000'000uz}) {
    server_.on_loop([&] { watcher_ = {}; });
    const std::string body = noise(bytes);
    ASSERT_TRUE(client_.send(post("/watched", body)));
    EXPECT_EQ(client_.read()->body, "watched");
    server_.on_loop([&] {
      EXPECT_TRUE(watcher_.handled == body) << bytes;
      EXPECT_TRUE(watcher_.same_place);
      EXPECT_TRUE(watcher_.grew);
      EXPECT_LE(watcher_.seen, bytes);
      EXPECT_EQ(watcher_.abandonments, 0);
      EXPECT_TRUE(server_.handler().handled.empty());
    });
  }
}

TEST_F(Watched, IsToldWhenTheRestDoesNotCome) {
  const std::string request = post("/watched", noise(1'000'000));
  ASSERT_TRUE(client_.send(request.substr(0, 600'000)));
  ASSERT_TRUE(server_.eventually([&] { return watcher_.seen > 500'000; }));
  client_.reset();
  EXPECT_TRUE(server_.eventually([&] { return watcher_.abandonments == 1; }));
  server_.on_loop([&] {
    EXPECT_TRUE(watcher_.kept) << "it may still be read";
    EXPECT_TRUE(watcher_.handled.empty());
  });
}

TEST_F(Watched, IsToldWhenTheBodyIsRefused) {
  server_.on_loop([&] { server_.handler().body_bytes_max = 10; });
  ASSERT_TRUE(client_.send(post("/watched", noise(1'000))));
  EXPECT_EQ(client_.read()->status, 413u);
  EXPECT_TRUE(server_.eventually([&] { return watcher_.abandonments == 1; }));
}

}  // namespace
}  // namespace histod::test
