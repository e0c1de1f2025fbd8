package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

/** What becomes of records whose text was once garbled or lost without a word. */
class TrainingTextTest {
    private static final String CHATML =
            "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
                    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    private final Tokenizer tokenizer = References.tokenizer("chatml");
    @TempDir Path folder;

    @AfterEach
    void close() {
        tokenizer.close();
    }

    private static Path file(String name) throws URISyntaxException {
        return Path.of(
                Objects.requireNonNull(TrainingTextTest.class.getResource("cases/" + name))
                        .toURI());
    }

    private TrainingSet load(Path data, String template, Object... settings) {
        List<Object> all =
                new ArrayList<>(List.of("dataset", data.toString(), "source_max_len", 4096));
        all.addAll(Arrays.asList(settings));
        return TrainingSet.load(
                References.settings(all.toArray()),
                tokenizer,
                References.CHATML,
                ChatRenderer.of(ChatTemplate.of(template, "template", true)));
    }

    private TrainingSet load(String lines, String template, Object... settings) {
        return load(Path.of(References.write(folder, lines)), template, settings);
    }

    /** What is learnt, a text for each stretch. */
    private List<String> learnt(TrainingSet set) {
        List<String> stretches = new ArrayList<>();
        for (Example example : set.examples()) {
            for (int from = example.labelled().nextSetBit(0), to;
                    from >= 0;
                    from = example.labelled().nextSetBit(to)) {
                to = example.labelled().nextClearBit(from);
                stretches.add(tokenizer.decode(Arrays.copyOfRange(example.ids(), from, to), false));
            }
        }
        return stretches;
    }

    private String text(TrainingSet set) {
        return tokenizer.decode(set.examples().getFirst().ids(), false);
    }

    /** Right values: what the samples' authors know of them, from transformers and TRL. */
    @ParameterizedTest(name = "{0} {1}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "01-chat.jsonl     | 01-own.jinja        | Blue.<END>",
                "01-think.jsonl    | 01-own.jinja        | Any will do.\\n</think>\\n\\nBlue.<END>",
                "02-chat.jsonl     | 02-tags.jinja       | Blue.<END>",
                "02-think.jsonl    | 02-tags2.jinja      | Blue.<END>",
                "03-null.jsonl     | 03-len.jinja        | a<END>",
                "03-empty.jsonl    | 03-len.jinja        | a<END>",
                "04-dolly.jsonl    |                     | Bronze.<END>",
                "04-table_system.jsonl |                 | Ahoy!<END>",
                "05-parts.jsonl    | 05-trim.jinja       | Blue.<END>",
                "05-parts.jsonl    | 05-onlystring.jinja | Blue.<END>",
                "05-parts.jsonl    |                     | Blue.<END>",
                "06-prompt.jsonl   |                     | Yo<END>",
                "06-chat.jsonl     |                     | Yo<END>",
                "08-human.jsonl    |                     | Yo<END>",
                "08-gpt.jsonl      |                     | Yo<END>&Yo<END>",
                "12-pc.jsonl       |                     | a<END>",
                "12-preference.jsonl |                   | a<END>",
                "15-weight.jsonl   |                     | a2<END>",
                "15-train.jsonl    |                     | a2<END>",
            })
    void sample_teachesTheRightWords(String data, String template, String expected)
            throws IOException, URISyntaxException {
        String written = template == null ? CHATML : Files.readString(file(template));
        assertThat(learnt(load(file(data), written)))
                .containsExactly(
                        expected.replace("\\n", "\n").replace("<END>", "<|im_end|>").split("&"));
    }

    /** Learnt by transformers: what {% generation %} tags mark, also where ours finds it alone. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("kinds")
    void kindOfTemplate_teachesWhatItsTagsMark(String name, JsonNode expected) {
        TrainingSet set =
                load(
                        "{\"messages\": " + expected.get("messages") + "}",
                        expected.get("template").asString());
        List<String> spans = new ArrayList<>();
        expected.get("learnt").forEach(span -> spans.add(span.asString()));
        assertThat(learnt(set)).isEqualTo(spans);
        assertThat(expected.get("text").asString().stripTrailing()).startsWith(text(set));
    }

    static Stream<Object[]> kinds() {
        return References.json("chat-kinds.json.gz")
                .valueStream()
                .map(c ->
                        new Object[] {
                            c.get("kind").asString() + ", " + c.get("chat").asString(), c
                        });
    }

    @Test
    void prefilledPrompt_isTold() throws IOException, URISyntaxException {
        TrainingSet set = load(file("01-chat.jsonl"), Files.readString(file("01-own.jinja")));
        assertThat(set.report(DataConfig.DEFAULT))
                .anyMatch(l -> l.startsWith("the chat template opens answers with \"<think>\\n\""));
        assertThat(
                        load(file("01-think.jsonl"), Files.readString(file("01-own.jinja")))
                                .stats()
                                .told())
                .isEmpty();
    }

    @Test
    void tableOfUnions_saysWhatItsRecordsSay() throws IOException, URISyntaxException {
        String template = Files.readString(file("03-calls.jinja"));
        TrainingSet table = load(file("03-tools.parquet"), template);
        TrainingSet lines = load(file("03-same.jsonl"), template);
        assertThat(learnt(table)).isEqualTo(learnt(lines)).hasSize(4);
        assertThat(learnt(table).getFirst())
                .isEqualTo(
                        "<call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Rom\"}}<|im_end|>");
        for (int i = 0; i < 2; i++) {
            assertThat(table.examples().get(i).ids()).isEqualTo(lines.examples().get(i).ids());
        }
    }

    @Test
    void nullThatItsWriterMeant_stays() {
        String call =
                """
                {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, \
                "tool_calls": [{"function": {"name": "f", "arguments": {"a": null}}}]}]}\
                """;
        String template =
                "{% for m in messages %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{% endfor %}"
                        + "{{ '<|im_end|>' }}{% endfor %}";
        assertThat(text(load(call, template))).contains("{\"a\": null}");
        // the same, written from a table: all messages have all fields
        String exported =
                call.replace("\"content\": \"a\"}", "\"content\": \"a\", \"tool_calls\": null}");
        assertThat(text(load(exported, template))).contains("{}");
    }

    @Test
    void contextAndSystem_areInThePrompt() throws URISyntaxException {
        assertThat(text(load(file("04-dolly.jsonl"), CHATML)))
                .contains(
                        "Which metal is named?\n\nThe bell was cast of bronze in 1702.<|im_end|>");
        assertThat(text(load(file("04-table_system.jsonl"), CHATML)))
                .startsWith("<|im_start|>system\nAnswer like a pirate.<|im_end|>");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"prompt\": \"q\", \"completion\": \"a\", \"system\": \"Be kind.\"} | system",
                "{\"text\": \"words\", \"context\": \"more words\"} | context",
                "{\"instruction\": \"q\", \"output\": \"a\", \"history\": [[\"q0\", \"a0\"]]} | history",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}], \"context\": {\"t\": 1}} | context",
                "{\"question\": \"q\", \"answer\": \"a\", \"input\": \"one\", \"context\": \"two\"} | context",
            })
    void columnThatIsNotUsed_isNamed(String line, String column) {
        assertThat(load(line, CHATML).report(DataConfig.DEFAULT))
                .anyMatch(l -> l.startsWith("the column " + column + " is not used"));
    }

    @Test
    void history_becomesTurns() {
        String line =
                "{\"instruction\": \"q2\", \"input\": \"\", \"output\": \"a2\", \"system\": \"s\", \"history\": [[\"q1\", \"a1\"]]}";
        TrainingSet set = load(line, CHATML, "chat_template", "chatml");
        assertThat(learnt(set)).containsExactly("a1<|im_end|>", "a2<|im_end|>");
        assertThat(text(set)).startsWith("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq1");
        assertThat(set.stats().told()).isEmpty();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"} | qa<END>",
                "{\"prompt\": \"q: \", \"chosen\": \"q: a\", \"rejected\": \"q: b\"} | q: a<END>",
                "{\"chosen\": \"\\n\\nHuman: q\\n\\nAssistant: a\"} | \\n\\nHuman: q\\n\\nAssistant: a<END>",
                "{\"question\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"} | <USER>q<END>\\n<BOT>a<END>",
                "{\"chosen\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}]} | <USER>q<END>\\n<BOT>a<END>",
                "{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], \"chosen\": [{\"role\": \"assistant\", \"content\": \"a\"}]} | <USER>q<END>\\n<BOT>a<END>",
                "{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], \"completion\": \"a\"} | <USER>q<END>\\n<BOT>a<END>",
            })
    void preference_isPromptAndChosen(String line, String expected) {
        assertThat(text(load(line, CHATML)))
                .isEqualTo(
                        expected.replace("\\n", "\n")
                                .replace("<END>", "<|im_end|>")
                                .replace("<USER>", "<|im_start|>user\n")
                                .replace("<BOT>", "<|im_start|>assistant\n"));
    }

    @Test
    void answersOfAConversationalPrompt_areNotLearnt() {
        String line =
                """
                {"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, \
                {"role": "user", "content": "q2"}], "completion": [{"role": "assistant", "content": "a2"}]}\
                """;
        assertThat(learnt(load(line, CHATML))).containsExactly("a2<|im_end|>");
    }

    @Test
    void contentOfParts_isJoinedUnlessTheTemplateGoesThroughIt() {
        String line =
                """
                {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, \
                {"role": "assistant", "content": "c"}]}\
                """;
        assertThat(text(load(line, CHATML))).startsWith("<|im_start|>user\na\nb<|im_end|>");
        String goes =
                "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}[{{ p.text }}]{% endfor %}"
                        + "{% endif %}<|im_end|>{% endfor %}";
        assertThat(text(load(line, goes))).startsWith("[a][b]<|im_end|>");
        String image =
                line.replace("{\"type\": \"text\", \"text\": \"b\"}", "{\"type\": \"image\"}");
        assertThatThrownBy(() -> load(image, CHATML))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("messages[0].content has a part of type image");
        assertThat(load(image, goes.replace("[{{ p.text }}]", "{{ p.text }}")).stats().told())
                .anyMatch(l -> l.contains("does not write parts of type image"));
    }

    @Test
    void partsThatTheTemplateDoesNotWrite_areNamed() throws URISyntaxException {
        assertThat(load(file("09-chat.jsonl"), CHATML).stats().told())
                .containsExactly(
                        "the chat template does not write tools, tool_calls (1 record, the first at line 1)");
        String thought =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\", \"reasoning_content\": \"hm\"}]}";
        assertThat(load(thought, CHATML).stats().told())
                .containsExactly(
                        "the chat template does not write reasoning_content (1 record, the first at line 1)");
        String silent = CHATML.replace("m.content +", "(m.content if m.role != 'tool' else '') +");
        String tool =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"tool\", \"content\": \"forty two\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}";
        assertThat(load(tool + "\n" + tool, silent).stats().told())
                .contains(
                        "the chat template leaves out words of messages of role tool (2 records, the first at line 1)");
    }

    /** A thought of any name reaches the template; one that it does not write is named as given. */
    @ParameterizedTest
    @ValueSource(strings = {"thinking", "reasoning", "reasoning_content"})
    void thoughtOfAnyName_isWrittenOrNamed(String name) {
        String line =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\", \"%s\": \"hm\"}]}"
                        .formatted(name);
        String template =
                CHATML.replace("m.content +", "(m.reasoning_content or '') + m.content +");
        assertThat(learnt(load(line, template))).containsExactly("hma<|im_end|>");
        assertThat(load(line, CHATML).stats().told())
                .containsExactly(
                        "the chat template does not write %s (1 record, the first at line 1)"
                                .formatted(name));
    }

    @Test
    void fileOfFaultsAlone_isRefusedWithTheFirst() {
        for (String line : List.of("{bad", "{\"foo\": 1}", "[1]")) {
            assertThatThrownBy(() -> load(line + "\n" + line, CHATML, "on_bad_data", "skip"))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("holds no record without a fault, of 2; the first: ")
                    .hasMessageContaining(":1");
        }
    }

    @Test
    void noncharacterOfAText_standsAsUnknownLetter() {
        String line =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\\ufdd0b\"}, {\"role\": \"assistant\", \"content\": \"c\\ufdd0\"}]}";
        assertThat(text(load(line, CHATML))).contains("a\ufffdb").contains("c\ufffd");
    }

    @Test
    void depthBeyondTheParsers_isToldWithoutItsSettings() {
        assertThatThrownBy(() -> load("{\"x\": " + "[".repeat(700) + "]".repeat(700) + "}", CHATML))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("stand in each other more than 500 deep")
                .hasMessageNotContaining("Constraints");
    }

    @Test
    void thoughtThatTheTemplateCutsOff_isNamed() {
        String template = CHATML.replace("m.content +", "m.content.split('</think>')[-1] +");
        String line =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"<think>hm</think>a\"}]}";
        assertThat(load(line, template).stats().told())
                .anyMatch(l -> l.contains("leaves out the thoughts that answers begin with"));
    }

    @Test
    void beginAndEnd_standOnceWhereTheTextHasThem() throws URISyntaxException {
        SpecialIds withBos = new SpecialIds(OptionalInt.of(1), 2, 2);
        for (String name : List.of("06-text.jsonl", "06-prompt.jsonl")) {
            TrainingSet set =
                    TrainingSet.load(
                            References.settings("dataset", file(name).toString()),
                            tokenizer,
                            withBos,
                            null);
            assertThat(text(set))
                    .isEqualTo(
                            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYo<|im_end|>");
        }
    }

    @Test
    void roles_areKnownByTheirUsualNamesAndBySettings() throws URISyntaxException {
        assertThat(text(load(file("08-human.jsonl"), CHATML))).startsWith("<|im_start|>user\nHi");
        TrainingSet calls =
                load(
                        file("08-tool_call.jsonl"),
                        CHATML.replace(
                                "m.content +",
                                "m.content + (m.tool_calls[0].function.name if m.tool_calls else '') +"));
        assertThat(learnt(calls)).containsExactly("f<|im_end|>", "One<|im_end|>");
        String line =
                "{\"messages\": [{\"role\": \"narrator\", \"content\": \"q\"}, {\"role\": \"bot\", \"content\": \"a\"}]}";
        assertThatThrownBy(() -> load(line, CHATML))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("narrator")
                .hasMessageContaining("data.roles");
        TrainingSet told = load(line, CHATML, "roles", Map.of("narrator", "user"));
        assertThat(text(told)).startsWith("<|im_start|>user\nq");
        assertThat(learnt(told)).containsExactly("a<|im_end|>");
        assertThat(
                        learnt(
                                load(
                                        line,
                                        CHATML,
                                        "roles",
                                        Map.of("narrator", "narrator"),
                                        "roles_to_train",
                                        List.of("bot"))))
                .containsExactly("a<|im_end|>");
    }

    @Test
    void recordOfWhichNothingIsLearnt_hasItsRolesNamed() {
        String lines =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}\n"
                        + "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"tool\", \"content\": \"b\"}]}";
        assertThat(load(lines, CHATML).report(DataConfig.DEFAULT))
                .anyMatch(l -> l.contains("user, tool alone") && l.contains("line 2"));
    }

    @Test
    void chatThatTheAssistantBegins_isLearnt() {
        String line =
                "{\"messages\": [{\"role\": \"assistant\", \"content\": \"Hello!\"}, {\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Well?\"}]}";
        assertThat(learnt(load(line, CHATML)))
                .containsExactly("Hello!<|im_end|>", "Well?<|im_end|>");
        String alternates =
                "{% if messages[0].role == 'assistant' %}{{ raise_exception('user first') }}{% endif %}"
                        + CHATML;
        assertThatThrownBy(() -> load(line, alternates)).hasMessageContaining("user first");
    }

    @Test
    void faultyRecords_areSkippedAndListedIfAsked() {
        String good =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}";
        String lines =
                String.join("\n", "{\"x\": 1}", good, "{broken", good, "{\"messages\": 4}", good);
        TrainingSet set = load(lines, CHATML, "on_bad_data", "skip");
        assertThat(set.examples()).extracting(Example::line).containsExactly(2, 4, 6);
        assertThat(set.stats().faults()).hasSize(3);
        assertThat(set.report(References.settings("on_bad_data", "skip")))
                .contains(
                        "3 records are left out because they have a fault (data.on_bad_data is skip)")
                .anyMatch(l ->
                        l.startsWith("left out: ") && l.contains("train.jsonl:1: the fields [x]"))
                .anyMatch(l -> l.startsWith("left out: ") && l.contains("train.jsonl:3:"))
                .anyMatch(l ->
                        l.startsWith("left out: ") && l.contains("train.jsonl:5: field messages"));
        assertThatThrownBy(() -> load(lines, CHATML)).isInstanceOf(FormatException.class);
    }

    @Test
    void variables_reachTheTemplateFromSettingsAndRecord() {
        String template =
                "{{ 'thinks ' if enable_thinking else 'silent ' }}{{ date_string }}{{ documents[0].text if documents }}"
                        + CHATML;
        String line =
                "{\"enable_thinking\": false, \"documents\": [{\"text\": \" paper \"}], \"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}";
        Map<String, Object> variables = new LinkedHashMap<>();
        variables.put("enable_thinking", true);
        variables.put("date_string", "today");
        assertThat(text(load(line, template, "chat_template_kwargs", variables)))
                .startsWith("silent today paper <|im_start|>");
        String other =
                line.replace(
                        "\"enable_thinking\": false",
                        "\"chat_template_kwargs\": {\"date_string\": \"then\"}");
        assertThat(text(load(other, template, "chat_template_kwargs", variables)))
                .startsWith("thinks then paper <|im_start|>");
    }

    @ParameterizedTest
    @CsvSource({
        "2, the number 2",
        "-1, the number -1",
        "0.5, the number 0.5",
        "1e400, the number Infinity",
        "\"half\", '\"half\"'",
        "[], a list"
    })
    void weightThatIsNeitherZeroNorOne_isRefused(String weight, String shown) {
        String line =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\", \"weight\": %s}]}"
                        .formatted(weight);
        assertThatThrownBy(() -> load(line, CHATML))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("messages[1].weight must be 0 or 1, got " + shown);
    }

    @Test
    void variableThatTheTemplateDoesNotUse_isNamed() {
        String chat =
                "\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}";
        assertThat(load("{\"documents\": [{\"text\": \"paper\"}], " + chat, CHATML).stats().told())
                .containsExactly(
                        "the chat template does not use documents (1 record, the first at line 1)");
        Map<String, Object> slip = Map.of("enable_thinkin", false);
        assertThat(load("{" + chat, CHATML, "chat_template_kwargs", slip).stats().told())
                .containsExactly(
                        "the chat template does not use enable_thinkin (1 record, the first at line 1)");
        String uses = "{% if enable_thinkin %}x{% endif %}" + CHATML;
        assertThat(load("{" + chat, uses, "chat_template_kwargs", slip).stats().told()).isEmpty();
    }

    @Test
    void columnsBesideQuestionAndAnswer_areNamed() {
        assertThat(
                        load(
                                        "{\"question\": \"q\", \"passage\": \"p\", \"answer\": \"a\", \"rationale\": \"r\"}",
                                        CHATML)
                                .report(DataConfig.DEFAULT))
                .anyMatch(
                        l -> l.endsWith("data.columns sets others; not used: passage, rationale)"));
        assertThat(
                        load("{\"prompt\": \"q\", \"completion\": \"a\", \"label\": false}", CHATML)
                                .stats()
                                .told())
                .anyMatch(l -> l.startsWith("the column label is not used"));
    }

    /** Calls, thoughts, tools and documents are words of people too. */
    @Test
    void controlTokensInsideOfCallsAndThoughts_areKeptLettersIfAsked() {
        String line =
                """
                {"tools": [{"function": {"name": "f", "description": "d<|im_end|>"}}], "messages": [{"role": "user", "content": "q"}, \
                {"role": "assistant", "content": "", "reasoning_content": "x<|im_end|>y", \
                "tool_calls": [{"function": {"name": "f", "arguments": {"a<|im_start|>": ["b<|im_end|>c"]}}}]}]}\
                """;
        String template =
                "{{ tools | tojson }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + (m.reasoning_content or '') + m.content }}"
                        + "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
                        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
        TrainingSet as = load(line, template);
        assertThat(as.stats().told())
                .anyMatch(l -> l.startsWith("messages hold control tokens such as <|im_end|>"));
        TrainingSet kept = load(line, template, "sanitize_control_tokens", true);
        int[] ids = kept.examples().getFirst().ids();
        assertThat(Arrays.stream(ids).filter(id -> id == 1).count()).isEqualTo(2);
        assertThat(Arrays.stream(ids).filter(id -> id == 2).count()).isEqualTo(2);
        assertThat(text(kept)).isEqualTo(text(as));
    }

    @Test
    void controlTokensOfPeople_areCountedAndKeptLettersIfAsked() {
        String line =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a<|im_end|>\\n<|im_start|>system\\nb\"}, {\"role\": \"assistant\", \"content\": \"c<|im_end|>\"}]}";
        TrainingSet as = load(line, CHATML);
        assertThat(as.stats().told())
                .anyMatch(l -> l.startsWith("messages hold control tokens such as <|im_end|>"));
        assertThat(Arrays.stream(as.examples().getFirst().ids()).filter(id -> id == 1).count())
                .isEqualTo(3);
        TrainingSet kept = load(line, CHATML, "sanitize_control_tokens", true);
        int[] ids = kept.examples().getFirst().ids();
        assertThat(Arrays.stream(ids).filter(id -> id == 1).count()).isEqualTo(2);
        assertThat(Arrays.stream(ids).filter(id -> id == 2).count()).isEqualTo(2);
        assertThat(text(kept)).isEqualTo(text(as));
        assertThat(learnt(kept)).containsExactly("c<|im_end|>");
        assertThat(kept.stats().roundTripsFailed()).isZero();
        TrainingSet pair =
                load(
                        "{\"prompt\": \"a<|im_start|>\", \"completion\": \"b<|im_end|>\"}",
                        CHATML,
                        "sanitize_control_tokens",
                        true);
        assertThat(Arrays.stream(pair.examples().getFirst().ids()).filter(id -> id <= 2).toArray())
                .containsExactly(2);
        assertThat(text(pair)).isEqualTo("a<|im_start|>b<|im_end|>");
    }
}
