# SPDX-License-Identifier: Apache-2.0
"""Finding functions in C++ and TypeScript: where they begin and end, and what is none."""
import unittest

import specimen  # noqa: F401  # puts tools/lib on the path
import source_text


def spans(text, typescript=False):
    return [(first, last) for first, last, _ in source_text.functions(text, typescript)]


class Cpp(unittest.TestCase):
    def test_free_function(self):
        self.assertEqual(spans("int f() {\n  return 1;\n}\n"), [(1, 3)])

    def test_signature_lines_count(self):
        self.assertEqual(spans("template <typename T>\nauto f(T a,\n       T b)\n{\n}\n"), [(1, 5)])

    def test_methods_of_a_class_in_a_namespace(self):
        text = "namespace a {\nclass B : public C<int(int)> {\n public:\n  int f() const { return 1; }\n  void g() noexcept\n  {\n  }\n};\n}\n"
        self.assertEqual(spans(text), [(4, 4), (5, 7)])

    def test_constructor_with_braced_members(self):
        self.assertEqual(spans("A::A(int x)\n    : x_{x}, y_(2), z_{1, 2} {\n  f();\n}\nint g() { return 1; }\n"), [(1, 4), (5, 5)])

    def test_default_and_deleted_are_none(self):
        self.assertEqual(spans("struct A {\n  A() = default;\n  A(const A&) = delete;\n  bool operator==(const A&) const = default;\n};\n"), [])

    def test_initialisers_are_none(self):
        self.assertEqual(spans("constexpr int k_table[] = {1, {2}, 3};\nstd::vector<int> v{1, 2};\nconst S s = {\n  .a = f(1),\n};\n"), [])

    def test_operator_equal_is_one(self):
        self.assertEqual(spans("A& operator=(A&& other) noexcept {\n  return *this;\n}\n"), [(1, 3)])

    def test_inner_blocks_and_lambdas_belong_to_the_outer(self):
        text = "void f() {\n  auto g = [&](int a) {\n    if (a) { h(); }\n  };\n  for (int i = 0; i < 3; ++i) { g(i); }\n}\n"
        self.assertEqual(spans(text), [(1, 6)])

    def test_lambda_at_namespace_scope(self):
        self.assertEqual(spans("const auto f = [](int a) {\n  return a;\n};\n"), [(1, 3)])

    def test_braces_in_strings_comments_and_macros_do_not_count(self):
        text = '#define OPEN {\n#define MORE \\\n  {\nint f() {\n  // }\n  /* } */ g("}", \'}\', R"x(}" }\n)x", 1\'000);\n}\n'
        self.assertEqual(spans(text), [(4, 8)])

    def test_default_argument_braces(self):
        self.assertEqual(spans("int f(std::span<int> s = {}, A a = {.b = 1}) {\n}\n"), [(1, 2)])

    def test_enum_and_extern_are_scopes(self):
        self.assertEqual(spans('enum class E : int { a, b };\nextern "C" {\nint f(void) {\n}\n}\n'), [(3, 4)])

    def test_gtest_macro_is_one(self):
        self.assertEqual(spans("TEST(A, B) {\n  EXPECT_EQ(1, 1);\n}\n"), [(1, 3)])

    def test_requires_and_trailing_return(self):
        self.assertEqual(spans("auto f(T t) -> std::expected<int, E>\n  requires(std::is_same_v<T, int>)\n{\n}\n"), [(1, 4)])


class TypeScript(unittest.TestCase):
    def test_function_and_arrow(self):
        text = "export function f(x: number): Promise<void> {\n  g();\n}\nexport const h = async (q: T): Promise<T> => {\n  return { a: 1 };\n};\n"
        self.assertEqual(spans(text, True), [(1, 3), (4, 6)])

    def test_methods(self):
        text = "class A extends B {\n  private x = 1;\n  constructor(a: number) {\n    super();\n  }\n  get y(): number { return 1; }\n}\n"
        self.assertEqual(spans(text, True), [(3, 5), (6, 6)])

    def test_template_strings_and_regular_expressions(self):
        text = "const r = /[{\"]/;\nfunction f() {\n  return `${a} { ${b}`;\n}\n"
        self.assertEqual(spans(text, True), [(2, 4)])

    def test_describe_is_a_scope(self):
        text = 'describe("a", () => {\n  it("does not stop at don\'t", async () => {\n    f();\n  });\n});\n'
        self.assertEqual(spans(text, True), [(2, 4)])

    def test_interface_is_none(self):
        self.assertEqual(spans("interface A { f(x: number): void; b: { c: 1 } }\n", True), [])


class Code(unittest.TestCase):
    def test_lines_keep_their_numbers(self):
        text = 'a; /* 1\n2 */ b; // 3\nR"(x\ny)" c;\n'
        self.assertEqual(source_text.code_of(text).count("\n"), text.count("\n"))
        self.assertNotIn("2", source_text.code_of(text))

    def test_an_identifier_that_ends_in_r_is_no_raw_string(self):
        self.assertIn("after", source_text.code_of('FOR"(", after(")")'))


if __name__ == "__main__":
    unittest.main()
