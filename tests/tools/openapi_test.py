# SPDX-License-Identifier: Apache-2.0
"""Whether daemon/api/openapi.yaml is sound in itself, and says what the other parts of the project rely on."""
import os
import pathlib
import re
import unittest

import yaml

import stub_server

METHODS = {"get", "post", "delete", "put", "patch", "head", "options", "trace"}
EXPECTED = {
    "/v1/equalize": {"post"}, "/v1/histogram": {"post"}, "/v1/echo": {"post"}, "/v1/jobs": {"get", "post"}, "/v1/jobs/{id}": {"get", "delete"},
    "/v1/datasets": {"get", "post"}, "/v1/datasets/{id}": {"get", "delete"}, "/v1/datasets/{id}/images": {"get", "post"},
    "/v1/datasets/{id}/finalize": {"post"}, "/v1/datasets/{id}/apply": {"post"}, "/v1/datasets/{id}/lut": {"get", "put"},
    "/v1/jobs/{id}/result": {"get"}, "/v1/node": {"get"}, "/v1/nodes": {"get"}, "/v1/streams": {"get"}, "/v1/streams/{name}": {"get", "put", "patch", "delete"},
    "/v1/streams/{name}/preview": {"get"}, "/v1/streams/{name}/sdp": {"get"}, "/v1/cluster": {"get"}, "/v1/events": {"get", "post", "options"},
    "/v1/tickets": {"post"}, "/healthz": {"get"}, "/readyz": {"get"}, "/metrics": {"get"},
    "/openapi.yaml": {"get"}, "/": {"get"}, "/assets/{name}": {"get"}, "/upload": {"post"}, "/download/{file}": {"get"},
    "/health": {"get"}, "/ready": {"get"},
}
BODILESS = {"/v1/datasets", "/v1/datasets/{id}/finalize", "/v1/datasets/{id}/apply", "/v1/tickets"}
BY_REFERENCE = {"/v1/jobs", "/v1/datasets/{id}/images"}  # where the query may name a file instead
PUBLIC = {"/", "/assets/{name}", "/healthz", "/readyz", "/health", "/ready", "/openapi.yaml"}
TOLD_TO_NOBODY = {"webhook-failed"}  # why a webhook was not reached: for the log
SCHEMA_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, which plain loading passes over."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = {key for key in keys if keys.count(key) > 1}
        if doubled:
            raise ValueError(f"line {node.start_mark.line + 1}: doubled keys {doubled}")
        return super().construct_mapping(node, deep)


def walk(node, where=""):
    yield where, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, f"{where}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{where}/{index}")


class OpenApiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(os.environ["HISTOD_SOURCE"], "daemon/api/openapi.yaml"), encoding="utf-8") as file:
            cls.description = yaml.load(file, UniqueKeyLoader)

    def operations(self):
        for path, item in self.description["paths"].items():
            for method in METHODS & set(item):
                shared = item.get("parameters", [])
                yield path, method, item[method], [self.resolve(p) for p in shared + item[method].get("parameters", [])]

    def resolve(self, node):
        return stub_server.resolve(self.description, node)

    def test_version_and_paths(self):
        self.assertRegex(self.description["openapi"], r"^3\.1\.\d+$")
        self.assertEqual({path: METHODS & set(item) for path, item in self.description["paths"].items()}, EXPECTED)
        self.assertLessEqual({"title", "version"}, set(self.description["info"]))

    def test_every_reference_leads_somewhere(self):
        count = 0
        for where, node in walk(self.description):
            if isinstance(node, dict) and "$ref" in node:
                count += 1
                with self.subTest(where=where):
                    self.assertIsInstance(self.resolve(node), dict)
        self.assertGreater(count, 50)

    def test_no_component_is_unused(self):
        used = {node["$ref"] for _, node in walk(self.description) if isinstance(node, dict) and "$ref" in node}
        for kind, components in self.description["components"].items():
            for name in components:
                if kind != "securitySchemes":
                    self.assertIn(f"#/components/{kind}/{name}", used)

    def test_operation_ids_are_unique(self):
        ids = [operation["operationId"] for _, _, operation, _ in self.operations()]
        self.assertEqual(len(ids), len(set(ids)))
        tags = {tag["name"] for tag in self.description["tags"]}
        for _, _, operation, _ in self.operations():
            self.assertTrue(operation["summary"])
            self.assertLessEqual(set(operation["tags"]), tags)

    def test_path_parameters_are_declared(self):
        for path, method, _, parameters in self.operations():
            declared = {p["name"] for p in parameters if p["in"] == "path"}
            self.assertEqual(declared, set(re.findall(r"{(\w+)}", path)), f"{method} {path}")
            self.assertTrue(all(p.get("required") for p in parameters if p["in"] == "path"))
            names = [(p["in"], p["name"]) for p in parameters]
            self.assertEqual(len(names), len(set(names)))
            self.assertTrue(all("schema" in p for p in parameters))

    def test_security(self):
        self.assertEqual(self.description["security"], [{"bearer": []}])
        self.assertEqual(self.description["components"]["securitySchemes"]["bearer"]["scheme"], "bearer")
        for path, method, operation, _ in self.operations():
            public = operation.get("security") == []
            self.assertEqual(public, path in PUBLIC or method == "options", f"{method} {path}")
            if not public:
                self.assertLessEqual({"401", "403", "429"}, set(operation["responses"]))
                if path != "/metrics":
                    self.assertRegex(operation["description"], "Needs the role `(read|submit|events|admin)`")

    def test_responses(self):
        for path, method, operation, _ in self.operations():
            with self.subTest(path=path, method=method):
                responses = operation["responses"]
                self.assertTrue(any(status.startswith("2") for status in responses))
                for status, response in responses.items():
                    response = self.resolve(response)
                    self.assertTrue(response["description"])
                    if status.startswith("4") or status == "507" or (status == "503" and path not in ("/readyz", "/ready")):
                        self.assertEqual(set(response["content"]), {"application/problem+json"}, status)
                if method == "post" and path not in BODILESS:
                    self.assertLessEqual({"400", "408", "411", "413", "503"}, set(responses))
                    self.assertEqual({"415", "422"} <= set(responses), path != "/v1/echo")  # which looks at no image
                    self.assertIs(self.resolve(operation["requestBody"])["required"], path not in BY_REFERENCE)

    def test_retry_after_and_its_kin(self):
        responses = self.description["components"]["responses"]
        for name, field in {"RateLimited": "Retry-After", "Overloaded": "Retry-After", "Unauthorized": "WWW-Authenticate",
                            "FleetUnavailable": "Retry-After", "MethodNotAllowed": "Allow", "UpgradeRequired": "Sec-WebSocket-Version"}.items():
            self.assertIn(field, responses[name]["headers"])

    def problem_types(self):
        schemas = self.description["components"]["schemas"]
        return [each.removeprefix("urn:histod:problem:") for each in schemas["Problem"]["properties"]["type"]["enum"]]

    def test_every_problem_is_told_of(self):
        """Each type of the Problem schema is named by the response that carries it, by what is said of all, or by a job's error."""
        told = " ".join(r["description"] for r in self.description["components"]["responses"].values())
        told += self.description["info"]["description"] + self.description["components"]["schemas"]["Job"]["properties"]["error"]["description"]
        for each in self.problem_types():
            self.assertIn(f"`{each}`", told)

    def test_problems_are_those_of_the_source(self):
        """A problem is made of a status and a type, one behind the other; a few types are put where another one was."""
        source = pathlib.Path(os.environ["HISTOD_SOURCE"])
        made = set()
        for folder in ("daemon", "net/http"):
            for path in source.joinpath(folder).rglob("*.[ch]pp"):
                made.update(re.findall(r'\b(?:[45]\d\d,\s*|code = )"([a-z][a-z-]*)"', path.read_text(encoding="utf-8")))
        self.assertEqual(sorted(self.problem_types()), sorted(made - TOLD_TO_NOBODY))

    def test_schemas_are_schemas(self):
        for where, node in walk(self.description):
            if not isinstance(node, dict) or "type" not in node or "/properties" == where[-11:] or "security" in where:
                continue
            kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
            if any(isinstance(kind, dict) for kind in kinds):
                continue  # a property that is called "type"
            with self.subTest(where=where):
                self.assertLessEqual(set(kinds), SCHEMA_TYPES)
                self.assertEqual("items" in node, "array" in kinds)
                self.assertLessEqual(node.get("minimum", 0), node.get("maximum", float("inf")))
                self.assertLessEqual(set(node.get("required", [])), set(node.get("properties", {})))
                if "pattern" in node:
                    re.compile(node["pattern"])
                if "enum" in node and "default" in node:
                    self.assertIn(node["default"], node["enum"])

    def test_bounds_of_the_options(self):
        options = self.description["components"]["parameters"]
        good = {"method": ["global", "clahe"], "rule": ["opencv", "exact", "reference", "pillow", "vips"],
                "color": ["luma", "ycrcb", "lab", "channels", "gray"], "clip": ["0", "1000", "2.5"],
                "tiles": ["8", "8x8", "256x1"], "nodata": ["none", "-1.5"], "range": ["full", "auto", "2", "65536"],
                "pages": ["each", "stack"], "format": ["png", "jpeg", "tiff", "pgm", "ppm", "pam"], "quality": ["1", "100"],
                "png": ["fast", "small"], "placement": ["auto", "local", "fleet"], "bins": ["65536"],
                "file": ["scans/a.tif", "file:scans/2026/a b.tif"],
                "result": ["beside", "out", "out/", "out/2026/a.png"], "overwrite": ["true", "false"]}
        bad = {"method": ["local"], "rule": ["OPENCV"], "color": ["rgb"], "clip": ["-1", "1001"], "tiles": ["8x", "axb"],
               "nodata": ["nothing"], "range": ["1", "65537", "half"], "pages": ["all"], "format": ["gif"],
               "quality": ["0", "101", "9.5"], "png": ["9"], "placement": ["moon"], "bins": ["0"],
               "file": ["/etc/passwd", "scans/", "file:///a", ".a/b"], "result": ["", "/out", "../out"], "overwrite": ["yes"]}
        for name in options:
            if name == "id":
                continue
            for values, expected in ((good, True), (bad, False)):
                for value in values[name]:
                    fits = stub_server.fits(self.description, options[name]["schema"], value)
                    self.assertIs(fits, expected, f"{name}={value}")

    def test_defaults_of_upload(self):
        parameters = {p["name"]: p for p in map(self.resolve, self.description["paths"]["/upload"]["post"]["parameters"])}
        self.assertEqual(self.resolve(parameters["rule"]["schema"])["default"], "reference")
        self.assertEqual(self.resolve(parameters["color"]["schema"])["default"], "gray")


if __name__ == "__main__":
    unittest.main()
