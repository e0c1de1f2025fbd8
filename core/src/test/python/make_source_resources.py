"""Makes src/test/resources/org/qlora4j/data/sources: the same rows in every kind of file that is read, and what NumPy and Hugging Face's
datasets answer to the cases of splitting and mixing.

usage: make_source_resources.py OUT
Made with numpy 2.4.6, pyarrow 26.0.1, zstandard 0.25.0, datasets 5.2.0. Seeds stand beside the values they made.
"""
import csv, gzip, hashlib, io, json, sys
from pathlib import Path
import numpy, pyarrow, pyarrow.parquet as parquet, zstandard, datasets

out = Path(sys.argv[1]); out.mkdir(parents=True, exist_ok=True)
print(numpy.__version__, pyarrow.__version__, zstandard.__version__, datasets.__version__)
def write(name, data): (out / name).write_bytes(data if isinstance(data, bytes) else data.encode())
def packed(name, text):
    write(name, text); write(name + ".gz", gzip.compress(text.encode(), mtime=0)); write(name + ".zst", zstandard.compress(text.encode()))

# 1. rows of text alone: what a table as text can hold
rows = [{"question": "What is 1, 2?", "answer": "three"}, {"question": "Say \"hi\"\nand go on", "answer": ""}, {"question": "Größe 日本 🚢", "answer": "a; b\tc"},
        {"question": "007", "answer": "  kept  "}]
write("rows.json", json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
packed("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
write("list.json", json.dumps(rows)); write("list.json.gz", gzip.compress(json.dumps(rows, indent=2).encode(), mtime=0))
def table(delimiter, end, bom=""):
    text = io.StringIO(newline=""); writer = csv.DictWriter(text, ["question", "answer"], delimiter=delimiter, lineterminator=end)
    writer.writeheader(); writer.writerows(rows); return bom + text.getvalue()
packed("rows.csv", table(",", "\r\n")); write("semicolon.csv", table(";", "\n", "\ufeff")); write("tabs.csv", table("\t", "\n")); write("rows.tsv", table("\t", "\n"))
for codec in ("none", "snappy", "gzip", "zstd"): parquet.write_table(pyarrow.Table.from_pylist(rows), out / f"{codec}.parquet", compression=codec)

# 2. nested rows, which JSON and Parquet hold
nested = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}], "n": 5, "x": 0.5, "ok": True, "tags": ["a", "b"], "none": None},
          {"messages": [{"role": "user", "content": "who?"}], "n": -(2**40), "x": 1e300, "ok": False, "tags": [], "none": None}]
nested += [{"messages": [{"role": "user", "content": str(i)}], "n": i, "x": i / 4, "ok": i % 2 == 0, "tags": [str(i)] * (i % 3), "none": None} for i in range(40)]
write("nested.jsonl", "".join(json.dumps(row) + "\n" for row in nested)); write("nested.json", json.dumps(nested, indent=1))
schema = pyarrow.schema([("messages", pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))), ("n", pyarrow.int64()), ("x", pyarrow.float64()),
                         ("ok", pyarrow.bool_()), ("tags", pyarrow.list_(pyarrow.string())), ("none", pyarrow.string())])
parquet.write_table(pyarrow.Table.from_pylist(nested, schema), out / "nested.parquet", compression="zstd", row_group_size=7)

# 3. NumPy's generator, train_test_split and interleave_datasets
cases = {"random": [], "permutation": [], "split": [], "interleave": []}
for seed in (0, 1, 42, 2**32 - 1, 2**32 + 5, 2**63 - 1):
    cases["random"].append({"seed": seed, "values": numpy.random.default_rng(seed).random(5).tolist()})
for n, seed in ((0, 1), (1, 1), (2, 0), (10, 42), (100, 7)):
    cases["permutation"].append({"n": n, "seed": seed, "order": numpy.random.default_rng(seed).permutation(n).tolist()})
big = numpy.random.default_rng(3).permutation(300_000).astype("<i4")
cases["permutation"].append({"n": 300_000, "seed": 3, "sha256": hashlib.sha256(big.tobytes()).hexdigest()})
for n, size, seed in ((10, 3, 42), (11, 0.25, 42), (100, 0.1, 7)):
    parts = datasets.Dataset.from_dict({"i": list(range(n))}).train_test_split(test_size=size, shuffle=True, seed=seed)
    cases["split"].append({"n": n, "size": size, "seed": seed, "train": parts["train"]["i"][:], "test": parts["test"]["i"][:]})
for sizes, weights, seed in (([5, 7], [1, 1], 42), ([3, 4, 30], [1, 2, 7], 0), ([900, 2000, 50], [0.5, 0.3, 0.2], 9), ([1], [4], 1)):
    sets, first = [], 0
    for size in sizes: sets.append(datasets.Dataset.from_dict({"i": list(range(first, first + size))})); first += size
    for stop in ("first_exhausted", "all_exhausted"):
        mixed = datasets.interleave_datasets(sets, probabilities=[w / sum(weights) for w in weights], seed=seed, stopping_strategy=stop)["i"][:]
        cases["interleave"].append({"sizes": sizes, "weights": weights, "seed": seed, "stop": stop, "order": mixed})
write("numpy.json.gz", gzip.compress((json.dumps(cases) + "\n").encode(), 9, mtime=0))
