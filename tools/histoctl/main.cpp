// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/interrupt.hpp"

namespace {

using namespace histod::ctl;

Result<Exit> run_completion(const Arguments& arguments) {
  if (arguments.operands.size() != 1) return fail(Exit::usage, "completion: name one shell: bash, zsh or fish");
  const auto script = completion_script(arguments.operands[0]);
  if (!script) return std::unexpected(script.error());
  print(*script);
  return Exit::ok;
}

Result<Exit> dispatch(const Arguments& arguments) {
  const std::string_view name = arguments.command->name;
  if (name == "completion") return run_completion(arguments);
  if (name == "seams") return run_seams(arguments);
  if (name == "events") return run_events(arguments);
  if (name == "stream") return run_stream(arguments);
  const auto settings = load_settings(arguments);
  if (!settings) return std::unexpected(settings.error());
  if (name == "equalize") return run_equalize(arguments, *settings);
  if (name == "histogram") return run_histogram(arguments, *settings);
  if (name == "status") return run_status(arguments, *settings);
  if (name == "cluster") return run_cluster(arguments, *settings);
  if (name == "submit") return run_submit(arguments, *settings);
  if (name == "dataset") return run_dataset(arguments, *settings);
  return run_jobs(arguments, *settings);
}

Result<Exit> run(std::span<const char* const> words) {
  const auto arguments = parse(words);
  if (!arguments) return std::unexpected(arguments.error());
  if (arguments->has("help")) {
    print(help(arguments->command));
    return Exit::ok;
  }
  if (arguments->has("version")) {
    print("histoctl " HISTOD_VERSION "\n");
    return Exit::ok;
  }
  if (!arguments->command) return fail(Exit::usage, "no command was given");
  return dispatch(*arguments);
}

}  // namespace

int main(int argc, char** argv) {
  catch_interrupts();
  const auto exit = run(std::span<const char* const>(argv + 1, static_cast<std::size_t>(argc - 1)));
  if (exit) return static_cast<int>(*exit);
  Failure failure = exit.error();
  if (failure.exit == Exit::interrupted) return static_cast<int>(failure.exit);
  if (failure.exit == Exit::usage) failure.text += "; see histoctl --help";
  Console({.json = false, .quiet = true}, 0).report("", failure);
  return static_cast<int>(failure.exit);
}
