#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real photographs (package lomiri-wallpapers-20.04), in and out over HTTP, against Pillow and numpy."""
import io
import json
import pathlib
import unittest

import images
import numpy as np
from harness import Daemon, main
from PIL import Image

PHOTOGRAPHS = sorted(pathlib.Path("/usr/share/backgrounds").glob("*_by_*.jpg"))


def luma_plane(data):
    """The file's own Y plane: libjpeg converts no colour when it is asked for YCbCr."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("YCbCr", image.size)
        return np.array(image)[:, :, 0]


class PhotographsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if len(PHOTOGRAPHS) < 4:
            raise AssertionError("install lomiri-wallpapers-20.04 (tools/test does)")
        cls.daemon = Daemon().start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def equalize(self, query, body):
        status, headers, answer = self.daemon.request("POST", f"/v1/equalize?{query}", body)
        self.assertEqual(status, 200, answer[:300])
        return headers, answer

    def test_jpeg_luma_is_the_files_own(self):
        for path in PHOTOGRAPHS:
            with self.subTest(photograph=path.name):
                data = path.read_bytes()
                before = luma_plane(data)
                table = images.lut_opencv(before)
                histogram = json.loads(self.daemon.request("POST", "/v1/histogram", data)[2])
                np.testing.assert_array_equal(histogram["planes"][0]["lut"], table)
                headers, answer = self.equalize("", data)
                self.assertEqual(headers["content-type"], "image/jpeg")
                self.assertEqual(headers["histod-lut-digest"], histogram["lut_digest"])
                with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(answer)) as new:
                    self.assertEqual((new.size, new.mode, new.quantization), (old.size, old.mode, old.quantization))
                    self.assertEqual(new.info.get("exif"), old.info.get("exif"))
                    self.assertEqual(new.info.get("icc_profile"), old.info.get("icc_profile"))
                # Quantized once more with the file's own tables, so not equal but near.
                error = np.abs(luma_plane(answer).astype(int) - table[before].astype(int))
                self.assertLess(error.mean(), 4.0)

    def test_other_colour_modes_are_exact(self):
        data = PHOTOGRAPHS[0].read_bytes()
        pixels = images.decode(data)
        _, answer = self.equalize("color=channels&format=png", data)
        expected = np.stack([images.equalized(np.ascontiguousarray(pixels[:, :, c])) for c in range(3)], axis=2)
        np.testing.assert_array_equal(images.decode(answer), expected)
        _, answer = self.equalize("color=gray&rule=reference&format=png", data)
        with Image.open(io.BytesIO(data)) as image:
            gray = np.array(image.convert("L"))
        cdf = np.cumsum(np.bincount(gray.ravel(), minlength=256))
        least = cdf[cdf > 0][0]
        table = np.maximum(cdf - least, 0) * 255 // (gray.size - least)
        np.testing.assert_array_equal(images.decode(answer), table[gray].astype(np.uint8))

    def test_twelve_megapixels_of_each_format(self):
        with Image.open(PHOTOGRAPHS[0]) as image:
            gray = np.array(image.convert("L").resize((4000, 3000)))
        for kind in ("tiff", "png", "jpeg"):
            headers, answer = self.equalize("", images.encode(gray, kind))
            print(f"  12 MP {kind}: {headers['server-timing']}", flush=True)
            if kind != "jpeg":
                np.testing.assert_array_equal(images.decode(answer), images.equalized(gray))

    def test_orientation_and_profile_survive(self):
        with Image.open(PHOTOGRAPHS[1]) as image:
            small = image.resize((300, 200))
            exif = Image.Exif()
            exif[0x0112] = 6
            profile = b"not a real profile, but bytes to be kept" * 20
            for kind in ("jpeg", "png", "tiff"):
                out = io.BytesIO()
                small.save(out, kind, exif=exif, icc_profile=profile, dpi=(300, 300))
                _, answer = self.equalize("", out.getvalue())
                with Image.open(io.BytesIO(answer)) as result:
                    self.assertEqual(result.getexif()[0x0112], 6, kind)
                    self.assertEqual(result.info["icc_profile"], profile, kind)
                    self.assertEqual([round(float(x)) for x in result.info["dpi"]], [300, 300], kind)


if __name__ == "__main__":
    main()
