// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/openapi.hpp"

// The assembler puts the file into the read-only data: no generator, no copy. HISTOD_OPENAPI_PATH comes from CMake.
__asm__(
    ".section .rodata\n"
    ".global histod_openapi_begin\n"
    ".global histod_openapi_end\n"
    "histod_openapi_begin:\n"
    ".incbin \"" HISTOD_OPENAPI_PATH
    "\"\n"
    "histod_openapi_end:\n"
    ".previous\n");

extern "C" {
extern const std::byte histod_openapi_begin[];
extern const std::byte histod_openapi_end[];
}

namespace histod::daemon::api {

std::span<const std::byte> openapi_yaml() { return {histod_openapi_begin, histod_openapi_end}; }

}  // namespace histod::daemon::api
