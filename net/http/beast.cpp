// SPDX-License-Identifier: Apache-2.0
// Asio and Beast, compiled once per back-end.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
