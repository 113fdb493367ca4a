"""What every test shares: one core each, quiet property tests, and a Ctrl-C that can be sent."""

import os
import signal

from hypothesis import settings

# Tests run side by side: threads of one that wait for each other would wait for the other tests as well. Set before
# torch is imported, and for every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Shells start background jobs with SIGINT ignored, and what is ignored stays so in every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# a busy machine is not a wrong answer
settings.register_profile("project", deadline=None, max_examples=60)
settings.load_profile("project")
