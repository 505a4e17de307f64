// SPDX-License-Identifier: Apache-2.0
#include "daemon/start.hpp"

int main(int argc, char** argv) { return histod::daemon::start(argc, argv); }
