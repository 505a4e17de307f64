// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/internal.hpp"
namespace histod::compute::codec::jpeg {
Result<FileInfo> probe(Bytes, const Limits&, const DecodeOptions&) {
  return fail(Errc::unsupported_feature, "JPEG is not taken yet");
}
Result<void> decode(Bytes, const FileInfo&, std::span<const ImageView>, const Limits&) {
  return fail(Errc::unsupported_feature, "JPEG is not taken yet");
}
std::size_t encoded_bytes_max(const Image&, const EncodeOptions&) { return 0; }
Result<std::size_t> encode(const Image&, const EncodeOptions&, std::span<std::byte>) {
  return fail(Errc::unsupported_feature, "JPEG is not taken yet");
}
Metadata metadata(Bytes) { return {}; }
}  // namespace histod::compute::codec::jpeg
