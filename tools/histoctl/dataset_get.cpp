// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>

#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/dataset.hpp"
#include "tools/histoctl/output_file.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace fs = std::filesystem;
namespace {

struct Download {
  std::string job;
  std::string path;
  std::uint64_t bytes = 0;
};

/// What a file of this type may be called; the first is what it is called here.
std::span<const std::string_view> extensions_of(std::string_view media_type) {
  static constexpr std::array<std::string_view, 1> k_png{".png"};
  static constexpr std::array<std::string_view, 3> k_jpeg{".jpg", ".jpeg", ".jfif"};
  static constexpr std::array<std::string_view, 2> k_tiff{".tif", ".tiff"};
  static constexpr std::array<std::string_view, 2> k_pgm{".pgm", ".pnm"};
  static constexpr std::array<std::string_view, 2> k_ppm{".ppm", ".pnm"};
  static constexpr std::array<std::string_view, 1> k_pam{".pam"};
  if (media_type == "image/png") return k_png;
  if (media_type == "image/jpeg") return k_jpeg;
  if (media_type == "image/tiff") return k_tiff;
  if (media_type == "image/x-portable-graymap") return k_pgm;
  if (media_type == "image/x-portable-pixmap") return k_ppm;
  if (media_type == "image/x-portable-arbitrarymap") return k_pam;
  return {};
}

/// A name for a file in this folder and no other, whatever the server says the original was called.
fs::path safe_name(const json::value& job) {
  std::string name = fs::path(text_field(job, "input", "filename")).filename().string();
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/') c = '_';
  }
  if (name == "." || name == "..") name.clear();
  if (name.starts_with('.')) name[0] = '_';  // no hidden files
  return name.empty() ? field(job, "id") : name;
}

fs::path result_name(const json::value& job) {
  fs::path name = safe_name(job);
  const auto extensions = extensions_of(text_field(job, "result", "media_type"));
  std::string extension = name.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
  if (extensions.empty() || std::ranges::find(extensions, extension) != extensions.end()) return name;
  return name.replace_extension(extensions.front());
}

bool is_plain_id(std::string_view id) {
  return !id.empty() && std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

std::string with_id(const fs::path& name, const std::string& job) {
  return fmt::format("{}_{}{}", name.stem().string(), job, name.extension().string());
}

/// Where several results would have one name, each has its job's id in it. Images that are not done yet count too: so
/// a name does not depend on when somebody asks.
Result<std::vector<Download>> plan_downloads(Client& client, const std::string& id, const fs::path& folder) {
  const auto dataset = fetch_json(client, dataset_target(id));
  if (!dataset) return std::unexpected(dataset.error());
  const bool one_format = !text_field(*dataset, "options", "format").empty();
  std::map<fs::path, std::size_t> uses;
  std::vector<json::value> done;
  const auto key_of = [&](const json::value& job) { return one_format ? safe_name(job).stem() : safe_name(job); };
  const auto listed = for_each_image(client, id, "", [&](const json::value& job) {
    ++uses[key_of(job)];
    if (text_field(job, "state") == "done") done.push_back(job);
  });
  if (!listed) return std::unexpected(listed.error());
  std::set<fs::path> taken;
  std::vector<Download> downloads;
  for (const json::value& job : done) {
    Download download{.job = text_field(job, "id"), .path = {}, .bytes = number_field(job, "result", "bytes")};
    if (!is_plain_id(download.job)) return fail(Exit::some_failed, "the server's list holds a job without a proper id");
    fs::path name = result_name(job);
    if (uses[key_of(job)] > 1 || !taken.insert(name).second) name = with_id(name, download.job);
    download.path = (folder / name).string();
    downloads.push_back(std::move(download));
  }
  return downloads;
}

class Getter {
 public:
  Getter(const Arguments& arguments, Client& client, std::vector<Download> downloads)
      : arguments_(arguments),
        downloads_(std::move(downloads)),
        client_(client),
        console_({.json = arguments.has("json"), .quiet = arguments.has("quiet")}, downloads_.size()) {}

  Exit run() {
    const std::uint64_t before = client_.bytes_moved();
    if (console_.has_bar()) {
      client_.on_tick([this, before] { console_.draw(client_.bytes_moved() - before); });
    }
    const std::uint64_t parallel = arguments_.number("parallel", 4);
    for (std::uint64_t i = 0; i < parallel; ++i) start_next();
    if (!client_.run()) return Exit::interrupted;
    if (next_ < downloads_.size()) {
      console_.report("",
                      fail(Exit::some_failed, fmt::format("{} more not asked for", downloads_.size() - next_)).error());
    }
    console_.summary(fmt::format("{} fetched, {} there already, {} failed, {:.1f} s, {} received",
                                 verdict_.succeeded() - skipped_, skipped_, downloads_.size() - verdict_.succeeded(),
                                 console_.elapsed_s(),
                                 bytes_text(static_cast<double>(client_.bytes_moved() - before))));
    return verdict_.exit();
  }

 private:
  void start_next() {
    client_.after({}, [this] { fetch_next(); });
  }

  void fetch_next() {
    if (next_ == downloads_.size() || verdict_.hopeless()) return;
    const Download& download = downloads_[next_++];
    const auto wanted = is_wanted(download);
    if (!wanted) return settle(download, std::unexpected(wanted.error()));
    if (!*wanted) {
      ++skipped_;
      return settle(download, {}, true);
    }
    auto output = OutputFile::create(download.path);
    if (!output) return settle(download, std::unexpected(std::move(output.error())));
    Request request{.method = "GET", .target = "/v1/jobs/" + download.job + "/result", .fields = {}, .upload = {}};
    request.sink_fd = output->fd();
    client_.start(std::move(request), [this, &download, output = std::move(*output)](Result<Reply> reply) mutable {
      if (!reply) return settle(download, std::unexpected(std::move(reply.error())));
      settle(download, output.commit(arguments_.has("overwrite")));
    });
  }

  /// A file that is there may be this result, or a precious one.
  Result<bool> is_wanted(const Download& download) const {
    std::error_code error;
    if (!fs::exists(fs::symlink_status(download.path, error))) return true;
    const std::uintmax_t bytes = fs::is_regular_file(download.path, error) ? fs::file_size(download.path, error) : 0;
    if (arguments_.has("resume") && !error && bytes == download.bytes) return false;
    if (arguments_.has("overwrite")) return true;
    if (arguments_.has("resume")) {
      return fail(Exit::some_failed,
                  fmt::format("{} is another file, by its size (--overwrite replaces it)", download.path));
    }
    return fail(Exit::some_failed,
                fmt::format("{} exists already (--overwrite replaces it, --resume keeps it)", download.path));
  }

  void settle(const Download& download, const Result<void>& stored, bool skipped = false) {
    console_.item_done();
    json::object record{{"job_id", download.job}, {"output", download.path}, {"ok", stored.has_value()}};
    if (!stored) {
      verdict_.add(stored.error());
      console_.report(download.job, stored.error());
      record["error"] = to_json(stored.error());
    } else {
      verdict_.add_success();
      record["skipped"] = skipped;
    }
    if (arguments_.has("json")) print(to_text(record) + "\n");
    start_next();
  }

  const Arguments& arguments_;
  std::vector<Download> downloads_;
  Client& client_;
  Console console_;
  Verdict verdict_;
  std::size_t next_ = 0;
  std::size_t skipped_ = 0;
};

}  // namespace

Result<Exit> get_images(const Arguments& arguments, const Settings& settings, const std::string& id) {
  const std::string folder = arguments.get("output");
  if (folder.empty() || folder == "-") return fail(Exit::usage, "dataset get: say which folder (-o FOLDER)");
  Client client(settings);
  auto downloads = plan_downloads(client, id, folder);
  if (!downloads) return std::unexpected(std::move(downloads.error()));
  if (downloads->empty()) return fail(Exit::some_failed, "no result is there yet (histoctl dataset apply makes them)");
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder, error)) return fail(Exit::usage, fmt::format("{}: cannot make the folder", folder));
  return Getter(arguments, client, std::move(*downloads)).run();
}

}  // namespace histod::ctl
