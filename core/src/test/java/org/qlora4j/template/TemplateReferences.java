package org.qlora4j.template;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.json.JsonMapper;

/** Files that tell what Jinja2 makes of templates, and how our answers are compared with them. */
public final class TemplateReferences {
    /** The time at which the references were made, as far as templates can tell. */
    static final Clock CLOCK = Clock.fixed(Instant.parse("2026-11-23T09:05:07Z"), ZoneOffset.UTC);

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private TemplateReferences() {}

    /** A small template and its result: the text, or {@code EXC Type message}. */
    record Snippet(String source, String expected) {
        @Override
        public String toString() { // names the test
            return source.isEmpty() ? "(empty)" : source.replace("\n", "\\n");
        }
    }

    /** A whole template and a chat. */
    record Rendering(String template, String chat, String expected) {
        @Override
        public String toString() {
            return template + "/" + chat;
        }
    }

    /** Reads a file by its name: of a folder, or of this module's test resources. */
    @FunctionalInterface
    public interface Reader {
        String read(String name);
    }

    static String resource(String name) {
        try (InputStream in =
                PackedJson.unpacked(
                        name,
                        requireNonNull(
                                TemplateReferences.class.getResourceAsStream(
                                        "/templates/" + name)))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static Reader folder(Path folder) {
        return name -> {
            try {
                return Files.readString(folder.resolve(name));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        };
    }

    @SuppressWarnings("unchecked")
    public static Map<String, Object> json(String text) {
        return JSON.readValue(text, LinkedHashMap.class);
    }

    @SuppressWarnings("unchecked")
    static List<Snippet> snippets(Map<String, Object> reference) {
        List<Snippet> snippets = new ArrayList<>();
        for (List<String> snippet : (List<List<String>>) requireNonNull(reference.get("snips"))) {
            snippets.add(new Snippet(snippet.get(0), snippet.get(1)));
        }
        return snippets;
    }

    @SuppressWarnings("unchecked")
    static List<Rendering> renderings(Map<String, Object> reference) {
        List<Rendering> renderings = new ArrayList<>();
        ((Map<String, String>) requireNonNull(reference.get("out")))
                .forEach((name, expected) -> {
                    int slash = name.indexOf('/');
                    renderings.add(
                            new Rendering(
                                    name.substring(0, slash), name.substring(slash + 1), expected));
                });
        return renderings;
    }

    /** Renders a snippet and checks text, or type and message of the error. */
    @SuppressWarnings("unchecked")
    static void check(Snippet snippet, Map<String, Object> reference) {
        Map<String, Object> context = (Map<String, Object>) requireNonNull(reference.get("ctx"));
        String actual;
        try {
            actual =
                    ChatTemplate.of(snippet.source(), "snippet")
                            .withClock(CLOCK)
                            .renderVariables(context);
        } catch (FormatException e) {
            TemplateError error = (TemplateError) requireNonNull(e.getCause());
            assertThat(e.getMessage()).matches("snippet:\\d+:\\d+: .+").doesNotContain("\n");
            actual = "EXC " + error.kind().label() + " " + error.detail();
        }
        assertThat(actual).isEqualTo(expected(snippet));
    }

    /**
     * Where Python's own words are no model: its compiler's, and those of functions written in C.
     */
    private static String expected(Snippet snippet) {
        String expected = snippet.expected();
        if (expected.startsWith("EXC SyntaxError")) {
            return expected.replaceFirst("SyntaxError", "TemplateSyntaxError")
                    .replaceFirst(" \\(<template>.*", "");
        }
        return expected.equals("EXC TypeError center expected at least 1 argument, got 0")
                ? "EXC TypeError center() missing required argument: 'width'"
                : expected;
    }

    /** Renders a whole template and checks the prompt, or the template's own words of refusal. */
    @SuppressWarnings("unchecked")
    static void check(Rendering rendering, Reader files) {
        Map<String, Object> chat =
                (Map<String, Object>)
                        requireNonNull(json(files.read("cases.json")).get(rendering.chat()));
        List<Map<String, Object>> messages =
                (List<Map<String, Object>>) requireNonNull(chat.get("messages"));
        @Nullable List<?> tools = (List<?>) chat.get("tools");
        String file = rendering.template() + ".jinja";
        ChatTemplate template =
                ChatTemplate.of(files.read(file), file)
                        .withTokens(Map.of("bos_token", "<s>", "eos_token", "</s>"))
                        .withClock(CLOCK);
        String actual;
        try {
            actual =
                    template.render(
                            messages,
                            tools,
                            Boolean.TRUE.equals(chat.get("add_generation_prompt")),
                            Map.of());
        } catch (FormatException e) {
            TemplateError error = (TemplateError) requireNonNull(e.getCause());
            assertThat(error.kind()).isEqualTo(TemplateError.Kind.RAISED);
            assertThat(e.getMessage()).startsWith(file + ":").contains(error.detail());
            actual = "EXC " + error.detail();
        }
        assertThat(actual).isEqualTo(rendering.expected());
    }
}
