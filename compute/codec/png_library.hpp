// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include <png.h>

#include "compute/codec/guarded.hpp"
#include "compute/codec/internal.hpp"

namespace histod::compute::codec::png {

/// What libpng's callbacks see. Its text is fixed in size: an error callback must not allocate and jump.
struct LibraryState {
  std::jmp_buf jump;
  std::array<char, 96> message{};
  Bytes input;  ///< what is not read yet
  bool input_ended = false;
  Output* output = nullptr;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message);
void on_warning(png_structp png, png_const_charp message);

}  // namespace histod::compute::codec::png
