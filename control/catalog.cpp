// SPDX-License-Identifier: Apache-2.0
#include "control/catalog.hpp"

#include <memory>
#include <utility>

#include "control/paths.hpp"

namespace histod::control {

namespace {

namespace json = boost::json;

/// A commit's outcome where only success matters.
CommitReply plain(Reply<void> reply) {
  return [reply = std::move(reply)](const std::expected<std::int32_t, MultiError>& done) mutable {
    if (!done) return reply(std::unexpected(done.error().error));
    reply({});
  };
}

}  // namespace

Catalog::Catalog(Session& session, RecordFormat format, std::string worker)
    : session_(session), format_(format), worker_(std::move(worker)) {}

Commit Catalog::signed_commit(json::object& fields, const char* token_field) {
  const std::string token = make_token(session_.executor());
  fields[token_field] = token;
  Commit what;
  what.ours = [format = format_, token, token_field](const std::string& data) {
    const auto found = format.read(data);
    return found && text_of(*found, token_field) == token;
  };
  return what;
}

void Catalog::publish(const std::string& path, json::object entry, std::vector<json::object> shards,
                      Reply<void> reply) {
  // Not `token`, which a later update would write over: that must not make the publication look like somebody else's.
  Commit what = signed_commit(entry, "published");
  what.ops.emplace_back(Create{path, format_.write(std::move(entry))});
  for (std::size_t i = 0; i < shards.size(); ++i) {
    what.ops.emplace_back(Create{Paths::shard(path, i), format_.write(std::move(shards[i]))});
  }
  commit(session_, std::move(what), plain(std::move(reply)));
}

void Catalog::read(const std::string& path, Reply<Entry> reply, Watch watch) {
  auto read = [format = format_, path, reply = std::move(reply)](const Result<Node>& node) mutable {
    if (!node) return reply(std::unexpected(node.error()));
    auto fields = format.read(node->data);
    if (!fields) return reply(std::unexpected(fields.error()));
    reply(Entry{path, std::move(*fields), node->stat.version, node->stat.num_children});
  };
  session_.store().get(path, session_.guard(std::move(read)), std::move(watch));
}

void Catalog::update(const Entry& entry, const Fence& fence, CommitReply reply) {
  json::object fields = entry.fields;
  Commit what = signed_commit(fields, "token");
  if (fence) what.ops.push_back(fence->fence());
  what.witness = what.ops.size();
  what.ops.emplace_back(Set{entry.path, format_.write(std::move(fields)), entry.version});
  commit(session_, std::move(what), std::move(reply));
}

struct Catalog::Scan {
  std::string path;
  Reply<std::vector<Shard>> reply;
  std::vector<std::string> names;
  std::vector<Shard> found;
};

void Catalog::shards(const std::string& path, Reply<std::vector<Shard>> reply) {
  auto scan = std::make_shared<Scan>(path, std::move(reply));
  session_.store().children(path, session_.guard([this, scan](Result<std::vector<std::string>> names) {
    if (!names) return scan->reply(std::unexpected(names.error()));
    scan->names = std::move(*names);
    scan_next(scan);
  }));
}

void Catalog::scan_next(const std::shared_ptr<Scan>& scan) {
  if (scan->found.size() == scan->names.size()) return scan->reply(std::move(scan->found));
  const std::string path = scan->path + "/" + scan->names[scan->found.size()];
  session_.store().get(path, session_.guard([this, scan, path](const Result<Node>& node) {
    if (!node) return scan->reply(std::unexpected(node.error()));
    auto fields = format_.read(node->data);
    if (!fields) return scan->reply(std::unexpected(fields.error()));
    scan->found.push_back({path, std::move(*fields), node->stat.version, node->stat.num_children > 0});
    scan_next(scan);
  }));
}

void Catalog::claim(const Shard& shard, Reply<Claim> reply) {
  if (shard.done()) {
    return session_.executor().post(
        [reply = std::move(reply)]() mutable { reply(std::unexpected(Errc::bad_version)); });
  }
  json::object fields = shard.fields;
  fields["worker"] = worker_;
  fields["attempts"] = number_of(fields, "attempts") + 1;
  Commit what = signed_commit(fields, "token");
  what.ops.emplace_back(Create{Paths::claim(shard.path), format_.write({{"worker", worker_}}), CreateMode::ephemeral});
  what.ops.emplace_back(Set{shard.path, format_.write(fields), shard.version});
  what.witness = 1;
  auto claimed = [path = shard.path, fields,
                  reply = std::move(reply)](const std::expected<std::int32_t, MultiError>& done) mutable {
    if (!done) return reply(std::unexpected(done.error().error));
    reply(Claim{path, std::move(fields), *done});
  };
  commit(session_, std::move(what), std::move(claimed));
}

void Catalog::finish(const Claim& claim, json::object result, Reply<void> reply) {
  json::object fields = claim.fields;
  fields["done"] = true;
  fields["result"] = std::move(result);
  end_claim(claim, std::move(fields), std::move(reply));
}

void Catalog::release(const Claim& claim, Reply<void> reply) {
  json::object fields = claim.fields;
  fields["worker"] = "";
  end_claim(claim, std::move(fields), std::move(reply));
}

/// The shard first: its version tells whose claim is removed.
void Catalog::end_claim(const Claim& claim, json::object fields, Reply<void> reply) {
  Commit what = signed_commit(fields, "token");
  what.ops.emplace_back(Set{claim.shard, format_.write(std::move(fields)), claim.version});
  what.ops.emplace_back(Remove{Paths::claim(claim.shard)});
  commit(session_, std::move(what), plain(std::move(reply)));
}

void Catalog::watch_claim(const std::string& shard, Reply<bool> reply, Watch watch) {
  auto listed = [reply = std::move(reply)](const Result<std::vector<std::string>>& names) mutable {
    if (!names) return reply(std::unexpected(names.error()));
    reply(!names->empty());
  };
  session_.store().children(shard, session_.guard(std::move(listed)), std::move(watch));
}

void Catalog::remove(const std::string& path, const Fence& fence, Reply<void> reply) {
  auto with_entry = [this, path, fence, reply = std::move(reply)](Result<Entry> entry) mutable {
    if (!entry) return reply(std::unexpected(entry.error()));
    auto with_shards = [this, entry = std::move(*entry), fence,
                        reply = std::move(reply)](const Result<std::vector<Shard>>& found) mutable {
      if (!found) return reply(std::unexpected(found.error()));
      remove_all(entry, *found, fence, std::move(reply));
    };
    shards(path, std::move(with_shards));
  };
  read(path, std::move(with_entry), {});
}

void Catalog::remove_all(const Entry& entry, const std::vector<Shard>& shards, const Fence& fence, Reply<void> reply) {
  std::vector<Op> ops;
  if (fence) ops.push_back(fence->fence());
  for (const Shard& shard : shards) {
    if (shard.claimed) ops.emplace_back(Remove{Paths::claim(shard.path)});
    ops.emplace_back(Remove{shard.path, shard.version});
  }
  ops.emplace_back(Remove{entry.path, entry.version});
  session_.store().multi(std::move(ops), session_.guard([reply = std::move(reply)](const auto& done) mutable {
    if (!done) return reply(std::unexpected(done.error().error));
    reply({});
  }));
}

}  // namespace histod::control
