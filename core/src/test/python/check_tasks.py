"""Compares a run of qlora eval tasks with the harness' own numbers for the same task files.

    ./qlora eval tasks FOLDER/*.yaml --model DIR --no-quantize quantization.bnb_4bit_compute_dtype=float32 --json --log log.jsonl > out.json
    python check_tasks.py FOLDER log.jsonl [out.json]

FOLDER holds expected.json and expected_TASK.jsonl, as lm_eval 0.4.13 writes them with --log_samples. Compared are, for each document, what was
asked (equal), log-likelihoods (to 1e-3), is-greedy and generated texts (equal); with out.json also every metric and standard error (to 1e-6, what
is made of log-likelihoods to 1e-3 of itself). A log of a run under way is compared as far as it goes. Ends with 1 if anything differs or, with
out.json, is missing. Standard library only.
"""
import json
import pathlib
import sys

LOG_TOLERANCE = 1e-3
OF_LIKELIHOODS = ("perplexity", "bits_per_byte")


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def responses(sample):
    """Answers in one shape: [log-likelihood, is-greedy or None], or a text."""
    out = []
    for of_request in sample["resps"]:
        for one in of_request:
            if isinstance(one, list):
                out.append((float(one[0]), str(one[1]) == "True"))
            elif sample.get("generation_kwargs"):
                out.append(one)
            else:
                out.append((float(one), None))
    return out


def compare_documents(folder, log):
    ours = {(d["task"], d["doc_id"]): d for d in lines(log)}
    faults, worst, missing = [], 0.0, 0
    for path in sorted(folder.glob("expected_*.jsonl")):
        task = path.stem.removeprefix("expected_")
        asked = found = texts = 0
        for theirs in lines(path):
            asked += 1
            place = f"{task} {theirs['doc_id']}"
            own = ours.get((task, theirs["doc_id"]))
            if own is None:
                missing += 1
                continue
            found += 1
            if own["arguments"] != theirs["arguments"]:
                faults.append(f"{place}: asked {own['arguments']!r}, expected {theirs['arguments']!r}")
            if own.get("generation_kwargs"):
                theirs["generation_kwargs"] = True
            a, b = responses(own), responses(theirs)
            if len(a) != len(b):
                faults.append(f"{place}: {len(a)} answers, expected {len(b)}")
            for x, y in zip(a, b):
                if isinstance(y, str):
                    texts += 1
                    if x != y:
                        faults.append(f"{place}: text {x!r}, expected {y!r}")
                    continue
                worst = max(worst, abs(x[0] - y[0]))
                if abs(x[0] - y[0]) > LOG_TOLERANCE or x[1] != y[1]:
                    faults.append(f"{place}: {x}, expected {y}")
        print(f"{task}: {found} of {asked} documents" + (f", {texts} texts" if texts else ""))
    print(f"largest difference of a log-likelihood: {worst:.2e}")
    return faults, missing


def compare_metrics(folder, out):
    theirs = json.loads((folder / "expected.json").read_text())["results"]
    ours = json.loads(pathlib.Path(out).read_text())["results"]
    faults, count, worst = [], 0, 0.0
    for task, metrics in theirs.items():
        for key, value in metrics.items():
            count += 1
            own = ours.get(task, {}).get(key)
            if isinstance(value, str) or own is None or isinstance(own, str):
                if own != value:
                    faults.append(f"{task} {key}: {own!r}, expected {value!r}")
                continue
            loose = any(part in key for part in OF_LIKELIHOODS)
            tolerance = 1e-3 * abs(value) if loose else 1e-6
            worst = max(worst, abs(own - value) / max(abs(value), 1e-300)) if loose else worst
            if not abs(own - value) <= tolerance:
                faults.append(f"{task} {key}: {own}, expected {value}")
    print(f"{count} metrics and standard errors; largest relative difference of a perplexity {worst:.2e}")
    return faults


def main():
    folder = pathlib.Path(sys.argv[1])
    faults, missing = compare_documents(folder, sys.argv[2])
    if len(sys.argv) > 3:
        faults += compare_metrics(folder, sys.argv[3])
        if missing:
            faults.append(f"{missing} documents are missing in the log")
    for fault in faults:
        print(fault)
    print(f"{len(faults)} differences, {missing} documents not there")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
