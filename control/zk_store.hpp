// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "control/credential.hpp"
#include "control/executor.hpp"
#include "control/store.hpp"

namespace histod::control {

struct ZkOptions {
  std::string servers;  ///< "host:port,host:port"; the client asks them in an order of its own drawing
  std::chrono::milliseconds timeout_ms{10'000};  ///< of a session; the server may grant another
  Credential credential;                         ///< every znode is then for this user alone
};

/// Sessions with ZooKeeper servers (3.5 and later), by the C client, which runs two threads for each. They only decode,
/// and post to the executor, which outlives the stores.
///
/// Opening resolves names, and destroying a store that is connected tells the server, for at most three seconds: both
/// block. Debian's client has no TLS: credentials and data travel in the clear, so the network must be private or
/// tunnelled.
OpenStore zookeeper_opener(Executor& executor, ZkOptions options);

}  // namespace histod::control
