# SPDX-License-Identifier: Apache-2.0
"""Images for tests, and oracles that share nothing with the daemon: numpy and Pillow."""
import io

import numpy as np
from PIL import Image


def noisy(width, height, seed=1, channels=1, mean=110, spread=14):
    shape = (height, width) if channels == 1 else (height, width, channels)
    values = np.random.default_rng(seed).normal(mean, spread, shape)
    return np.clip(values, 0, 255).astype(np.uint8)


def encode(pixels, kind="png", **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def decode(data):
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def pgm16(pixels):
    height, width = pixels.shape
    return b"P5\n%d %d\n65535\n" % (width, height) + pixels.astype(">u2").tobytes()


def lut_opencv(gray):
    """cv::equalizeHist's table, in numpy's float32 step by step."""
    histogram = np.bincount(gray.ravel(), minlength=256)
    first = int(np.argmax(histogram > 0))
    total = int(histogram.sum())
    if histogram[first] == total:
        return np.full(256, first, np.uint8)
    scale = np.float32(255.0) / np.float32(total - histogram[first])
    sums = np.cumsum(histogram) - histogram[first]
    table = np.rint(sums.astype(np.float32) * scale)
    table[: first + 1] = 0
    return np.clip(table, 0, 255).astype(np.uint8)


def equalized(gray):
    return lut_opencv(gray)[gray]


def lut_exact(values, levels):
    histogram = np.bincount(values.ravel(), minlength=levels).astype(object)
    first = next(i for i in range(levels) if histogram[i])
    total = int(histogram.sum())
    rest = total - int(histogram[first])
    table, cdf = [], 0
    for i in range(levels):
        cdf += int(histogram[i])
        table.append(0 if cdf == 0 else ((cdf - int(histogram[first])) * (levels - 1) + rest // 2) // rest)
    return np.array(table, dtype=np.uint32)
