"""What lm-evaluation-harness makes of the tasks in resources/org/qlora4j/task/tiny with the tiny LLaMA of resources/tiny-llama.

    python make_task_reference.py

writes tiny/expected.json.gz: for each variant all results, and for each document what was asked and answered; and built-in.json.gz: for made-up documents in
the shape of each known data set, what the harness' own task of that name asks and counts (IFEval's in ifeval.json.gz); and qlora-mmlu.jsonl with the logits of its letters. Made with lm_eval 0.4.13, transformers 5.23.0, torch 2.10.0,
datasets 5.2.0, Python 3.11, float32 on a CPU.
"""
import gzip
import json
import os
import pathlib

import datasets
import lm_eval
import nltk
import lm_eval.tasks
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

nltk.data.find = lambda *_: None  # no rule asked here needs its data, which would be downloaded

RESOURCES = pathlib.Path(__file__).resolve().parent.parent / "resources"
FOLDER = RESOURCES / "org/qlora4j/task/tiny"
TASKS = ["tiny_sums", "tiny_yes", "tiny_blank", "tiny_last", "tiny_texts", "tiny_write"]
VARIANTS = {
    "plain": {},
    "limited": {"limit": 4, "num_fewshot": 2},
    "share": {"limit": 0.5, "num_fewshot": 0},
    "chat": {"apply_chat_template": True, "fewshot_as_multiturn": True, "system_instruction": "Be kind."},
    "one_turn": {"apply_chat_template": True, "fewshot_as_multiturn": False},
}

BUILT_IN = {
    "mmlu_high_school_physics": ("mmlu/default/mmlu_high_school_physics.yaml", [
        {"question": " What falls? ", "choices": ["a", "a stone", "c", "'d'"], "answer": 1},
        {"question": "1 + 1 =", "choices": ["1", "2", "3", "4"], "answer": 1}]),
    "arc_easy": ("arc/arc_easy.yaml", [
        {"question": "Which is warm?", "choices": {"text": ["ice", "the sun", "it's snow"], "label": ["A", "B", "C"]}, "answerKey": "B"},
        {"question": "Pick.", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "1"}]),
    "arc_challenge": ("arc/arc_challenge.yaml", [
        {"question": "Q \"?\"", "choices": {"text": ["x", "\"y\"", "z's \"w\""], "label": ["A", "B", "C"]}, "answerKey": "C"}]),
    "hellaswag": ("hellaswag/hellaswag.yaml", [
        {"activity_label": "Cooking", "ctx_a": "A man  stirs [header] soup.", "ctx_b": "he is HAPPY",
         "endings": [" [title] Taste it. [step] Add salt.", "runs  away", "it's", "[x] go"], "label": "2"},
        {"activity_label": " Home [title] Paint", "ctx_a": "Go", "ctx_b": "", "endings": ["a", "b", "c", "d"], "label": "0"}]),
    "piqa": ("piqa/piqa.yaml", [
        {"goal": "cut bread", "sol1": "Use a knife", "sol2": "Use a 'spoon' and \"air\"", "label": 0},
        {"goal": "", "sol1": "a", "sol2": "b", "label": 1}]),
    "winogrande": ("winogrande/default.yaml", [
        {"sentence": "The cup fell off the table so _ broke.", "option1": "the cup", "option2": "the table", "answer": "1"},
        {"sentence": "_ is \"old\" and it's late", "option1": "Ann", "option2": "Bo", "answer": "2"}]),
    "boolq": ("super_glue/boolq/default.yaml", [
        {"passage": "Snow is cold.", "question": "is snow warm", "label": 0},
        {"passage": "Tea is a drink.\n", "question": "is tea a drink", "label": 1}]),
    "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", [
        {"question": "Can pigs fly?", "mc1_targets": {"choices": ["No.", "Yes.", "It's \"said\" so."], "labels": [1, 0, 0]}}]),
    "truthfulqa_mc2": ("truthfulqa/truthfulqa_mc2.yaml", [
        {"question": "Can pigs fly?", "mc2_targets": {"choices": ["No.", "Never.", "Yes."], "labels": [1, 1, 0]}}]),
    "gsm8k": ("gsm8k/gsm8k.yaml", [
        {"question": f"How many are {i} and 1,000?", "answer": f"They are <<{i}+1000=1>>.\n#### 1,00{i}"} for i in range(9)]),
    "lambada_openai": ("lambada/lambada_openai.yaml", [
        {"text": "he said it was  a \"dog"}, {"text": "one two"}]),
    "wikitext": ("wikitext/wikitext.yaml", [
        {"page": " = Tea = \n \n Tea @-@ time ( at 5 @.@ 30 ) , \" hot \" ; it 's 20 ° C . N \n { a } [ b ] ' c ' = = = = x : y ? z ! dogs ' "},
        {"page": "plain"}]),
}
TEXTS = {"gsm8k": ["They are 5.\n#### 1,003.", "It is $1,004", "no number", "1,005 or 7"]}

LETTERS = {"input": "Which day is it?\nOptions:\n(A) May 1, 2020\n(B) May 10, 2020\n(C) It's \"May\"", "target": "(B)"}
LETTER_TEXTS = [" (B)", "It is (A). No, (C)", "may 10 2020 it is, not May 1, 2020.", "The answer: C", "nothing", "the answer is (B).", "", "Its may!"]
TWO_WORDS = ["Yes", "No. yes, I think.", "The answer is no.", "not plausible at all", "It is plausible; no?", "Fay tells the truth", "Fay does NOT tell the truth", "?"]
NUMBERS = [" 13", "x-13 or 14.", "twenty six", "forty two things", "two hundred and five and one", "six", "Seventeen\nNineteen", "the answer is three thousand four hundred and twelve."]
BBH = {
    "boolean_expressions": ({"input": "not ( True ) is", "target": "False"}, ["False", "True or False", "the answer is False.", "false"]),
    "navigate": ({"input": "Take 1 step. Take 1 step.\nOptions:\n- Yes\n- No", "target": "No"}, TWO_WORDS),
    "formal_fallacies": ({"input": "Is it?\nOptions:\n- valid \n- invalid", "target": "invalid"}, ["invalid", "It is valid, not invalid.", "The final answer: invalid.", "none"]),
    "dyck_languages": ({"input": "Complete. Input: < [", "target": "] >"}, ["] >", " it is ] >.", "The answer is ] > ", "\"", "none"]),
    "date_understanding": (LETTERS, LETTER_TEXTS),
    "hyperbaton": ({"input": "no options", "target": "(A)"}, LETTER_TEXTS),
    "object_counting": ({"input": "How many?", "target": "13"}, NUMBERS),
    "sports_understanding": ({"input": "Is it plausible?", "target": "no"}, TWO_WORDS),
    "web_of_lies": ({"input": "Does Fay tell the truth?", "target": "No"}, TWO_WORDS),
    "word_sorting": ({"input": "Sort: List: pear fig apple", "target": "apple fig pear"},
                     ["apple fig pear", "fig pear apple fig pear.", "Apple figs, pear", "none", "the answer is apple fig pear."]),
    "snarks": ({"input": "Which?\nOptions:\n(A) one\n(B) one two", "target": "(B)"}, ["one two", "one", "(A) (B)"]),
}
for kind in ("zeroshot", "cot_zeroshot"):
    for subject, (document, texts) in BBH.items():
        BUILT_IN[f"bbh_{kind}_{subject}"] = (f"bbh/{kind}/{subject}.yaml", [document])
        TEXTS[f"bbh_{kind}_{subject}"] = texts

BUILT_IN["agieval_sat_math"] = ("agieval/sat-math.yaml", [
    {"query": "Q: 1 + 1? Answer Choices: (A)1 (B)2 A: Among A through B, the answer is", "choices": ["(A)1", "(B)2 and more"], "gold": [1]},
    {"query": "Q: x?", "choices": ["(A)x", "(B)it's x"], "gold": [0, 1]}])
BUILT_IN["agieval_gaokao_physics"] = ("agieval/gaokao-physics.yaml", [{"query": "\u95ee\u9898\uff1ax", "choices": ["(A)x", "(B)y", "(C)z"], "gold": [0, 2]}])
BUILT_IN["crows_pairs_english"] = ("crows_pairs/crows_pairs_english.yaml", [
    {"sent_more": "It's \"Ann\".", "sent_less": "It's 'Bo'.", "bias_type": "gender"}, {"sent_more": "a", "sent_less": "a", "bias_type": "age"}])
BUILT_IN["agieval_math"] = ("agieval/math.yaml", [
    {"query": "Q: Half? A: The answer is", "answer": "\\frac12"}, {"query": "Q: x? A:", "answer": "$x=\\sqrt3\\text{ cm}$"}, {"query": "Q: z? A:", "answer": "none"}])
TEXTS["agieval_math"] = [
    "0.5", "1/2", "\\boxed{\\dfrac{1}{2}}", "It is \\boxed{x = 1/2}.", "\\boxed 3", "\\boxed{3", "$\\frac{1}2$ or $ .5$", "so x = \\sqrt{3}.", "x=\\sqrt3\\text{ cm}",
    "no number", "\\frac", "a\\sqrt", "\\left(1\\right)\\%", "$12\\!000$ and 7a", "5 5.", "\\text{ a}\\text{ b} = \\text{ c}\\text{ d}", "y = 1\\nz", "", "\\frac1{2}", "01/2", "-1/2"]

RULES = [
    ("keywords:existence", {"keywords": ["tea", "Cup"]}), ("keywords:frequency", {"keyword": " tea ", "frequency": 2, "relation": "at least"}),
    ("keywords:frequency", {"keyword": "tea", "frequency": 2, "relation": "less than"}), ("keywords:forbidden_words", {"forbidden_words": ["tea", "milk"]}),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 4, "let_relation": "at least"}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}), ("length_constraints:number_words", {"num_words": 6, "relation": "less than"}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Tea"}),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}), ("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}), ("detectable_format:number_bullet_lists", {"num_bullets": 2}),
    ("detectable_format:constrained_response", {}), ("detectable_format:number_highlighted_sections", {"num_highlights": 2}),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 2}), ("detectable_format:json_format", {}),
    ("detectable_format:title", {}), ("combination:two_responses", {}), ("combination:repeat_prompt", {"prompt_to_repeat": "Make Tea"}),
    ("startend:end_checker", {"end_phrase": " The end. "}), ("startend:quotation", {}), ("punctuation:no_comma", {})]
ALL_ARGUMENTS = sorted({name for _, arguments in RULES for name in arguments})
BUILT_IN["ifeval_rules"] = ("ifeval/ifeval.yaml", [
    {"key": i, "prompt": f"Do {i}.", "instruction_id_list": [r[0] for r in rules], "kwargs": [{a: r[1].get(a) for a in ALL_ARGUMENTS} for r in rules]}
    for i, rules in enumerate([RULES[:4], RULES[4:8], RULES[8:12], RULES[12:17], RULES[17:]])])
TEXTS["ifeval_rules"] = [
    "Tea, a CUP of tea.", "one\n\n'tea' is two", "Hello\n***\ntea", "***a***\n***", "[a] [b\n] [c]\nP.S. hi", "p. p.s x", "* a\n* b\n**c**", "- a\n - b", "My answer is no.",
    "*a* and **b**", "** ** *x*", "Part 1 a Part 2\nb", "```json\n{\"a\": NaN}\n```", "{\"a\": 1} x", "12", "<<Tea>>", "<< >>", "a ****** b", "a\n******\n******b", "******a******a",
    "Sure:\nmake tea\nThe end.\"", "\"quoted\"", "\"", "  ", "* Title\nmake tea with milk please, the END.", "\u00c9t\u00e9 tea\u00a0tea eeee"]


def numbers(counts):
    def short(value):
        return int(value) if float(value).is_integer() else float(value)

    return {k: [short(x) for x in v] if isinstance(v, list) else short(v) for k, v in counts.items()}


def built_in():
    """Each task of the harness over made-up documents, every split the same."""
    folder = pathlib.Path(lm_eval.tasks.__file__).parent
    out = {}
    for name, (path, documents) in BUILT_IN.items():
        config = load_yaml(folder / path)
        for key in ("tag", "group"):
            config.pop(key, None)
        data = datasets.Dataset.from_list(documents)
        splits = {"train", "validation", "test", "dev"}
        config["custom_dataset"] = lambda **_: datasets.DatasetDict({split: data for split in splits})
        task = ConfigurableTask(config=config)
        # the whole pool has the document itself, so that fewer examples are there to draw
        shots = 1 if len(documents) > 1 and not name.startswith(("agieval", "crows")) else 0
        if task.config.num_fewshot != 0:
            task.set_config("num_fewshot", shots)
        task.set_fewshot_seed(1234)
        task.build_all_requests()
        asked = []
        for number, document in enumerate(task.eval_docs):
            own = [i for i in task.instances if i.doc_id == number]
            arguments = [list(i.args) if not isinstance(i.args[-1], dict) else [i.args[0]] for i in own]
            counted = []
            if task.OUTPUT_TYPE == "generate_until":
                for text in TEXTS[name]:
                    own[0].resps = [text]
                    own[0].filtered_resps = {}
                    for chain in task._filters:
                        chain.apply([own[0]])
                    counted.append({f: numbers(task.process_results(document, [r])) for f, r in own[0].filtered_resps.items()})
            else:
                results = [(-1.0 - 0.75 * ((number + 2 * i) % 3), i % 2 == 0) for i in range(len(own))]
                results = [r[0] for r in results] if task.OUTPUT_TYPE == "loglikelihood_rolling" else results
                counted.append({"none": task.process_results(document, results)})
            asked.append({"arguments": arguments, "counts": counted})
        out[name] = {"num_fewshot": shots, "documents": documents, "texts": TEXTS.get(name, []), "asked": asked, "metrics": {
            m: [task._aggregation_list[m].__name__, bool(task._higher_is_better[m])] for m in task._metric_fn_list}}
    # apart, since it is as large as all others
    for path, part in (("ifeval.json.gz", {k: out.pop(k) for k in ["ifeval_rules"]}), ("built-in.json.gz", out)):
        with (gzip.open if path.endswith(".gz") else open)(FOLDER.parent / path, "wt") as file:
            json.dump(part, file, separators=(",", ":"), default=float)


def qlora_mmlu():
    """The logits that qlora.py's callback compares, for made-up questions; 40 tokens of room in the tiny model's context of 64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = str(RESOURCES / "tiny-llama")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    letters = [tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in "ABCD"]
    rows = [{"subject": f"s{i % 2}", "input": f"{i}+{i * i}?\nA. {i}\nB. x\nAnswer:", "output": "ABCD"[i % 4]} for i in range(9)]
    logs = []
    for row in rows:
        ids = tokenizer(f"{tokenizer.bos_token}{row['input']}", add_special_tokens=False).input_ids
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        logs.append([float(logits.log_softmax(-1)[letter]) for letter in letters])
    with open(FOLDER.parent / "qlora-mmlu.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    with open(FOLDER.parent / "qlora-mmlu-expected.json", "w") as file:
        json.dump(logs, file, indent=1)


def main():
    built_in()
    qlora_mmlu()
    os.chdir(FOLDER)
    model = HFLM(pretrained=str(RESOURCES / "tiny-llama"), dtype="float32", device="cpu", batch_size=1)
    manager = TaskManager(include_path=str(FOLDER), include_defaults=False)
    out = {}
    for name, options in VARIANTS.items():
        tasks = [t for t in TASKS if name in ("plain", "limited") or t != "tiny_texts"]
        run = lm_eval.simple_evaluate(
            model=model, tasks=tasks, task_manager=manager, bootstrap_iters=2000, log_samples=True, **options)
        documents = [
            {
                "task": task,
                "doc_id": s["doc_id"],
                "filter": s["filter"],
                "arguments": [list(a) if not isinstance(a[-1], dict) else [a[0]] for a in s["arguments"]],
                "resps": [[[float(r[0]), bool(r[1])] if isinstance(r, tuple) else r for r in rs] for rs in s["resps"]],
            }
            for task, samples in run["samples"].items()
            for s in samples
        ]
        out[name] = {"tasks": tasks, "options": options, "results": run["results"], "documents": documents}
    with gzip.open("expected.json.gz", "wt") as file:
        json.dump(out, file, indent=1, default=float)


if __name__ == "__main__":
    main()
