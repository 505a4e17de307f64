// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/transfer.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <random>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace histod::ctl {
namespace {

constexpr std::size_t k_error_body_bytes_max = 64u << 10;
constexpr long k_connect_timeout_s = 10;
constexpr std::chrono::seconds k_retry_after_max{60};
constexpr std::chrono::milliseconds k_back_off_first{200};
constexpr std::chrono::milliseconds k_back_off_max{5'000};

/// 0.2 s, 0.4 s, ... up to 5 s, each shortened at random by up to a half, so that clients do not come back in step.
std::chrono::milliseconds back_off(unsigned tries) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto full = std::min(k_back_off_first * (1 << std::min(tries, 10u)), k_back_off_max);
  return full / 2 + std::chrono::milliseconds(std::uniform_int_distribution<int>(0, int(full.count() / 2))(random));
}

bool is_transport(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
      return true;
    default:
      return false;
  }
}

void trim(std::string_view& text) {
  constexpr std::string_view k_blank = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(k_blank), text.size()));
  text = text.substr(0, text.find_last_not_of(k_blank) + 1);
}

}  // namespace

Transfer::Transfer(const Settings& settings, Request request, Client::Done done, std::uint64_t& bytes_moved)
    : settings_(settings), request_(std::move(request)), done_(std::move(done)), bytes_moved_(bytes_moved) {
  easy_ = curl_easy_init();
  assert(easy_ != nullptr);
  for (const std::string& field : request_.fields) fields_ = curl_slist_append(fields_, field.c_str());
  if (!settings.token.empty()) {
    fields_ = curl_slist_append(fields_, ("Authorization: Bearer " + settings.token).c_str());
  }
}

Transfer::~Transfer() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(fields_);
  curl_mime_free(form_);
  if (upload_fd_ >= 0) ::close(upload_fd_);
}

Result<void> Transfer::prepare() {
  const unsigned tries = reply_.tries;
  reply_ = {};
  reply_.tries = tries + 1;
  error_[0] = 0;
  if (request_.sink_fd >= 0 && (::ftruncate(request_.sink_fd, 0) != 0 || ::lseek(request_.sink_fd, 0, SEEK_SET) != 0)) {
    return fail(Exit::some_failed, fmt::format("cannot rewind the output: {}", std::strerror(errno)));
  }
  curl_easy_reset(easy_);
  set_common();
  if (!request_.upload) return {};
  return request_.upload->as_form ? set_form() : set_upload();
}

void Transfer::set_common() {
  curl_easy_setopt(easy_, CURLOPT_URL, (settings_.server + request_.target).c_str());
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, "histoctl/" HISTOD_VERSION);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT, k_connect_timeout_s);
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT, settings_.timeout_s);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, fields_);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, header_callback);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, write_callback);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  if (!settings_.cacert.empty()) curl_easy_setopt(easy_, CURLOPT_CAINFO, settings_.cacert.c_str());
  // A proxy of the environment is for the outside: this machine is always reached directly.
  const char* direct = std::getenv("no_proxy");
  const std::string hosts = fmt::format("{}{}localhost,127.0.0.1,::1", direct ? direct : "", direct ? "," : "");
  curl_easy_setopt(easy_, CURLOPT_NOPROXY, hosts.c_str());
}

Result<void> Transfer::open_upload() {
  const Upload& upload = *request_.upload;
  if (upload.path.empty() || upload_fd_ >= 0) return {};
  upload_fd_ = ::open(upload.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (upload_fd_ < 0) return fail(Exit::some_failed, fmt::format("cannot read: {}", std::strerror(errno)));
  return {};
}

Result<void> Transfer::set_upload() {
  if (const auto opened = open_upload(); !opened) return opened;
  upload_at_ = 0;
  curl_off_t bytes = 0;
  if (upload_fd_ >= 0) {
    struct stat about = {};
    if (::fstat(upload_fd_, &about) != 0 || !S_ISREG(about.st_mode)) {
      return fail(Exit::some_failed, S_ISDIR(about.st_mode) ? "is a folder" : "not a regular file (send it through -)");
    }
    bytes = about.st_size;
  } else {
    bytes = static_cast<curl_off_t>(request_.upload->data->size());
  }
  curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, bytes);
  curl_easy_setopt(easy_, CURLOPT_READFUNCTION, read_callback);
  curl_easy_setopt(easy_, CURLOPT_READDATA, this);
  curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION, seek_callback);
  curl_easy_setopt(easy_, CURLOPT_SEEKDATA, this);
  return {};
}

Result<void> Transfer::set_form() {
  const Upload& upload = *request_.upload;
  for (const std::string& path : {upload.path, upload.mask_path}) {
    if (!path.empty() && ::access(path.c_str(), R_OK) != 0) {
      return fail(Exit::some_failed,
                  fmt::format("{}cannot read: {}", path == upload.mask_path ? "mask: " : "", std::strerror(errno)));
    }
  }
  curl_mime_free(form_);
  form_ = curl_mime_init(easy_);
  curl_mimepart* image = curl_mime_addpart(form_);
  curl_mime_name(image, "image");
  if (upload.path.empty()) {
    curl_mime_data(image, upload.data->data(), upload.data->size());
  } else {
    curl_mime_filedata(image, upload.path.c_str());
  }
  curl_mime_filename(image, upload.filename.c_str());
  if (!upload.mask_path.empty()) {
    curl_mimepart* mask = curl_mime_addpart(form_);
    curl_mime_name(mask, "mask");
    curl_mime_filedata(mask, upload.mask_path.c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_MIMEPOST, form_);
  return {};
}

unsigned Transfer::status() const {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<unsigned>(status);
}

std::optional<std::chrono::milliseconds> Transfer::retry_delay(CURLcode code) const {
  if (request_.any_status && code == CURLE_OK) return std::nullopt;
  if (reply_.tries > settings_.retries) return std::nullopt;
  if (request_.once && code != CURLE_OK && code != CURLE_COULDNT_CONNECT) return std::nullopt;
  if (is_transport(code)) return read_failed_ ? std::nullopt : std::optional(back_off(reply_.tries - 1));
  const bool busy = status() == 429 || status() == 503 || (request_.retry_5xx && status() >= 500);
  if (code != CURLE_OK || !busy) return std::nullopt;
  curl_off_t wanted_s = 0;
  curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &wanted_s);
  if (wanted_s <= 0) return back_off(reply_.tries - 1);
  return std::chrono::seconds(std::min<curl_off_t>(wanted_s, k_retry_after_max.count()));
}

Failure Transfer::failure_of(CURLcode code) const {
  const char* why = error_[0] ? error_ : curl_easy_strerror(code);
  Failure failure;
  double connected_s = 0;
  curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME, &connected_s);
  if (code == CURLE_WRITE_ERROR) {
    failure.text = fmt::format("cannot write the result: {}", std::strerror(write_errno_));
  } else if (code == CURLE_READ_ERROR || code == CURLE_ABORTED_BY_CALLBACK || read_failed_) {
    failure.text = "the file could not be read to its end";
  } else if (code == CURLE_OPERATION_TIMEDOUT && connected_s > 0) {
    failure.text = fmt::format("no complete answer in time (limit {} s, --timeout)", settings_.timeout_s);
  } else {
    failure.exit = Exit::unreachable;
    failure.text = fmt::format("cannot reach {}: {}", settings_.server, one_line(why));
  }
  return failure;
}

void Transfer::finish(CURLcode code) {
  if (code != CURLE_OK) return finish(failure_of(code));
  reply_.status = status();
  const bool good = reply_.status >= 200 && reply_.status < 300;
  if (!good && !request_.any_status) return finish(failure_of_response(reply_.status, reply_.body));
  done_(std::move(reply_));
}

void Transfer::finish(Failure failure) { done_(std::unexpected(std::move(failure))); }

std::size_t Transfer::take_header(std::string_view line) {
  const std::size_t whole = line.size();
  if (line.starts_with("HTTP/")) reply_.fields.clear();  // an interim response came before
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return whole;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  line.remove_prefix(colon + 1);
  trim(line);
  reply_.fields.insert_or_assign(std::move(name), std::string(line));
  return whole;
}

std::size_t Transfer::take_body(std::string_view bytes) {
  reply_.body_bytes += bytes.size();
  bytes_moved_ += bytes.size();
  const bool good = status() >= 200 && status() < 300;
  if (!good) {
    reply_.body.append(bytes.substr(0, k_error_body_bytes_max - std::min(reply_.body.size(), k_error_body_bytes_max)));
    return bytes.size();
  }
  if (request_.sink_fd < 0) {
    reply_.body.append(bytes);
    return bytes.size();
  }
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t written = ::write(request_.sink_fd, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      write_errno_ = errno;
      return 0;
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return bytes.size();
}

std::size_t Transfer::give_body(char* buffer, std::size_t bytes_max) {
  std::size_t got = 0;
  if (upload_fd_ < 0) {
    const std::string& data = *request_.upload->data;
    got = std::min(bytes_max, data.size() - static_cast<std::size_t>(upload_at_));
    std::memcpy(buffer, data.data() + upload_at_, got);
  } else {
    ssize_t read = 0;
    do {
      read = ::pread(upload_fd_, buffer, bytes_max, static_cast<off_t>(upload_at_));
    } while (read < 0 && errno == EINTR);
    if (read < 0) {
      read_failed_ = true;
      return CURL_READFUNC_ABORT;
    }
    got = static_cast<std::size_t>(read);
  }
  upload_at_ += got;
  bytes_moved_ += got;
  return got;
}

int Transfer::seek_body(std::int64_t offset) {
  upload_at_ = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

std::size_t Transfer::header_callback(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<Transfer*>(self)->take_header({data, size * count});
}

std::size_t Transfer::write_callback(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<Transfer*>(self)->take_body({data, size * count});
}

std::size_t Transfer::read_callback(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<Transfer*>(self)->give_body(data, size * count);
}

int Transfer::seek_callback(void* self, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  return static_cast<Transfer*>(self)->seek_body(offset);
}

}  // namespace histod::ctl
