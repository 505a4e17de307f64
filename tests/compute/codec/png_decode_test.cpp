// SPDX-License-Identifier: Apache-2.0
#include <random>

#include <gtest/gtest.h>
#include <zlib.h>

#include "compute/codec/head_start.hpp"
#include "compute/codec/png_pixels.hpp"
#include "compute/kernels.hpp"
#include "tests/compute/codec/codec_run.hpp"

/// The PNG decoder of plain files, beside libpng, on files made byte by byte: every filter, every way to cut the
/// stream into chunks, and everything that can be wrong with them.
namespace histod::test {
namespace {

using Rows = std::vector<unsigned char>;

void append(FileBytes& to, std::string_view text) {
  for (const char c : text) to.push_back(static_cast<std::byte>(c));
}

std::string big(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

void append_chunk(FileBytes& to, const std::string& type, const std::string& data, std::uint32_t crc_xor = 0) {
  const std::string body = type + data;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  append(to, big(static_cast<std::uint32_t>(data.size())) + body + big(static_cast<std::uint32_t>(crc) ^ crc_xor));
}

unsigned char predicted(unsigned filter, int a, int b, int c) {
  if (filter == 1) return static_cast<unsigned char>(a);
  if (filter == 2) return static_cast<unsigned char>(b);
  if (filter == 3) return static_cast<unsigned char>((a + b) / 2);
  if (filter != 4) return 0;
  const int p = a + b - c;
  if (std::abs(p - a) <= std::abs(p - b) && std::abs(p - a) <= std::abs(p - c)) return static_cast<unsigned char>(a);
  return static_cast<unsigned char>(std::abs(p - b) <= std::abs(p - c) ? b : c);
}

/// Rows of a raster as PNG filters them; `filter` tells which, by row.
template <class Filter>
Rows filtered_rows(const Raster& raster, Filter filter) {
  const std::size_t wide = raster.depth_bits / 8;
  const std::size_t step = raster.channels * wide;
  const std::size_t line = raster.width * step;
  const auto at = [&](std::uint32_t y, std::size_t i) -> int {
    const unsigned sample = raster.samples[y * std::size_t{raster.width} * raster.channels + i / wide];
    return static_cast<int>(wide == 2 && i % 2 == 0 ? sample >> 8 : sample & 255);
  };
  Rows rows;
  for (std::uint32_t y = 0; y < raster.height; ++y) {
    const unsigned chosen = filter(y);
    rows.push_back(static_cast<unsigned char>(chosen));
    for (std::size_t i = 0; i < line; ++i) {
      const int a = i < step ? 0 : at(y, i - step);
      const int b = y == 0 ? 0 : at(y - 1, i);
      const int c = y == 0 || i < step ? 0 : at(y - 1, i - step);
      rows.push_back(static_cast<unsigned char>(at(y, i) - predicted(chosen, a, b, c)));
    }
  }
  return rows;
}

std::string compressed(const Rows& rows, int level = 6) {
  uLongf bytes = compressBound(rows.size());
  std::string stream(bytes, '\0');
  compress2(reinterpret_cast<Bytef*>(stream.data()), &bytes, rows.data(), rows.size(), level);
  stream.resize(bytes);
  return stream;
}

FileBytes head_of(const Raster& raster) {
  FileBytes file;
  append(file, std::string_view("\x89PNG\r\n\x1a\n", 8));
  const char color_type[] = {0, 0, 4, 2, 6};
  append_chunk(file, "IHDR",
               big(raster.width) + big(raster.height) + static_cast<char>(raster.depth_bits) +
                   color_type[raster.channels] + std::string(3, '\0'));
  return file;
}

/// A file with this stream in chunks of `split` bytes.
FileBytes file_of(const Raster& raster, const std::string& stream, std::size_t split) {
  FileBytes file = head_of(raster);
  for (std::size_t at = 0; at < stream.size(); at += split) append_chunk(file, "IDAT", stream.substr(at, split));
  append_chunk(file, "IEND", "");
  return file;
}

Raster raster_of(std::uint32_t width, std::uint32_t height, std::size_t bytes_per_pixel, unsigned seed = 1) {
  const bool wide = bytes_per_pixel > 4;
  return make_raster(width, height, static_cast<unsigned>(wide ? bytes_per_pixel / 2 : bytes_per_pixel), wide ? 16 : 8,
                     seed);
}

class Instructions : public testing::TestWithParam<const compute::Kernels*> {
 protected:
  void SetUp() override { compute::set_kernels(*GetParam()); }
  void TearDown() override { compute::set_kernels(*compute::available_kernels().back()); }
};

INSTANTIATE_TEST_SUITE_P(All, Instructions, testing::ValuesIn(compute::available_kernels()),
                         [](const auto& instance) { return std::string(instance.param->isa); });

TEST_P(Instructions, every_filter_and_width_is_read_as_libpng_reads_it) {
  const std::size_t splits[] = {1, 2, 3, 5, 17, 64, 100'000};
  for (unsigned filter = 0; filter <= 4; ++filter)
    for (const std::size_t bytes_per_pixel : {1u, 2u, 3u, 4u, 6u, 8u})
      for (std::uint32_t width = 1; width <= 70; ++width) {
        const Raster raster = raster_of(width, 9, bytes_per_pixel, width);
        const Rows rows = filtered_rows(raster, [&](std::uint32_t) { return filter; });
        const FileBytes file = file_of(raster, compressed(rows), splits[width % std::size(splits)]);
        CodecRun run(file);
        ASSERT_TRUE(run.decoded()) << run.why().detail;
        ASSERT_EQ(run.raster(), raster) << "filter " << filter << ", " << bytes_per_pixel << " bytes, width " << width;
        ASSERT_EQ(read_png(file), raster);
      }
}

TEST_P(Instructions, noise_in_mixed_filters_is_read_as_libpng_reads_it) {
  std::mt19937 random(4);
  for (const unsigned channels : {1u, 2u, 3u, 4u})
    for (const unsigned depth : {8u, 16u})
      for (const int level : {0, 1, 9}) {
        const Raster raster = make_noise(301, 40, channels, depth);
        const Rows rows = filtered_rows(raster, [&](std::uint32_t) { return static_cast<unsigned>(random() % 5); });
        const FileBytes file = file_of(raster, compressed(rows, level), 4096);
        CodecRun run(file);
        ASSERT_TRUE(run.decoded()) << run.why().detail;
        EXPECT_EQ(run.raster(), raster);
        EXPECT_EQ(read_png(file), raster);
      }
}

/// Decodes a file that is given in pieces of `piece` bytes, in an arena of its own.
compute::Result<Raster> in_pieces(const FileBytes& file, const Raster& like, std::size_t piece, unsigned threads) {
  compute::Arena arena({.cpus = {}, .threads = threads});
  Raster raster{like.width, like.height, like.channels, like.depth_bits, {}};
  std::vector<std::uint16_t> memory(std::size_t{like.width} * like.height * like.channels);
  compute::ImageView view{reinterpret_cast<std::byte*>(memory.data()), like.width, like.height, 0, {}};
  view.format.colors = like.channels >= 3 ? 3 : 1;
  view.format.extras = static_cast<std::uint8_t>(like.channels - view.format.colors);
  view.format.depth_bits = static_cast<std::uint8_t>(like.depth_bits);
  view.stride_bytes = view.row_bytes();
  codec::png::PixelReader reader(view, arena);
  for (std::size_t at = 0; at < file.size(); at += piece)
    if (auto fed = reader.feed(std::span(file).subspan(at, std::min(piece, file.size() - at))); !fed)
      return std::unexpected(fed.error());
  if (auto done = reader.finish(); !done) return std::unexpected(done.error());
  for (std::size_t i = 0; i < memory.size(); ++i)
    raster.samples.push_back(like.depth_bits == 16 ? memory[i]
                                                   : reinterpret_cast<const std::uint8_t*>(memory.data())[i]);
  return raster;
}

TEST(PngPieces, give_the_same_pixels_wherever_they_are_cut_and_whoever_decodes) {
  for (const unsigned depth : {8u, 16u}) {
    const Raster raster = make_raster(701, 1300, 2, depth);
    const Rows rows = filtered_rows(raster, [](std::uint32_t y) { return y % 5; });
    const FileBytes file = file_of(raster, compressed(rows, 1), 30'000);
    for (const unsigned threads : {1u, 2u, 5u})
      for (const std::size_t piece : {std::size_t{977}, std::size_t{100'000}, file.size()}) {
        const auto read = in_pieces(file, raster, piece, threads);
        ASSERT_TRUE(read.has_value()) << read.error().detail;
        EXPECT_EQ(*read, raster) << threads << " threads, pieces of " << piece;
      }
  }
}

TEST(PngPieces, of_one_byte_are_enough) {
  const Raster raster = raster_of(33, 40, 3);
  const FileBytes file = file_of(raster, compressed(filtered_rows(raster, [](std::uint32_t) { return 4u; })), 50);
  const auto read = in_pieces(file, raster, 1, 2);
  ASSERT_TRUE(read.has_value()) << read.error().detail;
  EXPECT_EQ(*read, raster);
}

TEST(PngPieces, that_do_not_come_are_missed) {
  const Raster raster = raster_of(33, 40, 3);
  const FileBytes file = file_of(raster, compressed(filtered_rows(raster, [](std::uint32_t) { return 1u; })), 50);
  for (std::size_t length = 0; length < file.size(); ++length) {
    const auto read = in_pieces({file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length)}, raster, 64, 1);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(static_cast<Errc>(read.error().code.value()), Errc::truncated) << length;
  }
}

using Verdict = codec::HeadStart::Verdict;

/// What became of a file that came in up to each of `cuts`: its samples, or nothing.
std::optional<Raster> with_head_start(const FileBytes& file, std::span<const std::size_t> cuts) {
  CodecRun whole(file);  // for what probe() says; what it decodes is not looked at
  std::vector<std::uint64_t> memory(whole.info().pixel_bytes / 8 + 8);
  auto* const first = reinterpret_cast<std::byte*>(memory.data());
  const auto misaligned = reinterpret_cast<std::uintptr_t>(first) % 64;
  const std::span<std::byte> pixels(first + (64 - misaligned) % 64, whole.info().pixel_bytes);
  codec::HeadStart head_start;
  bool begun = false;
  for (const std::size_t cut : cuts) {
    const auto so_far = std::span(file).first(std::min(cut, file.size()));
    if (!begun && head_start.look(so_far, file.size(), {}) == Verdict::yes) {
      head_start.begin(pixels, test_arena());
      begun = true;
    }
    if (begun) head_start.feed(so_far);
  }
  auto image = head_start.finish(file, whole.info());
  if (!image) return std::nullopt;
  const compute::ImageView& view = image->pages.front();
  Raster raster{view.width, view.height, view.format.channels(), view.format.depth_bits, {}};
  for (std::size_t i = 0; i < std::size_t{view.width} * view.height * raster.channels; ++i)
    raster.samples.push_back(raster.depth_bits == 16 ? reinterpret_cast<const std::uint16_t*>(view.data)[i]
                                                     : std::to_integer<std::uint8_t>(view.data[i]));
  return raster;
}

TEST(HeadStart, knows_a_file_by_its_beginning) {
  const Raster raster = raster_of(33, 40, 3);
  FileBytes file = head_of(raster);
  append_chunk(file, "tEXt", std::string("a\0b", 3));
  append_chunk(file, "PLTE", "abc");
  const std::size_t known_at = file.size() + 8;  // the name of the first IDAT chunk
  append_chunk(file, "IDAT", compressed(filtered_rows(raster, [](std::uint32_t) { return 1u; })));
  for (std::size_t length = 0; length <= file.size(); ++length) {
    codec::HeadStart head_start;
    const Verdict verdict = head_start.look(std::span(file).first(length), 10'000, {});
    ASSERT_EQ(verdict, length < known_at ? Verdict::undecided : Verdict::yes) << length;
    if (verdict == Verdict::yes) {
      EXPECT_EQ(head_start.info().pages.front().width, 33u);
      EXPECT_EQ(head_start.info().pages.front().height, 40u);
      EXPECT_GE(head_start.info().pixel_bytes, 33u * 40u * 3u);
    }
  }
}

TEST(HeadStart, leaves_alone_what_is_not_plain_or_over_a_limit) {
  const auto verdict = [](const FileBytes& file, std::uint64_t file_bytes = 100'000, const codec::Limits& limits = {}) {
    return codec::HeadStart().look(file, file_bytes, limits);
  };
  const Raster raster = raster_of(33, 40, 3);
  const auto with_pixels = [&](const FileBytes& head) {
    FileBytes file = head;
    append_chunk(file, "IDAT", "x");
    return file;
  };
  ASSERT_EQ(verdict(with_pixels(head_of(raster))), Verdict::yes);
  for (const char* type : {"tRNS", "acTL", "NEWS", "IEND", "IHDR", "12AB"}) {
    FileBytes head = head_of(raster);
    append_chunk(head, type, "abcdef");
    EXPECT_EQ(verdict(with_pixels(head)), Verdict::no) << type;
  }
  for (const std::size_t byte : {24u, 25u, 26u, 27u, 28u}) {  // depth, colours, compression, filter, interlace
    FileBytes file = with_pixels(head_of(raster));
    file[byte] = std::byte{1};
    EXPECT_EQ(verdict(file), Verdict::no) << byte;
  }
  FileBytes broken_text = head_of(raster);
  append_chunk(broken_text, "tEXt", "abc", 1);
  EXPECT_EQ(verdict(with_pixels(broken_text)), Verdict::no);
  EXPECT_EQ(verdict(FileBytes(100, std::byte{'x'})), Verdict::no);
  EXPECT_EQ(verdict(with_pixels(head_of(raster)), 100'000, {.pixels = 33 * 40 - 1}), Verdict::no);
  EXPECT_EQ(verdict(with_pixels(head_of(raster)), 1), Verdict::no) << "no file is so small";
  FileBytes late = head_of(raster);
  append_chunk(late, "iCCP", std::string(2u << 20, 'p'));
  late.resize((1u << 20) - 1);
  EXPECT_EQ(verdict(late, 4u << 20), Verdict::undecided);
  late.push_back(std::byte{'p'});
  EXPECT_EQ(verdict(late, 4u << 20), Verdict::no) << "its pixels begin too late";
}

TEST(HeadStart, decodes_what_decode_does_wherever_the_file_is_cut) {
  std::mt19937 random(21);
  for (const std::size_t bytes_per_pixel : {1u, 2u, 3u, 4u, 6u, 8u}) {
    const Raster raster = raster_of(60, 50, bytes_per_pixel);
    const Rows rows = filtered_rows(raster, [&](std::uint32_t) { return static_cast<unsigned>(random() % 5); });
    const FileBytes file = file_of(raster, compressed(rows), 1'000);
    std::vector<std::size_t> every_byte(file.size());
    for (std::size_t i = 0; i < every_byte.size(); ++i) every_byte[i] = i + 1;
    EXPECT_EQ(with_head_start(file, every_byte), raster);
    for (std::size_t cut = 40; cut < file.size(); cut += 1 + random() % 50) {
      const std::size_t cuts[] = {cut, cut, cut + random() % 100};
      ASSERT_EQ(with_head_start(file, cuts), raster) << cut;
    }
  }
}

TEST(HeadStart, gives_up_what_is_broken_and_what_turns_out_to_be_another_image) {
  const Raster raster = raster_of(60, 50, 3);
  const std::string stream = compressed(filtered_rows(raster, [](std::uint32_t y) { return y % 5; }));
  const FileBytes file = file_of(raster, stream, 1'000);
  const std::size_t cuts[] = {500, 2'000, 4'000};
  for (const std::size_t at : {100uz, 1'500uz, 3'000uz, file.size() - 20}) {
    FileBytes broken = file;
    broken[at] ^= std::byte{0x10};
    EXPECT_EQ(with_head_start(broken, cuts), std::nullopt) << at;
  }
  FileBytes late(file.begin(), file.end() - 12);
  append_chunk(late, "tRNS", std::string(6, '\0'));
  append_chunk(late, "IEND", "");
  EXPECT_EQ(with_head_start(late, cuts), std::nullopt) << "it has an alpha channel, which shows at its end";
  EXPECT_EQ(with_head_start(file, {}), std::nullopt) << "nothing was begun";
}

class PngDamage : public testing::Test {
 protected:
  const Raster raster_ = raster_of(50, 30, 3);
  const Rows rows_ = filtered_rows(raster_, [](std::uint32_t y) { return y % 5; });
  const std::string stream_ = compressed(rows_);

  static void expect_corrupt(const FileBytes& file, std::string_view why) {
    CodecRun run(file);
    EXPECT_EQ(run.error(), Errc::corrupt) << run.why().detail;
    EXPECT_NE(run.why().detail.find(why), std::string::npos) << run.why().detail;
  }
  /// A file of these chunks between IHDR and IEND.
  FileBytes file_with(const std::vector<std::pair<std::string, std::string>>& chunks) const {
    FileBytes file = head_of(raster_);
    for (const auto& [type, data] : chunks) append_chunk(file, type, data);
    append_chunk(file, "IEND", "");
    return file;
  }
};

TEST_F(PngDamage, wrong_checksums) {
  std::string stream = stream_;
  stream.back() = static_cast<char>(stream.back() ^ 1);
  expect_corrupt(file_of(raster_, stream, 1000), "checksum of the PNG's compressed pixels");
  for (const char* wrong : {"IHDR", "IDAT", "IEND", "PLTE"}) {
    FileBytes file;
    append(file, std::string_view("\x89PNG\r\n\x1a\n", 8));
    const auto chunk = [&](const std::string& type, const std::string& data) {
      append_chunk(file, type, data, type == wrong ? 1u << 20 : 0);
    };
    chunk("IHDR", png_chunks(file_of(raster_, stream_, 1000))[0].second);
    chunk("PLTE", "abc");
    chunk("IDAT", stream_);
    chunk("IEND", "");
    expect_corrupt(file, "checksum of a PNG chunk");
  }
}

TEST_F(PngDamage, too_few_pixels_and_too_many) {
  Rows few = rows_;
  few.pop_back();
  expect_corrupt(file_of(raster_, compressed(few), 1000), "end before its last row");
  expect_corrupt(file_of(raster_, compressed({}), 1000), "end before its last row");
  expect_corrupt(file_of(raster_, stream_.substr(0, stream_.size() / 2), 1000), "end before its last row");
  expect_corrupt(file_of(raster_, stream_.substr(0, stream_.size() - 1), 1000), "end before its last row");
  Rows many = rows_;
  many.push_back(0);
  expect_corrupt(file_of(raster_, compressed(many), 1000), "go on after its last row");
  many.resize(rows_.size() + 1'000'000);
  expect_corrupt(file_of(raster_, compressed(many), 1000), "go on after its last row");
}

TEST_F(PngDamage, data_behind_the_stream) {
  expect_corrupt(file_of(raster_, stream_ + "x", 1'000'000), "data after its compressed pixels");
  expect_corrupt(file_with({{"IDAT", stream_}, {"IDAT", "x"}}), "data after its compressed pixels");
}

TEST_F(PngDamage, a_filter_that_does_not_exist) {
  for (const int filter : {5, 255}) {
    Rows rows = rows_;
    rows[std::size_t{17} * (50 * 3 + 1)] = static_cast<unsigned char>(filter);
    expect_corrupt(file_of(raster_, compressed(rows), 1000), "filter that does not exist");
  }
}

TEST_F(PngDamage, a_stream_that_is_none) {
  expect_corrupt(file_of(raster_, std::string(2000, 'a'), 1000), "compressed pixels of the PNG are damaged");
  std::string stream = stream_;
  stream[1] = static_cast<char>(stream[1] ^ 0x20);  // asks for a dictionary, and the header's own check fails
  CodecRun run(file_of(raster_, stream, 1000));
  EXPECT_EQ(run.error(), Errc::corrupt);
}

TEST_F(PngDamage, chunks_in_between) {
  const std::string first = stream_.substr(0, 100), second = stream_.substr(100);
  expect_corrupt(file_with({{"IDAT", first}, {"tEXt", std::string("a\0b", 3)}, {"IDAT", second}}), "do not follow");
  expect_corrupt(file_with({{"IDAT", stream_}, {"tEXt", std::string("a\0b", 3)}, {"IDAT", ""}}), "do not follow");
  CodecRun fine(file_with({{"IDAT", ""}, {"IDAT", first}, {"IDAT", ""}, {"IDAT", second}, {"IDAT", ""}}));
  ASSERT_TRUE(fine.decoded()) << fine.why().detail;
  EXPECT_EQ(fine.raster(), raster_);
}

TEST_F(PngDamage, any_byte_of_the_stream_changed_is_noticed) {
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) {
    std::string stream = stream_;
    const std::size_t at = random() % stream.size();
    stream[at] = static_cast<char>(stream[at] ^ (1 + random() % 255));
    CodecRun run(file_of(raster_, stream, 1 + random() % 3000));
    // What changes neither pixels nor checksum: the stream's own wish for a window, and unused bits.
    if (run.decoded()) {
      EXPECT_EQ(run.raster(), raster_) << "byte " << at;
    }
  }
}

}  // namespace
}  // namespace histod::test
