"""What every test shares: one core each, quiet property tests, and a Ctrl-C that can be sent."""

import os
import signal
from pathlib import Path

from hypothesis import settings

# Tests run side by side: threads of one that wait for each other would wait for the other tests as well. Set before
# torch is imported, and for every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Without a card Triton's kernels run in its interpreter, which it asks for when it is imported.
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Shells start background jobs with SIGINT ignored, nohup with SIGHUP; what is ignored stays so in every process that
# a test starts.
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)

# a busy machine is not a wrong answer
settings.register_profile("project", deadline=None, max_examples=60)
settings.load_profile("project")
