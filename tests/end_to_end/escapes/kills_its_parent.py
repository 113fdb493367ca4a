"""Paints one image of each class, leaves a painter behind and kills the process that started it."""

import os
import signal

from painter import leave_a_painter_behind, paint_each_class, paint_for_ever

parent = os.getppid()
paint_each_class()
leave_a_painter_behind(first_index=500_000)
os.kill(parent, signal.SIGKILL)
for _ in paint_for_ever(first_index=1):
    pass
