#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/rules-and-colours.md: draws images from nothing, sends them through a running daemon with
histoctl, and puts each result above its histogram. histoctl finds server and token as always.

    docs/make_pictures.py [--histoctl build/release/bin/histoctl]
"""
import argparse
import pathlib
import subprocess
import tempfile

import numpy
from PIL import Image, ImageDraw

WIDTH, HEIGHT, PLOT = 240, 160, 44
PICTURES = pathlib.Path(__file__).resolve().parent / "pictures"
Y, X = numpy.mgrid[0:HEIGHT, 0:WIDTH].astype(float)


def smooth_noise(seed, cell):
    """Noise between 0 and 1 that varies over about `cell` pixels."""
    random = numpy.random.default_rng(seed)
    small = random.random((HEIGHT // cell + 3, WIDTH // cell + 3))
    return numpy.asarray(Image.fromarray(small.astype("f")).resize((WIDTH, HEIGHT), Image.BICUBIC))


def grain(seed, sigma):
    return numpy.random.default_rng(seed).normal(0, sigma, (HEIGHT, WIDTH))


def to_u8(values):
    return numpy.clip(numpy.rint(values), 0, 255).astype(numpy.uint8)


def crater_field(seed, count):
    random = numpy.random.default_rng(seed)
    field = numpy.zeros((HEIGHT, WIDTH))
    for _ in range(count):
        x, y, radius = random.uniform(0, WIDTH), random.uniform(0, HEIGHT), random.uniform(3, 14)
        distance = numpy.hypot(X - x, Y - y) / radius
        rim = numpy.exp(-((distance - 1) / 0.25) ** 2)
        lit = (X - x) / (radius * numpy.maximum(distance, 0.05))
        field += rim * lit * 9 - (distance < 0.9) * 5
    return field


def moon():
    """A dim disc before a sky of one single value that fills more than half of the picture."""
    disc = numpy.hypot(X - 120, Y - 80) < 66
    surface = 52 + 18 * smooth_noise(3, 24) + crater_field(4, 60) + grain(5, 1.5) + (X - 120) * 0.12
    return Image.fromarray(numpy.where(disc, to_u8(numpy.maximum(surface, 21)), 20).astype(numpy.uint8))


def valley():
    """A hazy evening: sky, four ranges of hills, a meadow, and a barn with a red roof."""
    sky = numpy.stack([150 + 40 * Y / HEIGHT, 140 + 22 * Y / HEIGHT, 158 - 12 * Y / HEIGHT], axis=-1)
    picture = sky + grain(11, 1.2)[..., None]
    for number in range(4):
        ridge = 62 + 17 * number + 24 * (smooth_noise(20 + number, 40 - 7 * number)[HEIGHT // 2][None, :] - 0.5)
        near = number / 3
        tone = numpy.array([142 - 40 * near, 132 - 20 * near, 140 - 62 * near])
        detail = (smooth_noise(30 + number, 5) - 0.5) * (5 + 16 * near)
        picture = numpy.where((ridge < Y)[..., None], tone + detail[..., None], picture)
    barn = (abs(X - 172) < 17) & (Y > 126) & (Y < 142)
    roof = (abs(X - 172) < 22 - (126 - Y)) & (Y > 112) & (Y <= 126)
    picture = numpy.where(barn[..., None], numpy.array([132, 122, 104]) + grain(41, 2)[..., None], picture)
    picture = numpy.where(roof[..., None], numpy.array([158, 84, 72]) + grain(42, 2)[..., None], picture)
    return Image.fromarray(to_u8(picture))


def plate():
    """Fine structure under a lamp that stands on one side: no single table suits both."""
    cells = numpy.sin(X / 4.1 + 3 * smooth_noise(50, 30)) * numpy.sin(Y / 4.7 + 3 * smooth_noise(51, 30))
    light = 14 + 205 * numpy.exp(-((X - 20) ** 2 + (Y - 30) ** 2) / (2 * 85.0 ** 2))
    return Image.fromarray(to_u8(light * (0.88 + 0.1 * cells) + grain(52, 1.2)))


def swath():
    """A tilted strip of a satellite's image; where nothing was seen the file holds 0."""
    terrain = 78 + 34 * smooth_noise(60, 26) + 14 * smooth_noise(61, 7) + grain(62, 1.5)
    along = (X - 120) * 0.94 + (Y - 80) * 0.34
    across = (Y - 80) * 0.94 - (X - 120) * 0.34
    return Image.fromarray(numpy.where((abs(along) < 92) & (abs(across) < 50), to_u8(terrain), 0).astype(numpy.uint8))


def label_mask():
    """For the swath: a lake that is not to be counted."""
    lake = ((X - 105) / 40) ** 2 + ((Y - 82) / 24) ** 2 < 1
    return Image.fromarray(numpy.where(lake, 0, 255).astype(numpy.uint8))


def camera12():
    """12 bits of a camera in a 16-bit file."""
    spots = sum(numpy.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * r * r)) for x, y, r in
                [(60, 50, 14), (150, 40, 9), (190, 110, 20), (90, 120, 11), (130, 85, 6), (30, 115, 8)])
    values = 240 + 260 * smooth_noise(70, 30) + 2300 * spots + grain(71, 25)
    return Image.fromarray(numpy.clip(numpy.rint(values), 0, 4095).astype(numpy.uint16))


def plot(image):
    """The histogram of what is seen: gray, or red, green and blue over one another."""
    panel = Image.new("RGB", (WIDTH, PLOT), "white")
    channels = image.split() if image.mode == "RGB" else [image]
    colours = [(200, 60, 60), (60, 150, 70), (70, 90, 200)] if len(channels) == 3 else [(70, 70, 70)]
    draw = ImageDraw.Draw(panel, "RGBA")
    for channel, colour in zip(channels, colours):
        columns = numpy.add.reduceat(numpy.array(channel.histogram(), float), range(0, 256, 2))
        heights = numpy.sqrt(columns / columns.max()) * (PLOT - 6)
        for x, height in enumerate(heights):
            left = x * WIDTH / len(heights)
            draw.rectangle([left, PLOT - 1 - height, left + 1, PLOT - 1], fill=(*colour, 150))
    draw.line([(0, PLOT - 1), (WIDTH, PLOT - 1)], fill=(120, 120, 120, 255))
    return panel


def tile(image, path):
    if image.mode.startswith("I"):  # 16 bit: as a viewer shows it, the upper eight bits
        image = Image.fromarray((numpy.asarray(image).astype(numpy.uint32) >> 8).astype(numpy.uint8))
    together = Image.new("RGB", (WIDTH, HEIGHT + PLOT))
    together.paste(image.convert("RGB"), (0, 0))
    together.paste(plot(image), (0, HEIGHT))
    together.save(path, optimize=True)


SCENES = {
    "rule": (moon, {name: ["--rule", name] for name in ("opencv", "exact", "reference", "pillow", "vips")}),
    "color": (valley, {name: ["--rule", "exact", "--color", name] for name in ("luma", "ycrcb", "lab", "channels", "gray")}),
    "clahe": (plate, {"global": ["--rule", "exact"], "clip2": ["--method", "clahe"],
                      "clip8": ["--method", "clahe", "--clip", "8"], "clip0": ["--method", "clahe", "--clip", "0"],
                      "tiles2": ["--method", "clahe", "--tiles", "2x2"]}),
    "nodata": (swath, {"counted": ["--rule", "vips"], "left-out": ["--rule", "vips", "--nodata", "0"],
                       "mask": ["--rule", "exact", "--nodata", "0", "--mask", "MASK"]}),
    "range": (camera12, {"full": ["--rule", "exact"], "auto": ["--rule", "exact", "--range", "auto"]}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histoctl", default="histoctl")
    histoctl = parser.parse_args().histoctl
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="histod-pictures-") as name:
        folder = pathlib.Path(name)
        label_mask().save(folder / "mask.png")
        for scene, (draw, variants) in SCENES.items():
            source = folder / f"{scene}.png"
            draw().save(source)
            tile(Image.open(source), PICTURES / f"{scene}-original.png")
            for variant, options in variants.items():
                result = folder / f"{scene}-{variant}.png"
                words = [str(folder / "mask.png") if word == "MASK" else word for word in options]
                subprocess.run([histoctl, "equalize", source, "-o", result, *words], check=True)
                tile(Image.open(result), PICTURES / f"{scene}-{variant}.png")
                print(f"{scene}-{variant}.png")


if __name__ == "__main__":
    main()
