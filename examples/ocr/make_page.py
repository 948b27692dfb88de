#!/usr/bin/env python3
"""Draws page.png, the sample page: five lines set in DejaVu Sans, grey on paper white.

Only for making it again (packages python3-pil and fonts-dejavu-core); the page itself is in the
repository so that nobody needs them. The text is what the tests expect to read back.
"""
import os
import random

from PIL import Image, ImageDraw, ImageFont

LINES = [
    "Okibi is the banked fire under the ashes.",
    "Nothing burns while nobody cooks, and a breath",
    "brings it back: a request comes in, a container",
    "comes up from zero, the answer goes out, and the",
    "card is given back. Bill for 1 call: 0.000018 USD.",
]


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 26)
    page = Image.new("L", (820, 260), 250)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(LINES):
        draw.text((36, 26 + 42 * number), line, font=font, fill=35)
    # A little paper grain, always the same: clean synthetic pages flatter an OCR engine.
    grain = random.Random(7)
    pixels = page.load()
    for _ in range(6000):
        x, y = grain.randrange(page.width), grain.randrange(page.height)
        pixels[x, y] = max(0, pixels[x, y] - grain.randrange(40))
    page.save(os.path.join(folder, "page.png"), optimize=True, dpi=(150, 150))


if __name__ == "__main__":
    main()
