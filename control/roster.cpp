// SPDX-License-Identifier: Apache-2.0
#include "control/roster.hpp"

#include <cassert>
#include <utility>

namespace histod::control {

Roster::Roster(Session& session, Paths paths, RecordFormat format, std::string identity, std::string name)
    : session_(session),
      paths_(std::move(paths)),
      format_(format),
      identity_(std::move(identity)),
      name_(std::move(name)),
      mirror_(session, paths_.identities()) {
  assert(is_name(identity_));
}

void Roster::start(std::function<void()> changed) {
  changed_ = std::move(changed);
  mirror_.start([this] { read(); });
}

void Roster::read() {
  all_.clear();
  for (const auto& [identity, item] : mirror_.items()) {
    const auto fields = format_.read(item.data);
    if (fields) all_[identity] = {text_of(*fields, "name"), text_of(*fields, "state") == "retired", item.version};
  }
  if (mirror_.complete() && !mirror_.items().contains(identity_)) enter();
  changed_();
}

void Roster::enter() {
  if (std::exchange(entering_, true)) return;
  // Whether it was this request or a lost one of before that made it: the mirror shows it.
  session_.store().create(paths_.identity(identity_), format_.write({{"name", name_}, {"state", "active"}}),
                          CreateMode::persistent, lifetime_.guard([this](const Result<std::string>& made) {
                            entering_ = false;
                            if (made || made.error() == Errc::node_exists) return;
                            session_.later(lifetime_.guard([this] { read(); }));
                          }));
}

void Roster::retire(const std::string& identity, const Leadership& leader, Reply<void> reply) {
  write(identity, true, leader, std::move(reply));
}

void Roster::reinstate(Reply<void> reply) { write(identity_, false, {}, std::move(reply)); }

void Roster::write(const std::string& identity, bool retired, const Fence& fence, Reply<void> reply) {
  const auto known = mirror_.items().find(identity);
  const auto fields = known == mirror_.items().end() ? Result<boost::json::object>(std::unexpected(Errc::no_node))
                                                     : format_.read(known->second.data);
  if (!fields)
    return session_.executor().post(
        [reply = std::move(reply), error = fields.error()]() mutable { reply(std::unexpected(error)); });
  boost::json::object next = *fields;
  next["state"] = retired ? "retired" : "active";
  if (!retired) next["name"] = name_;
  update(session_, format_, {paths_.identity(identity), std::move(next), known->second.version}, fence,
         [reply = std::move(reply)](const std::expected<std::int32_t, MultiError>& done) mutable {
           if (!done) return reply(std::unexpected(done.error().error));
           reply({});
         });
}

}  // namespace histod::control
