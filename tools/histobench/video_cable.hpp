// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

namespace histod::bench {

/// Two network namespaces with a virtual Ethernet cable between them. The thread that laid it, and what it starts, live
/// at the near end until this is destroyed; other threads may go to the far end. It takes root.
class VideoCable {
 public:
  /// Null where it cannot be laid; `why_not` says why.
  static std::unique_ptr<VideoCable> lay(std::string& why_not);
  ~VideoCable();
  VideoCable(const VideoCable&) = delete;
  VideoCable& operator=(const VideoCable&) = delete;

  static constexpr const char *k_near_device = "histob0", *k_far_device = "histob1";
  static constexpr const char *k_near_ip = "192.0.2.1", *k_far_ip = "192.0.2.2";
  static constexpr const char* k_nobodys_ip = "192.0.2.3";  ///< beyond the far end, where nobody has it
  void go_near() const;
  void go_far() const;
  /// Whether datagrams that are sent from the far end in one piece (GSO) go through the cable so, as a network card's
  /// driver would hand them up (GRO); else the kernel cuts them before.
  void set_joined(bool joined) const;

 private:
  VideoCable() = default;
  std::string set_up();
  int home_ = -1, near_ = -1, far_ = -1;
};

}  // namespace histod::bench
