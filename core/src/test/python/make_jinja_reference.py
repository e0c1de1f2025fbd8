"""Writes jinja-reference.json.gz: small templates and what Python's Jinja2 makes of them.

Set up as transformers sets up chat templates (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop
controls, tojson without ASCII or HTML escapes, raise_exception, guarded namespace and dict), with the time frozen at
2026-11-23 09:05:07. Versions that made the stored file: Python 3.11, Jinja2 3.1.6, MarkupSafe 3. No randomness.

    python make_jinja_reference.py ../resources/templates/jinja-reference.json.gz
"""
import gzip
import datetime
import json
import sys

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

assert jinja2.__version__ == "3.1.6", jinja2.__version__

CONTEXT = {
    "d": {"k": "v", "z": 1, "A": [1, 2], "items_": None},
    "l": [{"n": "p", "v": 3, "f": {"g": "x"}}, {"n": "q", "v": 1, "f": {"g": "y"}}, {"n": "P", "v": 2}],
    "s": "Grüße 🙂 aus Köln",
    "t": "  two words\n",
    "e": "",
    "n": None,
    "nums": [3, 1, 2, 10, 2],
    "words": ["b", "A", "c", "a", "B"],
    "msgs": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image"}, {"type": "text", "text": "you"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1, "b": "x"}}}]},
        {"role": "tool", "content": "42", "name": "f"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nDone"},
        {"role": "user", "content": "bye"},
    ],
    "schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "where", "enum": ["a", "b"]},
            "days": {"type": ["integer", "null"], "default": 3},
            "who": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}, "required": []}},
        },
        "required": ["city"],
    },
    "deep": {"v": 1, "kids": [{"v": 2, "kids": [{"v": 3, "kids": []}]}, {"v": 4, "kids": []}]},
    "text": "a<b> & \"c\" 'd' é\t\u0007 \\ /",
    "pct": 0.5,
    "big": 123456789012345678901234567890,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "add_generation_prompt": True,
}

SNIPS = r"""
{{ 1 + 2 * 3 - 4 }}
{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ (-1) ** 3 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 // -2 }} {{ 7.5 // 2 }} {{ -7.5 // 2 }}
{{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 5.0 % -3 }}
{{ 1 / 3 }} {{ 10 / 2 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ 123456.789e3 }} {{ 1.5e300 * 1e10 }}
{{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 00 }} {{ 1_0.5 }} {{ 1E3 }}
{{ big }} {{ big + 1 }} {{ big * big }} {{ big // 7 }} {{ big % 7 }} {{ big / 3 }} {{ 2 ** 100 }}
{{ 9223372036854775807 + 1 }} {{ -9223372036854775807 - 2 }} {{ 3037000500 * 3037000500 }}
{{ 1 == 1.0 }} {{ 1 == true }} {{ 0 == false }} {{ '1' == 1 }} {{ none == false }} {{ 2**53 + 1 == 2.0**53 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 <= 1 != 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ (1, 2) == [1, 2] }}
{{ true + true }} {{ true * 3 }} {{ -true }} {{ +false }} {{ 5 // true }}
{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ 'ab' * -1 }}| {{ [1] * 2 }} {{ (1,) * 2 }} {{ 2 * [none] }}
{{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'a' + 'b' }} {{ 1.5 + 1 }}
{{ not true }} {{ not none }} {{ not [] }} {{ not 'x' }} {{ not not 1 }}
{{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or 'x' }} {{ '' or none }} {{ none or false or 3 }} {{ 1 and 0 or 5 }}
{{ not 1 == 2 }} {{ not 'a' in 'abc' }} {{ 'a' not in 'abc' }} {{ not l is defined }} {{ not x is defined }}
{{ 1 if true }}|{{ 1 if false }}|{{ 1 if false else 2 if false else 3 }}|{{ (1 if false) is defined }}
{{ 'a' ~ 1 + 2 ~ 'b' }} {{ 1 ~ 2.0 ~ none ~ [1] }} {{ 'x' ~ y ~ 'z' }}
{{ -1|abs }} {{ (-1)|abs }} {{ 2 * -3|abs }} {{ -nums[0] }} {{ - 2 + 3 }}
{{ 1|string ~ 2 }} {{ 'a'|upper + 'b' }} {{ 'a' + 'b'|upper }} {{ nums|length + 1 }} {{ nums|length * 2 }}
{{ 10 is divisibleby 5 }} {{ 10 is divisibleby(3) }} {{ 3 is odd }} {{ 3 is even }} {{ 4 is not odd }} {{ -3 is odd }}
{{ 1 is integer }} {{ 1.0 is integer }} {{ 1.0 is float }} {{ true is integer }} {{ true is number }} {{ true is boolean }} {{ 1 is boolean }}
{{ 's' is string }} {{ 1 is string }} {{ d is mapping }} {{ l is mapping }} {{ 's' is sequence }} {{ d is sequence }} {{ 1 is sequence }} {{ none is iterable }} {{ 's' is iterable }} {{ range(3) is sequence }}
{{ none is none }} {{ x is none }} {{ false is false }} {{ 0 is false }} {{ true is true }} {{ 1 is true }}
{{ x is defined }} {{ x is undefined }} {{ d.k is defined }} {{ d.q is defined }} {{ d['k'] is defined }} {{ l[9] is defined }} {{ d.q is not defined }}
{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aB' is lower }} {{ '1' is upper }}
{{ 3 is gt 2 }} {{ 3 is lt(2) }} {{ 3 is ge 3 }} {{ 3 is le 2 }} {{ 3 is eq 3 }} {{ 3 is ne 3 }} {{ 3 is greaterthan 2 }} {{ 3 is lessthan 2 }} {{ 3 is equalto 3 }}
{{ 2 is in [1, 2] }} {{ 'a' is in 'abc' }} {{ 'k' is in d }} {{ 3 is not in nums }} {{ none is sameas none }} {{ 1 is sameas true }}
{{ range is callable }} {{ 1 is callable }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }}
{{ 'a' in 'abc' }} {{ '' in 'abc' }} {{ 1 in [1.0] }} {{ true in [1] }} {{ 'k' in d.keys() }} {{ 1 in d.values() }} {{ ('k', 'v') in d.items() }} {{ 5 in range(10) }} {{ x in [1] }} {{ x in y }}
{{ [1, 'a', none, true, 1.5, [2], (3,), (4, 5), {'a': {}}, {}] }}
{{ "it's" }} {{ ["it's"] }} {{ ['say "hi"'] }} {{ ['both \' and "'] }} {{ ['\n\t\\ é 🙂 \x07 \u200b \xa0'] }}
{{ () }} {{ (1,) }} {{ (1, 2) }} {{ 1, 2 }} {{ [] }} {{ {} }} {{ ((1)) }}
{{ {1: 'a', 'b': 2, none: 3, true: 4, 1.5: 5} }} {{ {1: 'a'}[1.0] }} {{ {1: 'a'}[true] }} {{ {(1, 2): 'x'}[(1, 2)] }}
{{ d }} {{ d.k }} {{ d['z'] }} {{ d.A[0] }} {{ d['A'][-1] }} {{ d.A.0 }} {{ d.q }}|{{ d['q'] }}|
{{ l[0].n }} {{ l[-1]['n'] }} {{ l[0].f.g }} {{ l[9] }}| {{ l['n'] }}| {{ l.n }}|
{{ s }} {{ s|length }} {{ s[6] }} {{ s[-1] }} {{ s[99] }}| {{ s[2:7] }} {{ s[::-1] }} {{ s[6:8] }}
{{ nums[1:3] }} {{ nums[:-1] }} {{ nums[::2] }} {{ nums[::-1] }} {{ nums[3:1:-1] }} {{ nums[10:] }} {{ nums[-2:] }} {{ nums[-100:2] }} {{ nums[:100] }} {{ nums[4:0:-2] }} {{ nums[:] }}
{{ (1, 2, 3)[1:] }} {{ 'hello'[1] }} {{ 'hello'[-3:] }} {{ 'hello'[5:2] }}| {{ 'hello'[none:2] }} {{ range(10)[2:8:3]|list }} {{ 'abc'[-1:0:-1] }}
{{ range(5) }} {{ range(5)|list }} {{ range(2, 8, 3)|list }} {{ range(5, 0, -2)|list }} {{ range(0)|list }} {{ range(5)[1] }} {{ range(3)|last }}
{{ d.keys() }} {{ d.values()|list }} {{ d.items()|list|length }} {{ d|length }} {{ d.get('k') }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ d|list }}
{{ dict(a=1, b='x') }} {{ dict([('a', 1)]) }} {{ dict({'x': 1}, y=2) }} {{ dict(d, k=2).k }}
{{ 'abc'.upper() }} {{ 'ABC'.lower() }} {{ 'hello wORLD'.title() }} {{ 'hELLO'.capitalize() }} {{ 'aBc'.swapcase() }} {{ 'ß'.upper() }} {{ "they're bill's".title() }}
{{ t.strip() }}| {{ t.lstrip() }}| {{ t.rstrip() }}| {{ 'xxaxx'.lstrip('x') }} {{ 'abcba'.strip('ab') }} {{ 'xyx'.rstrip('x') }} {{ ' \u00a0a\u2003'.strip() }}|
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('bc') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.endswith('b', 0, 2) }} {{ ''.startswith('') }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b c '.split() }} {{ 'a b c'.split(none, 1) }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a,b,c'.split(',', maxsplit=1) }} {{ 'aXXbXXc'.rsplit('XX') }}
{{ 'a\nb\r\nc\n'.splitlines() }} {{ 'a\nb'.splitlines(true) }} {{ 'k=v=w'.partition('=') }} {{ 'k=v=w'.rpartition('=') }} {{ 'kv'.partition('=') }}
{{ 'abcabc'.find('c') }} {{ 'abc'.find('x') }} {{ 'abcabc'.rfind('c') }} {{ '🙂b'.find('b') }} {{ 'abcabc'.index('b', 2) }} {{ 'aaa'.count('a') }} {{ 'aaaa'.count('aa') }} {{ 'abc'.count('') }}
{{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ 'ab'.replace('', '.') }} {{ 'ab'.replace('', '.', 2) }} {{ 'aaa'.replace('aa', 'b') }}
{{ ', '.join(['a', 'b']) }} {{ ''.join(('x', 'y')) }} {{ '-'.join('abc') }} {{ ','.join(d) }}
{{ 'a'.center(5) }}| {{ 'ab'.center(5, '*') }} {{ 'a'.ljust(3) }}| {{ 'a'.rjust(3, '.') }} {{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'a\tb'.expandtabs(4) }}|
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'ab'.islower() }} {{ 'AB'.isupper() }} {{ 'Ab Cd'.istitle() }} {{ '½'.isnumeric() }} {{ '1'.isdecimal() }} {{ 'é'.isascii() }} {{ ''.isalpha() }} {{ ''.isascii() }}
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ 'x'.removesuffix('y') }}
{{ '{} and {}'.format('a', 1) }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=5) }} {{ '{0[k]}'.format(d) }} {{ '{0.k}'.format(d) }} {{ '{{}}'.format() }} {{ '{!r}'.format('a') }}
{{ '{:5}|{:<5}|{:>5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd', 'e') }} {{ '{:5d}|{:05d}|{:+d}|{:,}|{:x}|{:#>4}'.format(42, 42, 42, 1234567, 255, 7) }} {{ '{:.2f}|{:8.3f}|{:.0f}|{:e}|{:%}|{:.1%}'.format(3.14159, 2.5, 2.5, 12345.678, 0.25, 0.1234) }} {{ '{:.2}'.format('abc') }}
{{ '%s and %d' % ('a', 5) }} {{ '%s' % 'x' }} {{ '%r' % 'x' }} {{ '%5d|%-5d|%05d|%+d' % (42, 42, 42, 42) }} {{ '%.2f %f %e' % (3.14159, 2.5, 12345.678) }} {{ '%x %X %o %%' % (255, 255, 8) }} {{ '%(k)s' % d }} {{ '%s' % [1, 2] }} {{ '%10.3s|' % 'abcdef' }}
{{ '%s %s'|format('a', 'b') }} {{ '%(x)s'|format(x=1) }}
{{ 'abc'|upper }} {{ 'ABC'|lower }} {{ "hello wo-rld it's"|title }} {{ 'hELLO'|capitalize }} {{ ' a '|trim }}| {{ 'xax'|trim('x') }} {{ 'abc'|replace('b', 'X') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 123|upper }} {{ none|upper }} {{ x|upper }}|
{{ nums|length }} {{ nums|count }} {{ 'abc'|length }} {{ x|length }} {{ d|length }}
{{ nums|first }} {{ nums|last }} {{ []|first }}| {{ 'abc'|first }} {{ 'abc'|last }} {{ d|first }} {{ x|first }}|
{{ nums|sort }} {{ nums|sort(reverse=true) }} {{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ l|sort(attribute='v')|map(attribute='n')|list }} {{ l|sort(attribute='n,v')|map(attribute='v')|list }} {{ l|sort(true, attribute='v')|map(attribute='v')|list }}
{{ nums|unique|list }} {{ words|unique|list }} {{ words|unique(case_sensitive=true)|list }} {{ l|unique(attribute='n')|map(attribute='v')|list }} {{ [1, 1.0, true, '1']|unique|list }}
{{ nums|sum }} {{ l|sum(attribute='v') }} {{ nums|sum(start=100) }} {{ []|sum }} {{ [0.1, 0.2]|sum }}
{{ nums|min }} {{ nums|max }} {{ words|min }} {{ words|max }} {{ l|max(attribute='v') }} {{ []|min }}| {{ words|max(case_sensitive=true) }}
{{ nums|reverse|list }} {{ 'abc'|reverse }} {{ d|reverse|list }}
{{ nums|join }} {{ nums|join(', ') }} {{ l|join('-', attribute='n') }} {{ 'abc'|join('.') }} {{ [none, true, 1.0]|join(' ') }} {{ x|join(',') }}| {{ d|join(',') }}
{{ l|map(attribute='n')|list }} {{ l[:2]|map(attribute='f.g')|list }} {{ l|map(attribute='f.g', default='-')|list }} {{ nums|map('string')|list }} {{ words|map('upper')|join }} {{ nums|map('abs')|sum }} {{ words|map('replace', 'a', 'z')|list }} {{ [[1, 2], [3]]|map('first')|list }} {{ [[1, 2], [3, 4]]|map(attribute=0)|list }} {{ l|map(attribute='q', default=0)|list }}
{{ nums|select('odd')|list }} {{ nums|reject('odd')|list }} {{ nums|select('gt', 2)|list }} {{ [0, 1, '', 'a', none]|select|list }} {{ [0, 1, none]|reject|list }} {{ nums|select('in', [1, 2])|list }} {{ nums|select('>', 2)|list }} {{ nums|reject('==', 2)|list }}
{{ l|selectattr('v', 'gt', 1)|map(attribute='n')|list }} {{ l|rejectattr('f')|map(attribute='n')|list }} {{ l|selectattr('f')|list|length }} {{ l[:2]|selectattr('f.g', 'equalto', 'y')|map(attribute='n')|list }} {{ l|selectattr('zz', 'undefined')|list|length }} {{ l|rejectattr('n', 'in', ['p', 'q'])|map(attribute='n')|list }}
{{ d|dictsort }} {{ d|dictsort(reverse=true) }} {{ {'b': 2, 'a': 3, 'C': 1}|dictsort }} {{ {'b': 2, 'a': 3, 'C': 1}|dictsort(true) }} {{ {'b': 2, 'a': 3}|dictsort(by='value') }}
{{ d|items|list }} {{ x|items|list }} {{ d|items|map('first')|list }}
{{ x|default('z') }} {{ n|default('z') }} {{ n|default('z', true) }} {{ e|d('z', boolean=true) }} {{ d.q|default }}| {{ 0|default(5) }} {{ d.q.r|default('w') if false else 'ok' }}
{{ nums|batch(2)|list }} {{ nums|batch(3, 0)|list }} {{ nums|slice(2)|list }} {{ nums|slice(3, 'x')|list }} {{ []|batch(2)|list }}
{{ l|groupby('n')|list|length }} {% for g, items in l|groupby('n') %}{{ g }}:{{ items|length }} {% endfor %}{% for x in l|groupby('n', case_sensitive=true) %}{{ x.grouper }}={{ x.list|map(attribute='v')|join('+') }} {% endfor %}
{{ 3.7|int }} {{ '12'|int }} {{ ' 12 '|int }} {{ '3.7'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ none|int }} {{ '0x1f'|int(base=16) }} {{ '1_000'|int }} {{ true|int }} {{ -3.7|int }} {{ '-5'|int }} {{ '1e3'|int }} {{ ''|int(-1) }}
{{ '1.5'|float }} {{ 1|float }} {{ 'x'|float }} {{ 'x'|float(2.5) }} {{ '1e3'|float }} {{ 'inf'|float }} {{ 'nan'|float }} {{ '-inf'|float }} {{ none|float }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42.55|round(1) }} {{ 5|round }} {{ 1234|round(-2) }} {{ 42.41|round(1, 'ceil') }} {{ 42.49|round(1, 'floor') }} {{ 2.1|round(method='ceil') }} {{ 2.1|round|int }} {{ -2.5|round }}
{{ -3|abs }} {{ -2.5|abs }} {{ true|abs }} {{ 1.0|string }} {{ none|string }} {{ [1]|string }} {{ 'a'|string }}
{{ 'a\nb\n\nc'|indent }} | {{ 'a\nb'|indent(2, true) }} | {{ 'a\n\nb'|indent(2, blank=true) }} | {{ 'a\nb'|indent('>>') }} | {{ 'a\nb\n'|indent(1) }}
{{ 'a long sentence here'|truncate(10) }} {{ 'a long sentence'|truncate(9, true) }} {{ 'short'|truncate(3, leeway=5) }} {{ 'a long sentence'|truncate(8, end='~', leeway=0) }} {{ 'a'|center(5) }}| {{ 'one two, three'|wordcount }}
{{ '<a> & "b"'|escape }} {{ '<b>'|e ~ '<c>' }} {{ '<b>'|safe }} {{ '<b>'|safe + '<c>' }} {{ '<b>' + '<c>'|e }} {{ '<'|e|string is string }} {{ '<b>'|forceescape }}
{{ text|tojson }} {{ text|tojson(ensure_ascii=true) }} {{ d|tojson }} {{ d|tojson(indent=4) }} {{ [] |tojson(indent=2) }} {{ {}|tojson }} {{ [1, [2, {'a': none}]]|tojson(indent=1) }}
{{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ d|tojson(indent=2, separators=(',', ': ')) }} {{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }} {{ (1, 2)|tojson }} {{ 1.0|tojson }} {{ 1e20|tojson }} {{ 'nan'|float|tojson }} {{ none|tojson }} {{ true|tojson }} {{ s|tojson }} {{ big|tojson }} {{ [1]|tojson(indent='--') }} {{ [1]|tojson(indent=0) }}
{{ schema|tojson(indent=4) }}
{{ schema|tojson }}
{{ d|attr('k') }}| {{ 'abc'|attr('upper') is callable }} {{ d|attr('items') is callable }}
{% for x in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for x in nums %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}
{% for x in nums %}{{ loop.cycle('a', 'b', 'c') }}{% endfor %} {% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}
{% for x in [] %}x{% else %}none{% endfor %} {% for x in y %}x{% else %}undef{% endfor %} {% for x in [1] %}{{ x }}{% else %}no{% endfor %}
{% for x in nums if x > 1 %}{{ x }}/{{ loop.length }}/{{ loop.index }} {% else %}none{% endfor %} {% for x in nums if x > 99 %}{{ x }}{% else %}none{% endfor %}
{% for x in 'héy🙂' %}{{ x }}.{% endfor %} {% for k in d %}{{ k }},{% endfor %} {% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for x in nums %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 10 %}{% break %}{% endif %}{{ x }},{% endfor %} {% for a in [1, 2] %}{% for b in [1, 2] %}{% if b == 2 %}{% break %}{% endif %}{{ a }}{{ b }} {% endfor %}{% endfor %}
{% for x in [1, 2] %}{% for y in [3, 4] %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}
{% for x in nums recursive %}{{ x }}{% endfor %} {% for k in [deep] recursive %}{{ loop.depth }}:{{ k.v }}({{ loop(k.kids) }}){% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 1 %}{{ x }} {% endfor %}{{ x }}
{% set ns = namespace(n=0, m=[]) %}{% for i in nums %}{% set ns.n = ns.n + i %}{% set ns.m = ns.m + [i] %}{% endfor %}{{ ns.n }} {{ ns.m }} {{ ns.zz is defined }} {{ ns['n'] }}
{% set ns = namespace(found=false) %}{% for m in msgs if not ns.found %}{{ m.role }} {% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% endfor %}
{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b, c = 2, 3 %}{{ ns.a }}{{ ns.b }}{{ c }} {% set ns = namespace({'x': 1}, y=2) %}{{ ns.x }}{{ ns.y }}
{% set a = b = 1 %}
{% set a %}x{{ 1 + 1 }}{% endset %}[{{ a }}] {% set a | upper | replace('X', 'y') %}xyz{% endset %}{{ a }} {% set a | trim %}  q {% endset %}{{ a }}|
{% set (a, b), c = (1, 2), 3 %}{{ a }}{{ b }}{{ c }} {% set a = 1, %}{{ a }}
{% set a, = [7] %}
{% if x %}a{% elif e %}b{% elif nums %}c{% else %}d{% endif %} {% if none %}{% else %}e{% endif %} {% if 0 or [] or {} or '' or 0.0 or () %}t{% else %}f{% endif %}
{% if x is defined and x.y %}a{% else %}b{% endif %} {% if d.q is defined and d.q.r is defined %}a{% else %}b{% endif %} {% if d.q and d.q.r %}a{% else %}b{% endif %}
{% if true %}{% set inner = 5 %}{% endif %}{{ inner }} {% if false %}{% set other = 5 %}{% endif %}{{ other is defined }}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}| {% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }} {% with %}{% set z = 3 %}{{ z }}{% endwith %}{{ z }}
{% macro m(a, b='B', c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m(b=5, a=4) }}{{ m() }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }} {% macro k(a) %}{{ a }}{{ varargs|length }}{% endmacro %}{{ k(1, 2, 3) }}
{% macro m(x) %}{% if x > 0 %}{{ x }},{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(5) }}
{% macro outer() %}<{{ caller() }}>{% endmacro %}{% call outer() %}body{% endcall %} {% macro each(xs) %}{% for x in xs %}{{ caller(x) }};{% endfor %}{% endmacro %}{% call(x) each([1, 2]) %}{{ x * 10 }}{% endcall %} {% macro opt() %}{{ caller() if caller else 'none' }}{% endmacro %}{{ opt() }}
{% set g = 1 %}{% macro m() %}{{ g }}{% set g = 7 %}{{ g }}{% endmacro %}{{ m() }}{{ g }}{% set g = 2 %}{{ m() }}
{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %} {{ m is defined }}
{% macro m() %}  spaced  {% endmacro %}[{{ m()|trim }}] {{ m().strip() }} {{ m()|length }} {{ m.name }}
{% filter upper %}a{{ 'b' }}{% for i in [1, 2] %}c{% endfor %}{% endfilter %} {% filter replace('a', 'b')|upper %}aa{% endfilter %} {% filter indent(2) %}x\ny{% endfilter %}
{% raw %}{{ not }} {% this %}{# nor #}{% endraw %}! {%- raw -%} {{ a }} {%- endraw -%} !
{# comment #}a{# multi
line #}b {#- strip -#} c
{% print 1 + 1 %} {% print 'a', 'b' %}
{% do 1 %}
a {%- if true -%} b {%- endif -%} c {{- 'd' -}} e
a {%+ if true %} b {%+ endif +%} c
  {% if true %}
x
  {% endif %}
	{# c #}
y
  {{ 1 }}
  {%+ if true +%}
z
{% endif %}
{% for i in [1, 2] %}
  - {{ i }}
{% endfor %}
end
{%- for i in [1, 2] -%}
  - {{ i }}
{%- endfor -%}
end
{% set a = 1 -%}
   b
{%- set a = 2 %}
c
{{ 'a' 'b' "c" }} {{ 'a\
b' }} {{ '\x41\u00e9\U0001f642\101\q\a' == 'A' }} {{ 'tab\there' }} {{ "q\"q" }} {{ '\N{BULLET}' }} {{ 'é\é' }}
{{ [1, 2,] }} {{ {'a': 1,} }} {{ (1, 2,) }} {{ m(1,) if false else 'k' }} {{ {'a': {'b': {}}} }}
{{ cycler('a', 'b').next() }}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('|') %}{% for i in nums %}{{ j() }}{{ i }}{% endfor %}
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%A %B %j %p %I %y %a %%') }} {{ strftime_now('%-d %e %U %W %w %u %x %X %c %Z|%z|%f') }}
{{ True }} {{ False }} {{ None }} {{ true is true }} {{ none }}
{{ loop }}| {{ caller is defined }}
{{ l|map(attribute='n') is iterable }} {{ l|map(attribute='n') is sequence }} {% set gen = l|map(attribute='n') %}{{ gen|list }}{{ gen|list }} {{ 'p' in l|map(attribute='n') }}
{{ nums|list is sameas nums }} {{ ''.__class__ }}| {{ d._x }}| {{ l.append }}|
{{ d.items()|first }} {{ d.keys()|join(',') }} {{ d.keys()|sort }} {{ (d.keys()|list)[0] }} {{ d.values()|map('string')|list }}
{{ (1.5).is_integer() }} {{ 2.0.is_integer() }} {{ nums.index(2) }} {{ nums.count(2) }} {{ (1, 2).index(2) }} {{ d.copy() == d }}
{% set m = msgs[1] %}{% if m.content is string %}s{% else %}{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% elif c['type'] == 'image' %}<img>{% endif %}{% endfor %}{% endif %}
{% for m in msgs %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m.content is string %}{{ m.content }}{% elif m.content is iterable %}{{ m.content|selectattr('type', 'equalto', 'text')|map(attribute='text')|join(' ') }}{% endif %}{{ '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
{% for m in msgs %}{% if m.content is string and '</think>' in m.content %}{{ m.content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}|{{ m.content.split('</think>')[-1].lstrip('\n') }}{% endif %}{% endfor %}
{% for m in msgs if m.role != 'system' %}{{ loop.index0 }}{% if loop.index0 % 2 == 0 %}u{% else %}a{% endif %}{% if loop.last and m.role == 'user' %}!{% endif %}{% endfor %}
{% if msgs[0]['role'] == 'system' %}{% set loop_messages = msgs[1:] %}{% set system_message = msgs[0]['content'] %}{% else %}{% set loop_messages = msgs %}{% set system_message = false %}{% endif %}{{ bos_token }}{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message.role %}{% else %}{% set content = message['role'] %}{% endif %}{{ content.strip() + ' ' + eos_token }}{% endfor %}
{% for m in msgs %}{% if m.tool_calls %}{% for tc in m.tool_calls %}{{ '\n<tool_call>\n' + '{"name": "' + tc.function.name + '", "arguments": ' + (tc.function.arguments|tojson) + '}\n</tool_call>' }}{% for k, v in tc.function.arguments|items %}<{{ k }}={{ v if v is string else v|tojson }}>{% endfor %}{% endfor %}{% endif %}{% endfor %}
{%- macro render(s, depth) -%}{%- if s.type == 'object' -%}{ {%- for k, v in s.properties.items() -%}{{ k }}{{ '' if k in s.required else '?' }}: {{ render(v, depth + 1) }}{{ ', ' if not loop.last }}{%- endfor -%} }{%- elif s.type == 'array' -%}{{ render(s['items'], depth) }}[]{%- elif s.enum -%}{{ s.enum|map('tojson')|join(' | ') }}{%- elif s.type is iterable and s.type is not string -%}{{ s.type|join(' | ') }}{%- else -%}{{ s.type }}{%- endif -%}{%- endmacro -%}{{ render(schema, 0) }}
{% set ns = namespace(is_first=false, is_tool=false, system_prompt='') %}{%- for message in msgs %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}{%- for message in msgs %}{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls'] %}{%- if not ns.is_first %}{{ '<|tool|>' + tool['function']['name'] }}{%- set ns.is_first = true -%}{%- endif %}{%- endfor %}{%- endif %}{%- endfor -%}{{ ns.is_first }}
{%- set ns = namespace(last_query_index=msgs|length - 1) %}{%- for message in msgs[::-1] %}{%- set index = (msgs|length - 1) - loop.index0 %}{%- if message.role == "user" %}{%- set ns.last_query_index = index %}{%- endif %}{%- endfor %}{{ ns.last_query_index }}
{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{%- else %}on{%- endif %}{% if (msgs|selectattr('role', 'equalto', 'tool')|list|length) > 0 %} tools{% endif %}
{{ (msgs|last).content[:2] }} {{ msgs[-1].role == 'user' and msgs[-2]['role'] != 'user' }} {{ (msgs|map(attribute='role')|list)[:3]|join('>') }} {{ 'tool_calls' in msgs[2] }} {{ msgs[2].get('content') is none }} {{ msgs[1].content[0].text|default('') }}
{{ raise_exception('Conversation roles must alternate: ' ~ msgs[0].role) }}
{{ x.y }}
{{ d.q.r }}
{{ l[9].n }}
{{ d['q']['r'] }}
{{ n.x.y }}
{{ n.x }}|
{{ x() }}
{{ d.q() }}
{{ x + 1 }}
{{ 'a' + x }}
{{ x < 1 }}
{{ -x }}
{{ x['a'] }}
{{ x[0] }}
{{ [][0].a }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ 'a' - 1 }}
{{ [1] + 'a' }}
{{ 1 < 'a' }}
{{ 1 in 2 }}
{{ 1 in 'a' }}
{{ none|length }}
{{ 5|length }}
{{ l|map(attribute='n')|length }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 / 0 }}
{{ 'a'() }}
{{ none() }}
{% for i in 5 %}{% endfor %}
{% for i in none %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% set a, b = [1] %}
{{ x|tojson }}
{{ range|tojson }}
{{ 'abc'|nofilter }}
{{ 1 is notest }}
{% if false %}{{ 1|nofilter }}{% endif %}ok
{{ (1|nofilter) if false else 'ok' }}
{% nosuchtag %}
{% if true %}
{% for x in y %}{% endif %}
{% endif %}
{{ 1
{{ 1 }
{{ }}
{{ 1 + }}
{{ (1 }}
{{ [1 }}
{{ 1) }}
{{ 'abc }}
{{ 1 2 }}
{{ a b }}
{% if %}{% endif %}
{% for in x %}{% endfor %}
{% for x y %}{% endfor %}
{% set 1 = 2 %}
{% set x %}
{% set a.b = 1 %}
{% set none = 1 %}
{% macro m(a=1, b) %}{% endmacro %}
{% macro %}{% endmacro %}
{% break %}
{% for i in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{{ 1 is is 2 }}
{{ m(a=1, 2) }}
{{ $ }}
{# open
{% raw %}
{% raw %}x
{#
{% call 1 %}{% endcall %}
{{ 1 if 2 else }}
{% macro m(a) %}{{ a.b }}{% endmacro %}{{ m() }}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(b=2) }}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}
{{ loop(1) }}
{% for i in [1] %}{{ loop(i) }}{% endfor %}
{{ ''.__class__.__mro__ }}
{{ l.append(1) }}
{{ d.update({}) }}
{{ d.pop('k') }}
{% set ns = namespace(_x=1) %}
{% set ns = namespace() %}{% set ns._x = 1 %}
{{ range(1000000) }}
{{ range(0, 10, 0) }}
{{ nums|sort(attribute='x') }}
{{ [1, 'a']|sort }}
{{ ','.join([1]) }}
{{ 'abc'.split('') }}
{{ 'abc'.index('z') }}
{{ nums.index(99) }}
{{ '%d' % 'x' }}
{{ '%s %s' % 'x' }}
{{ '%s' % (1, 2) }}
{{ '{} {}'.format(1) }}
{{ '{x}'.format(y=1) }}
{{ 'abc'.nomethod() }}
{{ {[1]: 2} }}
{{ [[1]]|unique|list }}
{{ 'abc'[::0] }}
{{ s['a':] }}
{{ nums[1.5:] }}
{{ n[1:] }}
{{ pct[1:] }}
{{ d[1:] }}
{{ x[1:] }}
{{ (l|map(attribute='n'))[1:] }}
{{ ' a b  c '.split(none, 1) }} {{ ' a  b c '.rsplit(none, 1) }}
{{ nums|batch(2)|length }}
{{ nums|round }}
{{ 'x'|abs }}
{{ x|int }}
{{ 2.5|round(1, 'odd') }}
{{ l|selectattr|list }}
{{ l|map|list }}
{{ l|map('nofilter')|list }}
{{ l|select('notest')|list }}
{{ 1.5 * 'a' }}
{{ 'a' * 'b' }}
{{ [] - [] }}
{{ -'a' }}
{{ d < d }}
{{ 'x'.center() }}
{{ upper('x') }}
{{ dict(1) }}
{{ namespace(1) }}
{{ '%q' % 1 }}
{{ x.y is defined }}
{{ d|items|length }}
{{ l|items|list }}
""".strip("\n")


def cases():
    """One case per line; lines that do not start a new one ('{', 'a ', '  {%') belong to the case before."""
    blocks = []
    lines = SNIPS.split("\n")
    joined = {
        "{# comment #}a{# multi": 2,
        "  {% if true %}": 9,
        "{% for i in [1, 2] %}": 4,
        "{%- for i in [1, 2] -%}": 4,
        "{% set a = 1 -%}": 4,
        "{{ 'a' 'b' \"c\" }} {{ 'a\\": 2,
    }
    i = 0
    while i < len(lines):
        count = joined.get(lines[i], 1)
        blocks.append("\n".join(lines[i : i + count]))
        i += count
    blocks += ["a\r\nb\rc\n", "a\n\n", "{{ 1 }}\n", "\n{% if true %}\r\nx\r\n{% endif %}\n", "", "{{ '\r\n' }}|"]
    return blocks


class TemplateDict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)


class TemplateNamespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attrs = dict(*args, **kwargs)
        for name in attrs:
            TemplateNamespace._check_name(name)
        jinja2.utils.Namespace.__init__(self, attrs)

    def __setitem__(self, name, value):
        TemplateNamespace._check_name(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check_name(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(
                f"Chat templates cannot store underscore-prefixed attributes on a namespace, but got {name!r}. "
                "Please rename the attribute."
            )


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = datetime.datetime(2026, 11, 23, 9, 5, 7).strftime
    env.globals["dict"] = TemplateDict()
    env.globals["namespace"] = TemplateNamespace
    return env


def result(source):
    try:
        return environment().from_string(source).render(**CONTEXT)
    except Exception as error:
        return f"EXC {type(error).__name__} {error}"


if __name__ == "__main__":
    snips = [[source, result(source)] for source in cases()]
    with gzip.open(sys.argv[1], "wt", encoding="utf-8") as out:
        json.dump({"ctx": CONTEXT, "snips": snips}, out, ensure_ascii=False, indent=1)
    print(len(snips), "cases")
