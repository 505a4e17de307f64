// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/rule.hpp"
#include "daemon/jobs/datasets.hpp"

/// Images that are nothing but samples, and what is to become of them by the definition of rule=exact.
namespace histod::sim {

/// The samples of an image: another content for each number.
std::string image(std::uint64_t seed, std::uint64_t number);

/// floor(((cdf - h[m]) * 255 + (N - h[m]) / 2) / (N - h[m])), of all samples; all zero if they have one value only.
compute::Lut exact_table(std::string_view samples);
std::string applied(std::string_view samples, const compute::Lut& table);

/// What the pipeline counts of an image, by the code under test.
std::vector<std::byte> tally_of(std::string samples);
/// The digest of the tables that a dataset of nothing but this image would have.
std::string digest_of(std::string all_samples);

}  // namespace histod::sim
