// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/decoded_file.hpp"

#include <fstream>

namespace histod::ctl {
namespace codec = compute::codec;
namespace {

Failure failure_of(const compute::Error& error) {
  Failure failure = fail(Exit::some_failed, error.detail).error();
  if (error.limit != 0) {
    failure.value = std::to_string(error.value);
    failure.limit = std::to_string(error.limit);
  }
  return failure;
}

Result<std::vector<std::byte>> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) return fail(Exit::some_failed, "cannot be read");
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  if (!file) return fail(Exit::some_failed, "cannot be read");
  return bytes;
}

}  // namespace

Result<DecodedFile> DecodedFile::read(const std::string& path, compute::Arena& arena) {
  auto bytes = bytes_of(path);
  if (!bytes) return std::unexpected(bytes.error());
  DecodedFile out;
  out.file_ = std::move(*bytes);
  const auto info = codec::probe(out.file_, {});
  if (!info) return std::unexpected(failure_of(info.error()));
  out.pixels_ = std::unique_ptr<std::byte[], AlignedDelete>(new (std::align_val_t(64)) std::byte[info->pixel_bytes]);
  auto decoded = codec::decode(out.file_, *info, {out.pixels_.get(), info->pixel_bytes}, {}, arena);
  if (!decoded) return std::unexpected(failure_of(decoded.error()));
  out.image_ = std::move(*decoded);
  return out;
}

}  // namespace histod::ctl
