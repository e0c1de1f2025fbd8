#!/usr/bin/env python3
"""Holds a running `qlora serve` against its own openapi.json with all checks of schemathesis (tried with 4.32.5).

    qlora serve --model MODEL --adapter NAME=DIR --runs FOLDER --port 8080 --api-keys FILE
    python check_openapi.py http://127.0.0.1:8080 --key KEY [--examples N] [--seed S]

Take a model of few weights: most examples generate. The exit code is that of schemathesis. A request that the schema allows may still be
refused with 400 for what no schema can say, such as a token id beyond the vocabulary or a prompt beyond the context,
or more prompts than are ever taken at once.
"""
import argparse
import os
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--key")
parser.add_argument("--examples", type=int, default=30)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--strict", action="store_true", help="show those that are refused with 400, too")
args = parser.parse_args()
config = "" if args.strict else """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404"]
"""
schemathesis = os.path.join(os.path.dirname(sys.executable), "schemathesis")
with tempfile.TemporaryDirectory() as folder:
    file = os.path.join(folder, "schemathesis.toml")
    with open(file, "w") as out:
        out.write(config)
    run = [schemathesis, "--config-file", file, "run", args.url + "/openapi.json", "--checks", "all", "--phases", "examples,coverage,fuzzing",
           "--max-examples", str(args.examples), "--seed", str(args.seed), "--continue-on-failure", "--request-timeout", "120", "--warnings", "off"]
    if args.key:
        run += ["-H", "Authorization: Bearer " + args.key]
    sys.exit(subprocess.run(run).returncode)
