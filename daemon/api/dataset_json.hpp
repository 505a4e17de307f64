// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "daemon/jobs/engine.hpp"

/// How datasets are told. Their images are on several nodes, each of which tells its part.
namespace histod::daemon::api {

/// What this node tells another one: the dataset with its own images, and under `part` what is needed to join it with
/// the parts of others.
boost::json::object dataset_part(const jobs::DatasetStatus& status);

/// The dataset as it is answered, when this node has all that is known of it.
boost::json::object dataset_json(const jobs::DatasetStatus& status, const std::string& node);

struct NodePart {
  std::string node;
  boost::json::object part;  ///< empty: the node did not answer
};
/// Whether that can be joined: it may come from anybody.
bool is_dataset_part(const boost::json::object& part);
/// The first part says what the dataset is; is_dataset_part() has said yes to each that is not empty. A node that has
/// other tables in force than the first one has made no image by those.
boost::json::object joined(std::vector<NodePart> parts);

}  // namespace histod::daemon::api
