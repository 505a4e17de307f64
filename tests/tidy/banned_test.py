# SPDX-License-Identifier: Apache-2.0
"""Each banned call is found where it is banned, and what only looks like it is not."""
import unittest

from specimen import tree
import tidy_banned


def rules_in(path, text):
    with tree({path: text}) as specimen:
        return [rule for rule, _, _, _ in tidy_banned.banned(specimen)]


BANNED = (
    ("net/a.cpp", "context.run_for(1s);", "timed-run"), ("tests/a.cpp", "context->run_one_until(t);", "timed-run"),
    ("tests/a.cpp", "std::this_thread::sleep_for(1ms);", "sleep"), ("tests/a.cpp", "usleep(5);", "sleep"), ("tests/a.py", "time.sleep(1)", "sleep"),
    ("compute/a.cpp", "int x = std::rand();", "rand"), ("tests/a.cpp", "srand(1);", "rand"),
    ("net/a.cpp", "strcpy(a, b);", "c-string"), ("daemon/a.cpp", "std::sprintf(a, b);", "c-string"), ("tools/a.cpp", "int n = atoi(s);", "c-string"),
    ("daemon/a.cpp", "auto* p = new Thing(1);", "raw-new"), ("daemon/a.cpp", "p(new (std::nothrow) char[3]);", "raw-new"),
    ("daemon/a.cpp", "delete p;", "raw-new"), ("daemon/a.cpp", "delete[] p;", "raw-new"),
    ("compute/a.hpp", "std::shared_ptr<int> p;", "shared-ptr"), ("net/a.cpp", "auto p = std::make_shared<int>(1);", "shared-ptr"),
    ("net/a.hpp", "class A : public std::enable_shared_from_this<A> {", "shared-ptr"),
    ("net/a.cpp", "co_await f([this] { g(); });", "coroutine-lambda"), ("net/a.cpp", "co_await f(1,\n    [&](int a) {\n    });", "coroutine-lambda"),
    ("tests/a.cpp", "GTEST_SKIP();", "skip-reason"), ("tests/a.cpp", "TEST(A, DISABLED_B) {", "disabled-test"),
    ("tests/a.ts", "it.only('a');", "disabled-test"), ("tests/a.py", "@unittest.skip", "disabled-test"),
    ("net/a.cpp", "#ifdef NDEBUG", "ndebug"), ("CMakeLists.txt", "add_compile_definitions(NDEBUG)", "ndebug"),
    ("compute/CMakeLists.txt", "target_compile_options(a PRIVATE -mavx2)", "isa-flag"), ("CMakeLists.txt", "add_compile_options(-march=native)", "isa-flag"),
    ("net/a.cpp", "// TODO: later", "unfinished"), ("README.md", "FIXME", "unfinished"), ("tools/a.py", "# HACK", "unfinished"),
    ("docs/a.md", "see /home/somebody/notes", "machine-path"), ("tests/a.cpp", 'open("/root/x");', "machine-path"),
    ("net/a.cpp", "<<<<<<< ours", "conflict"),
)
ALLOWED = (
    ("net/a.cpp", "context.run();"), ("net/a.cpp", "// run_for(1s) corrupts memory"), ("daemon/a.cpp", "std::this_thread::sleep_for(1ms);"),
    ("tests/a.cpp", "operand(1);"), ("net/a.cpp", "void* operator new(std::size_t n);"), ("net/a.cpp", "A(const A&) = delete;"), ("daemon/a.cpp", "std::unique_ptr<A> a(new A(1));"),
    ("net/a.cpp", "auto p = std::make_shared<Connection>(1);"), ("net/a.hpp", "std::enable_shared_from_this<Exchange> {"), ("net/a.hpp", "std::shared_ptr<asio::ssl::context> tls;"),
    ("net/a.cpp", "std::snprintf(a, n, b);"), ("daemon/a.cpp", "std::shared_ptr<int> p;"), ("net/a.cpp", 'say("a new name");'),
    ("net/a.cpp", "auto f = [this] { g(); };\nco_await h(f);"), ("net/a.cpp", "co_await f(buffer[i], x);"), ("net/a.cpp", "co_await f([] { return 1; }());"),
    ("tests/a.cpp", 'GTEST_SKIP() << "no AVX-512 here";'), ("CMakeLists.txt", "# no NDEBUG, no -mavx2"), ("tests/a.cpp", 'mkdtemp("/tmp/aXXXXXX")'),
    ("docs/a.md", "`~/.local/state/histod`, GET /work"), ("tests/a.cpp", 'f("/home/me/photo.png");'), ("webui/a.ts", "const p = new Promise(f);"), ("tests/tidy/a.py", "# TODO time.sleep(1)"),
)


class Banned(unittest.TestCase):
    def test_each_is_found_once(self):
        for path, text, rule in BANNED:
            with self.subTest(path=path, text=text):
                self.assertEqual(rules_in(path, text), [rule])

    def test_the_like_is_left_alone(self):
        for path, text in ALLOWED:
            with self.subTest(path=path, text=text):
                self.assertEqual(rules_in(path, text), [])

    def test_each_rule_has_a_specimen_and_names_what_to_do_instead(self):
        entries = [(rule, instead) for rule, *_, instead in (*tidy_banned.CALLS, *tidy_banned.CMAKE, *tidy_banned.TEXT)]
        self.assertEqual({rule for rule, _ in entries} - {rule for _, _, rule in BANNED}, set())
        self.assertEqual([rule for rule, instead in entries if len(instead) < 10], [])


if __name__ == "__main__":
    unittest.main()
