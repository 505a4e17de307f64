// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_pack.hpp"

#include <array>

#include "compute/codec/parts.hpp"
#include "compute/codec/tiff_samples.hpp"
#include "compute/codec/zlib_deflate.hpp"

namespace histod::compute::codec::tiff {
namespace {

constexpr std::size_t k_slot_alignment_bytes = 8;  ///< of a chunk in the file, too
constexpr std::size_t k_workspace_alignment_bytes = 64;
constexpr std::size_t k_look_bytes = 8u << 10;
constexpr std::size_t k_looks_most = 8;
constexpr std::size_t k_page_bytes_a_look = 512u << 10;
constexpr std::size_t k_looked_bytes_max = 16u << 10;  ///< what k_look_bytes can become

constexpr std::size_t rounded_up(std::size_t bytes, std::size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

}  // namespace

void make_samples(const OutPage& page, const FullDepthRows& rows, const Chunk& chunk, std::span<std::byte> samples) {
  const Layout& layout = page.layout;
  if (page.levels != 0) {  // only in strips of whole rows
    for (std::uint32_t y = 0; y < chunk.rows; ++y)
      rows.copy_row(chunk.y + y, samples.data() + y * layout.chunk_row_bytes());
  } else {
    gather(layout, chunk, page.view, samples);
  }
  if (page.invert) invert_colors(layout, chunk, page.view.format, samples);
  difference_samples(layout, samples, chunk.rows);
}

PackedChunks::PackedChunks(const Plan& plan) : plan_(plan) {
  for (const OutPage& page : plan.pages) {
    const Layout& layout = page.layout;
    Slots& slots = slots_.emplace_back(Slots{.first = chunks_.size(), .at = slots_bytes_});
    chunks_.add_page(layout.coding == Coding::none ? 0 : layout.chunks());
    if (layout.coding == Coding::none) continue;
    slots.bytes = rounded_up(compressed_bytes_max(layout.coding, layout.stored_rows(0), layout.chunk_row_bytes()),
                             k_slot_alignment_bytes);
    slots_bytes_ += layout.chunks() * slots.bytes;
    samples_bytes_ = std::max(samples_bytes_, rounded_up(layout.largest_chunk_bytes(), k_workspace_alignment_bytes));
    if (deflates(layout.coding)) zlib_bytes_ = k_zlib_state_bytes;
  }
  hands_ = hands_max(chunks_.size(), samples_bytes_ + zlib_bytes_);
}

std::size_t PackedChunks::memory_bytes() const {
  return slots_bytes_ + k_workspace_alignment_bytes + hands_ * (samples_bytes_ + zlib_bytes_);
}

Bytes PackedChunks::chunk(std::size_t page, std::uint64_t index) const {
  const Slots& slots = slots_[page];
  return memory_.subspan(slots.at + index * slots.bytes, chunk_bytes_[slots.first + index]);
}

std::vector<PackedChunks::Look> PackedChunks::looks() const {
  std::vector<Look> looks;
  for (std::size_t i = 0; i < plan_.pages.size(); ++i) {
    const Layout& layout = plan_.pages[i].layout;
    if (!deflates(layout.coding)) continue;
    const std::uint64_t wanted =
        std::clamp<std::uint64_t>(layout.stored_bytes() / k_page_bytes_a_look, 1, k_looks_most);
    const std::uint64_t count = std::min(wanted, layout.chunks());
    for (std::uint64_t k = 0; k < count; ++k)
      looks.push_back({.page = i, .chunk = (2 * k + 1) * layout.chunks() / (2 * count)});
  }
  return looks;
}

/// Some rows from the middle of a chunk, deflated in both ways.
void PackedChunks::look(Look& look, std::span<std::byte> workspace) const {
  const OutPage& page = plan_.pages[look.page];
  const std::size_t row_bytes = page.layout.chunk_row_bytes();
  Chunk chunk = chunk_at(page.layout, look.chunk);
  const auto rows = static_cast<std::uint32_t>(std::clamp<std::size_t>(k_look_bytes / row_bytes, 1, chunk.live_rows));
  chunk.y += (chunk.live_rows - rows) / 2;
  chunk.rows = chunk.live_rows = rows;
  make_samples(page, rows_[look.page], chunk, workspace.first(rows * row_bytes));
  const Bytes samples = workspace.first(std::min(k_look_bytes, rows * row_bytes));
  std::array<std::byte, k_looked_bytes_max> memory;
  assert(compressed_bytes_max(page.layout.coding, 1, samples.size()) <= memory.size());
  for (const bool search : {false, true}) {
    Output out(memory);
    compress(page.layout.coding, samples, samples.size(), {search, workspace.subspan(samples_bytes_)}, out);
    (search ? look.search_bytes : look.runs_bytes) = out.size();
  }
}

/// Runs and Huffman codes alone are ten times as fast as zlib: zlib is taken where it makes a page smaller by a
/// thirty-second.
void PackedChunks::choose_deflate(std::byte* workspaces, Arena& arena) {
  searches_.assign(plan_.pages.size(), 0);
  std::vector<Look> all = looks();
  const std::size_t workspace_bytes = samples_bytes_ + zlib_bytes_;
  for_each_part(arena, all.size(), std::min(hands_, all.size()), [&](std::size_t hand, std::uint64_t i) {
    look(all[i], {workspaces + hand * workspace_bytes, workspace_bytes});
  });
  for (auto begin = all.begin(); begin != all.end();) {
    const auto end = std::find_if(begin, all.end(), [&](const Look& l) { return l.page != begin->page; });
    std::size_t runs_bytes = 0, search_bytes = 0;
    for (auto look = begin; look != end; ++look) {
      runs_bytes += look->runs_bytes;
      search_bytes += look->search_bytes;
    }
    searches_[begin->page] = runs_bytes > search_bytes + search_bytes / 32;
    begin = end;
  }
}

void PackedChunks::pack_chunk(std::uint64_t index, std::span<std::byte> workspace) {
  const auto [page_index, chunk_index] = chunks_.at(index);
  const OutPage& page = plan_.pages[page_index];
  const Slots& slots = slots_[page_index];
  const std::size_t row_bytes = page.layout.chunk_row_bytes();
  const Chunk chunk = chunk_at(page.layout, chunk_index);
  const std::span<std::byte> samples = workspace.first(row_bytes * chunk.rows);
  make_samples(page, rows_[page_index], chunk, samples);
  Output slot(memory_.subspan(slots.at + chunk_index * slots.bytes, slots.bytes));
  compress(page.layout.coding, samples, row_bytes, {searches_[page_index] != 0, workspace.subspan(samples_bytes_)},
           slot);
  assert(!slot.full());
  chunk_bytes_[index] = slot.size();
}

void PackedChunks::pack(std::span<std::byte> memory, Arena& arena) {
  assert(memory.size() >= memory_bytes());
  memory_ = memory;
  for (const OutPage& page : plan_.pages) rows_.emplace_back(page.view, page.levels);
  chunk_bytes_.resize(chunks_.size());
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data() + slots_bytes_);
  std::byte* const workspaces =
      memory.data() + slots_bytes_ + (rounded_up(address, k_workspace_alignment_bytes) - address);
  const std::size_t workspace_bytes = samples_bytes_ + zlib_bytes_;
  if (zlib_bytes_ != 0) choose_deflate(workspaces, arena);
  searches_.resize(plan_.pages.size());
  for_each_part(arena, chunks_.size(), hands_, [&](std::size_t hand, std::uint64_t index) {
    pack_chunk(index, {workspaces + hand * workspace_bytes, workspace_bytes});
  });
}

}  // namespace histod::compute::codec::tiff
