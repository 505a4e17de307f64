// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <system_error>

namespace histod::control {

/// What the store answers. is_ambiguous() says after which of them nobody knows whether the write was done.
enum class Errc {
  no_node = 1,                 ///< the znode, or the parent of one to be made, does not exist
  node_exists,                 ///< a znode of this name is there already
  bad_version,                 ///< somebody else wrote since it was read
  not_empty,                   ///< a znode with children is not removed
  no_children_for_ephemerals,  ///< an ephemeral znode has no children
  no_auth,                     ///< its ACL does not let this credential do that
  auth_failed,                 ///< the server refuses the credential itself: final for this session
  bad_arguments,               ///< no valid path, or nothing to do
  too_large,                   ///< the request is over k_request_bytes_max: the server would cut the connection
  connection_loss,             ///< no answer came; what was asked may have been done
  session_lost,                ///< the session has ended, or was given up; what was asked may have been done
  unavailable,                 ///< the servers cannot be resolved, or the client library cannot start
  newer_format,                ///< a record that only later releases understand
  bad_record,                  ///< a record that is none
  unexpected,                  ///< an answer that the protocol does not have in this place
};

const std::error_category& error_category();
std::error_code make_error_code(Errc error);

/// A write that ended so may have been done or not; all others were done, or were not.
bool is_ambiguous(std::error_code error);

}  // namespace histod::control

template <>
struct std::is_error_code_enum<histod::control::Errc> : std::true_type {};
