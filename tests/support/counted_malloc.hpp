// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>

/// FileInfo::scratch_bytes is a promise to who counts memory: a program that links this has a malloc which counts all
/// that is allocated, by whomever. A sanitizer has a malloc of its own: then nothing is counted.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HISTOD_OWN_MALLOC 0
#else
#define HISTOD_OWN_MALLOC 1
#endif

namespace histod::test {

inline std::atomic<std::size_t> in_use{0};
inline std::atomic<std::size_t> most{0};

}  // namespace histod::test
