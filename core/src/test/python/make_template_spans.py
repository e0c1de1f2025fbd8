"""Says what transformers makes of plain chats with the chat templates of some folders: the text, or that it is refused, and what {% generation %} tags mark.

usage: make_template_spans.py OUT.json FOLDER...     FOLDER: *.jinja, such as models/templates of github.com/ggml-org/llama.cpp and trl/chat_templates of github.com/huggingface/trl
Made with transformers 5.23.0, Jinja2 3.1.6. No seed: nothing is drawn. Read by ForeignTemplatesTest (-Dqlora.templates=OUT.json); the templates are their makers' and too large for this repository.
"""
import json, sys, warnings
from pathlib import Path
from transformers.utils.chat_template_utils import render_jinja_template
warnings.filterwarnings("ignore")
turn = lambda role, content: {"role": role, "content": content}
CHATS = {
    "one": [turn("user", "Name a colour."), turn("assistant", "Blue.")],
    "two": [turn("user", "Name a colour."), turn("assistant", "Blue."), turn("user", "Another one?"), turn("assistant", "Green, then.")],
    "system": [turn("system", "Be brief."), turn("user", "Name a colour."), turn("assistant", "Blue.")]}
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "strftime_now": None}
out = []
for folder in sys.argv[2:]:
    for file in sorted(Path(folder).glob("*.jinja")):
        text = file.read_text(); tags = "generation %}" in text or "generation -%}" in text
        for name, chat in CHATS.items():
            case = {"template": str(file), "chat": name, "messages": chat}
            kwargs = {k: v for k, v in VARIABLES.items() if v is not None}
            kwargs["date_string"] = "26 Jul 2024"      # else some print today's date
            try:
                rendered, spans = render_jinja_template([chat], chat_template=text, return_assistant_tokens_mask=True, **kwargs)
                case["text"] = rendered[0]
                if tags: case["spans"] = [rendered[0][a:b] for a, b in spans[0]]
                prompts, _ = render_jinja_template([chat[:-1]], chat_template=text, add_generation_prompt=True, **kwargs)
                case["prompt"] = prompts[0]
            except Exception as e:
                case["refused"] = f"{type(e).__name__}: {e}"[:200]
            out.append(case)
Path(sys.argv[1]).write_text(json.dumps(out, ensure_ascii=False))
print(len(out), "cases,", sum("text" in c for c in out), "accepted,", sum("spans" in c for c in out), "with spans")
