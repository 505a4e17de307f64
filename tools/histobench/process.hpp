// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace histod::bench {

struct Command {
  std::vector<std::string> words;        ///< the program's path or its name in PATH, then its arguments
  std::vector<std::string> environment;  ///< NAME=VALUE, besides our own; HISTOD_* variables are not handed on
  std::string output_path;               ///< file for stdout and stderr; empty: nowhere
  int handed_fd = -1;                    ///< becomes descriptor 3 of the child
};

/// A child process. It is told to end when we do, and at the end of this object's life, when it is killed if need be.
class Process {
 public:
  explicit Process(const Command& command);  ///< throws Failure; a program that cannot be run ends with code 127
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  int wait();                               ///< the exit code; 128 + the signal that ended it
  std::optional<int> stop(int patience_s);  ///< SIGTERM; the exit code, or none: it had to be killed

 private:
  bool reap(bool block);
  pid_t pid_ = -1;
  std::optional<int> code_;
};

/// Runs a program to its end; throws Failure when its exit code is not 0.
void run_program(const Command& command);

/// Where PATH has a program; empty when it has not. Debian's own goes before one that somebody put in front of it.
std::string find_program(const std::string& name);

/// The first line that a program writes to stdout or stderr; empty when it cannot be run.
std::string first_line_of(const std::vector<std::string>& words);

std::string text_of(const std::filesystem::path& path);  ///< empty when it cannot be read

/// A folder in TMPDIR that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// A socket that listens on a free port of 127.0.0.1.
struct Listening {
  Listening();
  ~Listening();
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  int fd = -1;
  unsigned short port = 0;
};

}  // namespace histod::bench
