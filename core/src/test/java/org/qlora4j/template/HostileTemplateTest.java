package org.qlora4j.template;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.TemplateError.Kind;

/**
 * Templates made to hang the program, to fill its memory or its stack, or to reach Java: all end in
 * a clear error.
 */
class HostileTemplateTest {
    private static @Nullable Throwable run(String source) {
        return catchThrowable(
                () -> ChatTemplate.of(source, "t").render(List.of(), null, false, Map.of()));
    }

    private static Kind kindOf(@Nullable Throwable thrown) {
        assertThat(thrown).isInstanceOf(FormatException.class);
        return ((TemplateError) requireNonNull(requireNonNull(thrown).getCause())).kind();
    }

    static Stream<String> exhausting() {
        String grow = "{% set ns = namespace(x=";
        return Stream.of(
                "{{ ''.rjust(4611686018427387904, '😀') }}",
                "{{ 'ab'.center(9223372036854775807, '😀') }}",
                "{{ '😀' * 4611686018427387904 }}",
                "{{ [1, 2] * 4611686018427387904 }}",
                "{{ ('x'*16000000)|map('upper')|list|length }}",
                "{{ ('x '*8000000).split()|length }}",
                "{{ ('x\n'*8000000).splitlines()|length }}",
                "{{ ('x'*16000000)|list|length }}",
                "{{ ('x'*16000000)|batch(2)|list|length }}",
                "{{ range(100000)|map('string')|map('center', 10000)|list|length }}",
                "{{ ['x'*16000000, 'y'*16000000, 'z'*16000000]|length }}",
                "{{ {1: 'x'*16000000, 2: 'y'*16000000, 3: 'z'*16000000}|length }}",
                grow
                        + "[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x, 'x' * 10000] %}{% endfor %}",
                grow
                        + "[]) %}{% for i in range(100000) %}{% set ns.x = ns.x + ['x' * 1000] %}{% endfor %}",
                grow
                        + "'a' * 100000) %}{% for i in range(100000) %}{% set y = ns.x|upper|title|trim('ab') %}{% endfor %}",
                "{% for i in range(100000) %}{{ ('ab'*8000000).count('ab'*4000000 ~ 'c') }}{% endfor %}",
                "{% for i in range(100000) %}{{ ('a'*8000000)|replace('a'*4000000 ~ 'b', '') }}{% endfor %}",
                "{% for i in range(100000) %}{{ ('b' ~ 'a'*4000000) in ('a'*8000000) }}{% endfor %}",
                "{% for i in range(100000) %}{{ ('a'*8000000).rfind('b' ~ 'a'*4000000) }}{% endfor %}",
                "{% for i in range(100000) %}{{ ('a'*8000000).isprintable() }}{% endfor %}",
                "{% for i in range(100000) %}{{ ('a'*8000000).isalnum() }}{{ ('a'*8000000).istitle() }}{% endfor %}",
                "{% for i in range(100000) %}{{ 10**4200 }}{% endfor %}",
                "{% for i in range(100000) %}{% set x = (10**4200)|string|int %}{% endfor %}",
                "{{ 'a' * 10**9 }}",
                "{{ 10**9 * 'a' }}",
                "{{ 'a' * 10**9 * 10**9 }}",
                "{{ [1] * 10**9 }}",
                "{{ (1,) * 10**8 }}",
                "{{ 'a'.center(10**9) }}",
                "{{ 'a'.ljust(10**9) }}",
                "{{ 'a'.zfill(10**9) }}",
                "{{ '\\t'.expandtabs(10**9) }}",
                "{{ 'a'|center(10**9) }}",
                "{{ 'a\\nb'|indent(10**9) }}",
                "{{ '%99999999d' % 1 }}",
                "{{ '{:99999999}'.format(1) }}",
                "{{ [1]|tojson(indent=10**9) }}",
                "{{ [1]|batch(10**9, 0)|list }}",
                "{{ [1]|slice(10**9)|list }}",
                "{{ 9**(9**9) }}",
                "{{ 10**100000 }}",
                "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
                "{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}",
                "{% for i in range(100000) %}{{ range(100000)|sum }}{% endfor %}",
                "{% for i in range(100000) %}{{ range(100000)|list|sort|length }}{% endfor %}",
                "{% for i in range(100000) %}{{ range(99999)|select('odd')|list|length }}{% endfor %}",
                "{% for i in range(100000) %}{{ 'a' * 10000 }}{% endfor %}",
                grow
                        + "'aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
                grow
                        + "'aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
                grow
                        + "'aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x|replace('a', 'aaaa') %}{% endfor %}",
                grow
                        + "'aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('', ns.x) %}{% endfor %}",
                grow
                        + "'aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x]|join(ns.x) %}{% endfor %}",
                grow + "[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
                grow
                        + "[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
                grow
                        + "[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
                grow
                        + "[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
                        + "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
                grow
                        + "[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
                        + "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x < ns.y }}",
                grow
                        + "(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}",
                grow
                        + "(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ ns.x in {} }}",
                grow
                        + "[1]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
                grow + "1) %}{% set ns.x = ns %}{{ ns }}",
                "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                "{% macro m() %}{% if true %}{% for i in [1] %}{{ m()|upper ~ 'x' }}{% endfor %}{% endif %}{% endmacro %}"
                        + "{{ m() }}",
                "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
                "{% macro m() %}{{ caller() }}{% endmacro %}{% macro r() %}{% call m() %}{{ r() }}{% endcall %}"
                        + "{% endmacro %}{{ r() }}",
                "{{ " + "(".repeat(5000) + "1" + ")".repeat(5000) + " }}",
                "{{ " + "[".repeat(5000) + "]".repeat(5000) + " }}",
                "{{ " + "{1:".repeat(5000) + "1" + "}".repeat(5000) + " }}",
                "{{ " + "not ".repeat(100000) + "1 }}",
                "{{ " + "-".repeat(100000) + "1 }}",
                "{{ 1" + " + 1".repeat(100000) + " }}",
                "{{ 1" + "|abs".repeat(100000) + " }}",
                "{{ messages" + ".x".repeat(100000) + " }}",
                "{{ messages" + "[0:]".repeat(100000) + " }}",
                "{{ 1" + " if 1 else 1".repeat(100000) + " }}",
                "{{ 1" + " or 1".repeat(100000) + " }}",
                "{% if 1 %}".repeat(5000) + "{% endif %}".repeat(5000),
                "{% for i in [1] %}".repeat(5000) + "{% endfor %}".repeat(5000));
    }

    @ParameterizedTest
    @MethodSource("exhausting")
    void exhaustingTemplate_endsInALimitWithinSeconds(String source) {
        @Nullable Throwable[] ended = new Throwable[1];
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(30),
                () -> {
                    ended[0] = run(source);
                });
        @Nullable Throwable thrown = ended[0];
        assertThat(kindOf(thrown)).as(String.valueOf(thrown)).isEqualTo(Kind.LIMIT);
        assertThat(thrown).hasMessageMatching("t:\\d+:\\d+: LimitError: .+");
    }

    /**
     * The depth bounds must hold on a thread's usual stack, with room to spare: here it is half as
     * large.
     */
    @Test
    void deepestAllowedNesting_fitsASmallStack() throws InterruptedException {
        String template =
                "{% macro m(n) %}{% for i in [1] %}{% if n > 0 %}{{ ((m(n - 1))|upper ~ 'x')|lower }}{% endif %}"
                        + "{% endfor %}{% endmacro %}{{ m(10000) }}";
        String nested = "{{ " + "(".repeat(90) + "1" + ")".repeat(90) + " }}";
        String[] text = new String[1];
        @Nullable Throwable[] thrown = new Throwable[1];
        Runnable both =
                () -> {
                    text[0] = ChatTemplate.of(nested, "t").renderVariables(Map.of());
                    thrown[0] = run(template);
                };
        Thread thread = new Thread(null, both, "small", 512 << 10);
        thread.start();
        thread.join();
        assertThat(text[0]).isEqualTo("1");
        assertThat(thrown[0])
                .hasMessageContaining("nested more than " + Budget.MAX_DEPTH + " deep");
    }

    @Test
    void javaAndPythonInternals_areOutOfReach() {
        for (String source :
                List.of(
                        "{{ ''.getClass() }}",
                        "{{ ''['class'].forName('java.lang.Runtime') }}",
                        "{{ messages.stream() }}",
                        "{{ [].__class__.__base__.__subclasses__() }}",
                        "{{ range.__globals__['os'] }}",
                        "{{ raise_exception.__init__.__globals__ }}",
                        "{{ '{0.__class__.__mro__}'.format(1) }}",
                        "{{ ''|attr('__class__')|attr('__mro__')|list }}",
                        "{{ messages.append(1) }}",
                        "{{ messages.clear() }}",
                        "{{ {}.update(a=1) }}")) {
            assertThat(kindOf(run(source))).as(source).isIn(Kind.UNDEFINED, Kind.SECURITY);
        }
    }

    /** Whatever the text, there is a prompt or a one-line error, never another exception. */
    @Test
    void randomTemplates_neverBreakTheRenderer() {
        String[] parts = {
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "-",
            "+",
            " ",
            "\n",
            "if",
            "for",
            "in",
            "else",
            "endif",
            "endfor",
            "set",
            "endset",
            "macro",
            "endmacro",
            "m",
            "x",
            "messages",
            "loop",
            "1",
            "0",
            "-1",
            "2.5",
            "'a'",
            "\"",
            "'",
            "\\",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            ".",
            "|",
            "~",
            "*",
            "**",
            "/",
            "//",
            "%",
            "==",
            "<",
            "=",
            "not",
            "is",
            "and",
            "or",
            "none",
            "true",
            "upper",
            "list",
            "join",
            "map",
            "sort",
            "tojson",
            "length",
            "first",
            "slice",
            "batch",
            "round",
            "int",
            "items",
            "format",
            "range",
            "namespace",
            "dict",
            "cycle",
            "index",
            "é🙂",
            "raw",
            "endraw",
            "call",
            "endcall",
            "filter",
            "endfilter",
            "with",
            "endwith",
            "break",
            "defined",
            "split"
        };
        long seed = 20261123;
        Random random = new Random(seed);
        for (int i = 0; i < 10_000; i++) {
            StringBuilder source = new StringBuilder(random.nextBoolean() ? "{{ " : "{% ");
            int count = 1 + random.nextInt(12);
            for (int part = 0; part < count; part++) {
                source.append(parts[random.nextInt(parts.length)])
                        .append(random.nextInt(3) == 0 ? "" : " ");
            }
            source.append(random.nextBoolean() ? "}}" : "%}");
            @Nullable Throwable thrown = run(source.toString());
            if (thrown != null) {
                assertThat(thrown)
                        .as("seed %d, template %d: %s", seed, i, source)
                        .isInstanceOf(FormatException.class)
                        .hasMessageNotContaining("\n");
            }
        }
    }

    /** Right values: Jinja2 3.1.6 in the sandbox of transformers, Python 3.12. */
    @Test
    void longWork_thatFitsTheBudget_givesWhatPythonGives() {
        assertThat(rendered("{{ " + "9".repeat(3000) + " }}")).isEqualTo("9".repeat(3000));
        assertThat(rendered("{{ " + "1_0".repeat(1400) + ".5 }}")).isEqualTo("inf");
        assertThat(rendered("{{ ('ß'*2000000)|upper|length }}")).isEqualTo("4000000");
        assertThat(rendered("{{ ('a b  c'*3).rsplit(None, 2) }}"))
                .isEqualTo("['a b  ca b  ca', 'b', 'c']");
        assertThat(
                        rendered(
                                "{{ ('a'*40 ~ 'b')*3 }}"
                                        .replace(
                                                " }}",
                                                ").rsplit('a'*39 ~ 'b', 1)|map('length')|list }}")
                                        .replace("{{ ", "{{ (")))
                .isEqualTo("[83, 0]");
        assertThat(rendered("{{ '%c%c' % (97, 128512) }}")).isEqualTo("a😀");
    }

    @Test
    void codeOutsideUnicode_isPythonsError() {
        for (String source :
                List.of("{{ '%c' % -1 }}", "{{ '%c' % 1114112 }}", "{{ '{:c}'.format(-1) }}")) {
            assertThat(run(source)).hasMessageContaining("%c arg not in range(0x110000)");
        }
    }

    @Test
    void interruptedThread_endsTheRendering() {
        Thread.currentThread().interrupt();
        try {
            assertThat(kindOf(run("{% for i in range(100000) %}{% endfor %}")))
                    .isEqualTo(Kind.LIMIT);
        } finally {
            assertThat(Thread.interrupted()).isTrue();
        }
    }

    private static String rendered(String source) {
        return ChatTemplate.of(source, "t").renderVariables(Map.of());
    }
}
