// SPDX-License-Identifier: Apache-2.0
#include "control/catalog.hpp"

#include <memory>
#include <utility>

namespace histod::control {

namespace json = boost::json;

namespace {

/// The record with a new token, and the question whether some data is that very record.
Commit signed_commit(Session& session, RecordFormat format, json::object& fields, const char* token_field) {
  const std::string token = make_token(session.executor());
  fields[token_field] = token;
  Commit what;
  what.ours = [format, token, token_field](const std::string& data) {
    const auto found = format.read(data);
    return found && text_of(*found, token_field) == token;
  };
  return what;
}

}  // namespace

void update(Session& session, RecordFormat format, const Entry& entry, const Fence& fence, CommitReply reply) {
  json::object fields = entry.fields;
  Commit what = signed_commit(session, format, fields, "token");
  if (fence) what.ops.push_back(fence->fence());
  what.witness = what.ops.size();
  what.ops.emplace_back(Set{entry.path, format.write(std::move(fields)), entry.version});
  commit(session, std::move(what), std::move(reply));
}

void Catalog::publish(const std::string& path, json::object fields, Reply<void> reply) {
  // Not `token`, which a later update would write over: that must not make the publication look like somebody else's.
  Commit what = signed_commit(session_, format_, fields, "published");
  what.ops.emplace_back(Create{path, format_.write(std::move(fields))});
  commit(session_, std::move(what),
         [reply = std::move(reply)](const std::expected<std::int32_t, MultiError>& done) mutable {
           if (!done) return reply(std::unexpected(done.error().error));
           reply({});
         });
}

void Catalog::read(const std::string& path, Reply<Entry> reply) {
  auto read = [format = format_, path, reply = std::move(reply)](const Result<Node>& node) mutable {
    if (!node) return reply(std::unexpected(node.error()));
    auto fields = format.read(node->data);
    if (!fields) return reply(std::unexpected(fields.error()));
    reply(Entry{path, std::move(*fields), node->stat.version});
  };
  session_.store().get(path, session_.guard(std::move(read)));
}

void Catalog::enroll(const std::string& path, const std::string& part, Reply<void> reply) {
  auto made = [reply = std::move(reply)](const Result<std::string>& done) mutable {
    if (!done && done.error() != Errc::node_exists) return reply(std::unexpected(done.error()));
    reply({});
  };
  session_.store().create(path + "/" + part, format_.write({}), CreateMode::persistent,
                          session_.guard(std::move(made)));
}

struct Catalog::Scan {
  std::string path;
  Reply<std::vector<Entry>> reply;
  std::vector<std::string> names;
  std::vector<Entry> found = {};
  std::size_t next = 0;
};

void Catalog::parts(const std::string& path, Reply<std::vector<Entry>> reply) {
  auto scan = std::make_shared<Scan>(path, std::move(reply));
  session_.store().children(path, session_.guard([this, scan](Result<std::vector<std::string>> names) {
    if (!names) return scan->reply(std::unexpected(names.error()));
    scan->names = std::move(*names);
    scan_next(scan);
  }));
}

void Catalog::scan_next(const std::shared_ptr<Scan>& scan) {
  if (scan->next == scan->names.size()) return scan->reply(std::move(scan->found));
  read(scan->path + "/" + scan->names[scan->next++], [this, scan](Result<Entry> part) {
    if (!part && part.error() == Errc::bad_record) return scan_next(scan);  // no node has made it
    if (!part) return scan->reply(std::unexpected(part.error()));
    scan->found.push_back(std::move(*part));
    scan_next(scan);
  });
}

void Catalog::remove(const std::string& path, const Fence& fence, Reply<void> reply) {
  auto with_entry = [this, path, fence, reply = std::move(reply)](Result<Entry> entry) mutable {
    if (!entry) return reply(std::unexpected(entry.error()));
    auto with_parts = [this, entry = std::move(*entry), fence,
                       reply = std::move(reply)](const Result<std::vector<Entry>>& found) mutable {
      if (!found) return reply(std::unexpected(found.error()));
      remove_all(entry, *found, fence, std::move(reply));
    };
    parts(path, std::move(with_parts));
  };
  read(path, std::move(with_entry));
}

void Catalog::remove_all(const Entry& entry, const std::vector<Entry>& parts, const Fence& fence, Reply<void> reply) {
  std::vector<Op> ops;
  if (fence) ops.push_back(fence->fence());
  for (const Entry& part : parts) ops.emplace_back(Remove{part.path, part.version});
  ops.emplace_back(Remove{entry.path, entry.version});
  session_.store().multi(std::move(ops), session_.guard([reply = std::move(reply)](const auto& done) mutable {
    if (!done) return reply(std::unexpected(done.error().error));
    reply({});
  }));
}

}  // namespace histod::control
