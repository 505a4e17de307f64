// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "daemon/log.hpp"
#include "daemon/streams/notes.hpp"
#include "daemon/telemetry/event.hpp"

namespace histod::daemon::streams {

/// A note as people and programs read it.
struct NoteText {
  std::string_view kind;  ///< io.histod.stream.KIND
  telemetry::Severity severity{};
  LogLevel level{};
  std::string message;
  boost::json::object data;
};
NoteText text_of(const Note& note, std::string_view stream);

}  // namespace histod::daemon::streams
