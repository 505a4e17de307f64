// SPDX-License-Identifier: Apache-2.0
#include "daemon/shared_files.hpp"

#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "daemon/jobs/digest.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon {
namespace {

using jobs::Outcome;

constexpr std::chrono::seconds k_patience{60};

template <class T>
struct Told {
  std::shared_ptr<std::promise<Outcome<T>>> promise = std::make_shared<std::promise<Outcome<T>>>();
  std::future<Outcome<T>> future = promise->get_future();
  jobs::Reply<T> reply() const {
    return [promise = promise](Outcome<T> outcome) { promise->set_value(std::move(outcome)); };
  }
  bool is_there() const { return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
  Outcome<T> get() {
    if (future.wait_for(k_patience) != std::future_status::ready) throw std::runtime_error("no reply");
    return future.get();
  }
};

class SharedFilesTest : public testing::Test {
 protected:
  SharedFilesTest() { folder_.file("a.pgm", "the image"); }
  std::unique_ptr<SharedFiles> open(std::chrono::steady_clock::duration patience = std::chrono::hours(1)) const {
    std::vector<FileRoot> roots;
    roots.push_back(std::move(*FileRoot::open({"r", folder_.path(), true})));
    return std::make_unique<SharedFiles>(std::move(roots), SharedFiles::Options{patience, "node"});
  }
  /// Keeps the thread until it is released, as a volume would that does not answer.
  std::promise<void> hold(SharedFiles& files) const {
    std::promise<void> release, held;
    files.open_source({"r", "a.pgm"}, [&held, released = release.get_future().share()](const Outcome<SourceFile>&) {
      held.set_value();
      released.wait();
    });
    held.get_future().wait();
    return release;
  }
  test::TemporaryFolder folder_;
};

TEST_F(SharedFilesTest, ReadsAndWrites) {
  const auto files = open();
  Told<SourceFile> opened;
  files->open_source({"r", "a.pgm"}, opened.reply());
  auto source = opened.get();
  ASSERT_TRUE(source);
  std::string content(source->bytes(), '\0');
  Told<void> read;
  files->read(std::move(*source), std::as_writable_bytes(std::span(content)), read.reply());
  ASSERT_TRUE(read.get());
  EXPECT_EQ(content, "the image");

  Told<FileName> checked;
  files->check_target({"r", "b.pgm"}, checked.reply());
  const auto target = checked.get();
  ASSERT_TRUE(target);
  Told<std::string> written;
  files->write({*target, std::as_bytes(std::span(content)), {}, {}, false}, "job", written.reply());
  EXPECT_EQ(written.get().value(), jobs::sha256_hex("the image"));
  std::ifstream in(folder_.path() / "b.pgm");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "the image");
}

TEST_F(SharedFilesTest, ARootThatIsNotThereIsRefusedAtOnce) {
  const auto files = open();
  Told<SourceFile> opened;
  files->open_source({"other", "a.pgm"}, opened.reply());
  ASSERT_TRUE(opened.is_there());
  const auto told = opened.get();
  EXPECT_EQ(told.error().status, 403u);
  EXPECT_EQ(told.error().code, "no-file-root");
}

TEST_F(SharedFilesTest, BehindAVolumeThatDoesNotAnswerNobodyWaitsForLong) {
  const auto files = open(std::chrono::milliseconds(1));
  EXPECT_FALSE(files->stuck());
  auto release = hold(*files);
  Told<SourceFile> waits;
  files->open_source({"r", "a.pgm"}, waits.reply());
  while (!files->stuck()) std::this_thread::yield();
  files->poll();
  EXPECT_EQ(waits.get().error().code, "file-failed");
  Told<SourceFile> later;
  files->open_source({"r", "a.pgm"}, later.reply());
  ASSERT_TRUE(later.is_there());
  EXPECT_EQ(later.get().error().status, 503u);
  release.set_value();
  while (files->stuck()) std::this_thread::yield();
  Told<FileName> again;
  files->check_target({"r", "b.pgm"}, again.reply());
  EXPECT_TRUE(again.get()) << "it answers again";
}

TEST_F(SharedFilesTest, WhoWaitsIsNotRefusedWhileItGoesOn) {
  const auto files = open();
  auto release = hold(*files);
  Told<SourceFile> waits;
  files->open_source({"r", "a.pgm"}, waits.reply());
  files->poll();
  EXPECT_FALSE(waits.is_there());
  release.set_value();
  EXPECT_TRUE(waits.get());
}

TEST_F(SharedFilesTest, WhoWaitsAtTheEndIsToldSo) {
  auto files = open();
  auto release = hold(*files);
  Told<SourceFile> waits, late;
  files->open_source({"r", "a.pgm"}, waits.reply());
  std::thread stopper([&] { files->stop(); });
  EXPECT_EQ(waits.get().error().code, "file-failed");
  files->open_source({"r", "a.pgm"}, late.reply());
  EXPECT_TRUE(late.is_there());
  release.set_value();
  stopper.join();
}

}  // namespace
}  // namespace histod::daemon
