// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace histod::daemon::streams {

/// What a stream's thread has to tell people. What the numbers mean depends on the kind.
struct Note {
  enum class Kind : std::uint8_t {
    resumed,         ///< packets come in; a: SSRC
    silent,          ///< none do; a: milliseconds since the last
    loss,            ///< a: packets lost within the last second, b: since the start
    format_changed,  ///< a, b: width and height before; c, d: now
    ssrc_changed,    ///< a: before, b: now
    near_quota,      ///< a: permille that the core was busy, b: the quota
    off_quota,       ///< the same, when there is room again
    uncut,           ///< what is sent in one piece cannot be cut on its way, and goes packet by packet from now on
  };
  Kind kind{};
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  std::uint64_t count = 1;  ///< how often that was, since it was told last
};

/// From one thread to another, without a lock or an allocation. What finds no room is counted and gone.
class NoteRing {
 public:
  static constexpr std::size_t k_notes = 64;

  void push(const Note& note) {
    const std::size_t end = end_.load(std::memory_order_relaxed);
    if (end - begin_.load(std::memory_order_acquire) == k_notes) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    notes_[end % k_notes] = note;
    end_.store(end + 1, std::memory_order_release);
  }
  std::optional<Note> pop() {
    const std::size_t begin = begin_.load(std::memory_order_relaxed);
    if (begin == end_.load(std::memory_order_acquire)) return std::nullopt;
    const Note note = notes_[begin % k_notes];
    begin_.store(begin + 1, std::memory_order_release);
    return note;
  }
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  std::array<Note, k_notes> notes_{};
  std::atomic<std::size_t> begin_{0}, end_{0};
  std::atomic<std::uint64_t> lost_{0};
};

/// For what happens as often as a sender likes: the first is told at once, and those of the same second as one, the
/// latest, with their count. Of the stream's thread.
class NoteGate {
 public:
  void pass(Note note, NoteRing& notes) {
    if (!std::exchange(told_, true)) return notes.push(note);
    note.count += held_.count;
    held_ = note;
  }
  /// A second is over, or all is.
  void tell_held(NoteRing& notes) {
    told_ = held_.count > 0;
    if (told_) notes.push(std::exchange(held_, {.count = 0}));
  }

 private:
  Note held_{.count = 0};
  bool told_ = false;  ///< within this second
};

}  // namespace histod::daemon::streams
