// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/image_files.hpp"
#include "tools/histoctl/interrupt.hpp"
#include "tools/histoctl/tile.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace fs = std::filesystem;
namespace {

using compute::Seam;
using compute::Side;

/// Where a mosaic is seen worst.
struct Seams {
  std::uint64_t borders = 0;
  Seam all;
  std::string first, second;  ///< the files that the largest step is between; empty: no pixels adjoin

  double mean() const { return all.pairs == 0 ? 0 : static_cast<double>(all.sum) / static_cast<double>(all.pairs); }
};

using Files = std::map<Place, std::string>;

/// The tiles of a folder.
Result<Files> tiles_of(const std::string& folder, const PlacePattern& pattern, bool recursive) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return fail(Exit::usage, one_line(folder) + " is no folder");
  const auto names = files_of(std::span(&folder, 1), recursive);
  if (!names) return std::unexpected(names.error());
  Files files;
  for (const std::string& name : *names) {
    const auto place = pattern.place_of(fs::path(name).stem().string());
    if (!place) continue;
    const auto [there, added] = files.emplace(*place, name);
    if (!added) {
      return fail(Exit::some_failed,
                  fmt::format("{} and {} have the same place", one_line(there->second), one_line(name)));
    }
  }
  if (files.empty()) return fail(Exit::some_failed, one_line(folder) + ": no image is named by the pattern");
  return files;
}

class Mosaic {
 public:
  Mosaic(const PlacePattern& pattern, Console& console) : pattern_(pattern), console_(console) {}

  /// Files that cannot be read, and tiles that do not fit, are reported.
  Result<Seams> measure(const Files& files, Verdict& verdict) {
    std::map<Place, Tile> tiles;
    Seams seams;
    for (const auto& [place, name] : files) {
      if (interrupted()) return fail(Exit::interrupted, "interrupted");
      auto tile = Tile::read(name, arena_);
      console_.item_done();
      if (!tile) {
        verdict.add(tile.error());
        console_.report(name, tile.error());
        continue;
      }
      bytes_ += tile->file_bytes();
      console_.draw(bytes_);
      tiles.emplace(place, std::move(*tile));
    }
    for (const auto& [place, tile] : tiles) {
      const Place right{place.row, place.column + (pattern_.in_pixels() ? tile.width() : 1)};
      const Place below{place.row + (pattern_.in_pixels() ? tile.height() : 1), place.column};
      for (const auto& [side, other] : {std::pair(Side::right, right), std::pair(Side::below, below)}) {
        const auto found = tiles.find(other);
        if (found == tiles.end()) continue;
        add(seams, files.at(place), files.at(other), Tile::seam(tile, found->second, side), verdict);
      }
    }
    return seams;
  }

 private:
  void add(Seams& seams, const std::string& first, const std::string& second, const compute::Result<Seam>& seam,
           Verdict& verdict) {
    if (!seam) {
      const Failure failure = fail(Exit::some_failed, fmt::format("{} adjoins, but does not fit: {}", one_line(second),
                                                                  seam.error().detail))
                                  .error();
      verdict.add(failure);
      return console_.report(first, failure);
    }
    ++seams.borders;
    if (seam->pairs > 0 && (seams.first.empty() || seam->largest > seams.all.largest)) {
      seams.first = first;
      seams.second = second;
    }
    seams.all.merge(*seam);
  }

  const PlacePattern& pattern_;
  Console& console_;
  compute::Arena arena_{{}};
  std::uint64_t bytes_ = 0;
};

json::object to_json(const Seams& seams) {
  return {{"borders", seams.borders},
          {"pairs", seams.all.pairs},
          {"largest", seams.all.largest},
          {"mean", seams.mean()},
          {"between", {seams.first, seams.second}}};
}

std::string line(std::string_view name, const Seams& seams) {
  const std::string where =
      seams.first.empty() ? "-" : fmt::format("{}, {}", one_line(seams.first), one_line(seams.second));
  return fmt::format("{:<8}{:>10}{:>14}{:>10}{:>12.3f}  {}\n", name, seams.borders, seams.all.pairs, seams.all.largest,
                     seams.mean(), where);
}

}  // namespace

Result<Exit> run_seams(const Arguments& arguments) {
  if (arguments.operands.size() != 2) return fail(Exit::usage, "seams: name two folders, before and after");
  if (!arguments.has("place")) return fail(Exit::usage, "seams: say how names tell places, by --place");
  const auto pattern = PlacePattern::parse(arguments.get("place"));
  if (!pattern) return std::unexpected(pattern.error());
  const auto before = tiles_of(arguments.operands[0], *pattern, arguments.has("recursive"));
  if (!before) return std::unexpected(before.error());
  const auto after = tiles_of(arguments.operands[1], *pattern, arguments.has("recursive"));
  if (!after) return std::unexpected(after.error());

  Console console({.json = arguments.has("json"), .quiet = arguments.has("quiet")}, before->size() + after->size());
  Verdict verdict;
  for (const auto& [place, name] : *before) {
    if (after->contains(place)) continue;
    const Failure missing =
        fail(Exit::some_failed, "there is no such tile in " + one_line(arguments.operands[1])).error();
    verdict.add(missing);
    console.report(name, missing);
  }
  Mosaic mosaic(*pattern, console);
  const auto was = mosaic.measure(*before, verdict);
  if (!was) return std::unexpected(was.error());
  const auto is = mosaic.measure(*after, verdict);
  if (!is) return std::unexpected(is.error());
  console.erase();
  if (arguments.has("json")) {
    print(to_text(json::object{{"before", to_json(*was)}, {"after", to_json(*is)}}) + "\n");
  } else {
    print(fmt::format("{:<8}{:>10}{:>14}{:>10}{:>12}  {}\n", "", "borders", "pairs", "largest", "mean",
                      "largest between") +
          line("before", *was) + line("after", *is));
  }
  return verdict.exit();
}

}  // namespace histod::ctl
