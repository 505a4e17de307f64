// SPDX-License-Identifier: Apache-2.0
#include "daemon/pipeline.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "compute/codec/raster.hpp"
#include "daemon/elapsed.hpp"
#include "daemon/tables_json.hpp"

namespace histod::daemon {

namespace codec = compute::codec;
using compute::Errc;
using compute::Error;
using Clock = std::chrono::steady_clock;

namespace {

/// Smaller images are encoded in no time: nobody is told before they are whole.
constexpr std::size_t k_told_pixel_bytes_min = 1u << 20;

/// Luma of a JPEG is its own Y plane, as long as the result is a JPEG that keeps the input's tables (or no image at
/// all). What is tallied must be what the tables are applied to later.
codec::DecodeOptions decode_options(const ImageOptions& options) {
  const bool as_jpeg = options.histogram_only || !options.format || *options.format == codec::FileFormat::jpeg;
  return {.jpeg_luma_plane = options.equalize.color == compute::Color::luma && as_jpeg && !options.quality};
}

/// The views that decode() will give, with the formats that equalize() will leave: what the encoder is going to see.
std::vector<compute::ImageView> planned_views(const codec::FileInfo& info, const ImageOptions& options) {
  std::vector<compute::ImageView> views;
  for (const codec::PageInfo& page : info.pages) {
    compute::PixelFormat format = page.format;
    if (options.equalize.color == compute::Color::gray && format.colors == 3) format.colors = 1;
    views.push_back({nullptr, page.width, page.height, page.width * format.bytes_per_pixel(), format});
  }
  return views;
}

codec::FileFormat result_format(const codec::FileInfo& info, const ImageOptions& options) {
  if (options.format) return *options.format;
  const bool made_gray = options.equalize.color == compute::Color::gray;
  return info.format == codec::FileFormat::ppm && made_gray ? codec::FileFormat::pgm : info.format;
}

/// What a lease of that size takes from the pool.
std::size_t leased_bytes(std::size_t bytes) {
  constexpr std::size_t k_granule = net::BufferPool::k_granule_bytes;
  return (bytes + k_granule - 1) / k_granule * k_granule;
}

std::string lut_digest(const compute::EqualizeReport& report) {
  LutDigest digest;
  for (const compute::PlaneReport& plane : report.planes) digest.add(plane.lut);
  return digest.finish();
}

}  // namespace

struct Pipeline::Task {
  std::span<std::byte> file;
  std::span<const std::byte> mask;
  ImageOptions options;
  codec::Limits limits;
  compute::Arena* arena;
  Done done;
  std::unique_ptr<EarlyDecode> early = nullptr;  ///< has decoded some of the file
  Listener* listener = nullptr;
  Mailbox* mailbox = nullptr;
  Clock::time_point created = Clock::now();
  Clock::time_point wall_deadline, memory_deadline;

  codec::FileInfo mask_info;
  bool in_place = false;
  std::size_t pixel_bytes = 0, scratch_bytes = 0, output_bytes = 0;  ///< to be leased
  net::Lease pixels, mask_pixels, scratch;
  ImageResult result;
  std::span<const std::byte> encoded;  ///< kept apart, as the time is: the listener may be reading the result
  std::uint64_t encode_ns = 0;
  std::optional<codec::Image> decoded;  ///< from one step to the next
  bool begun = false;                   ///< the listener has the result's lease, or is going to get it
  std::optional<Error> error;
  bool busy = false;

  void probe_step();
  void process_step();
  void decode_step();
  void encode_step();
  void note_times();
  std::vector<compute::EqualizePage> pages_of(const codec::Image& image, std::vector<std::size_t>* indices = nullptr);
  std::size_t bytes_needed() const;

 private:
  bool keep(compute::Result<void> outcome);
  compute::Result<void> probe_file();
  compute::Result<void> probe_mask();
  compute::Result<void> check_time() const;
  compute::Result<codec::Image> decode_pages();
  compute::Result<codec::Image> decode_file();
  compute::Result<void> equalize_pages();
  compute::Result<compute::EqualizeReport> equalize_or_apply(std::span<compute::EqualizePage> pages);
  compute::Result<void> encode_pages(const codec::Image& image);
  compute::Result<void> write_result(const codec::Image& image);
  void tell(std::size_t bytes);
};

bool Pipeline::Task::keep(compute::Result<void> outcome) {
  if (!outcome) error = std::move(outcome.error());
  return outcome.has_value();
}

void Pipeline::Task::probe_step() {
  if (keep(probe_file()) && !mask.empty()) keep(probe_mask());
}

compute::Result<void> Pipeline::Task::probe_file() {
  auto info = codec::probe(file, limits, decode_options(options));
  if (!info) return std::unexpected(std::move(info.error()));
  result.input = std::move(*info);
  result.format = result_format(result.input, options);
  const codec::Image planned{result.input, file, planned_views(result.input, options)};
  // What could never be written again is not counted either.
  if (options.tally_only) {
    if (auto fits = codec::check_encodable(result.input, planned.pages, result.format); !fits) return fits;
  }
  in_place = !options.makes_image() ? !result.input.rasters.empty()
                                    : codec::stays_in_place(result.input, planned.pages, result.format);
  pixel_bytes = in_place ? codec::raster_pixel_bytes(file, result.input) : result.input.pixel_bytes;
  if (in_place) return {};
  scratch_bytes = result.input.scratch_bytes;
  if (!options.makes_image()) return {};
  if (auto fits = codec::check_encodable(result.input, planned.pages, result.format); !fits) return fits;
  output_bytes = codec::encoded_bytes_max(planned, {result.format, options.quality, options.png_small});
  return {};
}

compute::Result<void> Pipeline::Task::probe_mask() {
  auto info = codec::probe(mask, limits);
  if (!info)
    return std::unexpected(
        Error{info.error().code, "mask: " + info.error().detail, info.error().value, info.error().limit});
  mask_info = std::move(*info);
  const codec::PageInfo& page = mask_info.pages.front();
  if (mask_info.pages.size() != 1 || page.format != compute::PixelFormat{})
    return compute::fail(Errc::bad_option, "the mask must be one 8-bit gray page without alpha");
  for (const codec::PageInfo& target : result.input.pages) {
    if (target.role == codec::PageRole::image && (target.width != page.width || target.height != page.height))
      return compute::fail(Errc::bad_option,
                           "the mask must be as wide and as high as the image: its pixels, and the image's",
                           std::uint64_t{page.width} * page.height, std::uint64_t{target.width} * target.height);
  }
  return {};
}

compute::Result<void> Pipeline::Task::check_time() const {
  if (Clock::now() < wall_deadline) return {};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(wall_deadline - created).count();
  return compute::fail(Errc::bytes_over_limit, "the image took longer than the wall time of one image, in ms",
                       elapsed_ns(created) / 1'000'000, static_cast<std::uint64_t>(limit));
}

std::size_t Pipeline::Task::bytes_needed() const {
  return leased_bytes(pixel_bytes) + leased_bytes(mask_info.pixel_bytes) + leased_bytes(scratch_bytes) +
         leased_bytes(output_bytes);
}

void Pipeline::Task::process_step() {
  decode_step();
  if (!error && keep(equalize_pages())) encode_step();
  decoded.reset();  // here, where it was made: a codec may have much to give back
}

void Pipeline::Task::decode_step() {
  auto image = decode_pages();
  if (!image) {
    error = std::move(image.error());
    return;
  }
  decoded = std::move(*image);
  keep(check_time());
}

void Pipeline::Task::encode_step() {
  result.lut_digest = lut_digest(result.report);
  if (options.makes_image() && keep(check_time())) keep(encode_pages(*decoded));
  decoded.reset();
}

compute::Result<codec::Image> Pipeline::Task::decode_pages() {
  const auto started = Clock::now();
  auto image = decode_file();
  if (image && !mask.empty()) {
    auto read = codec::decode(mask, mask_info, mask_pixels.bytes(), limits, *arena);
    if (!read) return std::unexpected(std::move(read.error()));
  }
  result.timings.decode_ns = elapsed_ns(started);
  return image;
}

compute::Result<codec::Image> Pipeline::Task::decode_file() {
  if (in_place) return codec::open_rasters(file, result.input, pixels.bytes(), *arena);
  if (early) {
    if (auto image = early->head_start().finish(file, result.input)) return std::move(*image);
  }
  return codec::decode(file, result.input, pixels.bytes(), limits, *arena);
}

std::vector<compute::EqualizePage> Pipeline::Task::pages_of(const codec::Image& of, std::vector<std::size_t>* indices) {
  std::vector<compute::EqualizePage> pages;
  for (std::size_t i = 0; i < of.pages.size(); ++i) {
    const codec::PageInfo& page = result.input.pages[i];
    // A transparency mask is no brightness: it stays as it is.
    if (page.role == codec::PageRole::mask) continue;
    const bool counted = page.role == codec::PageRole::image;
    const auto nodata = options.nodata_none ? std::nullopt : options.nodata ? options.nodata : page.nodata;
    std::span<const std::byte> allowed;
    if (!mask.empty() && counted) allowed = mask_pixels.bytes().first(page.width * std::size_t{page.height});
    pages.push_back({of.pages[i], page.levels, nodata, allowed, counted});
    if (indices) indices->push_back(i);
  }
  return pages;
}

compute::Result<void> Pipeline::Task::equalize_pages() {
  std::vector<std::size_t> indices;
  std::vector<compute::EqualizePage> pages = pages_of(*decoded, &indices);
  if (options.tally_only) {
    auto tally = compute::tally_of(pages, options.equalize, *arena);
    if (!tally) return std::unexpected(std::move(tally.error()));
    result.tally = std::move(*tally);
    return {};
  }
  auto report = equalize_or_apply(pages);
  if (!report) return std::unexpected(std::move(report.error()));
  result.report = std::move(*report);
  for (std::size_t i = 0; i < indices.size(); ++i) decoded->pages[indices[i]] = pages[i].image;
  note_times();
  return {};
}

void Pipeline::Task::note_times() {
  result.timings.count_ns = result.report.count_ns;
  result.timings.rule_ns = result.report.rule_ns;
  result.timings.apply_ns = result.report.apply_ns;
}

compute::Result<compute::EqualizeReport> Pipeline::Task::equalize_or_apply(std::span<compute::EqualizePage> pages) {
  if (options.histogram_only) return compute::analyze(pages, options.equalize, *arena);
  if (options.tables) return compute::apply_tables(pages, *options.tables, options.equalize, *arena);
  return compute::equalize(pages, options.equalize, *arena);
}

compute::Result<void> Pipeline::Task::encode_pages(const codec::Image& image) {
  const auto started = Clock::now();
  auto written = write_result(image);
  encode_ns = elapsed_ns(started);
  return written;
}

compute::Result<void> Pipeline::Task::write_result(const codec::Image& image) {
  if (in_place) {
    codec::close_rasters(image, file, *arena);
    encoded = file;
    return {};
  }
  codec::Grown grown;
  if (listener && result.input.pixel_bytes >= k_told_pixel_bytes_min)
    grown = [this](std::size_t bytes) { tell(bytes); };
  const std::span<std::byte> out = result.lease.bytes();
  auto size = codec::encode(image, {result.format, options.quality, options.png_small}, out, *arena, grown);
  if (!size) return std::unexpected(std::move(size.error()));
  encoded = out.first(*size);
  return {};
}

void Pipeline::Task::tell(std::size_t bytes) {
  // The task is still there then: its own completion comes behind this one.
  if (!std::exchange(begun, true)) mailbox->complete([this] { listener->begun(result, std::move(result.lease)); });
  listener->grown(bytes);
}

Pipeline::Pipeline(const Options& options, net::BufferPool& pool, compute::Arena& arena, Mailbox& mailbox)
    : options_(options), pool_(pool), arena_(arena), mailbox_(mailbox) {}

Pipeline::~Pipeline() { assert(in_hand_ == 0 && early_.empty()); }

void Pipeline::run(std::span<std::byte> file, std::span<const std::byte> mask, const ImageOptions& options, Done done,
                   std::unique_ptr<EarlyDecode> early, Listener* listener) {
  if (in_hand_ >= options_.requests_max) {
    ++stats_.busy;
    done(std::unexpected(ImageFailure{
        {compute::make_error_code(Errc::bytes_over_limit), "images in hand", in_hand_, options_.requests_max}, true}));
    return;
  }
  ++in_hand_;
  auto task = std::make_unique<Task>(file, mask, options, options_.limits, &arena_, std::move(done), std::move(early),
                                     listener, &mailbox_);
  task->wall_deadline = task->created + options_.wall_time;
  probe(std::move(task));
}

void Pipeline::in_arena(std::unique_ptr<Task> task, void (*step)(Task&),
                        void (Pipeline::*next)(std::unique_ptr<Task>)) {
  arena_.enqueue([this, task = std::move(task), step, next]() mutable {
    step(*task);
    mailbox_.complete([this, task = std::move(task), next]() mutable { (this->*next)(std::move(task)); });
  });
}

void Pipeline::probe(std::unique_ptr<Task> task) {
  in_arena(std::move(task), [](Task& t) { t.probe_step(); }, &Pipeline::reserve);
}

void Pipeline::reserve(std::unique_ptr<Task> task) {
  if (task->error) return finish(std::move(task));
  const std::size_t bytes = leased_bytes(task->file.size() + task->mask.size()) + task->bytes_needed();
  if (!pool_.fits_ever(bytes)) {
    task->error = Error{compute::make_error_code(Errc::bytes_over_limit),
                        "the image and its result need more memory, in bytes, than one worker has", bytes,
                        pool_.stats().budget_bytes};
    return finish(std::move(task));
  }
  task->memory_deadline = Clock::now() + options_.memory_wait;
  if (task->early && task->early->head_start().fits(task->result.input))
    task->pixels = task->early->take_pixels();
  else
    task->early.reset();
  // Those who came first are served first.
  if (waiting_.empty() && try_reserve(*task)) return process(std::move(task));
  // What waits holds nothing, so that no two wait for one another; and what is still coming in gives way.
  drop_memory(*task);
  for (EarlyDecode* const early : std::vector(early_)) early->give_up();
  if (waiting_.empty() && try_reserve(*task)) return process(std::move(task));
  ++stats_.memory_waits;
  waiting_.push_back(std::move(task));
}

bool Pipeline::lend(EarlyDecode& early, const codec::FileInfo& info, net::Lease& pixels, net::Lease& scratch) {
  std::size_t lent = leased_bytes(info.pixel_bytes) + leased_bytes(info.scratch_bytes);
  for (const EarlyDecode* other : early_) lent += other->leased_bytes();
  if (!waiting_.empty() || lent > pool_.stats().budget_bytes / 4) return false;
  pixels = pool_.lease(info.pixel_bytes);
  if (pixels) scratch = pool_.lease(info.scratch_bytes);
  if (scratch) early_.push_back(&early);
  return static_cast<bool>(scratch);
}

void Pipeline::forget(EarlyDecode& early) { std::erase(early_, &early); }

bool Pipeline::try_reserve(Task& task) {
  const auto take = [this](net::Lease& lease, std::size_t bytes) {
    if (bytes > 0 && !lease) lease = pool_.lease(bytes);
    return bytes == 0 || lease;
  };
  if (take(task.pixels, task.pixel_bytes) && take(task.mask_pixels, task.mask_info.pixel_bytes) &&
      take(task.result.lease, task.output_bytes) && take(task.scratch, task.scratch_bytes))
    return true;
  drop_memory(task);
  return false;
}

void Pipeline::drop_memory(Task& task) {
  task.early.reset();
  for (net::Lease* lease : {&task.pixels, &task.mask_pixels, &task.result.lease, &task.scratch}) lease->reset();
}

void Pipeline::process(std::unique_ptr<Task> task) {
  task->result.timings.wait_ns = elapsed_ns(task->created);
  Spread* const others = task->options.spread.get();
  if (others && others->wanted(task->result.input, task->options, !task->mask.empty()))
    return in_arena(std::move(task), [](Task& t) { t.decode_step(); }, &Pipeline::spread);
  in_arena(std::move(task), [](Task& t) { t.process_step(); }, &Pipeline::finish);
}

void Pipeline::spread(std::unique_ptr<Task> task) {
  if (task->error) return finish(std::move(task));
  const std::vector<compute::EqualizePage> pages = task->pages_of(*task->decoded);
  assert(pages.size() == 1);
  Task& t = *task;
  t.options.spread->equalize(pages.front(), t.options.equalize,
                             [this, task = std::move(task)](compute::Result<compute::EqualizeReport> report) mutable {
                               if (!report) {
                                 task->error = std::move(report.error());
                                 return finish(std::move(task));
                               }
                               task->result.report = std::move(*report);
                               task->note_times();
                               in_arena(std::move(task), [](Task& done) { done.encode_step(); }, &Pipeline::finish);
                             });
}

void Pipeline::finish(std::unique_ptr<Task> task) {
  --in_hand_;
  Done done = std::move(task->done);
  if (task->error) {
    ++(task->busy ? stats_.busy : stats_.failures);
    ImageFailure failure{std::move(*task->error), task->busy};
    task.reset();
    done(std::unexpected(std::move(failure)));
  } else {
    ImageResult result = std::move(task->result);
    result.bytes = task->encoded;
    result.timings.encode_ns = task->encode_ns;
    task.reset();
    if (result.lease) result.lease.shrink(result.bytes.size());
    std::uint64_t pixels = 0;
    for (const codec::PageInfo& page : result.input.pages) pixels += std::uint64_t{page.width} * page.height;
    count_image(result.timings, pixels);
    done(std::move(result));
  }
  done = nullptr;  // its file goes home now, so that the next ones find the memory
  poll();
}

void Pipeline::count_image(const Timings& spent, std::uint64_t pixels) {
  ++stats_.images;
  stats_.pixels += pixels;
  stats_.spent.wait_ns += spent.wait_ns;
  stats_.spent.decode_ns += spent.decode_ns;
  stats_.spent.count_ns += spent.count_ns;
  stats_.spent.rule_ns += spent.rule_ns;
  stats_.spent.apply_ns += spent.apply_ns;
  stats_.spent.encode_ns += spent.encode_ns;
}

void Pipeline::poll() {
  while (!waiting_.empty()) {
    std::unique_ptr<Task> task = std::move(waiting_.front());
    waiting_.pop_front();
    if (try_reserve(*task)) {
      process(std::move(task));
    } else if (Clock::now() >= task->memory_deadline) {
      task->busy = true;
      task->error = Error{compute::make_error_code(Errc::bytes_over_limit), "no memory came free in time, in bytes",
                          task->bytes_needed(), pool_.stats().budget_bytes};
      finish(std::move(task));
    } else {
      waiting_.push_front(std::move(task));
      return;
    }
  }
}

}  // namespace histod::daemon
