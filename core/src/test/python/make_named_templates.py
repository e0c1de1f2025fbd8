"""Writes named-templates.json: the chat templates that come with the library, as Python's Jinja2 renders them.

Set up as make_jinja_reference.py does (as transformers sets up chat templates), with BOS "<s>" and EOS "</s>".
Versions that made the stored file: Python 3.11, Jinja2 3.1.6. No randomness.

    python make_named_templates.py ../../main/resources/org/qlora4j/tokenize/templates ../resources/templates/named-templates.json
"""
import json
import pathlib
import sys

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

assert jinja2.__version__ == "3.1.6", jinja2.__version__


class Refused(Exception):
    pass


def raise_exception(message):
    raise Refused(message)


SYSTEM = {"role": "system", "content": "Be brief. "}
USER = {"role": "user", "content": " Hi\nthere "}
ANSWER = {"role": "assistant", "content": "Hello!"}
MORE = {"role": "user", "content": "And <b>now</b>?"}
LAST = {"role": "assistant", "content": "Grüße 🙂\n"}
TOOL = {"role": "tool", "content": "42"}
CHATS = {
    "prompt": ([USER], True),
    "systemPrompt": ([SYSTEM, USER], True),
    "turn": ([USER, ANSWER], False),
    "turns": ([SYSTEM, USER, ANSWER, MORE, LAST], False),
    "open": ([USER, ANSWER, MORE], True),
    "lateSystem": ([USER, ANSWER, SYSTEM], False),
    "tool": ([USER, ANSWER, TOOL], False),
}


def main(folder, target):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.globals["raise_exception"] = raise_exception
    out = {}
    for file in sorted(pathlib.Path(folder).glob("*.jinja")):
        template = env.from_string(file.read_text())
        for name, (messages, prompt) in CHATS.items():
            try:
                text = template.render(
                    messages=messages, tools=None, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>"
                )
            except Refused as e:
                text = "EXC " + str(e)
            out[file.stem + "/" + name] = text
    cases = {name: {"messages": messages, "add_generation_prompt": prompt} for name, (messages, prompt) in CHATS.items()}
    with open(target, "w") as f:
        json.dump({"cases": cases, "out": out}, f, indent=1, ensure_ascii=False)
        f.write("\n")


main(*sys.argv[1:])
