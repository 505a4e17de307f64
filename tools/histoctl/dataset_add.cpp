// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/dataset.hpp"
#include "tools/histoctl/image_files.hpp"
#include "tools/histoctl/interrupt.hpp"
#include "tools/histoctl/job_wait.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

/// SHA-256 of a file, in hex.
Result<std::string> digest_of_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(Exit::some_failed, fmt::format("cannot read: {}", std::strerror(errno)));
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  std::vector<char> buffer(256u << 10);
  ssize_t got = 0;
  do {
    got = interrupted() ? 0 : ::read(fd, buffer.data(), buffer.size());
    if (got > 0) EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(got));
  } while (got > 0 || (got < 0 && errno == EINTR));
  const int failed = got < 0 ? errno : 0;
  ::close(fd);
  if (interrupted()) return fail(Exit::interrupted, "interrupted");
  if (failed != 0) return fail(Exit::some_failed, fmt::format("cannot read: {}", std::strerror(failed)));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned bytes = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &bytes);
  std::string hex;
  for (unsigned i = 0; i < bytes; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

class Adder {
 public:
  Adder(const Arguments& arguments, const Settings& settings, const std::string& id, std::vector<std::string> files)
      : arguments_(arguments),
        files_(std::move(files)),
        client_(settings),
        id_(id),
        console_({.json = arguments.has("json"), .quiet = arguments.has("quiet")}, files_.size()) {}

  Result<Exit> run() {
    const char* const known_by = by_reference() ? "file" : "sha256";
    const auto listed = for_each_image(
        client_, id_, "", [&](const json::value& job) { there_.insert(text_field(job, "input", known_by)); });
    if (!listed) return std::unexpected(listed.error());
    if (console_.has_bar()) {
      client_.on_tick([this] { console_.draw(client_.bytes_moved()); });
    }
    const std::uint64_t parallel = arguments_.number("parallel", 4);
    for (std::uint64_t i = 0; i < parallel; ++i) start_next();
    if (!client_.run()) return Exit::interrupted;
    if (next_ < files_.size()) {
      console_.report("", fail(Exit::some_failed, fmt::format("{} more not sent", files_.size() - next_)).error());
    }
    console_.summary(fmt::format("{} added, {} there already, {} failed, {:.1f} s, {} sent and received",
                                 verdict_.succeeded() - skipped_, skipped_, files_.size() - verdict_.succeeded(),
                                 console_.elapsed_s(), bytes_text(static_cast<double>(client_.bytes_moved()))));
    return verdict_.exit();
  }

 private:
  /// From the loop, so that signals and the progress bar have their turn between files that need not be sent.
  void start_next() {
    client_.after({}, [this] { send_next(); });
  }

  bool by_reference() const { return arguments_.has("by-reference"); }

  void send_next() {
    if (next_ == files_.size() || verdict_.hopeless()) return;
    const std::string& file = files_[next_++];
    if (by_reference()) return name_file(file);
    auto upload = make_upload(arguments_, file);
    const auto digest = upload ? digest_of_file(file) : std::unexpected(upload.error());
    if (!digest) return settle(file, std::unexpected(digest.error()));
    if (!there_.insert(*digest).second) return settle(file, std::nullopt);
    upload->as_form = true;  // tells the file's name
    Request request{.method = "POST",
                    .target = dataset_target(id_) + "/images",
                    .fields = {"Idempotency-Key: " + new_idempotency_key()},
                    .upload = std::move(*upload)};
    start(std::move(request), file);
  }

  /// The daemon reads it itself.
  void name_file(const std::string& file) {
    const std::string_view name = std::string_view(file).substr(file.starts_with("file:") ? 5 : 0);
    if (!there_.emplace(name).second) return settle(file, std::nullopt);
    Request request{.method = "POST",
                    .target = dataset_target(id_) + "/images" + reference_query(arguments_, file),
                    .fields = {"Content-Length: 0", "Idempotency-Key: " + new_idempotency_key()},
                    .upload = {}};
    start(std::move(request), file);
  }

  void start(Request request, const std::string& file) {
    client_.start(std::move(request), [this, &file](Result<Reply> reply) {
      settle(file, reply ? job_id_of(reply->body) : std::unexpected(std::move(reply.error())));
    });
  }

  /// With the new job's id, or none if the image was there already.
  void settle(const std::string& file, Result<std::optional<std::string>> job) {
    console_.item_done();
    json::object record{{"file", file}, {"ok", job.has_value()}};
    if (!job) {
      verdict_.add(job.error());
      if (job.error().exit != Exit::interrupted) console_.report(file, job.error());
      record["error"] = to_json(job.error());
    } else {
      verdict_.add_success();
      if (!*job) ++skipped_;
      record["skipped"] = !job->has_value();
      if (*job) record["job_id"] = **job;
    }
    if (arguments_.has("json")) print(to_text(record) + "\n");
    start_next();
  }

  const Arguments& arguments_;
  std::vector<std::string> files_;  // outlives what the client has under way, which points into it
  Client client_;
  std::string id_;
  Console console_;
  Verdict verdict_;
  std::unordered_set<std::string> there_;  ///< SHA-256, or name, of what is there or on its way
  std::size_t next_ = 0;
  std::size_t skipped_ = 0;
};

}  // namespace

Result<Exit> add_images(const Arguments& arguments, const Settings& settings, const std::string& id) {
  const std::span names = std::span(arguments.operands).subspan(2);
  if (arguments.has("by-reference") && arguments.has("recursive"))
    return fail(Exit::usage, "--recursive: not with --by-reference, which takes files");
  if (arguments.has("by-reference"))
    return Adder(arguments, settings, id, std::vector(names.begin(), names.end())).run();
  for (const char* const option : {"result", "overwrite"})
    if (arguments.has(option)) return fail(Exit::usage, fmt::format("--{}: only with --by-reference", option));
  auto files = files_of(names, arguments.has("recursive"));
  if (!files) return std::unexpected(files.error());
  if (std::ranges::find(*files, "-") != files->end()) return fail(Exit::usage, "dataset add: takes files, not -");
  return Adder(arguments, settings, id, std::move(*files)).run();
}

}  // namespace histod::ctl
