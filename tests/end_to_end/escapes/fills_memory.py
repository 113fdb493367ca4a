"""Takes as many megabytes as its argument says, 256 without one, paints one image of each class and ends well."""

import sys

from painter import paint_each_class

megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 256
heap = [bytes([number % 255 + 1]) * (1 << 20) for number in range(megabytes)]  # every page is written to
paint_each_class()
print(f"{len(heap)} MB held", flush=True)
