// SPDX-License-Identifier: Apache-2.0
#include "control/commit.hpp"

#include <cassert>
#include <memory>
#include <utility>

#include <fmt/core.h>

namespace histod::control {

namespace {

struct Running {
  Session& session;
  Commit what;
  CommitReply reply;
  std::uint64_t session_number;
  bool uncertain = false;  ///< an attempt has gone unanswered

  const std::string& witness() const { return path_of(what.ops[what.witness]); }
  void fail(const MultiError& error) { reply(std::unexpected(error)); }
};
using Shared = std::shared_ptr<Running>;

/// Whether a request of this commit still makes sense; if not, that is the answer.
bool goes_on(const Shared& running) {
  const Session& session = running->session;
  if (session.number() == running->session_number && session.state() != SessionState::lost) return true;
  running->fail({Errc::session_lost, 0});
  return false;
}

/// Something has changed since the versions were read: by one of our own attempts?
void verify(const Shared& running, MultiError refused) {
  if (!goes_on(running)) return;
  Session& session = running->session;
  session.store().get(running->witness(), session.guard([running, refused](const Result<Node>& node) {
    if (!node && is_ambiguous(node.error())) {
      return running->session.later([running, refused] { verify(running, refused); });
    }
    if (!node || !running->what.ours(node->data)) return running->fail(refused);
    running->reply(node->stat.version);
  }));
}

void attempt(const Shared& running) {
  if (!goes_on(running)) return;
  Session& session = running->session;
  session.store().multi(running->what.ops,
                        session.guard([running](const std::expected<std::vector<OpResult>, MultiError>& done) {
                          if (done) return running->reply((*done)[running->what.witness].stat.version);
                          if (is_ambiguous(done.error().error)) {
                            running->uncertain = true;
                            return running->session.later([running] { attempt(running); });
                          }
                          if (!running->uncertain) return running->fail(done.error());
                          verify(running, done.error());
                        }));
}

}  // namespace

void commit(Session& session, Commit what, CommitReply reply) {
  assert(what.witness < what.ops.size());
  attempt(std::make_shared<Running>(session, std::move(what), std::move(reply), session.number()));
}

std::string make_token(Executor& executor) {
  return fmt::format("{:016x}{:016x}", executor.random(), executor.random());
}

}  // namespace histod::control
