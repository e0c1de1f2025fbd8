#!/usr/bin/env python3
"""Drives a running `qlora serve` with the official openai client (tried with 3.57.0), as programs do.

    qlora serve --model MODEL --adapter NAME=DIR --port 8080
    python check_serve.py http://127.0.0.1:8080/v1 [--key KEY]

Ends with the number of checks, and exit code 1 if one failed. What texts say is judged by other tests; here only
that each call is understood, answered in the form that the client expects, and repeated exactly where it must be.
"""
import argparse
import json
import math
import sys

import openai

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--key", default="none")
args = parser.parse_args()
client = openai.OpenAI(base_url=args.url, api_key=args.key, max_retries=0, timeout=300)
failed = []
count = 0


def check(name, good, seen=""):
    global count
    count += 1
    if not good:
        failed.append(name)
        print(f"FAIL {name} {seen!r}")


models = [m.id for m in client.models.list()]
check("models", len(models) >= 1)
base = models[0]
check("model", client.models.retrieve(base).id == base)
hello = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name three colours."}]


def chat(**more):
    return client.chat.completions.create(**{"model": base, "messages": hello, "temperature": 0, "max_tokens": 24, **more})


whole = chat()
text = whole.choices[0].message.content
check("chat", text and whole.choices[0].finish_reason in ("stop", "length"), whole)
check("usage", whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens)
check("chat repeats", chat().choices[0].message.content == text)

parts, usage, reason = [], None, None
for chunk in chat(stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    for choice in chunk.choices:
        parts.append(choice.delta.content or "")
        reason = choice.finish_reason or reason
check("stream says the same", "".join(parts) == text, parts)
check("stream usage", usage and usage.completion_tokens == whole.usage.completion_tokens)
check("stream reason", reason == whole.choices[0].finish_reason)

for name in models[1:]:
    check(f"adapter {name}", chat(model=name).model == name)

several = chat(n=3, temperature=1.2, seed=7)
again = chat(n=3, temperature=1.2, seed=7)
check("n", [c.index for c in several.choices] == [0, 1, 2])
check("seed", [c.message.content for c in several.choices] == [c.message.content for c in again.choices])
check("another seed", chat(temperature=1.2, seed=8).choices[0].message.content != several.choices[0].message.content)
stop = text[2:4]
stopped = chat(stop=[stop])
check("stop", stopped.choices[0].message.content == text[: text.index(stop)] and stopped.choices[0].finish_reason == "stop")
scored = chat(logprobs=True, top_logprobs=3)
content = scored.choices[0].logprobs.content
check("logprobs", all(len(t.top_logprobs) == 3 and t.logprob <= 0 for t in content))
check("greedy takes the likeliest", all(math.isclose(t.logprob, t.top_logprobs[0].logprob) for t in content))
check("tokens make the text", "".join(t.token for t in content).startswith(text.strip()[:10]), content[0].token)

raw = client.completions.create(model=base, prompt="Once upon a time", temperature=0, max_tokens=8)
check("completion", raw.choices[0].text)
both = client.completions.create(model=base, prompt=["Once upon a time", "The sea"], temperature=0, max_tokens=8)
check("two prompts", len(both.choices) == 2 and both.choices[0].text == raw.choices[0].text)
echoed = client.completions.create(model=base, prompt="Once upon a time", temperature=0, max_tokens=8, echo=True, logprobs=2)
check("echo", echoed.choices[0].text == "Once upon a time" + raw.choices[0].text, echoed.choices[0].text)
probs = echoed.choices[0].logprobs
check("echoed logprobs", probs.token_logprobs[0] is None and all(p <= 0 for p in probs.token_logprobs[1:]))
check("offsets", probs.text_offset[0] == 0 and len(probs.text_offset) == len(probs.tokens))
pieces = [c.choices[0].text for c in client.completions.create(model=base, prompt="Once upon a time", temperature=0, max_tokens=8, stream=True)]
check("streamed completion", "".join(pieces) == raw.choices[0].text)
with client.completions.create(model=base, prompt="Once", max_tokens=2000, stream=True) as stream:
    next(iter(stream))  # and gone

vectors = client.embeddings.create(model=base, input=["A ship sails.", "A ship sails.", "Tax law of 1913."])
v = [e.embedding for e in vectors.data]
check("embeddings", len(v) == 3 and all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(v[0], v[1])) and v[0] != v[2])
plain = client.embeddings.create(model=base, input="A ship sails.", encoding_format="float").data[0].embedding
check("embeddings as floats", all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(plain, v[0])))

anything = chat(response_format={"type": "json_object"}, max_tokens=400)
if anything.choices[0].finish_reason == "stop":
    check("json_object", isinstance(json.loads(anything.choices[0].message.content), dict), anything)
schema = {
    "type": "object",
    "properties": {
        "colour": {"enum": ["red", "green", "blue"]},
        "count": {"type": "integer"},
        "names": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 2, "maxItems": 3},
        "sure": {"type": "boolean"},
    },
    "required": ["colour", "count", "names", "sure"],
    "additionalProperties": False,
}
for temperature in (0, 1, 1.5):
    made = chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}, max_tokens=1200, temperature=temperature, seed=3)
    got = json.loads(made.choices[0].message.content)
    check(f"json_schema at {temperature}", list(got) == schema["required"] and got["colour"] in ("red", "green", "blue")
          and isinstance(got["count"], int) and 2 <= len(got["names"]) <= 3 and isinstance(got["sure"], bool), got)

tools = [{"type": "function", "function": {"name": "weather", "description": "Weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
try:
    called = chat(messages=[{"role": "user", "content": "How is the weather in Paris?"}], tools=tools, tool_choice="required", max_tokens=200)
    calls = called.choices[0].message.tool_calls
    check("tool call", calls and calls[0].function.name == "weather" and "city" in json.loads(calls[0].function.arguments), called)
    check("tool reason", called.choices[0].finish_reason == "tool_calls")
    streamed = chat(messages=[{"role": "user", "content": "How is the weather in Paris?"}], tools=tools, tool_choice="required", max_tokens=200, stream=True)
    names = [c.function.name for chunk in streamed for choice in chunk.choices for c in choice.delta.tool_calls or []]
    check("streamed tool call", "weather" in names, names)
    answered = chat(messages=[{"role": "user", "content": "How is the weather in Paris?"}, called.choices[0].message.model_dump(exclude_none=True),
                              {"role": "tool", "tool_call_id": calls[0].id, "content": "Sunny, 21 degrees"}], tools=tools)
    check("answer behind a tool", answered.choices[0].message)
except openai.BadRequestError as e:
    print("tools are not tried, the template takes none:", e.message)


def refused(name, kind, call):
    try:
        call()
        check(name, False, "no error")
    except kind as e:
        check(name, e.body and e.body.get("message"), e)


refused("unknown model", openai.NotFoundError, lambda: chat(model="no such model"))
refused("bad temperature", openai.BadRequestError, lambda: chat(temperature=-1))
refused("no messages", openai.BadRequestError, lambda: chat(messages=[]))
refused("image", openai.BadRequestError, lambda: chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]))
refused("too long", openai.BadRequestError, lambda: client.completions.create(model=base, prompt="a " * 200000))
refused("empty embedding", openai.BadRequestError, lambda: client.embeddings.create(model=base, input=[]))
if args.key != "none":
    stranger = openai.OpenAI(base_url=args.url, api_key="wrong key of many letters", max_retries=0)
    refused("wrong key", openai.AuthenticationError, lambda: stranger.models.list())

print(f"{count - len(failed)} passed, {len(failed)} failed")
sys.exit(1 if failed else 0)
