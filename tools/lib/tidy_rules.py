# SPDX-License-Identifier: Apache-2.0
"""The rules of tools/tidy. A rule is a generator over the Tree: yield (path, line, message). Its docstring says why."""
import ast
import json
import pathlib
import re
import statistics

import source_text

SIBLINGS = ("compute", "net", "control", "webui")
TOP_FOLDERS = {"daemon", "net", "compute", "control", "webui", "systemd", "k8s", "deploy", "tests", "tools", "docs", ".ci"}
TOP_FILES = {"CMakeLists.txt", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE", "CMakePresets.json",
             ".clang-format", ".clang-tidy", ".gitignore"}
CPP = (".cpp", ".hpp")
SCRIPT = (".ts", ".tsx", ".mjs", ".js")
MAX_FUNCTION_LINES, MAX_FILE_LINES, MIN_TEST_RATIO = 70, 500, 0.8


class File:
    def __init__(self, root, path):
        self.path, self.suffix, self.top = path, pathlib.PurePosixPath(path).suffix, path.split("/")[0]
        raw = (pathlib.Path(root) / path).read_bytes()
        self.bytes, self.binary = len(raw), b"\0" in raw[:8192] or not _is_utf8(raw)
        self.text = "" if self.binary else raw.decode()
        self.lines = self.text.split("\n")
        self.first_line = self.lines[1] if self.text.startswith("#!") and len(self.lines) > 1 else self.lines[0]
        self.python = self.suffix == ".py" or re.match(r"#!.*\bpython3", self.lines[0]) is not None
        self.shell = self.suffix == ".sh" or re.match(r"#!.*\b(?:ba)?sh\b", self.lines[0]) is not None
        self.cmake = path.endswith("CMakeLists.txt") or self.suffix == ".cmake"
        self._code = None

    @property
    def code(self):
        """The lines without comments and string contents."""
        if self._code is None:
            hashed = self.cmake or self.python or self.shell
            text = re.sub(r"(?m)(?:^|(?<=\s))#.*$", "", self.text) if hashed else self.text
            if self.suffix in CPP + SCRIPT:
                text = source_text.code_of(self.text, self.suffix in SCRIPT)
            self._code = text.split("\n")
        return self._code

    def functions(self):
        if self.suffix in CPP + SCRIPT:
            return source_text.functions(self.text, self.suffix in SCRIPT)
        if self.python:
            return [(node.lineno, node.end_lineno, node.name) for node in ast.walk(ast.parse(self.text))
                    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return []


def _is_utf8(raw):
    try:
        raw.decode()
        return True
    except UnicodeDecodeError:
        return False


class Tree:
    def __init__(self, root, paths):
        self.root, self.paths = pathlib.Path(root), set(paths)
        self.files = [File(root, path) for path in sorted(paths)]
        self.by_path = {file.path: file for file in self.files}

    def of(self, *suffixes):
        return [file for file in self.files if file.suffix in suffixes]

    def includes(self, file):
        """(line, path in the tree, or the text between the quotes) of each quoted include."""
        for number, line in enumerate(file.lines, 1):
            if match := re.match(r'\s*#\s*include\s+"([^"]+)"', line):
                beside = str(pathlib.PurePosixPath(file.path).parent / match.group(1))
                yield number, beside if beside in self.paths else match.group(1)


def _grep(files, pattern, message, code=True):
    regex = re.compile(pattern)
    for file in files:
        for number, line in enumerate(file.code if code else file.lines, 1):
            if regex.search(line):
                yield file.path, number, message


def include_graph(tree):
    """A star: the siblings never include one another; daemon/ may include them; tests/ and tools/ may include all."""
    for file in tree.of(*CPP):
        for number, target in tree.includes(file):
            top = target.split("/")[0]
            if file.top in SIBLINGS and top in (*SIBLINGS, "daemon", "tests", "tools") and top != file.top:
                yield file.path, number, f"{file.top}/ includes {target}: siblings include only themselves, daemon/ joins them"
            if file.top == "daemon" and top in ("tests", "tools"):
                yield file.path, number, f"daemon/ includes {target}: what ships does not depend on {top}/"
            if "/" in target and target not in tree.paths:
                yield file.path, number, f"no such file: {target}"
    for path in sorted(tree.paths):
        if re.search(r"(?:^|/)(?:common|utils?|helpers?|misc)(?:/|\.[ch]pp$)", path):
            yield path, 1, "no common/ or util/: the standard library is the common folder; name the file after what it owns"


def link_lines(tree):
    """The same law in CMake: a sibling's library links no other sibling's."""
    for file in tree.files:
        if file.cmake and file.top in SIBLINGS:
            for other in (*SIBLINGS, "daemon"):
                if other != file.top:
                    yield from _grep([file], rf"\bhistod_{other}\b", f"{file.top}/ links histod_{other}")


FOREIGN = (  # who may include what: each library has one home
    (r"<opencv2/", ("compute",), "OpenCV belongs to compute/"),
    (r"<(?:oneapi/)?tbb/", ("compute",), "TBB belongs to compute/"),
    (r"<(?:png|jpeglib|tiffio|turbojpeg|isa-l)", ("compute",), "codec libraries belong to compute/codec"),
    (r"<boost/(?:asio|beast)", ("net", "daemon"), "Asio and Beast belong to net/ and daemon/"),
    (r"<zookeeper/", ("control",), "ZooKeeper belongs to control/zk_store"),
    (r"<(?:sys/socket|netinet/|liburing)", ("net", "daemon"), "sockets belong to net/"),
)


def foreign_headers(tree):
    """compute/ knows pixels, not sockets; net/ knows bytes, not pixels."""
    for file in tree.of(*CPP):
        if file.top in ("tests", "tools"):
            continue
        for pattern, homes, message in FOREIGN:
            if file.top not in homes:
                yield from _grep([file], r"^\s*#\s*include\s+" + pattern, message, code=False)
    shipped = [file for file in tree.of(*CPP) if not file.path.startswith(("tests/", "tools/histobench/"))]
    yield from _grep(shipped, r"<opencv2/(?:imgcodecs|highgui|opencv)|\bcv::im(?:read|write|decode|encode)\b",
                     "imgcodecs is for tests and histobench only: use compute/codec", code=False)
    beside = [file for file in tree.of(*CPP) if file.top == "control" and file.path != "control/zk_store.cpp"]
    yield from _grep(beside, r"^\s*#\s*include\s+<zookeeper/", "only control/zk_store.cpp knows the C client: use Store", code=False)


def process_ownership(tree):
    """Libraries do not own the process: no threads, no logging, no exit outside daemon/."""
    files = [file for file in tree.of(*CPP) if file.top in ("compute", "net", "control")]
    threadless = [file for file in files if file.path != "compute/arena.cpp"]  # its serial form, for TSan, is one thread
    yield from _grep(threadless, r"\bstd::(?:jthread|thread|async)\b(?!::)|\bpthread_create\b", "daemon/ starts the threads")
    yield from _grep(files, r"\bstd::(?:cout|cerr|clog)\b|(?<![\w.>])f?printf\s*\(|\bsyslog\s*\(",
                     "siblings do not log: return std::expected, count into a stats struct, or call back")
    yield from _grep(files, r"\bstd::(?:exit|quick_exit|abort|terminate|_Exit)\s*\(|(?<![\w.>:])_?exit\s*\(", "siblings do not end the process: return an error")
    sums = [file for file in files if re.match(r"compute/reduce\.", file.path)]
    yield from _grep(sums, r"\b(?:float|double)\b", "no float in a reduction: sums of u64 commute, sums of floats do not")


def top_level(tree):
    """The top level is fixed, so that a stranger knows where things are."""
    for path in sorted(tree.paths):
        top = path.split("/")[0]
        if top not in (TOP_FOLDERS if "/" in path else TOP_FILES):
            yield path, 1, f"the top level is fixed; {top} is not part of it"
    for name in sorted({"CMakeLists.txt", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE"} - tree.paths):
        yield name, 1, "missing"


def function_size(tree):
    """At most 70 lines in a function."""
    for file in tree.files:
        for first, last, head in file.functions():
            if last - first + 1 > MAX_FUNCTION_LINES:
                yield file.path, first, f"function of {last - first + 1} lines, the limit is {MAX_FUNCTION_LINES}: {head[-60:]}"


def file_size(tree):
    """At most 500 lines in a file."""
    for file in tree.files:
        lines = file.text.count("\n")
        if lines > MAX_FILE_LINES and (file.suffix in (*CPP, *SCRIPT, ".css", ".md") or file.python or file.shell or file.cmake):
            yield file.path, 1, f"{lines} lines, the limit is {MAX_FILE_LINES}: split by what the parts own"


def payload_copies(tree):
    """"Zero copy" is counted, not claimed: every payload copy goes through net/copy, which counts it."""
    files = [file for file in tree.of(*CPP) if file.top in ("net", "daemon") and not re.match(r"net/copy\.[ch]pp$", file.path)]
    yield from _grep(files, r"\b(?:std::|__builtin_)?mem(?:cpy|move)\s*\(", "payload is copied only by net/copy, which counts it")


def spdx(tree):
    """The first line names the licence; nothing more, no banners."""
    for file in tree.files:
        wants = file.suffix in (*CPP, *SCRIPT, ".css", ".yaml", ".yml", ".service") or file.cmake or file.python or file.shell
        if wants and not file.binary and "SPDX-License-Identifier: Apache-2.0" not in file.first_line + "\n" + file.lines[0]:
            yield file.path, 1, "the first line is `SPDX-License-Identifier: Apache-2.0` as a comment"


def dead_files(tree):
    """A source that no CMakeLists.txt names, or a header that nothing includes, is not built and not tested."""
    words = {word for file in tree.files if file.cmake for word in re.findall(r"[^\s()\";]+", "\n".join(file.code))}
    named = {re.sub(r"^(?:\$\{\w+\}/)?(?:\.\./)*", "", word) for word in words}
    patterns = [re.compile(re.sub(r"\\\$\\\{\w+\\\}", r"\\w+", re.escape(word))) for word in named if "${" in word]
    for file in tree.of(".cpp"):
        path = pathlib.PurePosixPath(file.path)
        names = {str(path.relative_to(parent)) for parent in path.parents}
        if not names & named and not any(pattern.fullmatch(name) for pattern in patterns for name in names):
            yield file.path, 1, "dead file: no CMakeLists.txt names it"
    included = {target for file in tree.of(*CPP) for _, target in tree.includes(file)}
    for file in tree.of(".hpp"):
        if file.path not in included:
            yield file.path, 1, "dead header: nothing includes it"
    for file in tree.of(".ts", ".tsx"):
        stem = re.escape(pathlib.PurePosixPath(file.path).stem.split(".")[0])
        users = (other for other in tree.files if other is not file and other.suffix in (*SCRIPT, ".json", ".txt"))
        if not file.path.endswith((".d.ts", ".test.ts", ".test.tsx")) and not any(re.search(rf"[/\"']{stem}\b", u.text) for u in users):
            yield file.path, 1, "dead file: nothing imports it"


def links(tree):
    """Files that the documents name exist."""
    folders = {str(parent) for path in tree.paths for parent in pathlib.PurePosixPath(path).parents}
    stems = {re.sub(r"\.\w+$", "", path) for path in tree.paths}
    known = tree.paths | folders | stems
    for file in tree.of(".md"):
        base = pathlib.PurePosixPath(file.path).parent
        for number, line in enumerate(file.lines, 1):
            for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", line):
                if not re.match(r"[a-z]+:", target) and _normal(base / target) not in known:
                    yield file.path, number, f"link to {target}: no such file"
            for target in re.findall(r"`([\w.]+/[\w./-]*)`", line):
                if target.split("/")[0] in TOP_FOLDERS and target.rstrip("/") not in known:
                    yield file.path, number, f"names {target}: no such file"


def _normal(path):
    parts = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else parts + [part]
    return "/".join(parts)


def test_bytes(tree):
    """Bytes of tests are at least 0.8 of the bytes of source."""
    source, tests = code_bytes(tree)
    if tests < MIN_TEST_RATIO * source:
        yield "tests", 1, f"{tests} bytes of tests for {source} bytes of source: {tests / max(source, 1):.2f}, at least {MIN_TEST_RATIO} is asked"


def code_bytes(tree):
    written = [file for file in tree.files if file.suffix in (*CPP, *SCRIPT) or file.python or file.shell]
    tests = sum(file.bytes for file in written if file.top == "tests")
    return sum(file.bytes for file in written if file.top != "tests"), tests


def lock_files(tree):
    """npm's lock file names no registry, so that everybody's own is used."""
    for file in tree.files:
        if not file.path.endswith("package-lock.json"):
            continue
        for name, package in json.loads(file.text).get("packages", {}).items():
            if "resolved" in package and not package.get("link"):
                yield file.path, 1, f"{name} has a resolved address: put omit-lockfile-registry-resolved=true in .npmrc"


def stats(tree):
    """Figures for --stats: one line each."""
    for name, suffixes in (("C++", CPP), ("TypeScript", SCRIPT)):
        files = tree.of(*suffixes)
        sizes = sorted(last - first + 1 for file in files for first, last, _ in file.functions())
        lines = sorted(file.text.count("\n") for file in files)
        for what, values in ((f"{name} functions", sizes), (f"{name} files", lines)):
            if values:
                yield (f"{what}: {len(values)}, median {statistics.median(values):g} lines, "
                       f"p90 {values[int(len(values) * 0.9)] if len(values) > 1 else values[0]}, max {values[-1]}")
    source, tests = code_bytes(tree)
    yield f"tests / source: {tests} / {source} bytes = {tests / max(source, 1):.2f}"
