#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the real libraries make of images: golden_equalize.py FOLDER.

For each NAME.pgm writes NAME.vips (vips hist_equal), and for 8 bit NAME.pillow (ImageOps.equalize) and NAME.reference
(the course system's masked array in numpy); for each NAME.ppm writes NAME.gray (Pillow's convert("L")).
All outputs are raw samples in the order of the machine.
"""
import pathlib
import subprocess
import sys

import numpy
from PIL import Image, ImageOps


def masked_array_equalization(gray):
    cumulative = numpy.ma.masked_equal(numpy.bincount(gray.ravel(), minlength=256).cumsum(), 0)
    lowest, highest = cumulative.min(), cumulative.max()
    stretched = (cumulative - lowest) * 255 / (highest - lowest)
    return numpy.ma.filled(stretched, 0).astype("uint8")[gray]


def main():
    folder = pathlib.Path(sys.argv[1])
    for path in sorted(folder.glob("*.ppm")):
        with Image.open(path) as image:
            path.with_suffix(".gray").write_bytes(image.convert("L").tobytes())
    for path in sorted(folder.glob("*.pgm")):
        raw = path.with_suffix(".raw")
        subprocess.run(["vips", "hist_equal", str(path), str(raw)], check=True)
        raw.rename(path.with_suffix(".vips"))
        if b"\n65535\n" in path.read_bytes()[:32]:
            continue
        with Image.open(path) as image:
            path.with_suffix(".pillow").write_bytes(ImageOps.equalize(image).tobytes())
            reference = masked_array_equalization(numpy.asarray(image))
            path.with_suffix(".reference").write_bytes(reference.tobytes())


main()
