"""Paints for ever, hears no SIGTERM, and has a second painter that has left its session."""

import signal

from painter import leave_a_painter_behind, paint_for_ever

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
leave_a_painter_behind(first_index=500_000)
for _ in paint_for_ever(first_index=0):
    pass
