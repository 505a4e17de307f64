// SPDX-License-Identifier: Apache-2.0
// Images that are on a shared volume: read from there, and from then on as if they had been sent.
#include <memory>
#include <utility>

#include <fmt/core.h>

#include "daemon/api/api.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon::api {

using jobs::Outcome;

namespace {

constexpr std::string_view k_beside = "beside";

/// What a query says of files.
struct Reference {
  std::optional<FileName> source, result;
  bool overwrite = false;
};

/// A request whose files are being looked at.
struct Fetch {
  WaitingPtr waiting;
  Submission submission;
  Accepted answer;
  Reference reference;
  Context& context() const { return waiting->context; }
  void fail(const Problem& problem) const { waiting->context.fail(problem); }
};
using FetchPtr = std::unique_ptr<Fetch>;

/// The files are looked at on a thread of their own; then(fetch, value) is called back on the request's worker.
template <class T, class Then>
jobs::Reply<T> back_home(FetchPtr fetch, Then then) {
  return [fetch = std::move(fetch), then](Outcome<T> outcome) mutable {
    Mailbox& home = fetch->context().worker.mailbox();
    home.complete([fetch = std::move(fetch), then, outcome = std::move(outcome)]() mutable {
      if (!outcome) return fetch->fail(outcome.error());
      if constexpr (std::is_void_v<T>)
        then(std::move(fetch));
      else
        then(std::move(fetch), std::move(*outcome));
    });
  };
}

/// The directory that a file is in.
FileName beside(const FileName& source) {
  const auto slash = source.path.rfind('/');
  return {source.root, slash == std::string::npos ? "" : source.path.substr(0, slash + 1)};
}

/// Takes what concerns files out of the query.
Outcome<Reference> take_reference(Query& query) {
  Reference out;
  const auto take = [&](const char* name) {
    auto node = query.extract(name);
    return node ? std::optional(std::move(node.mapped())) : std::nullopt;
  };
  if (const auto file = take("file")) {
    auto name = parse_file_name(*file);
    if (!name) return std::unexpected(std::move(name.error()));
    if (name->is_directory()) return std::unexpected(bad_option("file takes ROOT/PATH, the name of an image"));
    out.source = std::move(*name);
  }
  const auto overwrite = take("overwrite");
  const auto result = take("result");
  if (overwrite && *overwrite != "true" && *overwrite != "false")
    return std::unexpected(bad_option("overwrite takes true or false"));
  if (overwrite && !result) return std::unexpected(bad_option("overwrite belongs to result"));
  out.overwrite = overwrite && *overwrite == "true";
  if (!result) return out;
  if (*result == k_beside && !out.source) return std::unexpected(bad_option("result=beside belongs to file"));
  auto name = *result == k_beside ? Outcome<FileName>(beside(*out.source)) : parse_file_name(*result);
  if (!name) return std::unexpected(std::move(name.error()));
  out.result = std::move(*name);
  return out;
}

void submit(FetchPtr fetch) {
  Context context = std::move(fetch->waiting->context);
  submit_job(std::move(context), std::move(fetch->submission), fetch->answer);
}

void read_source(FetchPtr fetch, SourceFile source) {
  Context& context = fetch->context();
  net::BufferPool& pool = context.worker.pool();
  const std::uint64_t bytes = source.bytes();
  if (const std::uint64_t most = context.services.options.max_upload_bytes; bytes > most)
    return fetch->fail(make_problem(413, "too-large", "the file is too large, in bytes", bytes, most));
  if (!pool.fits_ever(bytes))
    return fetch->fail(make_problem(413, "limit-exceeded", "the image needs more memory, in bytes, than one worker has",
                                    bytes, pool.stats().budget_bytes));
  context.file = pool.lease(bytes, net::Use::input);
  if (!context.file)
    return fetch->fail(
        make_problem(503, "overloaded", "no memory is free for the file, in bytes", bytes, pool.stats().budget_bytes));
  context.file_bytes = context.file.bytes().first(bytes);
  SharedFiles& files = *context.services.files;
  const std::span<std::byte> into = context.file_bytes;
  files.read(std::move(source), into, back_home<void>(std::move(fetch), submit));
}

void open_source(FetchPtr fetch) {
  if (!fetch->reference.source) return submit(std::move(fetch));
  SharedFiles& files = *fetch->context().services.files;
  FileName name = *fetch->reference.source;
  files.open_source(std::move(name), back_home<SourceFile>(std::move(fetch), read_source));
}

void take_target(FetchPtr fetch, const FileName& result) {
  fetch->submission.files.result = result.text();
  open_source(std::move(fetch));
}

}  // namespace

void submit_by_query(Context context, Submission submission, Accepted answer) {
  auto reference = take_reference(submission.options);
  if (!reference) return context.fail(reference.error());
  if (!submission.dataset.empty() && !submission.options.empty())
    return context.fail(bad_option("an image has the options of its dataset; there are file, result and overwrite"));
  if (!reference->source && !reference->result) return submit_job(std::move(context), std::move(submission), answer);
  if (!context.services.files)
    return context.fail(
        make_problem(403, "no-file-root", "this node takes no files by their names: it has no --file-root"));
  if (reference->source && !context.request.body.empty())
    return context.fail(make_problem(400, "bad-request", "the image is either sent or named by file, not both"));
  if (const auto checked = image_options(submission.options); !checked) return context.fail(checked.error());
  if (reference->source) submission.files.source = reference->source->text();
  submission.files.overwrite = reference->overwrite;
  SharedFiles& files = *context.services.files;
  auto fetch =
      std::make_unique<Fetch>(wait_with(std::move(context)), std::move(submission), answer, std::move(*reference));
  if (!fetch->reference.result) return open_source(std::move(fetch));
  FileName result = *fetch->reference.result;
  files.check_target(std::move(result), back_home<FileName>(std::move(fetch), take_target));
}

}  // namespace histod::daemon::api
