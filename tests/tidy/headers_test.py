# SPDX-License-Identifier: Apache-2.0
"""Headers compile alone: what the build proves is not compiled again, the rest is, once per content."""
import json
import pathlib
import tempfile
import unittest

import specimen
import header_check
import tidy_rules

FILES = {
    "net/sound.hpp": "#include <string>\ninline std::string sound() { return {}; }\n",
    "net/needy.hpp": "inline std::string needy() { return {}; }\n",
    "net/proven.hpp": "inline std::string proven();\n",
    "net/proven.cpp": '#include "net/proven.hpp"\n#include <string>\n',
    "net/late.hpp": "inline Missing late();\n",
    "net/late.cpp": '#include <string>\n\n#include "net/late.hpp"\n',
}


class Headers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        specimen.write(self.root, FILES)
        (self.root / "build").mkdir()
        command = {"directory": str(self.root), "file": "net/proven.cpp", "command": f"ccache g++ -I{self.root} -o x.o -c net/proven.cpp"}
        (self.root / "build" / "compile_commands.json").write_text(json.dumps([command]))

    def check(self):
        tree = tidy_rules.Tree(self.root, FILES)
        return [(path, message) for path, _, message in header_check.check_headers(tree, self.root / "build")]

    def test_the_needy_are_found_and_the_proven_left_to_the_build(self):
        found = self.check()
        self.assertEqual([path for path, _ in found], ["net/late.hpp", "net/needy.hpp"])
        self.assertIn("error", found[0][1])

    def test_what_passed_is_remembered_and_what_failed_is_not(self):
        self.check()
        remembered = (self.root / "build" / "headers.checked").read_text().split()
        self.assertEqual(len(remembered), 1)
        self.assertEqual(len(self.check()), 2)
        specimen.write(self.root, {"net/needy.hpp": "#include <string>\n" + FILES["net/needy.hpp"]})
        self.assertEqual([path for path, _ in self.check()], ["net/late.hpp"])

    def test_a_change_of_what_a_header_includes_is_noticed(self):
        specimen.write(self.root, {"net/sound.hpp": '#include "net/inner.hpp"\n', "net/inner.hpp": "struct A {};\n"})
        tree = tidy_rules.Tree(self.root, [*FILES, "net/inner.hpp"])
        before = header_check.digest(tree, "net/sound.hpp", [])
        specimen.write(self.root, {"net/inner.hpp": "struct B {};\n"})
        self.assertNotEqual(before, header_check.digest(tidy_rules.Tree(self.root, [*FILES, "net/inner.hpp"]), "net/sound.hpp", []))


if __name__ == "__main__":
    unittest.main()
