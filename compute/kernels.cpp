// SPDX-License-Identifier: Apache-2.0
#include "compute/kernels.hpp"

#include <array>
#include <atomic>

namespace histod::compute {
namespace {

std::atomic<const Kernels*>& chosen_kernels() {
  static std::atomic<const Kernels*> chosen = available_kernels().back();
  return chosen;
}

}  // namespace

std::span<const Kernels* const> available_kernels() {
  static const std::array<const Kernels*, 2> all{&scalar_kernels(), &avx2_kernels()};
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return std::span(all).first(has_avx2 ? 2 : 1);
}

std::expected<const Kernels*, Error> select_kernels(std::string_view forced) {
  if (forced.empty()) return available_kernels().back();
  for (const Kernels* candidate : available_kernels()) {
    if (candidate->isa == forced) return candidate;
  }
  if (forced == avx2_kernels().isa) return fail(Errc::bad_option, "this CPU has no AVX2");
  return fail(Errc::bad_option, "unknown instruction set: it is scalar or avx2");
}

const Kernels& kernels() { return *chosen_kernels().load(std::memory_order_relaxed); }
void set_kernels(const Kernels& chosen) { chosen_kernels().store(&chosen, std::memory_order_relaxed); }

}  // namespace histod::compute
