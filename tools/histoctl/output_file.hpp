// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tools/histoctl/failure.hpp"

namespace histod::ctl {

/// A file that appears under its name only when it is whole: written beside it under a hidden name, then renamed.
/// Removes the hidden file when it goes without commit().
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  int fd() const { return fd_; }
  /// Flushes to the disk and gives the file its name; without `overwrite` a file that has come to exist is kept.
  Result<void> commit(bool overwrite);

 private:
  OutputFile(std::string path, std::string temporary, int fd);
  void discard();

  std::string path_;
  std::string temporary_;  ///< empty: committed or moved from
  int fd_ = -1;
};

/// Writes all of `bytes` to standard output.
Result<void> write_standard_output(std::string_view bytes);

/// Standard input to its end. Exit::interrupted when a signal came.
Result<std::string> read_standard_input();

}  // namespace histod::ctl
