# SPDX-License-Identifier: Apache-2.0
"""Banned calls and words of tools/tidy, each with what to write instead."""
import re

from tidy_rules import CPP, SCRIPT

ALL = ("daemon", "net", "compute", "control", "webui", "tests", "tools")
CALLS = (  # rule, where, what, instead
    ("timed-run", ALL, r"[.>]run_(?:one_)?(?:for|until)\s*\(",
     "run_for and run_until corrupt memory under Asio's io_uring back-end: use run(), poll() or a steady_timer"),
    ("sleep", ("tests",), r"\bsleep_(?:for|until)\s*\(|(?<![\w.])(?:u|nano)?sleep\s*\(|\btime\.sleep\s*\(",
     "no sleeps as synchronisation: wait for the event (a future, a latch, a readable descriptor, /readyz)"),
    ("rand", ALL, r"\bstd::rand\b|(?<![\w.:>])s?rand\s*\(", "use std::mt19937_64 with a printed seed"),
    ("c-string", ALL, r"(?<![\w.>])(?:std::)?(?:strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof)\s*\(",
     "no bound or no error: use std::string, fmt::format_to_n, std::from_chars"),
    ("raw-new", ALL, r"^(?!.*\bunique_ptr<.*[({]\s*new\b).*(?<!operator )\bnew\s+[A-Za-z_(:<]|(?<!operator )(?<!= )\bdelete\s*(?:\[\]\s*)?[A-Za-z_(*]",
     "no raw new or delete: a value, std::make_unique or a container owns it"),
    # A connection answers when the pipeline is done, or never: it, a client's Exchange and their TLS contexts are net/'s only shared owners.
    ("shared-ptr", ("compute", "net"), r"\b(?:make_shared|shared_ptr|enable_shared_from_this)\b"
     r"(?!<(?:Sink|Connection|Exchange|[\w:]*ssl::context)>)", "owners are declared in order of life: a value, a reference, std::unique_ptr"),
    ("coroutine-lambda", ALL, r"\bco_await\b[^;{]*[(,]\s*\[[^\]]+\]\s*[({]",
     "GCC 12 destroys a capturing lambda in a co_await expression twice: name it first"),
    ("skip-reason", ("tests",), r"\bGTEST_SKIP\s*\(\s*\)\s*;", "a skipped test says why: GTEST_SKIP() << reason"),
    ("disabled-test", ("tests",), r"\bDISABLED_\w|\b(?:it|test|describe)\.(?:skip|only)\b|@unittest\.skip\b",
     "a test runs or is removed"),
    ("ndebug", ALL, r"\bNDEBUG\b", "assert() stays in release: leave NDEBUG alone"),
)
CMAKE = (
    ("isa-flag", r"-m(?:avx|sse|bmi|arch=)", "inline functions of headers would need that CPU too: use __attribute__((target))"),
    ("ndebug", r"\bNDEBUG\b", "assert() stays in release: leave NDEBUG alone"),
)
TEXT = (
    ("unfinished", r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b", "finish it, or open an issue"),
    ("machine-path", r"(?<![\w.~}-])/(?:home/(?!me/)|root/|work/|Users/|mnt/)[\w.]", "a path of one machine: take it from an option, $HOME or the build folder"),
    ("conflict", r"^(?:<{7}|>{7}) ", "unresolved merge conflict"),
)
PROSE = (".md", ".yaml", ".yml", ".css", ".html", ".json", ".toml", ".txt")


def _statements(file):
    """Lines of code, each co_await joined with the lines up to its end, so that a split expression is seen whole."""
    code = file.code
    for number, line in enumerate(code, 1):
        if "co_await" in line and ";" not in line:
            line = " ".join(code[number - 1:number + 6]).split(";")[0]
        yield number, line


def banned(tree):
    """[(rule, path, line, message)] over the whole tree; tests/tidy holds specimens of all of it."""
    for file in tree.files:
        if file.binary or file.path.startswith("tests/tidy/") or file.path.endswith(("package-lock.json", "LICENSE")):
            continue
        code = file.suffix in (*CPP, *SCRIPT) or file.python or file.shell
        calls = [(rule, re.compile(what), instead) for rule, where, what, instead in CALLS if code and file.top in where
                 and (file.suffix in CPP or rule in ("sleep", "disabled-test"))]
        calls += [(rule, re.compile(what), instead) for rule, what, instead in CMAKE if file.cmake]
        for number, line in _statements(file):
            for rule, regex, instead in calls:
                if regex.search(line):
                    yield rule, file.path, number, instead
        if code or file.cmake or file.suffix in PROSE:
            for number, line in enumerate(file.lines, 1):
                for rule, what, instead in TEXT:
                    if re.search(what, line):
                        yield rule, file.path, number, instead
