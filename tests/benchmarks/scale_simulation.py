"""A day of 1,000,000 raters on paper: how many machines carry its peak, and how long raters wait.

Requests of many raters who think for seconds between them come as a Poisson process. A balancer deals votes to the
worker processes of all web nodes by turns; each worker serves them in order of arrival, then the database's cores,
dealt likewise, keep them. What one vote costs each is measured (`bench_vote_cost`). Each queue follows Lindley's
recursion (Proc. Camb. Phil. Soc. 48, 1952): a vote waits as long as the one before it waited and was served, less the
time between the two.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
VARIATION = 0.7
"""Standard deviation of what votes cost over their mean."""

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Day:
    """What comes in a day.

    Attributes:
        raters: In the whole day.
        trials: Votes of each.
        peak_share: Of the raters who come in the busiest hour; 1/24 if all hours were alike.
    """

    raters: int = 1_000_000
    trials: int = 55
    peak_share: float = 0.1

    @property
    def mean_rate(self) -> float:
        """Return votes a second over the whole day."""
        return self.raters * self.trials / DAY_S

    @property
    def peak_rate(self) -> float:
        """Return votes a second in the busiest hour."""
        return self.raters * self.peak_share * self.trials / 3600


def waits(arrivals: Times, service: Times) -> Times:
    """Return how long each job waits at one server that takes them in order of arrival.

    Args:
        arrivals: (n,) moments in s, ascending.
        service: (n,) what each takes, in s.

    Example:
        >>> waits(np.array([0.0, 1.0, 5.0]), np.array([3.0, 1.0, 1.0])).tolist()
        [0.0, 2.0, 0.0]
    """
    steps = np.concatenate(([0.0], np.cumsum(service[:-1] - np.diff(arrivals))))
    found: Times = steps - np.minimum.accumulate(steps)
    return found


def stage(arrivals: Times, service: Times, *, servers: int) -> tuple[Times, Times]:
    """Return waits and departures (n,) of jobs that are dealt to servers by turns; departures are not sorted."""
    waited = np.empty_like(arrivals)
    for server in range(servers):
        waited[server::servers] = waits(arrivals[server::servers], service[server::servers])
    return waited, arrivals + waited + service


def peak_simulate(
    day: Day,
    *,
    workers: int,
    keepers: int,
    web_s: float,
    database_s: float,
    seconds: float,
    rng: np.random.Generator,
) -> Times:
    """Return how long votes of the busiest hour take on the servers, waiting included, in s.

    Args:
        day: What comes.
        workers: Processes that serve raters, a core each.
        keepers: Cores of the database.
        web_s: CPU time of a vote and its pictures in a worker, mean.
        database_s: CPU time of both in the database, mean.
        seconds: How long a piece of the hour to simulate.
        rng: Source of chance.
    """
    n = rng.poisson(day.peak_rate * seconds)
    arrivals = np.sort(rng.uniform(0, seconds, n))
    shape = 1 / VARIATION**2
    _, left = stage(arrivals, rng.gamma(shape, web_s / shape, n), servers=workers)
    order = np.argsort(left)
    kept_s = rng.gamma(shape, database_s / shape, n)
    _, done = stage(left[order], kept_s, servers=keepers)
    took = np.empty(n)
    took[order] = done - arrivals[order]
    return took


def main() -> int:
    """Print the table of docs/scale.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raters", type=int, default=1_000_000)
    parser.add_argument("--peak-share", type=float, default=0.1, help="of the raters in the busiest hour")
    parser.add_argument("--web-ms", type=float, required=True, help="CPU time of a vote in a worker, as measured")
    parser.add_argument("--database-ms", type=float, required=True, help="CPU time of a vote in the database")
    parser.add_argument("--keepers", type=int, default=4, help="cores of the database")
    parser.add_argument("--cores", type=int, default=4, help="cores, and workers, of each web node")
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    day = Day(raters=options.raters, peak_share=options.peak_share)
    web_s, database_s = options.web_ms / 1000, options.database_ms / 1000
    print(f"{day.raters:,} raters a day: {day.mean_rate:,.0f} votes/s in the mean, {day.peak_rate:,.0f} at the peak")
    print("| web nodes | busy | database busy | median, ms | 99 %, ms | 99.9 %, ms |\n|---|---|---|---|---|---|")
    least = int(np.ceil(day.peak_rate * web_s / options.cores))
    for nodes in range(least, 2 * least + 1):
        busy = day.peak_rate * web_s / (nodes * options.cores)
        rng = np.random.default_rng(nodes)
        took = peak_simulate(
            day,
            workers=nodes * options.cores,
            keepers=options.keepers,
            web_s=web_s,
            database_s=database_s,
            seconds=options.seconds,
            rng=rng,
        )
        middle, high, highest = 1000 * np.quantile(took, [0.5, 0.99, 0.999])
        kept = day.peak_rate * database_s / options.keepers
        print(f"| {nodes} | {busy:.0%} | {kept:.0%} | {middle:.0f} | {high:.0f} | {highest:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
