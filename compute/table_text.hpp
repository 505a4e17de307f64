// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "compute/error.hpp"
#include "compute/tables.hpp"

/// Tables as text, for people and for numpy.loadtxt, gnuplot and spreadsheets. Five lines say what it is, then each
/// value below the levels has a line, from 0 on, with its entry in each plane's table. Nothing else may stand there,
/// but that lines may end in CR LF, and the last one in nothing.
///
///     # histod lut 1
///     # quantity channels
///     # planes 3
///     # bins 256
///     # levels 256
///     0 0 1
///     0 2 1
///     ...
namespace histod::compute {

/// `tables` must be such that check() takes them.
std::string to_text(const KindTables& tables);

/// For text that anybody may have written: the errors begin with the number of the line. Takes 32 MiB of memory at
/// most, and none for tables that the text is too short to hold. Errc::truncated, corrupt, unsupported_feature.
Result<KindTables> tables_from_text(std::string_view text);

}  // namespace histod::compute
