// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/note_events.hpp"

#include <fmt/format.h>

namespace histod::daemon::streams {

using telemetry::Severity;

namespace {

std::string more_of(const Note& note) {
  return note.count > 1 ? fmt::format(", the last of {} changes within a second", note.count) : "";
}

}  // namespace

NoteText text_of(const Note& note, std::string_view stream) {
  switch (note.kind) {
    case Note::Kind::resumed:
      return {"resumed",
              Severity::ok,
              LogLevel::info,
              fmt::format("stream {}: packets come in, SSRC {:08x}", stream, note.a),
              {{"ssrc", note.a}}};
    case Note::Kind::silent:
      return {"silent",
              Severity::warning,
              LogLevel::warn,
              fmt::format("stream {}: no packet for {} ms", stream, note.a),
              {{"silent_ms", note.a}}};
    case Note::Kind::loss:
      return {"loss",
              Severity::warning,
              LogLevel::warn,
              fmt::format("stream {}: {} packets lost within a second, {} in all", stream, note.a, note.b),
              {{"lost", note.a}, {"lost_total", note.b}}};
    case Note::Kind::format_changed:
      return {"format-changed",
              Severity::warning,
              LogLevel::warn,
              fmt::format("stream {}: pictures are {}x{} now, not {}x{}{}", stream, note.c, note.d, note.a, note.b,
                          more_of(note)),
              {{"width_before", note.a},
               {"height_before", note.b},
               {"width", note.c},
               {"height", note.d},
               {"changes", note.count}}};
    case Note::Kind::ssrc_changed:
      return {"ssrc-changed",
              Severity::info,
              LogLevel::info,
              fmt::format("stream {}: SSRC {:08x} now, not {:08x}{}", stream, note.b, note.a, more_of(note)),
              {{"ssrc_before", note.a}, {"ssrc", note.b}, {"changes", note.count}}};
    case Note::Kind::near_quota:
      return {"core-near-quota",
              Severity::warning,
              LogLevel::warn,
              fmt::format("stream {}: its core is busy to {}.{} %; packets are lost before 100 %", stream, note.a / 10,
                          note.a % 10),
              {{"busy_permille", note.a}, {"quota_permille", note.b}}};
    case Note::Kind::off_quota:
    case Note::Kind::uncut:  // is a fallback, and told as one
      break;
  }
  return {"core-near-quota",
          Severity::ok,
          LogLevel::info,
          fmt::format("stream {}: its core has room again, busy to {}.{} %", stream, note.a / 10, note.a % 10),
          {{"busy_permille", note.a}, {"quota_permille", note.b}}};
}

}  // namespace histod::daemon::streams
