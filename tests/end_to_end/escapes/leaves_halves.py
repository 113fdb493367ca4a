"""Paints one whole image of each class, then leaves a half, an empty and a temporary file in each, and hangs."""

import time

from painter import CLASS_NAMES, paint, path, png

for label in range(len(CLASS_NAMES)):
    paint(label, 0)
    whole = png(label, 1)
    path(label, 1).write_bytes(whole[: len(whole) // 2])
    path(label, 2).write_bytes(b"")
    path(label, 3).with_suffix(".png.part").write_bytes(whole[:100])
print("one whole image of each class, the rest in pieces", flush=True)
while True:
    time.sleep(60)
