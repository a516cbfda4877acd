"""The results table and the crossed bootstrap of 1,000,000 votes, against plain pandas.

10,000 raters judge 100 photos each, under 6 conditions. Pandas groups the votes of each condition by rater, photo and
both, and makes rates and intervals only; its bootstrap weighs and groups all votes anew in each replicate.
"""

import math
import statistics
import sys

import numpy as np
import pandas as pd

from studies.statistics.bootstrap import crossed_bootstrap
from studies.statistics.fool_rate import two_way_wilson
from studies.statistics.results import ResultCondition, ResultTable, Votes, result_table
from tests.benchmarks import harness

RATERS, PHOTOS, CONDITIONS = 10_000, 100, 6
REPLICATES, LOOPED = 2_000, 2
"""Replicates of ours in one run, and those that the loop does; its time is multiplied, since each costs the same."""
LIMITS_S = {"table": 1.0, "table, names as text": 1.0, "bootstrap": 0.5}


def made_up(*, is_text: bool) -> Votes:
    """Return 1,000,000 votes with effects of raters and photos; a tenth of the sessions is excluded."""
    rng = np.random.default_rng(0)
    n = RATERS * PHOTOS
    rater, photo = np.divmod(np.arange(n), PHOTOS)
    place = (rater + rng.permuted(np.arange(n).reshape(RATERS, PHOTOS), axis=1).ravel()) % CONDITIONS
    logits = 0.5 * place - 3 + 0.8 * rng.normal(size=RATERS)[rater] + 0.8 * rng.normal(size=PHOTOS)[photo]
    is_left_out = rater % 10 == 9
    raters, photos = (rater, photo)
    if is_text:
        raters, photos = (np.char.add(word, ids.astype(str)) for word, ids in (("rater-", rater), ("photo-", photo)))
    return Votes(
        session=raters,
        rater=raters,
        photo=photos,
        scene=photos,
        condition=np.array([f"prsr_{10 + k}" for k in range(CONDITIONS)])[place],
        kind=np.full(n, "test"),
        fooled=rng.random(n) < 1 / (1 + np.exp(-logits)),
        excluded=is_left_out,
        completed=np.full(n, fill_value=True),
        origin=np.full(n, "person"),
        exclusion_reason=np.where(is_left_out, "golden_missed", ""),
    )


def ours(votes: Votes) -> ResultTable:
    """Return the table as the site makes it: every rate with and without exclusions."""
    names = sorted(set(votes.condition.tolist()))
    rows = [ResultCondition(name=name, label=name) for name in names]
    return result_table(votes, conditions=rows, fidelity={}, study="bench")


def frame(votes: Votes) -> pd.DataFrame:
    """Return the votes as pandas holds them."""
    names = ("session", "rater", "photo", "condition", "fooled", "excluded")
    return pd.DataFrame({name: getattr(votes, name) for name in names})


def in_pandas(table: pd.DataFrame) -> dict[tuple[str, bool], tuple[float, float, float]]:
    """Return rate and interval of each condition, without and with the excluded, condition by condition."""
    found = {}
    for everyone in (False, True):
        counted = table if everyone else table[~table["excluded"]]
        for condition, group in counted.groupby("condition"):
            n, rate = len(group), float(group["fooled"].mean())
            error = group.assign(error=group["fooled"] - rate)
            parts = []
            for keys in (["rater"], ["photo"], ["rater", "photo"]):
                sums = error.groupby(keys)["error"].sum()
                parts.append(len(sums) / (len(sums) - 1) * float((sums**2).sum()) / n**2)
            binomial = rate * (1 - rate) / n
            deff = max(parts[0] + parts[1] - parts[2], parts[0], parts[1], binomial) / binomial
            df = min(group["rater"].nunique(), group["photo"].nunique()) - 1
            found[str(condition), everyone] = (rate, *two_way_wilson(rate=rate, n_votes=n, deff=deff, df=df))
    return found


def bootstrap_in_pandas(table: pd.DataFrame, *, n_replicates: int) -> list["pd.Series[float]"]:
    """Return the rates by condition in replicates that weigh all votes."""
    rng = np.random.default_rng(0)
    raters, photos = table["rater"].unique(), table["photo"].unique()
    replicates = []
    for _ in range(n_replicates):
        of_raters, of_photos = (pd.Series(rng.choice(ids, ids.size)).value_counts() for ids in (raters, photos))
        weight = table["rater"].map(of_raters).fillna(0) * table["photo"].map(of_photos).fillna(0)
        weighed = table.assign(weight=weight, hits=weight * table["fooled"])
        sums = weighed.groupby("condition")[["hits", "weight"]].sum()
        replicates.append(sums["hits"] / sums["weight"])
    return replicates


def main() -> int:
    """Compare and print; return 1 if a limit is not met."""
    options = harness.start(harness.arguments(__doc__), packages=["numpy", "scipy", "pandas"])
    votes, text = made_up(is_text=False), made_up(is_text=True)
    table, table_of_text = frame(votes), frame(text)
    apart = max(
        abs(a - b)
        for row in ours(votes).rows
        for a, b in zip(
            in_pandas(table)[row.condition, False],
            (row.fool_rate or 0, row.ci_low or 0, row.ci_high or 0),
            strict=True,
        )
    )
    print(f"rates and intervals: {apart:.1e} apart at most\n", flush=True)
    condition = np.unique(votes.condition, return_inverse=True)[1]
    rng = np.random.default_rng(1)
    compared = {
        "table": harness.compare(
            "results table of 1,000,000 votes, over pandas",
            lambda: ours(votes),
            lambda: in_pandas(table),
            pairs=options.pairs,
        ),
        "table, names as text": harness.compare(
            "the same from names as text, as in an export",
            lambda: ours(text),
            lambda: in_pandas(table_of_text),
            pairs=options.pairs,
        ),
        "bootstrap": harness.compare(
            f"{REPLICATES:,} crossed bootstrap replicates, over pandas",
            lambda: crossed_bootstrap(
                votes.fooled,
                rater=votes.rater,
                photo=votes.photo,
                condition=condition,
                n_replicates=REPLICATES,
                rng=rng,
            ),
            lambda: bootstrap_in_pandas(table, n_replicates=LOOPED),
            pairs=options.pairs,
            baseline_is_one_of=math.ceil(REPLICATES / LOOPED),
        ),
    }
    bars = {"bootstrap": harness.Bar(least=100)}  # the tables have limits only
    failed = harness.report((comparison, bars.get(name, harness.Bar())) for name, comparison in compared.items())
    for name, comparison in compared.items():
        seconds = statistics.median(comparison.subject_s)
        print(
            f"{name}: {seconds:.2f} s, limit {LIMITS_S[name]:g} s: {'met' if seconds <= LIMITS_S[name] else 'NOT met'}"
        )
        failed |= seconds > LIMITS_S[name]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
