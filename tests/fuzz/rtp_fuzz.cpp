// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/rtp_one.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  histod::test::receive_rtp(std::as_bytes(std::span(data, size)));
  return 0;
}
