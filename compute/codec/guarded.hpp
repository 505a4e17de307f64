// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csetjmp>

namespace histod::compute::codec {

/// Runs `body`, which calls a C library whose error handler does longjmp(jump, 1); false when that happened.
/// The jump runs no destructors, so `body` must hold nothing that has one: its captures live in the caller's frame.
template <class Body>
bool guarded(std::jmp_buf& jump, const Body& body) {
  if (setjmp(jump) != 0) return false;
  body();
  return true;
}

}  // namespace histod::compute::codec
