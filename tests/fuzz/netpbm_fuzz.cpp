// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/decode_one.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using histod::compute::codec::FileFormat;
  static constexpr FileFormat k_formats[] = {FileFormat::pgm, FileFormat::ppm, FileFormat::pam};
  histod::test::decode_one_of(k_formats, std::as_bytes(std::span(data, size)));
  return 0;
}
