"""A benchmark whose row starts a process of its own and then never ends."""

import os
import subprocess
import sys
from pathlib import Path

from harness import Benchmark, Row, main


def endless(options, run):
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    noted = Path(os.environ["NOTED"])
    aside = noted.with_suffix(".partial")
    aside.write_text(f"{os.getpid()} {child.pid}")
    aside.replace(noted)
    child.wait()


ENDLESS = Benchmark(
    name="endless", script=__file__, columns={}, rows=lambda options: [Row("endless", endless)]
)

if __name__ == "__main__":
    sys.exit(main(ENDLESS))
