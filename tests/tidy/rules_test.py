# SPDX-License-Identifier: Apache-2.0
"""Each rule of tools/tidy finds its specimen, on its line, and leaves the sound one alone."""
import unittest

from specimen import SPDX, found, tidy_program, tree
import tidy_rules as rules


class IncludeGraph(unittest.TestCase):
    def test_siblings_do_not_include_one_another(self):
        files = {"compute/a.cpp": '#include "net/b.hpp"\n', "net/b.hpp": '#include "webui/c.hpp"\n', "webui/c.hpp": "",
                 "control/d.cpp": '\n#include "daemon/e.hpp"\n', "daemon/e.hpp": ""}
        self.assertEqual(found(rules.include_graph, files), [("compute/a.cpp", 1), ("control/d.cpp", 2), ("net/b.hpp", 1)])

    def test_daemon_tests_and_tools_join_them(self):
        joined = '#include "net/b.hpp"\n#include "compute/a.hpp"\n'
        files = {"compute/a.hpp": '#include "compute/c.hpp"\n', "compute/c.hpp": "", "net/b.hpp": ""}
        files |= {"daemon/x.cpp": joined, "tests/y.cpp": joined, "tools/z.cpp": joined}
        self.assertEqual(found(rules.include_graph, files), [])

    def test_daemon_does_not_include_tests(self):
        files = {"daemon/a.cpp": '#include "tests/support/b.hpp"\n', "tests/support/b.hpp": ""}
        self.assertEqual(found(rules.include_graph, files), [("daemon/a.cpp", 1)])

    def test_by_a_relative_path_too(self):
        files = {"net/http/a.cpp": '#include "../b.hpp"\n#include "c.hpp"\n', "net/b.hpp": "", "net/http/c.hpp": ""}
        self.assertEqual(len(found(rules.include_graph, files)), 1)  # "net/http/../b.hpp" is no path of the tree: write net/b.hpp

    def test_missing_file(self):
        self.assertEqual(found(rules.include_graph, {"net/a.cpp": '#include "net/b.hpp"\n'}), [("net/a.cpp", 1)])

    def test_no_common_and_no_util(self):
        files = {"common/a.hpp": "", "net/util/b.hpp": "", "daemon/utils.cpp": "", "daemon/utility_bill.cpp": ""}
        self.assertEqual([path for path, _ in found(rules.include_graph, files)], ["common/a.hpp", "daemon/utils.cpp", "net/util/b.hpp"])

    def test_link_lines(self):
        files = {"net/CMakeLists.txt": "# histod_compute is not ours\ntarget_link_libraries(histod_net PUBLIC histod_compute)\n",
                 "control/CMakeLists.txt": "target_link_libraries(histod_control PUBLIC histod_net)\n",
                 "daemon/CMakeLists.txt": "target_link_libraries(histod_daemon histod_net histod_compute)\n"}
        self.assertEqual(found(rules.link_lines, files), [("control/CMakeLists.txt", 1), ("net/CMakeLists.txt", 2)])


class Homes(unittest.TestCase):
    def test_foreign_headers(self):
        files = {"net/a.cpp": "#include <opencv2/core.hpp>\n", "compute/b.cpp": "#include <boost/asio.hpp>\n#include <opencv2/core.hpp>\n",
                 "tests/c.cpp": "#include <opencv2/imgcodecs.hpp>\n", "net/d.cpp": "#include <boost/asio.hpp>\n"}
        self.assertEqual(found(rules.foreign_headers, files), [("compute/b.cpp", 1), ("net/a.cpp", 1)])

    def test_imgcodecs_is_for_tests_and_benchmarks(self):
        line = "#include <opencv2/imgcodecs.hpp>\n"
        files = {path: line for path in ("compute/a.cpp", "tests/a.cpp", "tools/histobench/a.cpp", "tools/histoctl/a.cpp")}
        self.assertEqual(found(rules.foreign_headers, files), [("compute/a.cpp", 1), ("tools/histoctl/a.cpp", 1)])

    def test_zookeeper_has_one_home(self):
        files = {path: "#include <zookeeper/zookeeper.h>\n" for path in ("control/zk_store.cpp", "control/session.cpp", "daemon/a.cpp")}
        self.assertEqual(found(rules.foreign_headers, files), [("control/session.cpp", 1), ("daemon/a.cpp", 1)])

    def test_siblings_own_no_process(self):
        text = "std::jthread a;\nint n = std::thread::hardware_concurrency();\nstd::cerr << 1;\nsnprintf(b);\nprintf(b);\nstd::abort();\nexit(1);\nx.exit(1);\n"
        self.assertEqual([line for _, line in found(rules.process_ownership, {"net/a.cpp": text, "daemon/a.cpp": text})], [1, 3, 5, 6, 7])

    def test_no_float_in_a_reduction(self):
        files = {"compute/reduce.cpp": "// a float\ndouble sum;\n", "compute/rule.cpp": "float step;\n"}
        self.assertEqual(found(rules.process_ownership, files), [("compute/reduce.cpp", 2)])

    def test_payload_copies(self):
        text = "std::memcpy(a, b, n);\n// memcpy(a, b, n)\nmemmove(a, b, n);\nstd::copy(a, b, c);\n"
        files = {"net/http/a.cpp": text, "net/copy.cpp": text, "compute/a.cpp": text, "daemon/b.cpp": text}
        self.assertEqual(found(rules.payload_copies, files), [("daemon/b.cpp", 1), ("daemon/b.cpp", 3), ("net/http/a.cpp", 1), ("net/http/a.cpp", 3)])


class Sizes(unittest.TestCase):
    def test_function_of_70_lines_passes_and_of_71_does_not(self):
        body = "int f() {\n" + "  g();\n" * 68 + "}\n"
        files = {"net/a.cpp": body, "net/b.cpp": "\n" + body.replace("}", "  g();\n}"), "webui/src/c.ts": body.replace("int", "function") + "\n"}
        self.assertEqual(found(rules.function_size, files), [("net/b.cpp", 2)])

    def test_long_python_and_typescript_functions(self):
        files = {"tools/a.py": "def f():\n" + "    g()\n" * 70, "webui/src/c.ts": "function f() {\n" + "  g();\n" * 69 + "}\n"}
        self.assertEqual(found(rules.function_size, files), [("tools/a.py", 1), ("webui/src/c.ts", 1)])

    def test_file_of_500_lines_passes_and_of_501_does_not(self):
        files = {"net/a.cpp": "\n" * 500, "net/b.cpp": "\n" * 501, "tests/c.json": "\n" * 900}
        self.assertEqual(found(rules.file_size, files), [("net/b.cpp", 1)])

    def test_bytes_of_tests(self):
        files = {"net/a.cpp": "x" * 100, "tests/a.cpp": "x" * 79, "tests/corpus/a.png": "x" * 500}
        self.assertEqual(found(rules.test_bytes, files), [("tests", 1)])
        self.assertEqual(found(rules.test_bytes, files | {"tests/a.cpp": "x" * 80}), [])

    def test_stats_name_the_medians(self):
        with tree({"net/a.cpp": "int f() {\n}\nint g() {\n\n\n}\n", "tests/b.cpp": "int f() {\n}\n"}) as specimen:
            text = "\n".join(rules.stats(specimen))
        self.assertIn("C++ functions: 3, median 2 lines", text)
        self.assertIn("max 4", text)


class Files(unittest.TestCase):
    def test_top_level(self):
        known = {name: "" for name in ("CMakeLists.txt", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE")}
        self.assertEqual(found(rules.top_level, known | {".ci/run": "", "docs/a.md": ""}), [])
        self.assertEqual(found(rules.top_level, known | {"src/a.cpp": "", "notes.txt": ""}), [("notes.txt", 1), ("src/a.cpp", 1)])
        self.assertEqual(found(rules.top_level, {name: "" for name in known if name != "LICENSE"}), [("LICENSE", 1)])

    def test_spdx(self):
        files = {"net/a.cpp": SPDX, "net/b.cpp": "\n" + SPDX, "tools/c": "#!/usr/bin/env bash\n# SPDX-License-Identifier: Apache-2.0\n",
                 "tools/d": "#!/bin/sh\necho\n", "net/CMakeLists.txt": "project(x)\n", "tests/corpus/e.png": b"\x89PNG\0"}
        self.assertEqual(found(rules.spdx, files), [("net/CMakeLists.txt", 1), ("net/b.cpp", 1), ("tools/d", 1)])

    def test_dead_sources_and_headers(self):
        files = {"net/CMakeLists.txt": "add_library(a a.cpp http/b.cpp)\n# c.cpp\n", "net/a.cpp": '#include "net/a.hpp"\n', "net/a.hpp": "",
                 "net/http/b.cpp": "", "net/c.cpp": "", "net/d.hpp": ""}
        files |= {"tests/CMakeLists.txt": "add_executable(x ${name}_fuzz.cpp ${here}/net/e.cpp)\n", "tests/f_fuzz.cpp": "", "tests/net/e.cpp": ""}
        self.assertEqual(found(rules.dead_files, files), [("net/c.cpp", 1), ("net/d.hpp", 1)])

    def test_dead_typescript(self):
        files = {"webui/src/a.ts": 'import { b } from "./b";\n', "webui/build.mjs": 'entry("src/a.ts")\n', "webui/src/b.ts": "", "webui/src/c.ts": ""}
        self.assertEqual(found(rules.dead_files, files), [("webui/src/c.ts", 1)])

    def test_links(self):
        files = {"README.md": "[a](docs/a.md) [b](docs/b.md#part) [c](https://example.org/c) `net/a` `net/b.cpp` `x/y`\n", "docs/a.md": "[up](../README.md)\n",
                 "net/a.hpp": ""}
        with tree(files) as specimen:
            messages = [message for _, _, message in rules.links(specimen)]
        self.assertEqual(messages, ["link to docs/b.md: no such file", "names net/b.cpp: no such file"])

    def test_lock_file(self):
        files = {"webui/package-lock.json": '{"packages": {"": {}, "node_modules/a": {"version": "1", "integrity": "sha512-x"}}}'}
        self.assertEqual(found(rules.lock_files, files), [])
        files["webui/package-lock.json"] = '{"packages": {"node_modules/a": {"resolved": "https://registry.example.org/a.tgz"}}}'
        self.assertEqual(found(rules.lock_files, files), [("webui/package-lock.json", 1)])


class Exemptions(unittest.TestCase):
    def run_on(self, text):
        program = tidy_program()
        with tree({"net/a.cpp": text}) as specimen:
            findings = [("payload-copy", *finding) for finding in rules.payload_copies(specimen)]
            return [(rule, line) for rule, _, line, _ in program.apply_exemptions(findings, program.exemptions(specimen))]

    def test_on_the_line_and_on_the_line_before(self):
        self.assertEqual(self.run_on("std::memcpy(a, b, n);  // tidy: allow(payload-copy) eight bytes of a header\n"), [])
        self.assertEqual(self.run_on("// tidy: allow(payload-copy) eight bytes of a header\nstd::memcpy(a, b, n);\n"), [])

    def test_of_another_rule_does_not_help(self):
        self.assertEqual(self.run_on("std::memcpy(a, b, n);  // tidy: allow(raw-new) reason\n"), [("payload-copy", 1), ("exemption", 1)])

    def test_needs_a_reason(self):
        self.assertEqual(self.run_on("std::memcpy(a, b, n);  // tidy: allow(payload-copy)\n"), [("exemption", 1)])

    def test_that_exempts_nothing_is_found(self):
        self.assertEqual(self.run_on("f();\n// tidy: allow(payload-copy) once upon a time\n"), [("exemption", 2)])


if __name__ == "__main__":
    unittest.main()
