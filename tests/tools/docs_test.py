# SPDX-License-Identifier: Apache-2.0
"""Whether docs/rules-and-colours.md, its pictures, the script that makes them and the API agree."""
import os
import pathlib
import re
import sys
import unittest

import stub_server

DOCS = pathlib.Path(os.environ["HISTOD_SOURCE"]) / "docs"
sys.path.insert(0, str(DOCS))


class DocsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import make_pictures
        except ImportError as error:
            raise unittest.SkipTest(f"docs/make_pictures.py cannot be loaded: {error}") from error
        cls.make = make_pictures
        cls.page = (DOCS / "rules-and-colours.md").read_text(encoding="utf-8")
        cls.description = stub_server.load_description()

    def pictures_of_script(self):
        for scene, (_, variants) in self.make.SCENES.items():
            yield from (f"{scene}-{name}.png" for name in ("original", *variants))

    def fits(self, name, value):
        return stub_server.fits(self.description, self.description["components"]["parameters"][name]["schema"], value)

    def test_page_shows_exactly_what_the_script_makes(self):
        shown = re.findall(r"!\[([^]]+)\]\(pictures/([^)]+)\)", self.page)
        self.assertEqual(sorted(name for _, name in shown), sorted(self.pictures_of_script()))
        self.assertEqual(sorted(path.name for path in (DOCS / "pictures").iterdir()), sorted(self.pictures_of_script()))

    def test_pictures_are_whole(self):
        for path in (DOCS / "pictures").iterdir():
            with self.make.Image.open(path) as picture:
                picture.load()
                self.assertEqual(picture.size, (self.make.WIDTH, self.make.HEIGHT + self.make.PLOT))

    def test_originals_are_what_the_script_draws(self):
        """The committed pictures of the inputs are of today's script. Not to the last bit: exp() differs among CPUs."""
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            for scene, (draw, _) in self.make.SCENES.items():
                self.make.tile(draw(), f"{folder}/new.png")
                with self.make.Image.open(f"{folder}/new.png") as new, \
                        self.make.Image.open(DOCS / "pictures" / f"{scene}-original.png") as old:
                    upper = (0, 0, self.make.WIDTH, self.make.HEIGHT)
                    differences = [abs(a - b) for a, b in zip(new.crop(upper).tobytes(), old.crop(upper).tobytes())]
                    self.assertLess(sum(differences) / len(differences), 0.05, scene)
                    self.assertGreater(differences.count(0) / len(differences), 0.99, scene)

    def test_options_of_the_script_are_options_of_the_api(self):
        for _, variants in self.make.SCENES.values():
            for words in variants.values():
                for name, value in zip(words[::2], words[1::2]):
                    if name != "--mask":
                        self.assertTrue(self.fits(name.removeprefix("--"), value), f"{name} {value}")

    def test_options_on_the_page_are_options_of_the_api(self):
        options = re.findall(r"\b(method|rule|color|clip|tiles|nodata|range|pages)=([a-z0-9.]+)", self.page)
        self.assertGreater(len(options), 30)
        for name, value in options:
            self.assertTrue(self.fits(name, value), f"{name}={value}")

    def test_page_names_every_rule_and_colour(self):
        for name in ("rule", "color"):
            schema = stub_server.resolve(self.description, self.description["components"]["parameters"][name]["schema"])
            for value in schema["enum"]:
                self.assertIn(f"`{value}`", self.page)


if __name__ == "__main__":
    unittest.main()
