"""Every benchmark that needs no file of the user's, one after the other: ``make bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS: tuple[tuple[str, ...], ...] = (("training.py",), ("forward.py",))


def main() -> None:
    failed = 0
    for command in BENCHMARKS:
        print(f"\n== {' '.join(command)}", flush=True)
        failed += subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], check=False).returncode != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
