// SPDX-License-Identifier: Apache-2.0
#include "control/membership.hpp"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

namespace histod::control {

Membership::Membership(Session& session, Paths paths, RecordFormat format, Member self)
    : session_(session), paths_(std::move(paths)), format_(format), self_(std::move(self)) {
  assert(is_name(self_.name));
}

void Membership::start(std::function<void()> changed) {
  changed_ = std::move(changed);
  session_.listen(object_.guard([this](SessionState state) {
    if (state == SessionState::lost) registered_ = false;
    if (state == SessionState::connected) set_up();
    changed_();
  }));
}

/// After each connection: a session that goes on has kept what there was, and is only asked again.
void Membership::set_up() {
  if (session_number_ != session_.number()) {
    session_number_ = session_.number();
    lifetime_.renew();
    registered_ = entering_ = listing_ = stale_ = false;
    watched_.clear();
  }
  enter();
  list();
}

std::string Membership::record() const {
  return format_.write(
      {{"identity", self_.identity}, {"address", self_.address}, {"version", self_.version}, {"cpus", self_.cpus}});
}

Result<Member> Membership::member_of(const std::string& name, const std::string& data) const {
  const auto fields = format_.read(data);
  if (!fields) return std::unexpected(fields.error());
  return Member{name, text_of(*fields, "identity"), text_of(*fields, "address"), text_of(*fields, "version"),
                number_of(*fields, "cpus")};
}

void Membership::enter() {
  if (registered_ || entering_) return;
  entering_ = true;
  session_.store().create(paths_.node(self_.name), record(), CreateMode::ephemeral,
                          lifetime_.guard([this](const Result<std::string>& made) {
                            if (!made && made.error() == Errc::node_exists) return look_at_holder();
                            entered(made ? std::error_code() : made.error());
                          }));
}

/// The name is taken: by this session, whose create had lost its answer; by an earlier session of this node, whose end
/// would take the znode along, so that only a new one will do; or by another node.
void Membership::look_at_holder() {
  auto reply = [this](const Result<Node>& node) {
    if (!node) return entered(node.error() == Errc::no_node ? make_error_code(Errc::connection_loss) : node.error());
    if (node->stat.ephemeral_owner == session_.id()) return entered({});
    const auto holder = member_of(self_.name, node->data);
    if (holder && holder->identity == self_.identity) return replace(node->stat.version);
    entered(Errc::node_exists);
  };
  session_.store().get(paths_.node(self_.name), lifetime_.guard(std::move(reply)));
}

void Membership::replace(std::int32_t version) {
  const std::string path = paths_.node(self_.name);
  session_.store().multi({Remove{path, version}, Create{path, record(), CreateMode::ephemeral}},
                         lifetime_.guard([this](const auto& done) {
                           // Whatever has come between shows at the next attempt.
                           entered(done ? std::error_code() : make_error_code(Errc::connection_loss));
                         }));
}

void Membership::entered(std::error_code error) {
  entering_ = false;
  registered_ = !error;
  if (error && is_ambiguous(error)) return session_.later(lifetime_.guard([this] { enter(); }));
  trouble_ = error;  // node_exists: gone() tries again
  changed_();
}

void Membership::list() {
  stale_ = listing_;
  if (listing_) return;
  listing_ = true;
  session_.store().children(paths_.nodes(), lifetime_.guard([this](const Result<std::vector<std::string>>& names) {
    listing_ = false;
    if (names) listed(*names);
    if (!names && !is_ambiguous(names.error())) trouble_ = names.error();
    if (!names) return session_.later(lifetime_.guard([this] { list(); }));
    if (stale_) list();
  }),
                            lifetime_.guard([this](const WatchEvent&) { list(); }));
}

void Membership::listed(const std::vector<std::string>& names) {
  const auto left =
      std::erase_if(members_, [&](const auto& each) { return !std::ranges::binary_search(names, each.first); });
  for (const std::string& name : names) {
    if (watched_.insert(name).second) read(name);
  }
  if (left > 0) changed_();
  if (!std::ranges::binary_search(names, self_.name)) enter();
}

/// Reads a member, and watches it for its end: a name may go and come again between two lists.
void Membership::read(const std::string& name) {
  session_.store().get(paths_.node(name), lifetime_.guard([this, name](const Result<Node>& node) {
    if (!node) {
      watched_.erase(name);
      if (node.error() != Errc::no_node) session_.later(lifetime_.guard([this] { list(); }));
      return;
    }
    auto member = member_of(name, node->data);
    // No node has made it. But one whose record only later releases read is there all the same, by its name.
    if (node->stat.ephemeral_owner == 0 || (!member && member.error() == Errc::bad_record)) return;
    members_[name] = std::move(member).value_or(Member{.name = name});
    changed_();
  }),
                       lifetime_.guard([this, name](const WatchEvent&) { gone(name); }));
}

void Membership::gone(const std::string& name) {
  watched_.erase(name);
  members_.erase(name);
  if (name == self_.name) {
    registered_ = false;
    enter();
  }
  list();
  changed_();
}

}  // namespace histod::control
