package org.qlora4j.template;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.qlora4j.testing.FuzzChild;
import org.qlora4j.testing.Mutation;

/** Mutated chat templates, each rendered for a chat with tools. */
final class TemplateFuzz {
    private static final List<String> PIECES =
            List.of(
                    "{{",
                    "}}",
                    "{%",
                    "%}",
                    "{#",
                    "#}",
                    "{%- for i in range(99999999) %}",
                    "{% endfor %}",
                    "{% if true %}",
                    "{% else %}",
                    "{% endif %}",
                    "{% macro m(a) %}{{ m(a) }}{% endmacro %}{{ m(1) }}",
                    "{% set ns = namespace(x=[]) %}",
                    "{% set ns.x = ns.x + [ns.x] %}",
                    "messages",
                    "loop.index0",
                    "|upper",
                    "|tojson(indent=4)",
                    "|list|string",
                    "|map('upper')|list",
                    "|join('x' * 999999)",
                    "|replace('', 'x')",
                    "|batch(1)",
                    "|sort(reverse=true)",
                    ".split('')",
                    ".rjust(4611686018427387904, 'x')",
                    "'x' * 1000000000",
                    "10 ** 99999",
                    "-1",
                    "9999999999999999999",
                    "1e999",
                    "[:-1]",
                    "[::0]",
                    "[9]",
                    "['content']",
                    ".items()",
                    "is defined",
                    "is not none",
                    "raise_exception('x')",
                    "strftime_now('%Y%f%%%q')",
                    "'%99999999d' % 1",
                    "'{:>99999999}'.format(1)",
                    "((((((((((",
                    "))))))))))",
                    "not ",
                    "~",
                    "%",
                    "//0",
                    "[[[[[[[[[[",
                    "\u0000",
                    "\ud83d\ude00",
                    "\ud800",
                    "'\\ud800'",
                    "\n",
                    "\"",
                    "'",
                    "{% generation %}",
                    "{% endgeneration %}",
                    "{% break %}",
                    "{% continue %}",
                    "{% raw %}",
                    "{% include 'x' %}",
                    "lipsum()");

    private static final List<Map<String, Object>> MESSAGES =
            List.of(
                    Map.of("role", "system", "content", "be kind"),
                    Map.of("role", "user", "content", "Hi <there>\n"),
                    Map.of(
                            "role",
                            "assistant",
                            "content",
                            "",
                            "tool_calls",
                            List.of(
                                    Map.of(
                                            "type",
                                            "function",
                                            "function",
                                            Map.of("name", "f", "arguments", Map.of("a", 1.5))))),
                    Map.of("role", "tool", "content", "[1]"));

    private TemplateFuzz() {}

    public static void main(String[] arguments) throws IOException {
        List<String> sound = new ArrayList<>();
        for (String name : List.of("llama31.jinja", "mistral.jinja")) {
            try (InputStream in =
                    Objects.requireNonNull(
                            TemplateFuzz.class.getResourceAsStream("/templates/" + name))) {
                sound.add(new String(in.readAllBytes(), StandardCharsets.UTF_8));
            }
        }
        sound.add(
                "{% for m in messages %}<|{{ m.role }}|>{{ m['content']|trim }}{% if not loop.last %}\n{% endif %}{% endfor %}"
                        + "{% if add_generation_prompt %}<|assistant|>{% endif %}");
        FuzzChild.main(arguments, seed -> trial(new Random(seed), sound));
    }

    private static void trial(Random random, List<String> sound) {
        String source = Mutation.text(Mutation.one(sound, random), PIECES, random);
        ChatTemplate.of(source, "template")
                .render(
                        MESSAGES,
                        List.of(Map.of("type", "function")),
                        random.nextBoolean(),
                        Map.of());
    }
}
