"""What all benchmarks share: pinned threads, interleaved pairs, a machine line and rows for docs/performance.md.

A benchmark is a module that is run by hand, `python -m tests.benchmarks.bench_x`, and reads like this:

    def main() -> int:
        options = harness.start(harness.arguments(__doc__), packages=["numpy"])
        fast = harness.compare("what is faster", subject, baseline, pairs=options.pairs)
        return harness.report([(fast, harness.Bar(least=2, aim=3))])

    if __name__ == "__main__":
        sys.exit(main())

Subject and baseline run by turns in one process, A B A B, so that whatever else the machine does meets both alike; the
ratio is the median of the ratios of the pairs.
"""

import argparse
import importlib
import importlib.metadata
import math
import multiprocessing
import os
import platform
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Read by the libraries when they load, so that they must stand in the environment before Python starts."""

SHORTEST_S = 0.2
"""A run is repeated until it takes about this long: shorter ones drown in what else the machine does."""

HEAD = "| what | subject | baseline | ratio (min-max) | bar | aim | met |\n|---|---|---|---|---|---|---|"


class Bar(NamedTuple):
    """What a ratio must reach. At most one of `least` and `most` is given; `most` turns the ratio round.

    Attributes:
        least: baseline / subject must be at least this: "the subject is so many times as fast".
        most: subject / baseline must be at most this: "the subject costs so many times as much".
        aim: What is hoped for, in the same direction; None where the bar says it all.
    """

    least: float | None = None
    most: float | None = None
    aim: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Seconds of the same work done in two ways, pair by pair.

    Attributes:
        what: Name of the row.
        subject_s: Seconds of one run of ours, for each pair.
        baseline_s: Seconds of one run of what it is compared with, for each pair.
        clock: Whether seconds are of the process's CPU time or of the clock on the wall.
    """

    what: str
    subject_s: tuple[float, ...]
    baseline_s: tuple[float, ...]
    clock: Literal["cpu", "wall"]

    def ratios(self, bar: Bar) -> tuple[float, ...]:
        """Return the ratio of each pair in the direction of the bar."""
        pairs = zip(self.subject_s, self.baseline_s, strict=True)
        return tuple(baseline / subject if bar.most is None else subject / baseline for subject, baseline in pairs)

    def met(self, bar: Bar) -> Literal["aim", "bar", "no", ""]:
        """Say what the median ratio reaches; nothing where nothing is asked for."""
        ratio = statistics.median(self.ratios(bar))

        def reached(goal: float) -> bool:
            return ratio >= goal if bar.most is None else ratio <= goal

        if bar.aim is not None and reached(bar.aim):
            return "aim"
        goal = bar.least if bar.most is None else bar.most
        if goal is None:
            return ""
        return "bar" if reached(goal) else "no"

    def row(self, bar: Bar) -> str:
        """Return the Markdown row under `HEAD`; times are median (min-max)."""
        ratios = self.ratios(bar)
        sign, goal = ("≥", bar.least) if bar.most is None else ("≤", bar.most)
        cells = [
            f"{self.what} ({self.clock} time)",
            _seconds(self.subject_s),
            _seconds(self.baseline_s),
            f"**{_times(statistics.median(ratios))}** ({_times(min(ratios))}-{_times(max(ratios))})",
            "" if goal is None else f"{sign} {_times(goal)}",
            "" if bar.aim is None else f"{sign} {_times(bar.aim)}",
            self.met(bar),
        ]
        return f"| {' | '.join(cells)} |"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks take; a benchmark adds its own."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="runs of each side, by turns (5)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads that a library may use (1)")
    return parser


def start(parser: argparse.ArgumentParser, *, packages: Sequence[str] = ()) -> argparse.Namespace:
    """Parse the command line, pin the threads, and print the command, the machine and the versions.

    Where the environment does not pin the threads yet, this process is replaced by one where it does.

    Args:
        parser: From `arguments`.
        packages: Names of installed packages whose versions matter to the figures.
    """
    options = parser.parse_args()
    if options.pairs < 1 or options.threads < 1:
        parser.error(f"--pairs and --threads must be at least 1, got {options.pairs} and {options.threads}")
    pinned = dict.fromkeys(THREAD_VARIABLES, str(options.threads))
    if any(os.environ.get(name) != value for name, value in pinned.items()):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **pinned})  # noqa: S606 -- ourselves
    if "torch" in sys.modules:
        importlib.import_module("torch").set_num_threads(options.threads)
    module = Path(sys.argv[0]).stem
    print(f"`{shlex.join(['python', '-m', f'tests.benchmarks.{module}', *sys.argv[1:]])}`\n")
    print(f"{machine(packages)}; {options.threads} thread{'s' if options.threads > 1 else ''} of a library\n")
    return options


def machine(packages: Sequence[str] = ()) -> str:
    """Return one line on the processor, its load, and the versions of Python and of packages."""
    cpu_info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpu_info.read_text()) if cpu_info.exists() else None
    flags = set(cpu_info.read_text().split()) if cpu_info.exists() else set()
    widest = next((name for name in ("avx512f", "avx2", "asimd") if name in flags), "no vectors known")
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {_version(name)}" for name in packages]
    versions += [f"numpy's BLAS {blas['name']} {blas['version']}"]
    return (
        f"{model[1] if model else platform.processor() or platform.machine()} ({widest}), {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the start; {', '.join(versions)}"
    )


def compare(
    what: str,
    subject: Callable[[], object],
    baseline: Callable[[], object],
    *,
    pairs: int = 5,
    clock: Literal["cpu", "wall"] = "cpu",
    subject_is_one_of: float = 1,
    baseline_is_one_of: float = 1,
) -> Comparison:
    """Run both by turns, after one run of each that is not counted.

    Args:
        what: Name of the row.
        subject: One run of ours.
        baseline: One run of what it is compared with.
        pairs: How often, at least 1; 5 is the house's least for a figure that is kept.
        clock: "cpu" for the time of this process on all its threads, "wall" for work in several processes or threads.
        subject_is_one_of: If a run does one of so many equal parts, its seconds are multiplied by this.
        baseline_is_one_of: The same for the baseline, such as 3,072 where one of 3,072 equal passes is run.
    """
    now = time.process_time if clock == "cpu" else time.perf_counter
    sides = ((subject, subject_is_one_of), (baseline, baseline_is_one_of))
    seconds: tuple[list[float], list[float]] = ([], [])
    repeats = []
    for run, _ in sides:
        began = now()
        run()
        repeats.append(max(1, math.ceil(SHORTEST_S / max(now() - began, SHORTEST_S / 1_000))))
    for _ in range(pairs):
        for (run, parts), times, kept in zip(sides, repeats, seconds, strict=True):
            began = now()
            for _ in range(times):
                run()
            kept.append((now() - began) / times * parts)
    return Comparison(what, tuple(seconds[0]), tuple(seconds[1]), clock)


def report(rows: Iterable[tuple[Comparison, Bar]]) -> int:
    """Print the table, each row as soon as it is measured; return 1 if a bar is not met, for the exit code."""
    print(HEAD, flush=True)
    failed = 0
    for comparison, bar in rows:
        print(comparison.row(bar), flush=True)
        failed |= comparison.met(bar) == "no"
    return failed


class Memory(NamedTuple):
    """Memory of a process beyond what it had before its work, in bytes.

    Attributes:
        peak: The most that was resident at a time, mapped files included.
        held: Of its own at the end, without mapped files (which the system may drop and read again).
    """

    peak: int
    held: int


def memory(work: Callable[..., object], *args: object, imports: Sequence[str] = ()) -> Memory:
    """Do work in a fresh process and return the memory it took; what it returns is alive when `held` is read.

    Not `ru_maxrss`: on Linux a process inherits that from the one that started it.

    Args:
        work: A function of a module, which the fresh process imports.
        args: Its arguments; they are pickled, so banks are passed as paths.
        imports: Modules that are not to be counted.

    Raises:
        RuntimeError: If the work fails, or the system is not Linux.
    """
    if not Path("/proc/self/clear_refs").exists():
        raise RuntimeError(f"memory is measured on Linux, by /proc/self; this is {platform.system()}.")
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(sender, work, args, imports))
    process.start()
    sender.close()
    try:
        return Memory(*receiver.recv())
    except EOFError:
        raise RuntimeError(f"{work.__name__} failed in the process where its memory was to be measured.") from None
    finally:
        process.join()


def _work(sender: Connection, work: Callable[..., object], args: Sequence[object], imports: Sequence[str]) -> None:
    for name in imports:
        importlib.import_module(name)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts again from here
    start_of = _resident()
    kept = work(*args)
    end_of = _resident()
    del kept
    sender.send((end_of["VmHWM"] - start_of["VmRSS"], end_of["RssAnon"] - start_of["RssAnon"]))


def _resident() -> dict[str, int]:
    """Return the lines of /proc/self/status on memory, in bytes."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return {name: int(kilobytes) * 1024 for name, kilobytes in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "is not installed"


def _seconds(times: Sequence[float]) -> str:
    unit, scale = ("s", 1.0) if statistics.median(times) >= 1 else ("ms", 1e3)
    median, least, most = (_figures(of(times) * scale) for of in (statistics.median, min, max))
    return f"{median} {unit} ({least}-{most})"


def _times(ratio: float) -> str:
    return f"{_figures(ratio)}x"


def _figures(value: float) -> str:
    """Return a number with three figures, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
