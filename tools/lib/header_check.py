# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone. One that its own .cpp includes first is proven by the build; the rest are compiled here."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess


def proven_by_build(tree, header):
    source = tree.by_path.get(re.sub(r"\.hpp$", ".cpp", header.path))
    return source is not None and next((target for _, target in first_includes(tree, source)), None) == header.path


def first_includes(tree, source):
    """The first include of a file, if it is one of ours."""
    for number, line in enumerate(source.lines, 1):
        if re.match(r"\s*#\s*include\b", line):
            return [found for found in tree.includes(source) if found[0] == number]
    return []


def flags_for(commands, header):
    """The compiler and flags of the build for a source in the header's folder, else in its top folder, else of any.

    Of a folder's sources, the one with the most flags: targets differ in the include paths that they need."""
    parent = str(pathlib.PurePosixPath(header).parent)
    for prefix in (parent + "/", header.split("/")[0] + "/", ""):
        found = [arguments for path, arguments in commands if path.startswith(prefix)]
        if found:
            return max(found, key=len)
    return None


def read_commands(build, root):
    commands = []
    for entry in json.loads((pathlib.Path(build) / "compile_commands.json").read_text()):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        words, keep, skip = shlex.split(entry["command"]), [], False
        for word in words:
            if skip or word in ("-c", "-o", "-include", "-Winvalid-pch"):  # a precompiled header is what the build adds
                skip = word in ("-o", "-include") and not skip
            elif not word.endswith((".cpp", ".cc", ".cxx")) and os.path.basename(word) != "ccache":
                keep.append(word)
        commands.append((path, keep))
    return commands


def closure(tree, header, seen):
    """The text of the header and of all it includes from the tree."""
    if header not in tree.by_path or header in seen:
        return
    seen.add(header)
    for _, target in tree.includes(tree.by_path[header]):
        closure(tree, target, seen)


def digest(tree, header, arguments):
    seen, sha = set(), hashlib.sha256(" ".join(arguments).encode())
    closure(tree, header, seen)
    for path in sorted(seen):
        sha.update(tree.by_path[path].text.encode())
    return sha.hexdigest()


def compile_alone(root, header, arguments):
    done = subprocess.run([*arguments, "-O0", "-fsyntax-only", "-Wno-pragma-once-outside-header", "-x", "c++", "-"], cwd=root,
                          input=f'#include "{header}"\n', text=True, capture_output=True, check=False)
    return "" if done.returncode == 0 else next((line for line in done.stderr.splitlines() if "error" in line), "does not compile")


def check_headers(tree, build):
    """Yields (path, line, message) for each header that does not compile alone."""
    commands, cache_file = read_commands(build, tree.root), pathlib.Path(build) / "headers.checked"
    cache = set(cache_file.read_text().split()) if cache_file.exists() else set()
    wanted = [file.path for file in tree.of(".hpp") if not proven_by_build(tree, file)]
    jobs = {header: flags_for(commands, header) for header in wanted}
    keys = {header: digest(tree, header, jobs[header] or []) for header in wanted}
    todo = [header for header in wanted if keys[header] not in cache]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(lambda header: compile_alone(tree.root, header, jobs[header]), todo))
    for header, error in zip(todo, errors):
        if error:
            yield header, 1, f"does not compile alone: {error}"
    failed = {keys[header] for header, error in zip(todo, errors) if error}
    cache_file.write_text("\n".join(sorted(set(keys.values()) - failed)))
