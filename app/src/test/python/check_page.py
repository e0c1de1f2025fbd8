#!/usr/bin/env python3
"""Uses the page of a running `qlora serve` as a person does, by clicks and keys, in Debian's headless Chromium (playwright 1.5x).

    qlora serve --model MODEL --adapter NAME=DIR --runs FOLDER --allow-training --port 8080
    python check_page.py http://127.0.0.1:8080/ SCREENSHOTS_FOLDER

Fails if anything is requested from another address, a script fails, text is wider than the page, or contrast is below WCAG AA.
"""
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

url, folder = sys.argv[1], Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
failed, count = [], 0


def check(name, good, seen=""):
    global count
    count += 1
    if not good:
        failed.append(name)
        print(f"FAIL {name} {seen!r}")


def wait(page, condition, timeout=60000):
    """Asks again and again; playwright's own waiting needs eval, which the page forbids."""
    end = time.time() + timeout / 1000
    while not page.evaluate(condition):
        if time.time() > end:
            raise SystemExit(f"in vain: {condition}")
        time.sleep(0.1)


CONTRAST = """() => {
  const lin = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const parse = s => s.match(/[\\d.]+/g).map(Number);
  const lum = c => 0.2126 * lin(c[0]) + 0.7152 * lin(c[1]) + 0.0722 * lin(c[2]);
  const back = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (!e.offsetParent || e.disabled) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && !['INPUT', 'SELECT', 'TEXTAREA'].includes(e.tagName)) continue;
    const a = lum(parse(getComputedStyle(e).color)), b = lum(back(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(e.tagName + '#' + e.id + ' ' + ratio.toFixed(2));
  }
  return bad;
}"""

with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    for width, scheme in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]:
        name = f"{width}-{scheme}"
        context = browser.new_context(viewport={"width": width, "height": 900 if width > 500 else 740}, color_scheme=scheme)
        page = context.new_page()
        outside, errors = [], []
        page.on("request", lambda r: outside.append(r.url) if not r.url.startswith((url, "data:")) else None)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(url)
        wait(page, "document.getElementById('left').options.length > 0")
        models = page.eval_on_selector_all("#left option", "all => all.map(o => o.value)")
        check(f"{name} models", len(models) >= 1)
        page.fill("#system", "Answer in one short sentence.")
        page.fill("#temperature", "0")
        page.fill("#max_tokens", "24")
        page.fill("#message", "What is a ship?")
        page.press("#message", "Enter")
        wait(page, "document.querySelectorAll('.answer').length > 0 && document.getElementById('stop').disabled", timeout=480000)
        texts = page.eval_on_selector_all(".answer p", "all => all.map(e => e.textContent)")
        check(f"{name} answers", len(texts) == (2 if len(models) > 1 else 1) and all(texts), texts)
        page.click("#curl")
        command = page.text_content("#command")
        check(f"{name} curl", command.startswith("curl " + url) and '"system"' in command and "What is a ship?" in command, command)
        page.fill("#max_tokens", "2000")
        page.fill("#message", "Write a very long story about the sea.")
        page.click("#send")
        wait(page, "[...document.querySelectorAll('.turn:last-child .answer p')].some(e => e.textContent.length > 10)", timeout=480000)
        if scheme == "dark":
            page.keyboard.press("Escape")
        else:
            page.click("#stop")
        wait(page, "document.getElementById('stop').disabled", timeout=30000)
        notes = page.eval_on_selector_all(".turn:last-child .answer small", "all => all.map(e => e.textContent)")
        check(f"{name} stopped", all(n.startswith(("stopped", "stop", "length")) for n in notes), notes)
        check(f"{name} chat contrast", not (bad := page.evaluate(CONTRAST)), bad)
        check(f"{name} chat width", page.evaluate("document.documentElement.scrollWidth") <= width)
        page.screenshot(path=folder / f"chat-{name}.png", full_page=True)
        page.click("#show-runs")
        wait(page, "!document.getElementById('run-table').hidden || !document.getElementById('no-runs').hidden")
        if page.is_visible("#run-table"):
            page.click("#run-table tbody tr:last-child button")
            page.wait_for_selector("#charts svg path")
            check(f"{name} samples", page.eval_on_selector_all("#samples div", "all => all.length") > 0)
        check(f"{name} runs contrast", not (bad := page.evaluate(CONTRAST)), bad)
        check(f"{name} runs width", page.evaluate("document.documentElement.scrollWidth") <= width)
        page.screenshot(path=folder / f"runs-{name}.png", full_page=True)
        page.click("#show-train")
        wait(page, "!document.getElementById('train-form').hidden || !document.getElementById('no-training').hidden")
        if page.is_visible("#train-form"):
            run = f"run-{width}-{scheme}-{int(time.time())}"
            page.set_input_files("#file", {"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"})
            wait(page, "document.getElementById('problem').textContent.startsWith('notes.pdf is of a kind that is not read')")
            errors.clear()  # the browser reports the 400 that was wanted
            rows = "question,answer\n" + "".join(f'"Where is office {i} of the town, please?",room {i}\n' for i in range(40))
            page.set_input_files("#file", {"name": "../offices of ours.csv", "mimeType": "text/csv", "buffer": rows.encode()})
            wait(page, "!document.getElementById('plan').hidden && !document.getElementById('begin').disabled")
            marks = page.eval_on_selector_all("#examples mark", "all => all.map(e => e.textContent)")
            check(f"{name} marks", marks and all(m.startswith("room ") for m in marks), marks)
            check(f"{name} facts", "40" in page.text_content("#facts") and "offices of ours.csv" in page.text_content("#facts"))
            page.fill("#run-title", run)
            page.fill("#more", "train.gradient_accumulation_steps=1")
            page.fill("#max_steps", "5000")
            page.press("#max_steps", "Tab")
            wait(page, "document.getElementById('outlook').textContent.startsWith('5,000 steps, 125 passes') && !document.getElementById('begin').disabled")
            check(f"{name} train contrast", not (bad := page.evaluate(CONTRAST)), bad)
            check(f"{name} train width", page.evaluate("document.documentElement.scrollWidth") <= width)
            page.screenshot(path=folder / f"train-{name}.png", full_page=True)
            page.press("#run-title", "Enter")
            wait(page, f"document.getElementById('run-name').textContent === '{run}'"
                       " && document.getElementById('run-state').textContent.match(/step ([3-9]|[1-9][0-9]+) of 5000/)"
                       " && document.querySelectorAll('#charts svg path').length > 0", timeout=900000)
            check(f"{name} progress", "of 5000" in page.text_content("#run-state"), page.text_content("#run-state"))
            check(f"{name} run contrast", not (bad := page.evaluate(CONTRAST)), bad)
            check(f"{name} run width", page.evaluate("document.documentElement.scrollWidth") <= width)
            page.screenshot(path=folder / f"run-{name}.png", full_page=True)
            page.click("#run-stop")
            wait(page, "!document.getElementById('run-load').hidden", timeout=300000)
            check(f"{name} stopped run", "stopped" in page.text_content("#run-state"), page.text_content("#run-state"))
            page.screenshot(path=folder / f"stopped-{name}.png", full_page=True)
            page.click("#run-load")
            wait(page, f"document.getElementById('right').value === '{run}' && !document.getElementById('chat').hidden")
            page.fill("#max_tokens", "8")
            page.fill("#message", "Where is office 5 of the town, please?")
            page.click("#send")
            wait(page, "document.querySelectorAll('.answer').length > 0 && document.getElementById('stop').disabled", timeout=900000)
            sides = page.eval_on_selector_all(".answer b", "all => all.map(e => e.textContent)")
            check(f"{name} adapter answers", run in sides, sides)
            page.screenshot(path=folder / f"beside-{name}.png", full_page=True)
        page.click("#show-chat")
        page.click("#reset")
        check(f"{name} new", page.eval_on_selector_all(".turn", "all => all.length") == 0)
        page.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(24):  # by keyboard alone
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id"))
        wanted = {"show-chat", "show-runs", "show-train", "left", "right", "system", "temperature", "message", "send", "reset", "curl"}
        check(f"{name} keyboard", wanted <= reached, wanted - reached)
        check(f"{name} nothing from outside", not outside, outside)
        check(f"{name} no script fails", not errors, errors)
        context.close()
    browser.close()
print(f"{count - len(failed)} passed, {len(failed)} failed")
sys.exit(1 if failed else 0)
