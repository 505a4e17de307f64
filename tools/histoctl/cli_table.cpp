// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/cli_checks.hpp"
#include "tools/histoctl/cli_stream.hpp"

namespace histod::ctl {
namespace {

using checks::is_whole;
using checks::read_all;

bool is_clip(std::string_view text) {
  double number = 0;
  return read_all(text, number) && number >= 0 && number <= 1000;
}

bool is_tiles(std::string_view text) {
  const std::size_t x = text.find('x');
  if (x == std::string_view::npos) return is_whole<1, 256>(text);
  return is_whole<1, 256>(text.substr(0, x)) && is_whole<1, 256>(text.substr(x + 1));
}

bool is_nodata(std::string_view text) {
  double number = 0;
  return text == "none" || (read_all(text, number) && std::isfinite(number));
}

bool is_range(std::string_view text) { return text == "full" || text == "auto" || is_whole<2, 65536>(text); }

bool is_levels(std::string_view text) { return text == "full" || is_whole<2, 65536>(text); }

constexpr OptionSpec k_common[] = {
    {"server", 0, Value::text, "URL", "", "the daemon to talk to (default http://127.0.0.1:8080)"},
    {"token-file", 0, Value::file, "FILE", "", "file that holds the token; a token itself is never an argument"},
    {"cacert", 0, Value::file, "FILE", "", "certificates (PEM) to trust for https instead of the system's"},
    {"timeout", 0, Value::text, "SECONDS", "", "give up on one request after this long (default 300)",
     is_whole<1, 86400>, "a whole number from 1 to 86400"},
    {"retries", 0, Value::text, "N", "", "further tries when the server is busy or cannot be reached (default 5)",
     is_whole<0, 100>, "a whole number from 0 to 100"},
    {"json", 0, Value::none, "", "", "write JSON to standard output: one document on a line for each result"},
    {"quiet", 'q', Value::none, "", "", "no progress bar and no summary; failures are still shown"},
    {"help", 'h', Value::none, "", "", "show this help"},
    {"version", 0, Value::none, "", "", "show the version"},
};

constexpr OptionSpec k_method = {
    "method",       'm',
    Value::choice,  "NAME",
    "global|clahe", "one table for the whole image, or contrast-limited tiles (default global)"};
constexpr OptionSpec k_rule = {"rule",
                               'r',
                               Value::choice,
                               "NAME",
                               "opencv|exact|reference|pillow|vips",
                               "which library's definition of \"equalize\" (default opencv)"};
constexpr OptionSpec k_color = {"color",
                                'c',
                                Value::choice,
                                "NAME",
                                "luma|ycrcb|lab|channels|gray",
                                "what of a colour image is equalized (default luma)"};
constexpr OptionSpec k_clip = {"clip",      0,
                               Value::text, "FLOAT",
                               "",          "CLAHE: clip limit, 0 to 1000, 0 for none (default 2.0)",
                               is_clip,     "a number from 0 to 1000"};
constexpr OptionSpec k_tiles = {"tiles",     0,
                                Value::text, "WxH",
                                "",          "CLAHE: tiles across and down, 1 to 256 (default 8x8)",
                                is_tiles,    "WxH or N, each from 1 to 256"};
constexpr OptionSpec k_nodata = {"nodata",    0,
                                 Value::text, "NUMBER|none",
                                 "",          "leave pixels of this value alone (default: what a GeoTIFF says)",
                                 is_nodata,   "a number or \"none\""};
constexpr OptionSpec k_range = {
    "range",     0,
    Value::text, "full|auto|N",
    "",          "number of levels: the whole depth, the next power of two above the data, or N",
    is_range,    "full, auto, or a whole number from 2 to 65536"};
constexpr OptionSpec k_pages = {
    "pages", 0, Value::choice, "NAME", "each|stack", "a table for each page, or one for all pages (default each)"};
constexpr OptionSpec k_mask = {"mask", 0,  Value::file,
                               "FILE", "", "8-bit gray image of the same size; where it is 0, pixels are left alone"};
constexpr OptionSpec k_jobs = {"parallel",
                               'j',
                               Value::text,
                               "N",
                               "",
                               "images under way at one time, 1 to 64 (default 4)",
                               is_whole<1, 64>,
                               "a whole number from 1 to 64"};
constexpr OptionSpec k_output = {"output",  'o', Value::file,
                                 "OUT|DIR", "",  "file or folder to write to; - for standard output"};
constexpr OptionSpec k_overwrite = {"overwrite", 'f', Value::none, "", "", "replace files that exist"};

constexpr OptionSpec k_result = {"result",    0,
                                 Value::text, "ROOT/PATH|beside",
                                 "",          "write results there, too, or beside the images (a root with :rw)"};

constexpr OptionSpec k_format = {"format",
                                 0,
                                 Value::choice,
                                 "NAME",
                                 "png|jpeg|tiff|pgm|ppm|pam",
                                 "file format of the results (default: as the input)"};
constexpr OptionSpec k_quality = {"quality",
                                  0,
                                  Value::text,
                                  "N",
                                  "",
                                  "JPEG quality, 1 to 100 (default: the input's own tables)",
                                  is_whole<1, 100>,
                                  "a whole number from 1 to 100"};
constexpr OptionSpec k_png = {
    "png", 0, Value::choice, "HOW", "fast|small", "write PNG files at once (default), or as small as can be"};

constexpr OptionSpec k_placement = {
    "placement",        0,
    Value::choice,      "WHERE",
    "auto|local|fleet", "where pixels are worked on: the asked node, all nodes, or the faster (default auto)"};

constexpr OptionSpec k_equalize[] = {
    k_output,
    k_overwrite,
    k_jobs,
    k_method,
    k_rule,
    k_color,
    k_clip,
    k_tiles,
    k_nodata,
    k_range,
    k_pages,
    k_mask,
    k_format,
    k_quality,
    k_png,
    k_placement,
    {"async", 0, Value::none, "", "", "go by stored jobs, which survive a restart of the server"},
    {"no-wait", 0, Value::none, "", "", "store the jobs, print their ids, and do not wait (implies --async)"},
};

constexpr OptionSpec k_submit[] = {
    k_result,  k_overwrite, k_jobs,
    k_method,  k_rule,      k_color,
    k_clip,    k_tiles,     k_nodata,
    k_range,   k_pages,     k_format,
    k_quality, k_png,       {"no-wait", 0, Value::none, "", "", "print the jobs' ids, and do not wait"},
};

constexpr OptionSpec k_histogram[] = {
    k_jobs,
    k_method,
    k_rule,
    k_color,
    k_clip,
    k_tiles,
    k_nodata,
    k_range,
    k_pages,
    k_mask,
    {"bins", 0, Value::text, "N", "", "16 bit: fold the arrays of the JSON to N bins (default 256, all: 65536)",
     is_whole<1, 65536>, "a whole number from 1 to 65536"},
};

constexpr OptionSpec k_job_options[] = {
    {"limit", 'n', Value::text, "N", "", "list: at most N jobs, 1 to 1000 (default 100)", is_whole<1, 1000>,
     "a whole number from 1 to 1000"},
    {"state", 0, Value::choice, "NAME", "queued|running|done|failed|cancelled", "list: only jobs in this state"},
    k_output,
    k_overwrite,
};

constexpr OptionSpec k_cluster_options[] = {
    {"watch", 'w', Value::none, "", "", "show it again each second, until Ctrl-C"},
};

constexpr OptionSpec k_dataset[] = {
    {"name", 0, Value::text, "TEXT", "", "create: what people call it"},
    {"match", 0, Value::text, "ID", "", "create: give the images the distribution of this dataset, instead of a rule"},
    {"webhook", 0, Value::text, "URL", "", "create: tell URL when all images are made (the daemon's --webhook-allow)"},
    {"rule", 0, k_rule.value, k_rule.metavar, k_rule.choices, "create: which library's \"equalize\" (default opencv)"},
    k_color,
    {"range", 0, Value::text, "full|N", "", "create: number of levels of 16-bit images (default full)", is_levels,
     "full, or a whole number from 2 to 65536"},
    k_nodata,
    k_format,
    k_quality,
    k_png,
    {"limit", 'n', Value::text, "N", "", "list: at most N datasets, 1 to 1000 (default 100)", is_whole<1, 1000>,
     "a whole number from 1 to 1000"},
    {"watch", 'w', Value::none, "", "", "show: wait, with a progress bar, until nothing is under way"},
    {"recursive", 'r', Value::none, "", "", "add: take the folders inside of folders too"},
    {"by-reference", 0, Value::none, "", "", "add: names are ROOT/PATH; the daemon reads the files (its --file-root)"},
    {"result", 0, k_result.value, k_result.metavar, "", "add: have results written there, too, or beside the images"},
    {"wait", 0, Value::none, "", "", "finalize: wait for all counts; apply: wait for all results"},
    k_jobs,
    {"output", 'o', Value::file, "FOLDER|FILE", "", "get: folder for the results; lut: file for the table"},
    k_overwrite,
    {"resume", 0, Value::none, "", "", "get: pass over files that are there and have the result's size"},
    {"text", 0, Value::none, "", "", "lut: as lines of numbers, for numpy.loadtxt and gnuplot, instead of JSON"},
    {"kind", 0, Value::text, "N", "", "lut: the table of one kind of images only (see `lut` of `show`)",
     is_whole<0, 65536>, "a whole number from 0 to 65536"},
    {"set", 0, Value::file, "FILE", "", "lut: use this table, JSON or text, from now on; - for standard input"},
};

bool is_speed(std::string_view text) {
  double number = 0;
  return read_all(text, number) && number >= 0.01 && number <= 1e6;
}

bool is_gap(std::string_view text) {
  double number = 0;
  return read_all(text, number) && number >= 0 && number <= 3600;
}

bool is_rollout(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

constexpr OptionSpec k_events[] = {
    {"source", 0, Value::choice, "TOOL", "terraform|tinkerbell|ansible|kubeadm|k8s|argocd|flux|systemd",
     "send: whose lines they are"},
    {"file", 0, Value::file, "FILE", "", "send: read this file instead of standard input"},
    {"rollout", 0, Value::text, "ID", "", "send, replay: name of this run; what is sent twice under one name is one",
     is_rollout, "1 to 128 visible ASCII characters"},
    {"out", 0, Value::file, "FILE", "",
     "send: write the events to FILE, one on a line, and ask no daemon; - for standard output"},
    {"speed", 0, Value::text, "X", "", "replay: so many times as fast as it was (default 1)", is_speed,
     "a number from 0.01 to 1000000"},
    {"gap", 0, Value::text, "SECONDS", "", "replay: wait no longer than this between two events (default 5)", is_gap,
     "a number from 0 to 3600"},
    {"type", 0, Value::text, "PREFIX", "", "tail: only types that begin so, as io.histod.rollout"},
    {"node", 0, Value::text, "NAME", "", "tail: only of this node"},
    {"severity", 0, Value::choice, "NAME", "debug|info|ok|warning|error", "tail: at least so severe"},
    {"limit", 'n', Value::text, "N", "", "tail: begin with the last N, 1 to 1000 (default 50)", is_whole<1, 1000>,
     "a whole number from 1 to 1000"},
    {"follow", 'F', Value::none, "", "", "tail: go on with what comes, until Ctrl-C"},
};

constexpr OptionSpec k_seams[] = {
    {"place", 0, Value::text, "PATTERN", "", "how a file's name tells its tile's place (see above)"},
    {"recursive", 'r', Value::none, "", "", "take the folders inside of folders too"},
};

constexpr CommandSpec k_commands[] = {
    {"equalize", "IN... [-o OUT|DIR]", "equalize images",
     "Sends each image to the daemon and writes what comes back. IN may be -, for standard input.\n"
     "Several inputs go to a folder, under their own names; without -o each result lies beside its\n"
     "input as NAME_equalized.EXT. A file appears under its name only when it is whole, and one that\n"
     "exists is kept unless --overwrite is given.",
     k_equalize,
     "  histoctl equalize photo.jpg -o better.jpg\n"
     "  histoctl equalize --rule exact --color lab -o out/ scans/*.tif\n"
     "  histoctl equalize -m clahe --clip 3 --tiles 16x8 - <in.png >out.png\n",
     ""},
    {"submit", "ROOT/PATH...", "equalize images that the daemon reads itself",
     "Has the daemon make jobs of images on its shared volumes (its --file-root ROOT=DIR), and waits until they\n"
     "are done. Prints the jobs' ids. --result has the daemon write each result to a volume, too: to a file, into\n"
     "a directory as NAME_equalized.EXT, or beside the image. A file that is there and is none of the job's is\n"
     "kept unless --overwrite is given. `jobs get` fetches a result.",
     k_submit,
     "  histoctl submit scans/2026/a.tif --result beside\n"
     "  histoctl submit scans/a.tif scans/b.tif --rule exact --result out/2026/ --json | jq -r .result_file\n",
     ""},
    {"histogram", "IN...", "show the histograms of images, before and after",
     "Counts each image as `equalize` would, changes nothing, and shows a table; on a terminal with a\n"
     "picture of the counts. With --json the daemon's whole answer follows, \"file\" added.",
     k_histogram,
     "  histoctl histogram photo.jpg\n"
     "  histoctl histogram --json --color channels photo.jpg | jq '.planes[].mean'\n",
     ""},
    {"status",
     "",
     "show whether the daemon is ready, and what it runs on",
     "Exits with 1 when the daemon answers but is not ready.",
     {},
     "  histoctl status --json\n",
     ""},
    {"cluster", "", "show the fleet as the daemon sees it",
     "Who is in it, who leads, and how the daemon stands with ZooKeeper. Exits with 1 when ZooKeeper is not\n"
     "connected, or there are fewer members than the daemon's --min-nodes.",
     k_cluster_options, "  histoctl cluster --watch\n  histoctl cluster --json | jq -r '.members[].url'\n", ""},
    {"jobs", "list | show ID | get ID [-o OUT] | cancel ID...", "look at stored jobs, fetch results, cancel",
     "`get` writes the result of a finished job. `cancel` also deletes the job's record and files.", k_job_options,
     "  histoctl jobs list --state failed\n  histoctl jobs get 01J9ZQ5V7C3M8T2X4R6W0YBNDE -o out.png\n",
     "list|show|get|cancel"},
    {"dataset", "WORD [ID] ...", "equalize many images by one table",
     "Images are counted when they come; one table is made of all of their pixels, and applied to each.\n"
     "\n"
     "  create                    make an empty dataset, print its ID\n"
     "  add ID FILE|FOLDER...     send images that are not there yet (by their SHA-256); of a folder, files\n"
     "                            named like images; may be interrupted and begun again; with --by-reference\n"
     "                            ROOT/PATH... on the daemon's shared volumes, those whose names are not there\n"
     "  finalize ID [--wait]      make the table, print its digest\n"
     "  apply ID [--wait]         let the daemon apply it to all images\n"
     "  get ID -o FOLDER          download the results that are there, under the names of their originals\n"
     "  list, show ID [--watch]   what there is; how far it is\n"
     "  lut ID [-o FILE]          print the table; --set FILE uses another one\n"
     "  remove ID JOB...          take images out again, exactly\n"
     "  rm ID...                  delete datasets with all of their images",
     k_dataset,
     "  id=$(histoctl dataset create --name survey --rule exact)\n"
     "  histoctl dataset add $id -r photos/\n"
     "  histoctl dataset finalize $id --wait && histoctl dataset apply $id --wait\n"
     "  histoctl dataset get $id -o equalized/\n",
     "create|list|show|add|finalize|apply|get|lut|rm|remove", true},
    {"events", "send --source TOOL | tail | replay FILE", "tell the daemon what a rollout's tools say, show events",
     "  send --source TOOL        reads the tool's lines and posts them as events, without secrets; flushed each half\n"
     "                            second. It reads to the end even when the daemon is away, since the tool must not\n"
     "                            stop for it; then it exits with a failure that counts what was lost. Lines are:\n"
     "                              terraform   terraform apply -json\n"
     "                              tinkerbell  kubectl get workflows -o json --watch --output-watch-events\n"
     "                              ansible     the file that deploy/ansible/callback_plugins/histod_events.py writes\n"
     "                              kubeadm     kubeadm init or join; journalctl -o cat -u kubelet\n"
     "                              k8s         kubectl get daemonsets,pods -o json --watch --output-watch-events,\n"
     "                                          or kubectl rollout status\n"
     "                              argocd      kubectl get applications -o json --watch --output-watch-events\n"
     "                              flux        bodies of its generic webhooks\n"
     "                              systemd     journalctl -o json, or systemctl show -p "
     "Id,ActiveState,SubState,Result\n"
     "                            The same recording under the same --rollout gives the same events, which the daemon\n"
     "                            counts once. Without it, JSON lines are named by the first of them, text by the "
     "time.\n"
     "  tail                      shows events, one on a line\n"
     "  replay FILE               posts recorded events (of `send --out`, `tail --json`) again, marked as a replay, "
     "in\n"
     "                            the time that they took",
     k_events,
     "  terraform apply -json | histoctl events send --source terraform\n"
     "  histoctl events send --source terraform --file apply.jsonl --out recorded.jsonl\n"
     "  histoctl events tail --follow --type io.histod.rollout --severity ok\n"
     "  histoctl events replay deploy/rollout/recorded.jsonl --speed 4\n",
     "send|tail|replay", true},
    {"seams", "BEFORE AFTER --place PATTERN", "measure the steps where tiles of a mosaic adjoin",
     "Reads the tiles in the folders BEFORE and AFTER, here and without a daemon, and shows the largest and the\n"
     "mean step between pixels on both sides of their borders. PATTERN is a file's name without its extension:\n"
     "{column} and {row} stand for the tile's place in the grid, or {x} and {y} for the place of its first\n"
     "pixel in the mosaic, * for anything else. Pixels without data (alpha 0, GeoTIFF's nodata) are left out.\n"
     "Exits with 1 when a tile of BEFORE is missing in AFTER, or tiles that adjoin do not fit together.",
     k_seams,
     "  histoctl seams tiles/ equalized/ --place 'tile_{column}_{row}'\n"
     "  histoctl seams tiles/ equalized/ --place '*_x{x}_y{y}' --json | jq .after.largest\n",
     ""},
    k_stream_command,
    {"completion",
     "bash | zsh | fish",
     "print a script that completes histoctl's words in a shell",
     "",
     {},
     "  histoctl completion bash > ~/.local/share/bash-completion/completions/histoctl\n"
     "  histoctl completion fish > ~/.config/fish/completions/histoctl.fish\n",
     "bash|zsh|fish"},
};

}  // namespace

std::span<const CommandSpec> commands() { return k_commands; }
std::span<const OptionSpec> common_options() { return k_common; }

}  // namespace histod::ctl
