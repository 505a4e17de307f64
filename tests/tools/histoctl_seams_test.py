# SPDX-License-Identifier: Apache-2.0
"""histoctl seams against numpy: tiles are cut out of a mosaic, and their borders compared in it."""
import os
import unittest

import numpy
from PIL import Image

from harness import HistoctlTest


def scene(height, width, channels=1, depth=8, seed=1):
    """Slopes with noise: neighbours are alike, as in a photograph."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    top = 2 ** depth - 1
    slope = (x * top // width * 2 + y * top // height) // 4
    pixels = slope[..., None] + random.integers(0, top // 12, (height, width, channels))
    return numpy.minimum(pixels, top).astype("uint8" if depth == 8 else "uint16").squeeze()


def equalized(pixels, of=None):
    """By one table, made of all of `of`."""
    counts = numpy.bincount((pixels if of is None else of).ravel(), minlength=256).cumsum()
    return (counts * 255 // counts[-1]).astype("uint8")[pixels]


def cuts(length, tiles):
    return numpy.linspace(0, length, tiles + 1).astype(int)


def naive(mosaic, columns, rows, keep=None):
    """What the program should say of a mosaic that is cut at these columns and rows."""
    steps = []
    for at in columns[1:-1]:
        both = numpy.ones(mosaic.shape[0], bool) if keep is None else keep[:, at - 1] & keep[:, at]
        steps.append(numpy.abs(mosaic[:, at].astype(int) - mosaic[:, at - 1])[both].ravel())
    for at in rows[1:-1]:
        both = numpy.ones(mosaic.shape[1], bool) if keep is None else keep[at - 1] & keep[at]
        steps.append(numpy.abs(mosaic[at].astype(int) - mosaic[at - 1])[both].ravel())
    steps = numpy.concatenate(steps)
    return {"pairs": steps.size, "largest": int(steps.max()), "mean": float(steps.mean())}


class SeamsTest(HistoctlTest):
    def save(self, pixels, path):
        target = self.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target)

    def save_tiles(self, mosaic, columns, rows, folder, name="tile_{column}_{row}.png"):
        for r, (top, bottom) in enumerate(zip(rows, rows[1:])):
            for c, (left, right) in enumerate(zip(columns, columns[1:])):
                self.save(numpy.ascontiguousarray(mosaic[top:bottom, left:right]),
                          f"{folder}/{name.format(column=c, row=r, x=left, y=top)}")

    def seams(self, *words, **how):
        [answer] = self.json_lines("seams", *words, **how)
        return answer

    def assert_is(self, answer, wanted, borders):
        self.assertEqual((answer["borders"], answer["pairs"], answer["largest"]), (borders, wanted["pairs"], wanted["largest"]))
        self.assertAlmostEqual(answer["mean"], wanted["mean"], places=9)

    def test_tiles_by_one_table_and_by_their_own(self):
        mosaic = scene(90, 120)
        columns, rows = cuts(120, 4), cuts(90, 3)
        self.save_tiles(mosaic, columns, rows, "before")
        one, own = equalized(mosaic), numpy.zeros_like(mosaic)
        for top, bottom in zip(rows, rows[1:]):
            for left, right in zip(columns, columns[1:]):
                own[top:bottom, left:right] = equalized(mosaic[top:bottom, left:right])
        self.save_tiles(one, columns, rows, "one")
        self.save_tiles(own, columns, rows, "own")
        by_one = self.seams("before", "one", "--place", "tile_{column}_{row}")
        by_own = self.seams("before", "own", "--place", "tile_{column}_{row}")
        for answer, after in ((by_one, one), (by_own, own)):
            self.assert_is(answer["before"], naive(mosaic, columns, rows), 17)
            self.assert_is(answer["after"], naive(after, columns, rows), 17)
        self.assertLess(by_one["after"]["largest"], by_own["after"]["largest"])

    def test_colors_depths_and_formats(self):
        for number, (mosaic, suffix) in enumerate([(scene(40, 60, 3), "png"), (scene(40, 60, depth=16), "png"),
                                                   (scene(40, 60, 3), "ppm"), (scene(40, 60, depth=16), "tif")]):
            columns, rows = cuts(60, 3), cuts(40, 2)
            self.save_tiles(mosaic, columns, rows, f"in{number}", "{row}-{column}." + suffix)
            answer = self.seams(f"in{number}", f"in{number}", "--place", "{row}-{column}")
            self.assert_is(answer["before"], naive(mosaic, columns, rows), 7)
            self.assertEqual(answer["after"], {**answer["before"]})

    def test_places_in_pixels_and_tiles_of_many_sizes(self):
        mosaic = scene(50, 70)
        columns, rows = numpy.array([0, 7, 40, 70]), numpy.array([0, 33, 50])
        self.save_tiles(mosaic, columns, rows, "in/deep", "scan7_x{x:04}_y{y:04}_end.png")
        answer = self.seams("in", "in", "-r", "--place", "*_x{x}_y{y}_*")
        self.assert_is(answer["before"], naive(mosaic, columns, rows), 7)

    def test_pixels_without_data_are_left_out(self):
        mosaic = scene(40, 60, 3)
        keep = numpy.random.default_rng(5).random((40, 60)) < 0.7
        columns, rows = cuts(60, 2), cuts(40, 2)
        self.save_tiles(numpy.dstack([mosaic, keep.astype("uint8") * 255]), columns, rows, "in")
        self.assert_is(self.seams("in", "in", "--place", "tile_{column}_{row}")["before"], naive(mosaic, columns, rows, keep), 4)

    def test_text_names_the_worst_border(self):
        for at, level in enumerate((10, 14, 90, 91)):
            self.save(numpy.full((5, 4), level, "uint8"), f"in/t{at}_0.png")
        lines = self.run_ctl("seams", "in", "in", "--place", "t{column}_{row}").stdout.decode().splitlines()
        self.assertEqual(lines[0].split(), "borders pairs largest mean largest between".split())
        self.assertEqual(lines[1].split(), "before 3 15 76 27.000 in/t1_0.png, in/t2_0.png".split())
        self.assertEqual(lines[2].split()[0], "after")

    def test_tiles_that_do_not_adjoin(self):
        self.save(scene(8, 8), "in/t0_0.png")
        self.save(scene(8, 8), "in/t5_5.png")
        answer = self.seams("in", "in", "--place", "t{column}_{row}")
        self.assertEqual(answer["after"], {"borders": 0, "pairs": 0, "largest": 0, "mean": 0, "between": ["", ""]})

    def test_missing_broken_and_unfit_tiles(self):
        mosaic = scene(16, 24)
        self.save_tiles(mosaic, cuts(24, 3), cuts(16, 1), "before")
        self.save_tiles(mosaic, cuts(24, 3), cuts(16, 1), "after")
        os.remove(self.work / "after/tile_2_0.png")
        self.save(mosaic[:7, :8], "after/tile_1_0.png")
        done = self.run_ctl("seams", "before", "after", "--place", "tile_{column}_{row}", expect=1)
        self.assertIn(b"before/tile_2_0.png: there is no such tile in after", done.stderr)
        self.assertIn(b"after/tile_0_0.png: after/tile_1_0.png adjoins, but does not fit", done.stderr)
        self.image("after/tile_1_0.png", b"no image")
        done = self.run_ctl("seams", "before", "after", "--place", "tile_{column}_{row}", expect=1)
        self.assertIn(b"histoctl: after/tile_1_0.png: ", done.stderr)

    def test_mistakes_are_told(self):
        self.save(scene(8, 8), "in/t0_0.png")
        for words, part in [((), "two folders"), (("in", "in"), "--place"),
                            (("in", "in", "--place", "t{column}"), "{column} and {row}"),
                            (("in", "in", "--place", "{x}_{row}"), "{column} and {row}"),
                            (("in", "in", "--place", "{x}{y}{x}"), "{column} and {row}"),
                            (("missing", "in", "--place", "{x}_{y}"), "missing is no folder")]:
            self.assert_one_line(self.run_ctl("seams", *words, expect=2), part)
        self.assert_one_line(self.run_ctl("seams", "in", "in", "--place", "u{x}_{y}", expect=1), "no image is named")
        self.save(scene(8, 8), "in/t00_0.png")
        self.assert_one_line(self.run_ctl("seams", "in", "in", "--place", "t{x}_{y}", expect=1), "the same place")

    def test_no_daemon_is_asked(self):
        self.save(scene(8, 8), "in/t(0)+[0].png")
        self.seams("in", "in", "--place", "t({x})+[{y}]", env=self.environment(HISTOCTL_SERVER="http://127.0.0.1:1"))
        self.assertEqual(self.server.log, [])


if __name__ == "__main__":
    unittest.main()
