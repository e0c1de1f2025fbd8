"""MMLU in qlora.py's files: transformers' ranking of the letters, question by question, beside that of qlora eval tasks.

    python check_mmlu.py rank DIR zero_shot_mmlu_val.json peer.jsonl [FIRST_N]
    ./qlora eval tasks zero_shot_mmlu_val.json --model DIR --no-quantize quantization.bnb_4bit_compute_dtype=float32 --log log.jsonl
    python check_mmlu.py compare zero_shot_mmlu_val.json peer.jsonl log.jsonl

rank computes what the callback of qlora.py compares: BOS and prompt, then at the last place the log-probabilities of the first tokens of A, B, C
and D, each encoded alone, in float32. It goes on where peer.jsonl ends. compare ends with 1 unless every question has the same ranking of all
four letters (letters nearer than 1e-4 may change places) and log-probabilities within 1e-3. Made with transformers 5.x, torch CPU.
"""
import json
import os
import sys

LETTERS = "ABCD"


def questions(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def rank(model_path, file, out, first=None):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32).eval()
    letters = [tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in LETTERS]
    done = len(questions(out)) if os.path.exists(out) else 0
    rows = questions(file)[: int(first) if first else None]
    with open(out, "a", encoding="utf-8") as log, torch.no_grad():
        for number, row in list(enumerate(rows))[done:]:
            ids = tokenizer(f"{tokenizer.bos_token}{row['input']}", add_special_tokens=False, truncation=True, max_length=2048).input_ids
            hidden = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
            logs = model.lm_head(hidden).log_softmax(-1)
            log.write(json.dumps({"question": number, "logs": [float(logs[i]) for i in letters]}) + "\n")
            log.flush()


def order(logs):
    return sorted(range(4), key=lambda i: -logs[i])


def compare(file, peer, log):
    rows, theirs = questions(file), questions(peer)
    ours = {(d["task"], d["doc_id"]): d for d in questions(log)}
    group = os.path.basename(file).rsplit(".", 1)[0]
    place, compared, worst, swapped, faults, right = {}, 0, 0.0, 0, 0, 0
    for number, row in enumerate(rows):
        at = place[row["subject"]] = place.get(row["subject"], -1) + 1
        own = ours.get((f"{group}_{row['subject']}", at))
        if own is None or number >= len(theirs):
            continue
        compared += 1
        a, b = [float(r[0][0]) for r in own["resps"]], theirs[number]["logs"]
        worst = max(worst, *(abs(x - y) for x, y in zip(a, b)))
        right += LETTERS[order(a)[0]] == row["output"].strip()
        if order(a) != order(b):
            near = all(abs(b[i] - b[j]) < 1e-4 for i, j in zip(order(a), order(b)))
            swapped += near
            faults += not near
            print(f"question {number}: {a} beside {b}" + (" (a tie)" if near else ""))
    if worst > 1e-3:
        faults += 1
    print(f"{compared} of {len(rows)} questions compared: {faults} differ, {swapped} ties, largest difference {worst:.2e}, {right} right")
    return 1 if faults or not compared else 0


if __name__ == "__main__":
    sys.exit({"rank": rank, "compare": compare}[sys.argv[1]](*sys.argv[2:]) or 0)
