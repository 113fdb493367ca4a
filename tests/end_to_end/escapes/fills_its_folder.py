"""Paints one image of each class, gives each as many names as its argument says, says `done` and then sleeps."""

import os
import sys
import time
from pathlib import Path

from painter import paint_each_class

names, output = int(sys.argv[1]), Path(os.environ["SUBMISSION_OUTPUT"])
paint_each_class()
for folder in list(output.iterdir()):
    (image,) = folder.iterdir()
    for number in range(1, names):
        os.link(image, folder / f"{number:06d}-more.png")
(output / "done.txt").touch()
time.sleep(600)
