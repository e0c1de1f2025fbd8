"""Makes core/src/test/resources/org/qlora4j/eval/statistics.json.gz: statistics by other people's programs.

Versions: Python 3.11, numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0, choix 0.4.1. Seed 7.
Run: python core/src/test/python/make_eval_references.py
"""
import gzip
import json
import pathlib

import choix
import numpy as np
import scipy.optimize
import scipy.stats
import statsmodels.api as sm
from statsmodels.stats.inter_rater import fleiss_kappa

OUT = pathlib.Path(__file__).parents[1] / "resources/org/qlora4j/eval/statistics.json.gz"
rng = np.random.default_rng(7)


def judgments(systems, count, ties):
    """Random matches: [first, second, points of the first]."""
    strength = rng.normal(0, 0.8, systems)
    out = []
    for _ in range(count):
        a, b = rng.choice(systems, 2, replace=False)
        up, down = np.exp((strength[a] - strength[b]) / 2), np.exp((strength[b] - strength[a]) / 2)
        even = ties
        at = rng.random() * (up + down + even)
        out.append([int(a), int(b), 1.0 if at < up else 0.0 if at < up + down else 0.5])
    return out


def davidson(matches, systems):
    """Strengths in nats with a mean of 0, and nu, by scipy's BFGS on the negative log likelihood."""
    def loss(x):
        total = 0.0
        for a, b, points in matches:
            half = (x[a] - x[b]) / 2
            terms = {1.0: half, 0.0: -half, 0.5: x[systems]}
            total -= terms[points] - np.logaddexp.reduce(list(terms.values()))
        return total + 1e-9 * np.sum(x[:systems] ** 2)
    found = scipy.optimize.minimize(loss, np.zeros(systems + 1), method="BFGS", options={"gtol": 1e-7})
    x = found.x[:systems]
    return (x - x.mean()).tolist(), float(np.exp(found.x[systems]))


with_ties = judgments(5, 400, 0.7)
strengths, nu = davidson(with_ties, 5)
without = judgments(6, 500, 0.0)
mle = choix.opt_pairwise(6, [(a, b) if p == 1 else (b, a) for a, b, p in without], alpha=0, tol=1e-12)
pairs = [(rng.integers(0, 6, n).astype(float).tolist(), rng.normal(size=n).round(1).tolist()) for n in (5, 9, 20)]
table = rng.multinomial(4, [0.5, 0.3, 0.2], size=30)
values = rng.normal(size=101)

lengths = rng.integers(50, 900, (4, 40))  # characters of each system's answer to each question
controlled = [[a, b, int(q), float(rng.choice([0.0, 0.5, 1.0], p=[0.3, 0.2, 0.5] if lengths[a][q] > lengths[b][q] else [0.45, 0.2, 0.35]))]
              for a in range(4) for b in range(4) if a != b for q in range(40)]
differences = np.array([lengths[a][q] - lengths[b][q] for a, b, q, _ in controlled], float)
design = np.zeros((len(controlled), 5))  # systems 1 to 3 beside system 0, length, place
for row, (a, b, q, _) in enumerate(controlled):
    for system, sign in ((a, 1), (b, -1)):
        if system > 0:
            design[row, system - 1] += sign
design[:, 3] = np.tanh(differences / differences.std())
design[:, 4] = 1
fitted = sm.GLM([m[3] for m in controlled], design, family=sm.families.Binomial()).fit(tol=1e-14)
strength = np.concatenate([[0.0], fitted.params[:3]])
rates = [float(np.mean([1 / (1 + np.exp(strength[o] - strength[s])) for o in range(4) if o != s])) for s in range(4)]

OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_bytes(gzip.compress((json.dumps({
    "davidson": {"matches": with_ties, "strengths": strengths, "nu": nu},
    "bradley_terry": {"matches": without, "strengths": (mle - mle.mean()).tolist()},
    "correlation": [{"x": x, "y": y, "kendall": float(scipy.stats.kendalltau(x, y).statistic),
                     "spearman": float(scipy.stats.spearmanr(x, y).statistic)} for x, y in pairs],
    "fleiss": {"table": table.tolist(), "kappa": float(fleiss_kappa(table))},
    "quantiles": {"values": values.tolist(), "low": float(np.quantile(values, 0.025)),
                  "high": float(np.quantile(values, 0.975))},
    "length_control": {"lengths": lengths.tolist(), "matches": controlled, "length": float(fitted.params[3]),
                       "place": float(fitted.params[4]), "rates": rates},
}, separators=(",", ":")) + "\n").encode(), 9, mtime=0))
