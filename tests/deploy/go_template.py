# SPDX-License-Identifier: Apache-2.0
"""Go's text/template, as far as the templates in deploy/ use it: variables, members, pipelines, trimmed space, and the functions below. Anything
else is an error, and so is a name that is not there."""
import ipaddress
import json
import re

TOKEN = re.compile(r'(\s*)("(?:[^"\\]|\\.)*"|[()|]|[^\s()|"]+)')


class TemplateError(Exception):
    pass


def dig(*words):
    *keys, default, value = words
    for key in keys:
        if key not in value:
            return default
        value = value[key]
    return value


def format_partition(device, number):
    if device.startswith("/dev/disk/"):
        return f"{device}-part{number}"
    return f"{device}p{number}" if device[-1].isdigit() else f"{device}{number}"


FUNCTIONS = {
    "index": lambda value, key: value[key],
    "eq": lambda one, other: one == other,
    # Sprig's
    "dig": dig,
    "toJson": json.dumps,
    "ternary": lambda yes, no, which: yes if which else no,
    "trunc": lambda length, text: text[:length],
    # Tinkerbell's
    "formatPartition": format_partition,
    "netmaskToPrefixLength": lambda mask: str(ipaddress.ip_network(f"0.0.0.0/{mask}").prefixlen),
}


def members(value, path):
    for name in filter(None, path.split(".")):
        if not isinstance(value, dict) or name not in value:
            raise TemplateError(f"there is no {name}")
        value = value[name]
    return value


class Expression:
    def __init__(self, text, data, variables):
        self.tokens = [(match[2], bool(match[1])) for match in TOKEN.finditer(text)]
        self.data, self.variables = data, variables

    def peek(self):
        return self.tokens[0][0] if self.tokens else None

    def take(self):
        return self.tokens.pop(0)[0]

    def pipeline(self):
        value = self.command([])
        while self.peek() == "|":
            self.take()
            value = self.command([value])
        return value

    def command(self, piped):
        name = self.peek()
        if name in FUNCTIONS:
            self.take()
            words = []
            while self.peek() not in (None, ")", "|"):
                words.append(self.operand())
            return FUNCTIONS[name](*words, *piped)
        value = self.operand()
        if piped or self.peek() not in (None, ")", "|"):
            raise TemplateError(f"{name} is no function")
        return value

    def operand(self):
        word = self.take()
        if word == "(":
            value = self.pipeline()
            self.take()
            # (index .Interfaces 0).DHCP
            return members(value, self.take()) if self.tokens and self.peek().startswith(".") and not self.tokens[0][1] else value
        if word.startswith('"'):
            return json.loads(word)
        if word.isdigit():
            return int(word)
        if word.startswith("."):
            return members(self.data, word)
        name, _, path = word.partition(".")
        if name not in self.variables:
            raise TemplateError(f"{word} is neither a function nor a variable")
        return members(self.variables[name], path)


def render(text, data):
    text = re.sub(r"\s*\{\{- ", "{{ ", text)
    text = re.sub(r" -\}\}\s*", " }}", text)
    variables = {}

    def action(match):
        assigned = re.fullmatch(r"\s*(\$\w+) := (.*)", match[1], re.S)
        value = Expression(assigned[2] if assigned else match[1], data, variables).pipeline()
        if assigned:
            variables[assigned[1]] = value
            return ""
        return str(value)

    return re.sub(r"\{\{(.*?)\}\}", action, text, flags=re.S)
