// SPDX-License-Identifier: Apache-2.0
#include "daemon/file_root.hpp"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/jobs/digest.hpp"
#include "tests/daemon/temporary_folder.hpp"

namespace histod::daemon {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr auto k_no_progress = [] {};

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(FileName, IsARootAndAPath) {
  const auto name = parse_file_name("scans/2026/a b.tif");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->root, "scans");
  EXPECT_EQ(name->path, "2026/a b.tif");
  EXPECT_EQ(name->text(), "scans/2026/a b.tif");
  EXPECT_FALSE(name->is_directory());
  EXPECT_EQ(parse_file_name("file:scans/2026/a b.tif"), *name);
  EXPECT_EQ(parse_file_name("scans")->text(), "scans/");
  EXPECT_TRUE(parse_file_name("scans/2026/")->is_directory());
  EXPECT_EQ(parse_file_name("s/..a/.../b..")->path, "..a/.../b..") << "only whole parts of dots go up";
}

TEST(FileName, WhatCouldLeadElsewhereIsRefused) {
  using namespace std::string_literals;
  for (const std::string& bad : {""s,
                                 "/"s,
                                 "/etc/passwd"s,
                                 "file:///etc/passwd"s,
                                 "file:/etc/passwd"s,
                                 "scans//a"s,
                                 "scans/a//b"s,
                                 "scans/../a"s,
                                 "scans/a/.."s,
                                 "scans/a/../../b"s,
                                 "scans/."s,
                                 "scans/./a"s,
                                 "../scans/a"s,
                                 "./a"s,
                                 ".hidden/a"s,
                                 "sc ans/a"s,
                                 "scans/a\0b"s,
                                 "scans/a\nb"s,
                                 "scans/a\x7f"s,
                                 "scans/\xff"s,
                                 "scans/a//"s,
                                 "scans/" + std::string(256, 'a'),
                                 std::string(65, 'n') + "/a",
                                 "scans/" + std::string(600, 'a') + "/" + std::string(600, 'b')}) {
    const auto name = parse_file_name(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().status, 400u) << bad;
    EXPECT_EQ(name.error().code, "bad-option") << bad;
  }
  EXPECT_TRUE(parse_file_name("scans/" + std::string(255, 'a')));
}

TEST(FileRoots, AreNamesAndDirectories) {
  const auto roots = parse_file_roots("scans=/srv/scans,out=/srv/o=u:t:rw");
  ASSERT_TRUE(roots);
  ASSERT_EQ(roots->size(), 2u);
  EXPECT_EQ((*roots)[0].folder, "/srv/scans");
  EXPECT_FALSE((*roots)[0].writable);
  EXPECT_EQ((*roots)[1].name, "out");
  EXPECT_EQ((*roots)[1].folder, "/srv/o=u:t");
  EXPECT_TRUE((*roots)[1].writable);
  EXPECT_THAT(*parse_file_roots(""), IsEmpty());
  for (const char* bad :
       {"scans", "=/srv", "scans=", "scans=mnt", "scans=:rw", "a=/x,a=/y", "a b=/x", ".a=/x", ",", "a=/x,,"})
    EXPECT_FALSE(parse_file_roots(bad)) << bad;
}

TEST(FileRoots, OnlyADirectoryThatIsThereIsOne) {
  const test::TemporaryFolder folder;
  const std::string file = folder.file("file", "x");
  EXPECT_TRUE(FileRoot::open({"a", folder.path(), false}));
  for (const std::string& bad : {file, (folder.path() / "nothing").string()}) {
    const auto root = FileRoot::open({"a", bad, false});
    ASSERT_FALSE(root);
    EXPECT_THAT(root.error(), HasSubstr(bad));
  }
}

class FileRootTest : public testing::Test {
 protected:
  FileRootTest() {
    fs::create_directories(inside_ / "sub/deep");
    put("a.pgm", "the image");
    put("sub/b.pgm", "another");
    std::ofstream(folder_.path() / "secret") << "secret";
  }
  void put(const std::string& path, const std::string& content) const {
    std::ofstream(inside_ / path, std::ios::binary | std::ios::trunc) << content;
  }
  FileRoot root(bool writable = true) const { return std::move(*FileRoot::open({"r", inside_, writable})); }
  static FileName name(const std::string& path) { return {"r", path}; }
  /// What is read; or the problem's status and code.
  static std::string read(const FileRoot& root, const std::string& path) {
    const auto source = root.open_source(name(path));
    if (!source) return told(source.error());
    std::string content(source->bytes(), '\0');
    const auto done = FileRoot::read(*source, std::as_writable_bytes(std::span(content)), k_no_progress);
    return done ? content : told(done.error());
  }
  static std::string told(const api::Problem& problem) { return std::to_string(problem.status) + " " + problem.code; }
  static ResultFile result(const std::string& path, std::string_view content) {
    return {name(path), bytes_of(content), ".histod-job-node", "", false};
  }
  static std::string write(const FileRoot& root, const ResultFile& file) {
    const auto written = root.write(file, k_no_progress);
    return written ? *written : told(written.error());
  }
  std::vector<std::string> names(const std::string& path = ".") const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(inside_ / path)) out.push_back(entry.path().filename());
    return out;
  }

  test::TemporaryFolder folder_;
  fs::path inside_ = folder_.path() / "root";
};

TEST_F(FileRootTest, FilesBelowItAreRead) {
  const FileRoot at = root(false);
  EXPECT_EQ(read(at, "a.pgm"), "the image");
  EXPECT_EQ(read(at, "sub/b.pgm"), "another");
  put("sub/large", std::string(3'000'000, 'x') + "end");
  EXPECT_EQ(read(at, "sub/large"), std::string(3'000'000, 'x') + "end");
}

TEST_F(FileRootTest, ItsDirectoryIsTheOneThatWasOpened) {
  const FileRoot at = root();
  fs::rename(inside_, folder_.path() / "moved");
  fs::create_directory(inside_);
  put("a.pgm", "of somebody else");
  EXPECT_EQ(read(at, "a.pgm"), "the image");
}

TEST_F(FileRootTest, NothingElseThanAFileIsRead) {
  fs::create_symlink(folder_.path() / "secret", inside_ / "out");
  fs::create_symlink("../secret", inside_ / "up");
  fs::create_symlink("a.pgm", inside_ / "in");
  fs::create_directory_symlink("sub", inside_ / "directory");
  fs::create_directory_symlink(folder_.path(), inside_ / "parent");
  fs::create_symlink("/proc/self/root/etc/passwd", inside_ / "magic");
  ASSERT_EQ(::mkfifo((inside_ / "fifo").c_str(), 0600), 0);
  put("empty", "");
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::string place = inside_ / "socket";
  ASSERT_LT(place.size(), sizeof address.sun_path);
  place.copy(address.sun_path, place.size());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);

  const FileRoot at = root();
  for (const char* link :
       {"out", "up", "in", "directory/b.pgm", "parent/secret", "magic", "fifo", "empty", "socket", "sub"})
    EXPECT_EQ(read(at, link), "422 file-refused") << link;
  // The name's own check comes first; should it ever fail, the kernel's does not.
  for (const char* path : {"../secret", "sub/../../secret", "/etc/passwd"})
    EXPECT_EQ(read(at, path), "422 file-refused") << path;
  for (const char* path : {"nothing", "nothing/a", "a.pgm/a"}) EXPECT_EQ(read(at, path), "404 not-found") << path;
  EXPECT_EQ(read(at, std::string(256, 'a')), "400 bad-option");
  EXPECT_EQ(read(at, "sub/"), "400 bad-option");
  EXPECT_EQ(read(*FileRoot::open({"dev", "/dev", false}), "null"), "422 file-refused");
}

TEST_F(FileRootTest, AFileThatMayNotBeReadIsRefused) {
  ::chmod((inside_ / "a.pgm").c_str(), 0);
  const bool everything = ::access((inside_ / "a.pgm").c_str(), R_OK) == 0;
  EXPECT_EQ(read(root(), "a.pgm"), everything ? "the image" : "422 file-refused") << "root may read everything";
}

TEST_F(FileRootTest, AFileThatChangesMeanwhileIsNotTaken) {
  const FileRoot at = root();
  const auto change = [&](auto how) {
    put("a.pgm", "the image");
    const auto source = at.open_source(name("a.pgm"));
    std::string content(source->bytes(), '\0');
    how();
    const auto done = FileRoot::read(*source, std::as_writable_bytes(std::span(content)), k_no_progress);
    return done ? content : told(done.error());
  };
  EXPECT_EQ(change([] {}), "the image");
  EXPECT_EQ(change([&] { put("a.pgm", "THE image"); }), "409 file-changed");
  EXPECT_EQ(change([&] { put("a.pgm", "short"); }), "409 file-changed");
  EXPECT_EQ(change([&] { put("a.pgm", "the image, and more"); }), "409 file-changed");
  EXPECT_EQ(change([&] {
              put("other", "the other");
              fs::rename(inside_ / "other", inside_ / "a.pgm");
            }),
            "409 file-changed")
      << "another file has its name now";
}

/// Somebody puts a link in the file's and in the directory's place, again and again, while it is opened.
TEST_F(FileRootTest, NoRaceLeadsOut) {
  fs::create_directory(folder_.path() / "elsewhere");
  std::ofstream(folder_.path() / "elsewhere/b.pgm") << "secret";
  fs::create_directory_symlink(folder_.path() / "elsewhere", inside_ / "link");
  std::atomic<bool> stop{false};
  std::thread swapper([&] {
    while (!stop) {
      const std::string sub = inside_ / "sub", link = inside_ / "link";
      ::renameat2(AT_FDCWD, sub.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
    }
  });
  const FileRoot at = root();
  int read_well = 0, refused = 0;
  for (int i = 0; i < 20'000 && (i < 2'000 || read_well == 0 || refused == 0); ++i) {
    const std::string content = read(at, "sub/b.pgm");
    read_well += content == "another";
    refused += content == "422 file-refused";
    if (content == "secret") ADD_FAILURE() << "a link was followed";
  }
  stop = true;
  swapper.join();
  EXPECT_GT(read_well + refused, 0);
}

TEST_F(FileRootTest, ATargetIsAFileOrADirectoryThatIsThere) {
  const FileRoot at = root();
  EXPECT_EQ(at.check_target(name("sub/new.png"))->path, "sub/new.png");
  EXPECT_EQ(at.check_target(name("sub"))->path, "sub/") << "it is a directory";
  EXPECT_EQ(at.check_target(name("sub/deep/"))->path, "sub/deep/");
  EXPECT_EQ(at.check_target(name(""))->path, "");
  EXPECT_EQ(told(at.check_target(name("nothing/")).error()), "404 not-found");
  EXPECT_EQ(told(at.check_target(name("nothing/a.png")).error()), "404 not-found");
  EXPECT_EQ(told(at.check_target(name("a.pgm/")).error()), "404 not-found");
  fs::create_directory_symlink(folder_.path(), inside_ / "parent");
  EXPECT_EQ(told(at.check_target(name("parent/a.png")).error()), "422 file-refused");
  EXPECT_EQ(told(root(false).check_target(name("sub/new.png")).error()), "403 no-file-root");
}

TEST_F(FileRootTest, AResultIsWrittenWholeAndUnderItsNameAlone) {
  const FileRoot at = root();
  const std::string content = std::string(2'500'000, 'r') + "!";
  EXPECT_EQ(write(at, result("sub/deep/r.png", content)), jobs::sha256_hex(content));
  EXPECT_EQ(content_of(inside_ / "sub/deep/r.png"), content);
  EXPECT_THAT(names("sub/deep"), UnorderedElementsAre("r.png"));
  EXPECT_EQ(write(root(false), result("sub/deep/other.png", content)), "403 no-file-root");
  EXPECT_EQ(write(at, result("nothing/r.png", content)), "404 not-found");
}

TEST_F(FileRootTest, WhatAnAttemptLeftBehindIsNoObstacle) {
  put(".histod-job-node", "half a res");
  EXPECT_EQ(write(root(), result("r.png", "whole")), jobs::sha256_hex("whole"));
  EXPECT_EQ(content_of(inside_ / "r.png"), "whole");
  EXPECT_THAT(names(), UnorderedElementsAre("a.pgm", "sub", "r.png"));
}

TEST_F(FileRootTest, WhatIsThereIsReplacedByWhoWroteItAlone) {
  const FileRoot at = root();
  EXPECT_EQ(write(at, result("a.pgm", "mine")), "409 file-exists");
  EXPECT_EQ(write(at, result("sub", "mine")), "409 file-exists");
  EXPECT_EQ(content_of(inside_ / "a.pgm"), "the image");
  EXPECT_EQ(write(at, result("a.pgm", "the image")), jobs::sha256_hex("the image")) << "it is there already";

  ResultFile again = result("r.png", "first");
  again.ours_sha256 = write(at, again);
  again.bytes = bytes_of("second, by other tables");
  EXPECT_EQ(write(at, again), jobs::sha256_hex("second, by other tables"));
  EXPECT_EQ(content_of(inside_ / "r.png"), "second, by other tables");
  EXPECT_EQ(write(at, again), jobs::sha256_hex("second, by other tables")) << "it was not noted that it is written";
  put("r.png", "somebody's");
  EXPECT_EQ(write(at, again), "409 file-exists");
  EXPECT_EQ(content_of(inside_ / "r.png"), "somebody's");
  again.overwrite = true;
  EXPECT_EQ(write(at, again), jobs::sha256_hex("second, by other tables"));
  EXPECT_THAT(names(), UnorderedElementsAre("a.pgm", "sub", "r.png"));
}

TEST_F(FileRootTest, ALinkInTheTargetsPlaceIsNotWrittenThrough) {
  const FileRoot at = root();
  fs::create_symlink(folder_.path() / "secret", inside_ / "r.png");
  fs::create_directory_symlink(folder_.path(), inside_ / "parent");
  fs::create_symlink(folder_.path() / "secret", inside_ / ".histod-job-node");
  EXPECT_EQ(write(at, result("r.png", "result")), "409 file-exists");
  EXPECT_EQ(write(at, result("parent/r.png", "result")), "422 file-refused");
  ResultFile over = result("r.png", "result");
  over.overwrite = true;
  EXPECT_EQ(write(at, over), jobs::sha256_hex("result"));
  EXPECT_FALSE(fs::is_symlink(inside_ / "r.png"));
  EXPECT_EQ(content_of(folder_.path() / "secret"), "secret");
}

/// A volume that takes no more: here by the limit on a file's size.
TEST_F(FileRootTest, AResultThatFindsNoRoomLeavesNothing) {
  const FileRoot at = root();
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{100'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string told = write(at, result("r.png", std::string(200'000, 'r')));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(told, "503 file-failed");
  EXPECT_THAT(names(), UnorderedElementsAre("a.pgm", "sub"));
}

TEST_F(FileRootTest, ProgressIsToldPieceByPiece) {
  put("large", std::string(5u << 20, 'x'));
  const FileRoot at = root();
  const auto source = at.open_source(name("large"));
  std::string content(source->bytes(), '\0');
  int pieces = 0;
  ASSERT_TRUE(FileRoot::read(*source, std::as_writable_bytes(std::span(content)), [&] { ++pieces; }));
  EXPECT_GE(pieces, 5);
  pieces = 0;
  ASSERT_TRUE(at.write(result("r.png", content), [&] { ++pieces; }));
  EXPECT_GE(pieces, 5);
}

}  // namespace
}  // namespace histod::daemon
