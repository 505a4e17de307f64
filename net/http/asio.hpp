// SPDX-License-Identifier: Apache-2.0
#pragma once

// The part of Asio that connections use, and the one form in which they await: results as a tuple, no exceptions.

#include <chrono>
#include <cstddef>
#include <tuple>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

namespace histod::net::http {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr auto k_await = asio::as_tuple(asio::use_awaitable);
using Done = asio::awaitable<std::tuple<boost::system::error_code>>;
using Transferred = asio::awaitable<std::tuple<boost::system::error_code, std::size_t>>;

}  // namespace histod::net::http
