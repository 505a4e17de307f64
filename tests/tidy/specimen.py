# SPDX-License-Identifier: Apache-2.0
"""Small trees for the tests of tools/tidy."""
import contextlib
import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools" / "lib"))
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


def write(root, files):
    for path, content in files.items():
        target = pathlib.Path(root) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextlib.contextmanager
def tree(files):
    """A Tree of {path: content} in a folder of its own."""
    import tidy_rules
    with tempfile.TemporaryDirectory() as root:
        write(root, files)
        yield tidy_rules.Tree(root, files)


def found(rule, files):
    """[(path, line)] that one rule finds in {path: content}."""
    with tree(files) as specimen:
        return sorted((path, line) for path, line, _ in rule(specimen))


def tidy_program():
    """tools/tidy as a module (its name has no .py)."""
    loader = importlib.machinery.SourceFileLoader("tidy_program", str(ROOT / "tools" / "tidy"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy_program", loader))
    loader.exec_module(module)
    return module
