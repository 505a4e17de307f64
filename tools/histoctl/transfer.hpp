// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <curl/curl.h>

#include "tools/histoctl/client.hpp"

namespace histod::ctl {

using Clock = std::chrono::steady_clock;

/// One request and its curl handle through all its tries. Its address is known to curl: it does not move.
class Transfer {
 public:
  Transfer(const Settings& settings, Request request, Client::Done done, std::uint64_t& bytes_moved);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* easy() const { return easy_; }
  /// Makes all ready for a (further) try. Exit::some_failed: the file to send cannot be read.
  Result<void> prepare();
  /// How long to wait before the next try; nothing when the answer is final.
  std::optional<std::chrono::milliseconds> retry_delay(CURLcode code) const;
  /// Hands the outcome on; the last call to be made.
  void finish(CURLcode code);
  void finish(Failure failure);

 private:
  void set_common();
  Result<void> set_upload();
  Result<void> set_form();
  Result<void> open_upload();
  Failure failure_of(CURLcode code) const;
  unsigned status() const;
  std::size_t take_header(std::string_view line);
  std::size_t take_body(std::string_view bytes);
  std::size_t give_body(char* buffer, std::size_t bytes_max);
  int seek_body(std::int64_t offset);

  static std::size_t header_callback(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t write_callback(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t read_callback(char* data, std::size_t size, std::size_t count, void* self);
  static int seek_callback(void* self, curl_off_t offset, int origin);

  const Settings& settings_;
  Request request_;
  Client::Done done_;
  std::uint64_t& bytes_moved_;
  CURL* easy_ = nullptr;
  curl_slist* fields_ = nullptr;
  curl_mime* form_ = nullptr;
  int upload_fd_ = -1;
  std::uint64_t upload_at_ = 0;
  Reply reply_;
  int write_errno_ = 0;
  bool read_failed_ = false;
  char error_[CURL_ERROR_SIZE] = {};
};

}  // namespace histod::ctl
