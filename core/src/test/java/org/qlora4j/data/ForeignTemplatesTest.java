package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Plain chats by the templates of llama.cpp and TRL, beside what transformers makes of them; where
 * {@code make_template_spans.py} has written that ({@code -Dqlora.templates=OUT.json}).
 */
class ForeignTemplatesTest {
    private static final Map<String, String> VARIABLES =
            Map.of(
                    "bos_token", "<s>",
                    "eos_token", "</s>",
                    "unk_token", "<unk>",
                    "pad_token", "<pad>",
                    "date_string", "26 Jul 2024");

    @TempDir Path folder;

    @Test
    void plainChats_areAcceptedAndMarkedAsByTransformers() throws IOException {
        String cases = System.getProperty("qlora.templates", "");
        assumeTrue(!cases.isEmpty(), "no cases of foreign templates (-Dqlora.templates)");
        List<String> faults = new ArrayList<>();
        try (Tokenizer tokenizer = References.tokenizer("chatml")) {
            for (JsonNode one : JsonMapper.shared().readTree(Files.readString(Path.of(cases)))) {
                String name = one.get("template").asString() + ", " + one.get("chat").asString();
                try {
                    check(one, name, tokenizer, faults);
                } catch (RuntimeException e) {
                    if (one.has("text")) {
                        faults.add(name + ": " + e.getMessage());
                    }
                }
            }
        }
        assertThat(faults).isEmpty();
    }

    private void check(JsonNode one, String name, Tokenizer tokenizer, List<String> faults)
            throws IOException {
        String source = Files.readString(Path.of(one.get("template").asString()));
        ChatRenderer template =
                ChatRenderer.of(ChatTemplate.of(source, name, true).withTokens(VARIABLES));
        String line = "{\"messages\": " + one.get("messages") + "}";
        TrainingSet set =
                TrainingSet.load(
                        References.settings(
                                "dataset",
                                References.write(folder, line),
                                "source_max_len",
                                100000),
                        tokenizer,
                        new SpecialIds(OptionalInt.empty(), 2, 2),
                        template);
        Row row = new Row("f", 1, Map.of("messages", messages(one)));
        Chat chat = new ChatReader(Map.of()).chat(row, "messages");
        String text = template.render(chat, false).text();
        if (!one.has("text") || !text.equals(one.get("text").asString())) {
            faults.add(name + ": another text");
        }
        if (one.has("spans")) {
            StringBuilder spans = new StringBuilder();
            one.get("spans").forEach(span -> spans.append(span.asString().stripTrailing()));
            StringBuilder learnt = new StringBuilder();
            set.examples().forEach(example -> learnt.append(learnt(example, tokenizer)));
            // line feeds behind an end token are not learnt
            if (!withoutSpace(learnt).equals(withoutSpace(spans))) {
                faults.add(name + ": learnt " + learnt + " instead of " + spans);
            }
        }
    }

    private static String withoutSpace(StringBuilder text) {
        return text.toString().replaceAll("\\s", "");
    }

    private static List<Object> messages(JsonNode one) {
        List<Object> messages = new ArrayList<>();
        one.get("messages")
                .forEach(m ->
                        messages.add(
                                Map.of(
                                        "role",
                                        m.get("role").asString(),
                                        "content",
                                        m.get("content").asString())));
        return messages;
    }

    /** What is learnt, each stretch without white space behind it. */
    private static String learnt(Example example, Tokenizer tokenizer) {
        StringBuilder all = new StringBuilder();
        for (int from = example.labelled().nextSetBit(0), to;
                from >= 0;
                from = example.labelled().nextSetBit(to)) {
            to = example.labelled().nextClearBit(from);
            int[] ids = Arrays.copyOfRange(example.ids(), from, to);
            all.append(tokenizer.decode(ids, false).stripTrailing());
        }
        return all.toString();
    }
}
