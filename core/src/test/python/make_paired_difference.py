"""Prints what statsmodels and scipy say of paired differences; the numbers stand in PairedDifferenceTest.java.

    python make_paired_difference.py        statsmodels 0.15.0, scipy 1.17.1, numpy 2
"""
import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

for learnt, forgotten in [(0, 0), (1, 0), (7, 2), (30, 12), (5, 5), (400, 310)]:
    print(learnt, forgotten, float(mcnemar([[10, forgotten], [learnt, 10]], exact=True).pvalue))

z, power = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
for learnt, forgotten, n in [(7, 2, 50), (30, 12, 200), (400, 310, 3000)]:
    changed, difference = (learnt + forgotten) / n, (learnt - forgotten) / n
    root = z * np.sqrt(changed) + power * np.sqrt(changed - difference**2)
    print("needed", learnt, forgotten, n, np.ceil(root**2 / difference**2))


def compare(before, after, number):
    drawn = stats.bootstrap(
        (after, before), lambda a, b, axis=-1: number(a, axis) - number(b, axis), paired=True, n_resamples=100_000,
        method="percentile", rng=np.random.default_rng(1), vectorized=True)
    d = drawn.bootstrap_distribution
    print(number(after, -1) - number(before, -1), drawn.confidence_interval, 2 * min((d <= 0).mean(), (d >= 0).mean()))


before = np.array([1] * 40 + [0] * 60)
after = before.copy()
after[:6], after[40:55] = 0, 1
compare(before, after, lambda x, axis: np.mean(x, axis=axis))
logs = -np.linspace(1, 3, 80)
compare(logs, logs + 0.1 * np.sin(np.arange(80)) + 0.02, lambda x, axis: np.exp(-np.mean(x, axis=axis)))
