# SPDX-License-Identifier: Apache-2.0
"""Reads C++ and TypeScript just well enough to find functions: strings and comments are blanked, braces are matched."""
import re

REGEX_MAY_FOLLOW = set("(,=:!&|?{;\n")
SCOPE = re.compile(r"^(?:template\s*<.*?>\s*)?(?:\[\[.*?\]\]\s*)?(?:export\s+|inline\s+|typedef\s+|static\s+|constexpr\s+|const\s+|default\s+"
                   r"|abstract\s+|declare\s+)*(?:namespace|class|struct|union|enum|interface|extern)\b", re.S)
CONTROL = re.compile(r"^(?:else\s+)?(?:if|for|while|switch|catch|with|do|else|try)\b")
LAMBDA = re.compile(r"\[[^\[\]]*\]\s*(?:<[^>]*>)?\s*(?:\(.*\)[\s\w:<>&*\->]*)?$", re.S)
MEMBER_INITIALISER = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:).*[\w>]$", re.S)


def _raw_string_end(text, at):
    opening = re.compile(r'R"([^()\\\s]{0,16})\(').match(text, at)
    if not opening:
        return None
    end = text.find(")" + opening.group(1) + '"', opening.end())
    return len(text) if end < 0 else end + len(opening.group(1)) + 2


def _quoted_end(text, at, quote):
    i = at + 1
    while i < len(text) and text[i] != quote:
        if text[i] == "\n" and quote != "`":
            return i
        i += 2 if text[i] == "\\" else 1
    return min(i + 1, len(text))


def _token_end(text, i, typescript, before):
    """The end of the comment, string or regular expression that starts at i, else None."""
    two = text[i:i + 2]
    if two == "//":
        end = text.find("\n", i)
        return len(text) if end < 0 else end
    if two == "/*":
        end = text.find("*/", i + 2)
        return len(text) if end < 0 else end + 2
    if not typescript and two == 'R"':
        return _raw_string_end(text, i)
    if text[i] == '"' or (typescript and text[i] == "`"):
        return _quoted_end(text, i, text[i])
    if text[i] == "'" and (typescript or not re.search(r"[0-9a-fA-F]$", before) or not text[i + 1:i + 2].isalnum()):
        return _quoted_end(text, i, "'")
    if typescript and text[i] == "/" and (before.rstrip(" ")[-1:] or "\n") in REGEX_MAY_FOLLOW:
        return _quoted_end(text, i, "/")
    return None


def code_of(text, typescript=False):
    """The text with comments emptied and string contents removed; every line keeps its number."""
    out, copied, i = [], 0, 0
    interesting = re.compile(r"[/\"'`]" if typescript else r"[/\"']|(?<!\w)R(?=\")")
    while match := interesting.search(text, i):
        i = match.start()
        end = _token_end(text, i, typescript, (out[-1] if out and copied == i else text[max(copied, i - 4):i]))
        if end is None:
            i += 1
            continue
        comment = text.startswith(("//", "/*"), i)
        out += [text[copied:i], (" " if comment else '""') + "\n" * text.count("\n", i, end)]
        copied = i = end
    out.append(text[copied:])
    return "".join(out)


def without_preprocessor(code):
    return re.sub(r"(?m)^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: "\n" * m.group().count("\n"), code)


def _matching(code, at):
    depth = 0
    for i in range(at, len(code)):
        depth += {"{": 1, "}": -1}.get(code[i], 0)
        if depth == 0:
            return i
    return len(code) - 1


def _kind(head, typescript):
    """What an opening brace after `head` opens: 'scope', 'function' or 'value'."""
    head = re.sub(r"^(?:(?:public|private|protected)\s*:(?!:)\s*)+", "", head.strip())
    if typescript:
        if re.search(r"\b(?:describe|suite)\s*\(|test\.describe", head) or (SCOPE.match(head) and "(" not in head):
            return "scope"
        if CONTROL.match(head):
            return "value"
        return "function" if re.search(r"=>\s*$|\)\s*(?::[^;=]*)?$", head) else "scope"
    if SCOPE.match(head) and not re.search(r"\)\s*(?:const|noexcept|override|final|\s)*$", head):
        return "scope"
    if MEMBER_INITIALISER.search(head):
        return "value"
    flat = re.sub(r"operator\s*[=!<>+\-*/]+|[=!<>]=", "", head)
    while re.search(r"\([^()]*\)", flat):
        flat = re.sub(r"\([^()]*\)", "\0", flat)
    if "=" in flat:
        return "function" if LAMBDA.search(head[head.index("="):]) else "value"
    return "function" if "\0" in flat else "value"


def _parens(code, start, end, depth):
    for i in range(start, end):
        depth += {"(": 1, ")": -1}.get(code[i], 0)
    return max(depth, 0)


def functions(text, typescript=False):
    """[(first line, last line, text of the head)] of the outermost functions; what they contain counts as theirs."""
    code = without_preprocessor(code_of(text, typescript))
    found, start, i, depth = [], 0, 0, 0
    for brace in re.finditer(r"[{};]", code):
        if brace.start() < i:
            continue
        depth = _parens(code, i, brace.start(), depth)
        i = brace.end()
        if brace.group() != "{":
            start, depth = (i, 0) if not depth or brace.group() == "}" else (start, depth)
            continue
        kind = "value" if depth and not typescript else _kind(code[start:brace.start()], typescript)
        if kind == "scope":
            start, depth = i, 0
            continue
        i = _matching(code, brace.start()) + 1
        if kind == "function":
            head = re.sub(r"^(?:\s*(?:public|private|protected)\s*:(?!:))+", "", code[start:brace.start()])
            first = code.count("\n", 0, brace.start() - len(head.lstrip())) + 1
            found.append((first, code.count("\n", 0, i) + 1, " ".join(head.split())))
            start, depth = i, 0
    return found
