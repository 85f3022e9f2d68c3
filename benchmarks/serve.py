"""What a server costs: one client against the in-process call, 16 clients against one, and its memory.

    python benchmarks/serve.py [--seconds 60] [--rounds 5] [--requests 2000] [--photograph FILE] [-- SERVE OPTIONS]

Prints one JSON object. The in-process call and the single client take turns, so that other work on the machine touches both.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def ask(connection: http.client.HTTPConnection, data: bytes) -> float:
    """Send a photograph, and return the seconds until its answer."""
    start = time.perf_counter()
    connection.request("POST", "/v1/detect", data, {"content-type": "image/jpeg"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body[:200]!r}")
    return time.perf_counter() - start


def client(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    return connection


def many(port: int, data: bytes, clients: int, seconds: float) -> dict[str, float]:
    """Let clients ask as fast as they can, each waiting for its answer."""
    times: list[float] = []
    errors: list[str] = []
    end = time.perf_counter() + seconds

    def run() -> None:
        connection = client(port)
        while time.perf_counter() < end:
            try:
                times.append(ask(connection, data))
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                errors.append(str(error))
                connection = client(port)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - start
    ordered = sorted(times)
    return {
        "clients": clients,
        "requests": len(times),
        "errors": len(errors),
        "per_second": round(len(times) / spent, 1),
        "median_ms": round(1000 * statistics.median(times), 1),
        "p99_ms": round(1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 1),
    }


def cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used, all threads together; other work on the machine hardly touches it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Return the resident memory of a process in megabytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of the run with many clients")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5, help="of the single client and the in-process call")
    parser.add_argument("--calls", type=int, default=40, help="a round")
    parser.add_argument("--requests", type=int, default=2000, help="over which memory is watched")
    parser.add_argument("--photograph", type=Path, default=ROOT / "assets" / "astronaut.jpg")
    parser.add_argument("options", nargs="*", help="of fiducia serve, after --")
    given = parser.parse_args()
    data = given.photograph.read_bytes()

    options = given.options or ["--weights", "fifa_tiny"]
    command = [sys.executable, "-m", "fiducia", "serve", "--port", "0", *options]
    environment = {k: v for k, v in os.environ.items() if k != "FIDUCIA_TOKEN"}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert server.stderr is not None
    try:
        port = int(json.loads(server.stderr.readline())["url"].rstrip("/").rpartition(":")[2])
        stream = server.stderr
        threading.Thread(target=lambda: [None for _ in stream], daemon=True).start()
        print(json.dumps(measure(given, port, server.pid, data, options), indent=2))
    finally:
        server.terminate()
        server.wait()


def measure(given: argparse.Namespace, port: int, pid: int, data: bytes, options: list[str]) -> dict[str, Any]:
    import fiducia

    def option(name: str, default: str) -> str:
        return options[options.index(name) + 1] if name in options else default

    predictor = fiducia.load(
        option("--weights", "fifa_tiny"), detector=option("--detector", "auto"), runtime=option("--runtime", "auto")
    )
    for _ in range(10):
        predictor(data)
    connection = client(port)
    for _ in range(10):
        ask(connection, data)
    spent = {"in_process": 0.0, "one_client": 0.0}
    inside: list[float] = []
    outside: list[float] = []
    rates: list[tuple[float, float]] = []
    for _ in range(given.rounds):
        calls, began = [], time.process_time()
        for _ in range(given.calls):
            start = time.perf_counter()
            predictor(data)
            calls.append(time.perf_counter() - start)
        spent["in_process"] += time.process_time() - began
        began = cpu(pid)
        connection = client(port)  # the one of the round before may have been idle for too long
        asked = [ask(connection, data) for _ in range(given.calls)]
        spent["one_client"] += cpu(pid) - began
        inside.append(statistics.median(calls))
        outside.append(statistics.median(asked))
        share = max(2.0, given.seconds / given.rounds / 4)
        rates.append((many(port, data, 1, share)["per_second"], many(port, data, given.clients, share)["per_second"]))
    began = cpu(pid)
    crowd = many(port, data, given.clients, given.seconds)
    crowd["cpu_ms"] = round(1000 * (cpu(pid) - began) / crowd["requests"], 1)
    before = memory(pid)
    done = 0
    while done < given.requests:
        done += int(many(port, data, given.clients, 5.0)["requests"])
    after = memory(pid)
    ratios = [b / a for a, b in zip(inside, outside, strict=True)]
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "options": options,
        "in_process_ms": round(1000 * min(inside), 1),
        "one_client_ms": round(1000 * min(outside), 1),
        "cpu_ms": {name: round(1000 * one / given.rounds / given.calls, 1) for name, one in spent.items()},
        "one_client_ratio": round(statistics.median(ratios), 2),
        "throughput_ratio": round(statistics.median(b / a for a, b in rates), 2),
        "one_client_per_second": max(a for a, _ in rates),
        "crowd": crowd,
        "memory_mb": [round(before), round(after)],
        "memory_growth_percent": round(100 * (after - before) / before, 1),
        "requests_between": done,
    }


if __name__ == "__main__":
    main()
