// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/executor.hpp"
#include "daemon/announcer.hpp"

namespace histod::daemon {

struct Services;

/// Calls over HTTP, through the first worker, those whom services.webhooks allows. Workers and executor outlive what is
/// under way. Receivers that serve HTTPS are trusted as the other nodes are.
class HttpWebhooks final : public WebhookCaller {
 public:
  HttpWebhooks(Services& services, control::Executor& executor) : services_(services), executor_(executor) {}
  void call(std::string url, std::string body, std::string traceparent, jobs::Reply<void> reply) override;

 private:
  Services& services_;
  control::Executor& executor_;
};

}  // namespace histod::daemon
