#!/usr/bin/env python3
"""Uses a running `qlora serve` as an unfriendly world does, on loopback, for a bounded time. Standard library alone.

    qlora serve --model MODEL --adapter one=DIR --api-keys KEYS --port 8080 &
    python soak_serve.py 127.0.0.1:8080 --seconds 600 --key KEY --adapter-dir DIR --pid $! [--end]

32 clients ask, stream, go away, read slowly, send broken and oversized bodies and wrong keys; one more loads and drops adapters. Every
answer that is read whole is compared with the same one asked alone before. Fails on a status of 500, an answer that differs, an unexpected
status, requests that stay after the end, or resident memory that still grows in the last third of the time. --end then sends SIGTERM
while answers are under way, which must come to their ends.
"""
import argparse
import asyncio
import collections
import json
import os
import random
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("address")
parser.add_argument("--seconds", type=float, default=120)
parser.add_argument("--clients", type=int, default=32)
parser.add_argument("--key")
parser.add_argument("--adapter-dir")
parser.add_argument("--pid", type=int)
parser.add_argument("--end", action="store_true")
parser.add_argument("--tokens", type=int, default=12)
args = parser.parse_args()
host, port = args.address.rsplit(":", 1)
if not (host.startswith("127.") or host in ("localhost", "[::1]")):
    sys.exit("loopback only")
QUESTIONS = ["What is a ship?", "Name three colours.", "Where does rain come from?", "Count to five.", "Say hello.", "Why is the sky blue?"]
counts = collections.Counter()
problems = []
known = {}


def problem(text):
    if len(problems) < 50:
        problems.append(text)
    counts["problems"] += 1


def head(method, path, body, key=True, length=None, kind="application/json"):
    bearer = f"Authorization: Bearer {args.key if key is True else key}\r\n" if args.key and key else ""
    return (f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Type: {kind}\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\nConnection: close\r\n\r\n").encode()


def whole(data):
    """Whether an answer has all its bytes; its connection may stay."""
    first, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in first.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(rest) >= int(line.split(b":")[1])
    return rest.endswith(b"0\r\n\r\n")


async def exchange(method, path, body=b"", slow=0.0, leave=None, **more):
    """Status and body; leave: bytes of the answer after which the client goes."""
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head(method, path, body, **more))
        try:
            writer.write(body)
            await writer.drain()
        except ConnectionError:
            pass  # refused before it was read; the answer may still stand there
        data = b""
        while True:
            piece = await asyncio.wait_for(reader.read(200 if slow else 65536), 300)
            if not piece:
                break
            data += piece
            if leave is None and whole(data):
                break
            if leave is not None and len(data) > leave:
                return 0, b""
            if slow:
                await asyncio.sleep(slow)
    finally:
        writer.close()
    first, _, rest = data.partition(b"\r\n\r\n")
    if not first:
        return -1, b""
    status = int(first.split()[1])
    if b"transfer-encoding: chunked" in first.lower():
        out = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            n = int(size or b"0", 16)
            if n == 0:
                break
            out, rest = out + rest[:n], rest[n + 2:]
        rest = out
    return status, rest


def question(model, text, **more):
    body = {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": args.tokens, **more}
    if model:
        body["model"] = model
    return json.dumps(body).encode()


def streamed(data):
    out = ""
    for line in data.decode().split("\n\n"):
        if line.startswith("data: {"):
            for choice in json.loads(line[6:]).get("choices", []):
                out += choice["delta"].get("content") or ""
    return out


def compare(status, text, model, asked):
    counts[status] += 1
    if status == 429:
        return
    if status != 200:
        return problem(f"status {status} for {model} {asked}")
    counts["answers"] += 1
    if text != known[model, asked]:
        counts["differ"] += 1
        problem(f"{model} {asked!r}: {text!r}, alone {known[model, asked]!r}")


async def ask(models, rng):
    model, text = rng.choice(models), rng.choice(QUESTIONS)
    what = rng.random()
    path = "/v1/chat/completions"
    if what < 0.45:
        status, data = await exchange("POST", path, question(model, text))
        compare(status, json.loads(data)["choices"][0]["message"]["content"] if status == 200 else "", model, text)
    elif what < 0.6:
        status, data = await exchange("POST", path, question(model, text, stream=True))
        compare(status, streamed(data) if status == 200 else "", model, text)
    elif what < 0.7:
        await exchange("POST", path, question(model, text, stream=True, max_tokens=400), leave=rng.choice([0, 300, 900]))
        counts["left"] += 1
    elif what < 0.75:
        status, data = await exchange("POST", path, question(model, text, stream=True), slow=0.2)
        compare(status, streamed(data) if status == 200 else "", model, text)
        counts["slow"] += 1
    else:
        body, expected, more = rng.choice([
            (b"{", {400}, {}), (b"[]", {400}, {}), (b"\xff\xfe\x00", {400}, {}), (b"", {400}, {}),
            (question("no such model", text), {404}, {}),
            (question(model, text, temperature="hot"), {400}, {}),
            (question(model, text, nothing_known=1), {400}, {}),
            (question(model, "word " * 20000), {400}, {}),
            (b'{"messages": "' + b"x" * (5 << 20) + b'"}', {413, -1}, {}),
            (question(model, text), {415}, {"kind": "text/plain"}),
            (question(model, text), {401}, {"key": "a wrong key of many letters"}) if args.key else (b"null", {400}, {}),
            (question(model, text)[:20], {400, 408, -1}, {"length": 5000, "leave": None}),
        ])
        if "length" in more:  # announced and never sent
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head("POST", path, b"", length=5000) + body)
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()
            counts["half"] += 1
            return
        try:
            status, data = await exchange("POST", path, body, **more)
        except ConnectionError:
            status, data = -1, b""
        counts["bad", status] += 1
        if status not in expected and status != 429:
            problem(f"status {status} in place of {expected}: {data[:200]!r}")
        if status > 0 and b'"error"' not in data:
            problem(f"no error object with {status}: {data[:200]!r}")


async def client(number, models, end):
    rng = random.Random(number)
    while time.time() < end:
        try:
            await ask(models, rng)
        except (OSError, asyncio.TimeoutError, ValueError, KeyError) as e:
            problem(f"{type(e).__name__} {e}")
        await asyncio.sleep(rng.random() * 0.1)


async def adapters(end):
    number = 0
    while args.adapter_dir and time.time() < end:
        name = f"soak-{number}"
        number += 1
        status, _ = await exchange("POST", "/v1/adapters", json.dumps({"name": name, "path": args.adapter_dir}).encode())
        if status != 200:
            problem(f"adapter not loaded: {status}")
        asked = asyncio.gather(*(exchange("POST", "/v1/chat/completions", question(name, q)) for q in QUESTIONS[:2]))
        await asyncio.sleep(0.3)
        status, _ = await exchange("DELETE", f"/v1/adapters/{name}")  # while it answers
        if status != 200:
            problem(f"adapter not dropped: {status}")
        for status, _ in await asked:
            if status not in (200, 404, 429):  # 404: dropped before it was asked
                problem(f"dropped adapter answers {status}")
        counts["adapters"] += 1
        await asyncio.sleep(1)


def resident():
    with open(f"/proc/{args.pid}/status") as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith("VmRSS"))


async def watch(end, sizes):
    while args.pid and time.time() < end:
        sizes.append(resident())
        await asyncio.sleep(5)


async def health():
    return json.loads((await exchange("GET", "/health"))[1])


async def main():
    models = [m["id"] for m in json.loads((await exchange("GET", "/v1/models"))[1])["data"]]
    for model in models:
        for text in QUESTIONS:
            status, data = await exchange("POST", "/v1/chat/completions", question(model, text))
            known[model, text] = json.loads(data)["choices"][0]["message"]["content"]
    end, sizes = time.time() + args.seconds, []
    await asyncio.gather(adapters(end), watch(end, sizes), *(client(i, models, end) for i in range(args.clients)))
    for _ in range(300):
        state = await health()
        if state["running"] == 0 and state["waiting"] == 0:
            break
        await asyncio.sleep(0.2)
    else:
        problem(f"requests stay: {state}")
    if len(sizes) >= 9:
        third = len(sizes) // 3
        middle, last = max(sizes[third:2 * third]), max(sizes[2 * third:])
        if last > middle * 1.05 + 20:
            problem(f"resident memory grows: {middle} to {last} MiB")
    if args.end and args.pid:
        asked = [asyncio.create_task(exchange("POST", "/v1/chat/completions", question(models[0], q))) for q in QUESTIONS]
        await asyncio.sleep(0.3)
        os.kill(args.pid, signal.SIGTERM)
        for text, task in zip(QUESTIONS, asked):
            status, data = await task
            if status == 200:
                compare(status, json.loads(data)["choices"][0]["message"]["content"], models[0], text)
            elif status not in (503, -1):
                problem(f"drain: {status}")
    return sizes


sizes = asyncio.run(main())
print(json.dumps({"seconds": args.seconds, "clients": args.clients, "counts": {str(k): v for k, v in counts.items()},
                  "resident_mib": {"first": sizes[0], "most": max(sizes), "last": sizes[-1]} if sizes else None, "problems": problems}))
sys.exit(1 if problems else 0)
