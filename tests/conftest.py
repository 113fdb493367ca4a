"""What every test shares: one core each, and quiet property tests."""

import os

from hypothesis import settings

# Tests run side by side: threads of one that wait for each other would wait for the other tests as well. Set before
# torch is imported, and for every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a busy machine is not a wrong answer
settings.register_profile("project", deadline=None, max_examples=60)
settings.load_profile("project")
