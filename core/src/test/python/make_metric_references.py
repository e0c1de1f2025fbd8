"""Makes core/src/test/resources/org/qlora4j/metric/references.json.gz: figures of answers by other people's programs.

Versions: Python 3.11, rouge_score 0.1.2 with nltk 3.10.4, scikit-learn 1.9.1, scipy 1.17.1. Seed 11.
Run: python core/src/test/python/make_metric_references.py
"""
import gzip
import json
import pathlib
import string

import numpy as np
import scipy.stats
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from sklearn import metrics

OUT = pathlib.Path(__file__).parents[1] / "resources/org/qlora4j/metric/references.json.gz"
rng = np.random.default_rng(11)

WORDS = """a ab able abled abilities absorption adjustable adoption agreed allowance angularly apologies archaeology argued
as babbling bedded bled bled's bodies bowl busily callousness canning cannings cats caresses cease communism conditional
conflated conformably consigned controlling controll cries cried crying decisiveness defensible defied dependent derivational
die died dies differently digitizer dying easily electrical electricity enjoyed enjoying exceed failing falling fed feed
feudalism filing flies flying formality formalize formative geology goodness gyroscopic happy hesitancy hissing homologous
hopeful hopefulness hoping hopping howe impartially inference inning innings irritant lie lied lies lying matting meetings
meeting motoring multiplied national nationally news operator optionally outing outings owed owing oxen pies plastered ponies
possibly predication probate proceed radically rate rational rationalize rationally really relational replacement revival roll
running sensibility sensitivity sing size sized sizing sky skies skied sky spying stating succeed syzygy tall tanned theology
ties tied toy toys troubled troubling try trying tying usefully valency vietnamization vileness vying wholly yes yellow yielded
zoology apologized bless blesses blessing using used uses user university universal generalizations oscillators""".split()
LETTERS = string.ascii_lowercase
SUFFIXES = ["ed", "ing", "ly", "ies", "ied", "ational", "ization", "fulness", "ousli", "ement", "ion", "e", "ll", "s", "y", "alli", "logi", "fulli"]
MADE = ["".join(rng.choice(list(LETTERS), rng.integers(1, 6))) + str(rng.choice(SUFFIXES)) for _ in range(300)]

TEXTS = [
    ("The quick brown foxes jumped over the lazy dogs.", "A quick brown fox jumps over lazy dogs!"),
    ("positive", "Positive."), ("yes", ""), ("", "no"), ("42", "The answer is 42."),
    ("It's a well-known fact", "its a well known fact"), ("Größe zählt", "grosse zahlt"), ("x_y z", "xy  z"),
    ("one two three four five", "five four three two one"), ("generalizations are generally generated", "generalization generates"),
]
VOCABULARY = "the cat cats sat sitting on mat mats dog runs running ran quickly over under house houses".split()
TEXTS += [(" ".join(rng.choice(VOCABULARY, rng.integers(1, 12))), " ".join(rng.choice(VOCABULARY, rng.integers(1, 12)))) for _ in range(40)]


def normalized(text):
    """Super-NaturalInstructions' rule: lower case, no punctuation, single blanks."""
    return " ".join("".join(c for c in text.lower() if c not in set(string.punctuation)).split())


def rouge(stems):
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=stems)
    return [scorer.score(expected, answer)["rougeL"].fmeasure for expected, answer in TEXTS]


stemmer = PorterStemmer()
classes = []
for count, n in ((2, 50), (2, 7), (3, 60), (4, 9), (2, 5)):
    expected = rng.integers(0, count, n)
    predicted = np.where(rng.random(n) < 0.6, expected, rng.integers(0, count, n))
    if n == 5:
        predicted = np.zeros(n, dtype=int)
    classes.append({
        "classes": count, "expected": expected.tolist(), "predicted": predicted.tolist(),
        "accuracy": float(metrics.accuracy_score(expected, predicted)),
        "f1": float(metrics.f1_score(expected, predicted, average="binary" if count == 2 else "macro", zero_division=0)),
        "matthews_correlation": float(metrics.matthews_corrcoef(expected, predicted))})
numbers = []
for n in (3, 20, 75):
    expected = (rng.random(n) * 5).round(1)
    predicted = (expected + rng.normal(0, 1, n)).round(1)
    numbers.append({
        "expected": expected.tolist(), "predicted": predicted.tolist(),
        "pearson": float(scipy.stats.pearsonr(expected, predicted).statistic),
        "spearmanr": float(scipy.stats.spearmanr(expected, predicted).statistic)})

OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_bytes(gzip.compress((json.dumps({
    "stems": {word: stemmer.stem(word) for word in WORDS + MADE if word.isalpha()},
    "texts": [{"expected": e, "answer": a, "rougeL": p, "rougeL_stems": s, "exact": normalized(e) == normalized(a)}
              for (e, a), p, s in zip(TEXTS, rouge(False), rouge(True))],
    "classes": classes, "numbers": numbers}, separators=(",", ":")) + "\n").encode(), 9, mtime=0))
