// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "compute/codec/codec.hpp"
#include "tools/histoctl/failure.hpp"

namespace histod::ctl {

/// An image file with its pixels.
class DecodedFile {
 public:
  /// Exit::some_failed, without the file's name.
  static Result<DecodedFile> read(const std::string& path, compute::Arena& arena);

  const compute::ImageView& first() const { return image_.pages.front(); }
  const compute::codec::PageInfo& first_info() const { return image_.info.pages.front(); }
  std::uint64_t file_bytes() const { return file_.size(); }

 private:
  struct AlignedDelete {
    void operator()(std::byte* at) const { ::operator delete[](at, std::align_val_t(64)); }
  };
  DecodedFile() = default;

  std::vector<std::byte> file_;
  std::unique_ptr<std::byte[], AlignedDelete> pixels_;
  compute::codec::Image image_;
};

}  // namespace histod::ctl
