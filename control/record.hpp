// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "control/store.hpp"

namespace histod::control {

/// The data of a znode: a JSON object with `format`, the version for which it was written, and `since`, the oldest
/// version that understands it. So releases work side by side: what an older one does not know it keeps as it is when
/// it writes again, and it refuses only what says that it must. `token` names the write: whose it was, should its
/// answer be lost.
class RecordFormat {
 public:
  static constexpr int k_format = 1;
  explicit RecordFormat(int format = k_format, int since = 1) : format_(format), since_(since) {}

  /// newer_format when its `since` is later than this format; bad_record when it is none.
  Result<boost::json::object> read(std::string_view text) const;
  /// Raises `format` and `since` to this one's, never lowers them.
  std::string write(boost::json::object fields) const;

 private:
  int format_, since_;
};

/// The field's text; empty when there is none.
std::string text_of(const boost::json::object& fields, std::string_view name);
/// The field's number; 0 when there is none, or it is negative or too large.
std::int64_t number_of(const boost::json::object& fields, std::string_view name);

}  // namespace histod::control
