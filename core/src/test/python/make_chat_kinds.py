"""Makes src/test/resources/org/qlora4j/data/chat-kinds.json.gz: what transformers writes and marks of chats, by small templates of the kinds that real models have.

usage: make_chat_kinds.py OUT.json
Made with transformers 5.23.0, Jinja2 3.1.6. No seed: nothing is drawn. Each template stands with {% generation %} tags; the one that is tested is the same without them, but for the kinds whose name begins with tags.
"""
import gzip, json, re, sys
from pathlib import Path
from transformers.utils.chat_template_utils import render_jinja_template
turn = lambda role, content, **more: {"role": role, "content": content, **more}
head, end = "<|im_start|>", "<|im_end|>"
def template(answer, prompt, other="{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}", after=""):
    return ("{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}" + answer + "{{ '\n' }}{% else %}" + other + "{% endif %}{% endfor %}" + after
            + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n" + prompt + "' }}{% endif %}")
marked = "{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}"
thought = ("{% if m.reasoning_content %}{{ '<think>\n' }}{% generation %}{{ m.reasoning_content + '\n</think>\n\n' + m.content + '<|im_end|>' }}{% endgeneration %}"
           "{% else %}%s" + marked + "{% endif %}")
KINDS = {
    "plain": template(marked, ""),
    "opens a thought (R1, QwQ)": template(thought.replace("%s", ""), "<think>\\n"),
    "writes an empty thought (Nemotron)": template(thought.replace("%s", "{{ '<think></think>' }}"), "<think>\\n"),
    # the line feed behind <think> is no part of this prompt, so that the model writes it
    "closes the thought it opens (DeepSeek V3.2)": template(thought.replace("%s", "{{ '</think>' }}").replace("<think>\n' }}{% generation %}{{ ", "<think>' }}{% generation %}{{ '\n' + "), "<think>"),
    "closes it behind a line (GLM)": template(thought.replace("%s", "{{ '<think>\n</think>\n' }}"), "<think>\\n"),
    "opens and closes a channel (Gemma 4)": template(marked, "<|channel>thought\\n<channel|>"),
    "opens a response (Command R)": template("{{ '<|START_RESPONSE|>' }}" + marked, "<|START_THINKING|><|END_THINKING|>"),
    "tags leave a header": template("{{ '<think>' + (m.reasoning_content or '') + '</think>' }}" + marked, ""),
    "tags take a header": template("{% generation %}{{ '<think></think>' + m.content + '<|im_end|>' }}{% endgeneration %}", "<think>\\n"),
    "tags leave the end": template("{% generation %}{{ m.content }}{% endgeneration %}{{ '<|im_end|>' }}", ""),
    "tags take the line feed": template("{% generation %}{{ m.content + '<|im_end|>\n' }}{% endgeneration %}", ""),
}
CHATS = {
    "one": [turn("user", "Name a colour."), turn("assistant", "Blue.")],
    "two": [turn("system", "Be brief."), turn("user", "Name a colour."), turn("assistant", "Blue."), turn("user", "Another?"), turn("assistant", "Green </b> <then>.\n\n")],
    "thought": [turn("user", "Name a colour."), turn("assistant", "Blue.", reasoning_content="Any will do.")],
    "tag": [turn("user", "Close it."), turn("assistant", "</think> is what closes a thought.")],
    "first": [turn("assistant", "Hello!"), turn("user", "Name a colour."), turn("assistant", "x, no: blue.")],
}
out = []
for kind, tagged in KINDS.items():
    tested = tagged if kind.startswith("tags") else re.sub(r"\{% (end)?generation %\}", "", tagged)
    for name, chat in CHATS.items():
        texts, spans = render_jinja_template([chat], chat_template=tagged, return_assistant_tokens_mask=True)
        plain, _ = render_jinja_template([chat], chat_template=tested)
        assert plain == texts
        # a line feed behind the end token belongs to the next turn, and adjacent marks are one
        learnt = []
        for a, b in spans[0]:
            part = texts[0][a:b]; part = part.rstrip() if part.rstrip().endswith(end) else part
            learnt.append(part)
        out.append({"kind": kind, "chat": name, "template": tested, "messages": chat, "text": texts[0], "learnt": learnt})
Path(sys.argv[1]).write_bytes(gzip.compress(("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in out) + "\n]\n").encode(), 9, mtime=0))
print(len(out), "cases")
