// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/runner.hpp"

#include <memory>
#include <utility>

#include "daemon/api/query.hpp"
#include "daemon/api/results.hpp"
#include "daemon/services.hpp"
#include "daemon/spread.hpp"

namespace histod::daemon::jobs {

namespace {

/// Lives from dispatch to the end of storing; dies on the worker's thread, where its leases are at home.
struct Attempt {
  Attempt(Services& services_, Worker& worker_, const JobRecord& record_)
      : services(services_), worker(worker_), engine(services_.engine), files(services_.files.get()), record(record_) {}

  Services& services;
  Worker& worker;
  Engine& engine;
  SharedFiles* files;
  JobRecord record;
  ImageOptions options;
  std::shared_ptr<FleetSpread> spread;  ///< null: nobody else is asked
  net::Lease input, mask;
  ImageResult result;

  std::span<std::byte> input_bytes() const { return input.bytes().first(record.input.bytes); }
  std::span<std::byte> mask_bytes() const {
    return mask ? mask.bytes().first(record.input.mask_bytes) : std::span<std::byte>();
  }
};
using AttemptPtr = std::unique_ptr<Attempt>;

void store(AttemptPtr attempt, Finished outcome) {
  Engine& engine = attempt->engine;
  const std::string id = attempt->record.id;
  auto stored = [attempt = std::move(attempt)]() mutable {
    Mailbox& home = attempt->worker.mailbox();
    home.complete([attempt = std::move(attempt)] {});
  };
  engine.finished(id, std::move(outcome), std::move(stored));
}

/// Where the result goes: into a directory under a name that is made of the image's.
Outcome<FileName> result_file(const JobRecord& record, std::string_view extension) {
  auto name = parse_file_name(record.files.result);
  if (!name || !name->is_directory()) return name;
  const std::string& original = record.input.filename;
  return parse_file_name(name->text() + api::result_filename(original.empty() ? record.id : original, extension));
}

/// A result that cannot be written there is kept all the same.
void store_unwritten(AttemptPtr attempt, Finished outcome, api::Problem problem) {
  outcome.unwritten = std::move(problem);
  store(std::move(attempt), std::move(outcome));
}

void write(AttemptPtr attempt, Finished outcome) {
  Attempt& a = *attempt;
  auto name = result_file(a.record, compute::codec::extension(a.result.format));
  if (!name) return store_unwritten(std::move(attempt), std::move(outcome), std::move(name.error()));
  if (a.files == nullptr)
    return store_unwritten(std::move(attempt), std::move(outcome),
                           problem(403, "no-file-root", "the node that made the job has no --file-root"));
  outcome.files = a.record.files;
  outcome.files->result = name->text();
  ResultFile file{std::move(*name), a.result.bytes, "", a.record.files.written_sha256, a.record.files.overwrite};
  const std::string id = a.record.id;
  a.files->write(std::move(file), id,
                 [attempt = std::move(attempt), outcome = std::move(outcome)](Outcome<std::string> written) mutable {
                   Mailbox& home = attempt->worker.mailbox();
                   home.complete([attempt = std::move(attempt), outcome = std::move(outcome),
                                  written = std::move(written)]() mutable {
                     if (!written)
                       return store_unwritten(std::move(attempt), std::move(outcome), std::move(written.error()));
                     outcome.files->written_sha256 = std::move(*written);
                     store(std::move(attempt), std::move(outcome));
                   });
                 });
}

void succeed(AttemptPtr attempt, ImageResult result) {
  namespace codec = compute::codec;
  attempt->result = std::move(result);
  const ImageResult& r = attempt->result;
  Finished outcome;
  if (attempt->options.tally_only) outcome.tally = r.tally.to_bytes();
  outcome.result = r.bytes;
  outcome.described = {r.bytes.size(), std::string(codec::media_type(r.format)), std::string(codec::name(r.format)),
                       r.lut_digest};
  outcome.input.format = codec::name(r.input.format);
  outcome.input.width = r.input.pages.front().width;
  outcome.input.height = r.input.pages.front().height;
  outcome.planes = api::job_planes(r, attempt->options);
  outcome.timing_ms = api::timing_ms(r.timings);
  if (attempt->spread) {
    attempt->spread->learn(r);
    outcome.placement = attempt->spread->placement();
  }
  if (!attempt->record.files.result.empty() && !attempt->options.tally_only)
    return write(std::move(attempt), std::move(outcome));
  store(std::move(attempt), std::move(outcome));
}

void fail(AttemptPtr attempt, api::Problem problem) {
  Finished outcome;
  outcome.error = std::move(problem);
  store(std::move(attempt), std::move(outcome));
}

void ended(AttemptPtr attempt, std::expected<ImageResult, ImageFailure> result) {
  if (result) return succeed(std::move(attempt), std::move(*result));
  if (result.error().busy) return attempt->engine.yielded(attempt->record.id);
  fail(std::move(attempt), api::problem_of(result.error()));
}

void process(AttemptPtr attempt) {
  Attempt& a = *attempt;
  a.worker.pipeline().run(a.input_bytes(), a.mask_bytes(), a.options,
                          [attempt = std::move(attempt)](std::expected<ImageResult, ImageFailure> result) mutable {
                            ended(std::move(attempt), std::move(result));
                          });
}

void read(AttemptPtr attempt) {
  Attempt& a = *attempt;
  a.engine.read_input(a.record, a.input_bytes(), a.mask_bytes(),
                      [attempt = std::move(attempt)](Outcome<void> read) mutable {
                        Mailbox& home = attempt->worker.mailbox();
                        home.complete([attempt = std::move(attempt), read = std::move(read)]() mutable {
                          if (!read) return fail(std::move(attempt), std::move(read.error()));
                          process(std::move(attempt));
                        });
                      });
}

}  // namespace

void run_attempt(Services& services, Worker& worker, const JobRecord& record, SharedTables tables) {
  auto attempt = std::make_unique<Attempt>(services, worker, record);
  auto options = api::image_options(record.options);
  if (!options) return fail(std::move(attempt), std::move(options.error()));
  attempt->options = *options;
  attempt->options.tally_only = !record.dataset.empty() && !tables;
  attempt->options.tables = std::move(tables);
  if (record.dataset.empty())
    attempt->spread = make_spread(services, worker, record.placement.asked, record.traceparent);
  attempt->options.spread = attempt->spread;
  net::BufferPool& pool = worker.pool();
  if (const std::uint64_t bytes = record.input.bytes + record.input.mask_bytes; !pool.fits_ever(bytes)) {
    const compute::Error error{compute::make_error_code(compute::Errc::bytes_over_limit),
                               "the image needs more memory, in bytes, than one worker has", bytes,
                               pool.stats().budget_bytes};
    return fail(std::move(attempt), api::problem_of({error, false}));
  }
  attempt->input = pool.lease(record.input.bytes, net::Use::input);
  if (record.input.mask_bytes > 0) attempt->mask = pool.lease(record.input.mask_bytes, net::Use::input);
  if (!attempt->input || (record.input.mask_bytes > 0 && !attempt->mask)) {
    attempt.reset();
    return services.engine.yielded(record.id);
  }
  read(std::move(attempt));
}

}  // namespace histod::daemon::jobs
