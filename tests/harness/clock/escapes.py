"""Small generators that try to outlive the clock. Each writes the time into files of its output folder, for ever.

They run without site packages, so that they start in some ten milliseconds.
"""

_WRITE = """
import os, signal, sys, time
from os import fork, getpid, getppid, kill, setsid

def write():
    own_file = os.path.join(os.environ["SUBMISSION_OUTPUT"], str(getpid()))
    stamps = os.open(own_file, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    while True:
        os.write(stamps, b"%.9f\\n" % time.monotonic())
        time.sleep(0.002)

def parent_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])

def wait_for_files(count):
    while len(os.listdir(os.environ["SUBMISSION_OUTPUT"])) < count:
        time.sleep(0.005)
"""

_TRY = {
    "writes": "write()",
    "ignores_signals": """
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    if number < 32: signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
write()
""",
    "double_fork_and_setsid": """
if fork() == 0:
    setsid()
    if fork() == 0:
        write()
    os._exit(0)
write()
""",
    "leaves_stragglers": """
for _ in range(3):
    if fork() == 0:
        setsid()
        write()
wait_for_files(3)
os._exit(7)
""",
    "keeps_forking": """
for _ in range(3):
    if fork() == 0:
        while True:  # every stage lives for one fork, in a session and a group of its own
            if fork(): os._exit(0)
            setsid()
write()
""",
    "fork_storm": """
depth = 0
while depth < 6:  # 64 processes, each with a parent that replaces it when it dies
    if fork() == 0:
        depth += 1
        continue
    if fork() == 0:
        depth += 1
        continue
    while True:
        os.wait()
        if fork() == 0:
            break
    depth += 1
write()
""",
    "stops_itself": """
for _ in range(3):
    if fork() == 0:
        setsid()
        kill(getpid(), signal.SIGSTOP)
if fork() == 0:
    write()
kill(getpid(), signal.SIGSTOP)
""",
    "main_thread_ends": """
import ctypes, _thread
_thread.start_new_thread(write, ())
ctypes.CDLL(None).pthread_exit(None)
""",
    "stops_its_guard": """
kill(getppid(), signal.SIGSTOP)
if fork() == 0:
    setsid()
    write()
write()
""",
    "stops_its_guard_and_fills_its_log": """
kill(getppid(), signal.SIGSTOP)
if fork() == 0:
    write()
while True: os.write(1, b"x" * 65536)
""",
    "keeps_stopping_its_guard": """
guard = getppid()
for _ in range(2):
    if fork() == 0:
        setsid()
        while True: kill(guard, signal.SIGSTOP)
write()
""",
    "fills_its_log": """
if fork() == 0:
    write()
while True: os.write(1, b"x" * 65536)
""",
    "kills_its_guard": """
guard = getppid()
if fork() == 0:
    setsid()
    if fork() == 0:
        write()
    write()
wait_for_files(2)
kill(guard, signal.SIGKILL)
write()
""",
    "leaves_its_cgroup": """
with open("/proc/self/mounts") as mounts:
    root = [mount.split()[1] for mount in mounts if mount.split()[2] == "cgroup2"][0]
with open(os.path.join(root, "cgroup.procs"), "w") as group:
    group.write("0")
if fork() == 0:
    setsid()
    write()
write()
""",
    "fills_memory": """
heap = []
while True: heap.append(b"x" * (8 << 20))
""",
    "kills_the_harness": """
harness = parent_of(getppid())
if fork() == 0:
    setsid()
    write()
wait_for_files(1)
kill(harness, signal.SIGKILL)
write()
""",
    "kills_harness_and_guard": """
guard = getppid()
harness = parent_of(guard)
if fork() == 0:
    kill(harness, signal.SIGSTOP)
    kill(guard, signal.SIGKILL)
    kill(harness, signal.SIGKILL)
    os._exit(0)
write()
""",
}

ESCAPES = {name: _WRITE + attempt for name, attempt in _TRY.items()}
