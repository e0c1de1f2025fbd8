#!/usr/bin/env python3
"""Trains with two processes in two network namespaces, over a link that delays, loses, is cut, or of which one end is stopped. Linux, as root;
standard library alone. Nothing leaves the machine: packets go through two tun devices and this program.

    python core/src/test/python/check_links.py [--qlora ./qlora] [--steps 30] [--only NAME ...]

The run of two processes on the loopback is the measure. Over a link that delays or loses, the adapter must have its bytes. Where the link is
cut or a process is stopped, both (the stopped one once it goes on) must end within the time-out, each with a line that names the other; started again
with --resume over a sound link, the adapter must have those bytes too.
"""
import argparse
import fcntl
import heapq
import json
import os
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--qlora", default="./qlora")
parser.add_argument("--steps", type=int, default=30)
parser.add_argument("--timeout", type=int, default=8, help="train.ddp_timeout")
parser.add_argument("--only", nargs="*")
args = parser.parse_args()
SPACES = ("qlora-a", "qlora-b")
ADDRESSES = ("10.87.0.1", "10.87.0.2")
MODEL = os.path.join(os.path.dirname(__file__), "../resources/tiny-llama")
command = os.path.abspath(args.qlora)
work = tempfile.mkdtemp()
problems = []


def ip(*words):
    subprocess.run(("ip",) + words, check=True)


class Link:
    """Carries packets between the two namespaces, as sound or bad as told."""

    def __init__(self):
        self.delay, self.loss, self.cut, self.over = 0.0, 0.0, False, False
        self.carried = self.lost = self.bytes = 0
        self.random = random.Random(87)
        self.ends = []
        for space, address in zip(SPACES, ADDRESSES):
            subprocess.run(("ip", "netns", "del", space), stderr=subprocess.DEVNULL)
            ip("netns", "add", space)
            end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            name = space.replace("qlora-", "qtun")
            fcntl.ioctl(end, 0x400454CA, struct.pack("16sH", name.encode(), 0x1001))  # TUNSETIFF: a tun without headers
            ip("link", "set", name, "netns", space)
            for words in (("addr", "add", address + "/24", "dev", name), ("link", "set", "lo", "up"), ("link", "set", name, "mtu", "9000", "up")):
                ip("netns", "exec", space, "ip", *words)
            self.ends.append(end)
        threading.Thread(target=self.carry, daemon=True).start()

    def carry(self):
        late, count = [], 0
        while not self.over:
            wait = max(0.0, late[0][0] - time.monotonic()) if late else 0.2
            for end in select.select(self.ends, [], [], wait)[0]:
                packet = os.read(end, 65536)
                if self.cut or self.random.random() < self.loss:
                    self.lost += 1
                    continue
                count += 1
                heapq.heappush(late, (time.monotonic() + self.delay, count, self.ends[1 - self.ends.index(end)], packet))
            while late and late[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(late)
                if self.cut:
                    continue
                try:
                    os.write(end, packet)
                    self.carried += 1
                    self.bytes += len(packet)
                except BlockingIOError:
                    self.lost += 1

    def be(self, delay=0.0, loss=0.0, cut=False):
        self.delay, self.loss, self.cut = delay, loss, cut
        self.carried = self.lost = self.bytes = 0


def start(rank, run, port, linked, *more):
    variables = dict(
        os.environ,
        RANK=str(rank),
        WORLD_SIZE="2",
        LOCAL_RANK=str(rank if not linked else 0),
        LOCAL_WORLD_SIZE="2" if not linked else "1",
        MASTER_ADDR=ADDRESSES[0] if linked else "127.0.0.1",
        MASTER_PORT=str(port),
        OMP_NUM_THREADS="1",
    )
    words = [command, "train", "--model", MODEL, "--data", os.path.join(work, "data.jsonl"), "--out", os.path.join(work, run), "--steps", str(args.steps)]
    words += ["train.per_device_train_batch_size=2", "train.gradient_accumulation_steps=1", "train.save_steps=5", "train.logging_steps=1", "lora.r=16"]
    words += [f"train.ddp_timeout={args.timeout}", "train.save_total_limit=10", "train.report_to=[]", *more]
    if linked:
        words = ["ip", "netns", "exec", SPACES[rank]] + words
    return subprocess.Popen(words, env=variables, stdout=open(os.path.join(work, f"{run}-{rank}.out"), "a"), stderr=open(os.path.join(work, f"{run}-{rank}.err"), "a"))


def both(run, port, linked, *more):
    return [start(rank, run, port, linked, *more) for rank in range(2)]


def ended(processes, seconds):
    end = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
    return True


def adapter(run):
    with open(os.path.join(work, run, f"checkpoint-{args.steps}", "adapter_model.safetensors"), "rb") as file:
        return file.read()


def errors(run, rank):
    with open(os.path.join(work, f"{run}-{rank}.err")) as file:
        return [line.strip() for line in file if line.startswith("qlora: ") and "warning" not in line and "info" not in line]


def require(holds, what):
    if not holds:
        problems.append(what)


def until(run, step, processes):
    while not os.path.exists(os.path.join(work, run, f"checkpoint-{step}", "qlora4j.json")):
        if any(process.poll() is not None for process in processes):
            return
        time.sleep(0.01)


with open(os.path.join(work, "data.jsonl"), "w") as file:
    for i in range(64):
        answer = " ".join(str(i * k % 97) for k in range(1, 6))
        file.write(json.dumps({"messages": [{"role": "user", "content": f"{i}"}, {"role": "assistant", "content": answer}]}) + "\n")

began = time.monotonic()
require(ended(both("sound", 29611, False), 300), "the run on the loopback does not end")
if not os.path.isdir(os.path.join(work, "sound", f"checkpoint-{args.steps}")):
    sys.exit("no run on the loopback: %s" % errors("sound", 0))
measure = adapter("sound")
print(f"loopback: {time.monotonic() - began:.0f} s", flush=True)
link = Link()
port = 29620
bad = {"delay 30 ms": dict(delay=0.03), "loss 3%": dict(loss=0.03), "delay 10 ms, loss 2%": dict(delay=0.01, loss=0.02)}
for name, how in bad.items():
    if args.only and not any(word in name for word in args.only):
        continue
    run, port = re.sub(r"\W+", "-", name), port + 1
    link.be(**how)
    began = time.monotonic()
    require(ended(both(run, port, True), 600), f"{name}: does not end")
    require(os.path.isdir(os.path.join(work, run, f"checkpoint-{args.steps}")), f"{name}: no adapter: {errors(run, 0)} {errors(run, 1)}")
    if os.path.isdir(os.path.join(work, run, f"checkpoint-{args.steps}")):
        require(adapter(run) == measure, f"{name}: another adapter than on the loopback")
    print(f"{name}: {time.monotonic() - began:.0f} s, {link.carried} packets carried ({link.bytes >> 20} MiB), {link.lost} lost", flush=True)
if not args.only or "traffic" in args.only:
    link.be()
    require(ended(both("traffic", 29660, True, "lora.r=64"), 600), "traffic: does not end")
    with open(os.path.join(work, "traffic-0.out")) as out, open(os.path.join(work, "traffic-0.err")) as err:
        told = re.search(r"each sends ([0-9,]+) bytes", out.read() + err.read())
    told = int(told.group(1).replace(",", "")) if told else 0
    each = link.bytes / 2 / args.steps
    require(told and told <= each <= 1.25 * told, f"traffic: {told} bytes a step are printed, {each:.0f} were carried")
    print(f"traffic: {told} bytes a step and process printed, {each:.0f} carried, with headers, start, signs of life and all else", flush=True)
for name in ("link cut", "process 0 stopped", "process 1 stopped"):
    if args.only and not any(word in name for word in args.only):
        continue
    run, port = re.sub(r"\W+", "-", name), port + 1
    link.be(delay=0.02)  # so that the run is under way when it is hit
    processes = both(run, port, True)
    until(run, 10, processes)
    hit = time.monotonic()
    if name == "link cut":
        link.cut = True
        require(ended(processes, 3 * args.timeout + 20), f"{name}: a process does not end")
    else:
        stopped = processes[int(name.split()[1])]
        pids = [stopped.pid] + [int(p) for p in subprocess.run(("pgrep", "-P", str(stopped.pid)), capture_output=True, text=True).stdout.split()]
        [os.kill(pid, signal.SIGSTOP) for pid in pids]
        require(ended([p for p in processes if p is not stopped], 3 * args.timeout + 20), f"{name}: the other does not end")
        print(f"{name}: the other ends after {time.monotonic() - hit:.1f} s", flush=True)
        [os.kill(pid, signal.SIGCONT) for pid in pids]
        require(ended([stopped], 3 * args.timeout + 20), f"{name}: it does not end once it goes on")
    after = time.monotonic() - hit
    for rank in range(2):
        said = errors(run, rank)
        require(len(said) == 1 and f"process {1 - rank} of 2" in said[0] and processes[rank].returncode == 2, f"{name}: process {rank} ends with {processes[rank].returncode}, {said}")
        print(f"   process {rank}: {said[0] if said else 'nothing'}")
    link.be()
    require(ended(both(run, port + 40, True, "--resume"), 300), f"{name}: the resumed run does not end")
    if os.path.isdir(os.path.join(work, run, f"checkpoint-{args.steps}")):
        require(adapter(run) == measure, f"{name}: another adapter after --resume than on the loopback")
    else:
        problems.append(f"{name}: no adapter after --resume: {errors(run, 0)} {errors(run, 1)}")
    print(f"{name}: all ended after {after:.1f} s, resumed", flush=True)
link.over = True
time.sleep(0.5)
for space in SPACES:
    ip("netns", "del", space)
print("problems:", problems or "none")
sys.exit(1 if problems else 0)
