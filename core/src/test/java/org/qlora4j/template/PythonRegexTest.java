package org.qlora4j.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;

/** Expected: what {@code re} of CPython 3.11 gives, and Jinja2 3.1.6 as the harness sets it. */
class PythonRegexTest {
    @Test
    void findAll_givesMatchesOrTheirGroups() {
        assertThat(PythonRegex.of("a.").findAll("ab ac\na\n"))
                .containsExactly(List.of("ab"), List.of("ac"));
        assertThat(PythonRegex.of("(-?[$0-9.,]{2,})|(-?[0-9]+)").findAll("x 7 $1,5"))
                .containsExactly(List.of("", "7"), List.of("$1,5", ""));
        assertThat(PythonRegex.of("(?P<l>[a-z])(?P=l)").findAll("aab bb"))
                .containsExactly(List.of("a"), List.of("b"));
        assertThat(PythonRegex.of("[][&&x]+").findAll("a[]&b")).containsExactly(List.of("[]&"));
        assertThat(PythonRegex.of("[^]]+").findAll("ab]c"))
                .containsExactly(List.of("ab"), List.of("c"));
        assertThat(PythonRegex.of("{\\s*([^}]*?)\\s*}").replace("a{ b }", "{\\1}", 0))
                .isEqualTo("a{b}");
        assertThat(PythonRegex.of("a{,2}b").findAll("aaab")).containsExactly(List.of("aab"));
        assertThat(PythonRegex.of("x\\Z").findAll("x\n")).isEmpty();
        assertThat(PythonRegex.of("x$").findAll("x\n")).containsExactly(List.of("x"));
    }

    @Test
    void replace_expandsGroups() {
        assertThat(PythonRegex.of("(\\w)x").replace("ax bx", "\\1\\g<1>ks\\n", 0))
                .isEqualTo("aaks\n bbks\n");
        assertThat(PythonRegex.of("x*").replace("abxd", "-", 0)).isEqualTo("-a-b--d-");
        assertThat(PythonRegex.of("a").replace("aaa", "$1", 2)).isEqualTo("$1$1a");
    }

    /** CPython searches these for ages too, or fills the memory. */
    @ParameterizedTest
    @ValueSource(strings = {"(a+)+$", "(a|aa|.)*$x", "((a|b)*)*c"})
    void searchWithoutEnd_isGivenUp(String regex) {
        PythonRegex searched = PythonRegex.of(regex);
        String text = "a".repeat(5000) + "!";
        for (Runnable search :
                List.<Runnable>of(
                        () -> searched.findAll(text + "?"),
                        () -> searched.split(text + "?"),
                        () -> searched.replace(text + "?", "", 0))) {
            assertThatThrownBy(search::run)
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("searches too long in a text of 5002 characters");
        }
    }

    @Test
    void soundSearchOfALongText_isDone() {
        assertThat(PythonRegex.of("\\s+").split("ab ".repeat(300_000))).hasSize(300_001);
        assertThat(PythonRegex.of("#### (-?[0-9.,]+)").findAll("x ".repeat(100_000) + "#### 42"))
                .containsExactly(List.of("42"));
    }

    @Test
    void replacementWithoutEnd_isGivenUp() {
        assertThatThrownBy(() -> PythonRegex.of("").replace("a".repeat(99), "b".repeat(1 << 20), 0))
                .hasMessageContaining("makes a text of more than 16777216 characters");
        assertThatThrownBy(() ->
                        PythonRegex.of("(a+)").replace("a".repeat(9999), "\\1".repeat(9999), 0))
                .hasMessageContaining("makes a text of more than");
        String loop =
                "{% for i in range(9999) %}{{ ('ab' * 1500) | regex_replace('[^x]*x', '') | length }}{% endfor %}";
        assertThatThrownBy(() -> TextTemplate.of(loop, "t").render(Map.of()))
                .hasMessageContaining("LimitError");
    }

    @Test
    void patternNestedTooDeep_isSaid() {
        assertThatThrownBy(() -> PythonRegex.of("(".repeat(9000) + ")".repeat(9000)))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("cannot be read");
        assertThatThrownBy(() -> PythonRegex.of("a".repeat(20_001)))
                .hasMessageContaining("longer than 20000 characters");
    }

    @Test
    void brokenPattern_isSaid() {
        assertThatThrownBy(() -> PythonRegex.of("(a"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("(a cannot be read");
    }

    @Test
    void textTemplate_trimsNothingAndKeepsTheLastLineEnd() {
        String text = "  {% if a %}\n{{ a }}\n  {% endif %}\n";
        assertThat(TextTemplate.of(text, "t").render(Map.of("a", "x"))).isEqualTo("  \nx\n  \n");
        assertThat(
                        TextTemplate.of("{{ a | regex_replace('b+', 'c', 1) }}", "t")
                                .render(Map.of("a", "abbab")))
                .isEqualTo("acab");
    }

    @Test
    void textTemplate_refusesWhatIsNotDefined() {
        for (String text :
                List.of(
                        "{{ b }}",
                        "{% if b %}{% endif %}",
                        "{{ b == 1 }}",
                        "{{ 'x' ~ b }}",
                        "{{ b | trim }}",
                        "{% for x in b %}{% endfor %}")) {
            assertThatThrownBy(() -> TextTemplate.of(text, "t").render(Map.of("a", 1)))
                    .as(text)
                    .hasMessageContaining("'b' is undefined");
        }
        assertThat(
                        TextTemplate.of("{{ b | default('d') }}{{ b is defined }}", "t")
                                .render(Map.of()))
                .isEqualTo("dFalse");
    }
}
