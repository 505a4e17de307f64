// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compute/codec/tiff_chunks.hpp"
#include "compute/codec/tiff_plan.hpp"

namespace histod::compute::codec::tiff {

/// Fills `samples` with what a chunk of `page` holds before it is compressed; `rows` are those of its view.
void make_samples(const OutPage& page, const FullDepthRows& rows, const Chunk& chunk, std::span<std::byte> samples);

/// The compressed chunks of a file that is to be written. Each is made in a slot of its own, as long as a chunk can
/// become, so that all threads can make them; the slots lie in the order of the file, in the output's own memory behind
/// all that is written but chunks. Then the file can be put together from the front, chunk after chunk, over the slots
/// of those that have moved already. Pages without compression have no slots.
class PackedChunks {
 public:
  /// `plan` must outlive it.
  explicit PackedChunks(const Plan& plan);

  /// Slots, and behind them the workspaces of the hands.
  std::size_t memory_bytes() const;
  void pack(std::span<std::byte> memory, Arena& arena);
  /// A chunk that was packed; it lies in the memory.
  Bytes chunk(std::size_t page, std::uint64_t index) const;

 private:
  struct Slots {
    std::uint64_t first = 0;  ///< number of the page's first chunk among all
    std::size_t at = 0;       ///< in the memory
    std::size_t bytes = 0;    ///< of each
  };
  struct Look {
    std::size_t page = 0;
    std::uint64_t chunk = 0;
    std::size_t runs_bytes = 0;
    std::size_t search_bytes = 0;
  };

  std::vector<Look> looks() const;
  void look(Look& look, std::span<std::byte> workspace) const;
  void choose_deflate(std::byte* workspaces, Arena& arena);
  void pack_chunk(std::uint64_t index, std::span<std::byte> workspace);

  const Plan& plan_;
  ChunkList chunks_;
  std::vector<Slots> slots_;  ///< of each page
  std::size_t slots_bytes_ = 0;
  std::size_t samples_bytes_ = 0;  ///< of each workspace
  std::size_t zlib_bytes_ = 0;     ///< of each workspace
  std::size_t hands_ = 0;
  std::span<std::byte> memory_;
  std::vector<FullDepthRows> rows_;       ///< of each page
  std::vector<std::uint8_t> searches_;    ///< whether a page is deflated by zlib
  std::vector<std::size_t> chunk_bytes_;  ///< of all chunks, once packed
};

}  // namespace histod::compute::codec::tiff
