package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

class ChatEncoderTest {
    private static final String TWO_TURNS =
            """
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "one"}, \
            {"role": "user", "content": "b"}, {"role": "assistant", "content": "two"}]}\
            """;

    private static Tokenizer chatml;
    private static Tokenizer llama;
    @TempDir Path folder;

    @BeforeAll
    static void open() {
        chatml = References.tokenizer("chatml");
        llama = References.tokenizer("llama");
    }

    @AfterAll
    static void close() {
        chatml.close();
        llama.close();
    }

    private TrainingSet load(ChatRenderer template, int limit, String... lines) {
        DataConfig config =
                References.config(
                        References.write(folder, lines), DatasetFormat.AUTO, limit - 1, 1);
        return TrainingSet.load(config, chatml, References.CHATML, template);
    }

    /** What is learnt of an example, as text. */
    private static String learnt(Example example, Tokenizer tokenizer) {
        int[] ids = example.labelled().stream().map(t -> example.ids()[t]).toArray();
        return tokenizer.decode(ids, false);
    }

    static Stream<JsonNode> chats() {
        return References.json("chats.json").valueStream();
    }

    @ParameterizedTest
    @MethodSource("chats")
    void chatml_masksAsTransformersDoes(JsonNode expected) {
        TrainingSet set =
                load(
                        References.CHATML_TEMPLATE,
                        1000,
                        "{\"messages\": " + expected.get("messages") + "}");
        assertThat(set.examples()).hasSize(1);
        Example example = set.examples().getFirst();
        assertThat(example.ids()).isEqualTo(References.ints(expected.get("input_ids")));
        int[] mask = References.ints(expected.get("assistant_mask"));
        assertThat(example.labelled().stream().toArray())
                .isEqualTo(IntStream.range(0, mask.length).filter(t -> mask[t] == 1).toArray());
    }

    @Test
    void answerBeginningWithSpace_isTokenizedApartFromItsPrompt() {
        TrainingSet set =
                load(
                        References.CHATML_TEMPLATE,
                        1000,
                        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"\\n b\"}]}");
        assertThat(learnt(set.examples().getFirst(), chatml)).isEqualTo("\n b<|im_end|>");
    }

    @Test
    void sentencePieceTurns_getNoSpaceOfTheirOwn() {
        ChatRenderer template =
                (messages, tools, prompt) -> {
                    StringBuilder text = new StringBuilder("<s>");
                    for (Map<String, Object> m : messages) {
                        boolean user = "user".equals(m.get("role"));
                        text.append(
                                (user ? "[INST]%s[/INST]" : "%s</s>").formatted(m.get("content")));
                    }
                    return text.toString();
                };
        DataConfig config =
                References.config(
                        References.write(folder, TWO_TURNS), DatasetFormat.AUTO, 500, 500);
        Example example =
                TrainingSet.load(config, llama, References.LLAMA, template).examples().getFirst();
        String text = "<s>[INST]a[/INST]one</s>[INST]b[/INST]two</s>";
        assertThat(llama.decode(example.ids(), false)).isEqualTo(text);
        assertThat(example.ids()).isEqualTo(llama.encode(text));
        assertThat(learnt(example, llama)).isEqualTo("one</s>two</s>");
    }

    @Test
    void templateThatRewritesEarlierTurns_givesOneExampleATurn() {
        // Like Qwen3: only the last answer keeps its thought.
        ChatRenderer template =
                (messages, tools, prompt) -> {
                    List<Map<String, Object>> written = new ArrayList<>();
                    for (int i = 0; i < messages.size(); i++) {
                        Map<String, Object> m = messages.get(i);
                        boolean last =
                                i == messages.size() - 1 && "assistant".equals(m.get("role"));
                        written.add(
                                Map.of(
                                        "role",
                                        m.get("role"),
                                        "content",
                                        (last ? "<think>" : "") + m.get("content")));
                    }
                    return References.CHATML_TEMPLATE.render(written, null, prompt);
                };
        TrainingSet set = load(template, 1000, TWO_TURNS);
        assertThat(set.examples())
                .extracting(e -> learnt(e, chatml))
                .containsExactly("<think>one<|im_end|>", "<think>two<|im_end|>");
        assertThat(chatml.decode(set.examples().get(1).ids(), false))
                .isEqualTo(
                        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\none<|im_end|>\n"
                                + "<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n<think>two<|im_end|>");
        assertThat(set.stats().split()).isEqualTo(1);
        assertThat(set.stats().report(DataConfig.DEFAULT))
                .anyMatch(l -> l.contains("rewrites earlier turns"));
    }

    @Test
    void templateWithoutEndOfTurnToken_getsTheEndOfTextBehindTheLastTurn() {
        ChatRenderer template =
                (messages, tools, prompt) -> {
                    StringBuilder text = new StringBuilder();
                    messages.forEach(m ->
                            text.append(m.get("role"))
                                    .append(": ")
                                    .append(m.get("content"))
                                    .append("\n\n"));
                    return text + (prompt ? "assistant: " : "");
                };
        assertThat(learnt(load(template, 1000, TWO_TURNS).examples().getFirst(), chatml))
                .isEqualTo("one\n\ntwo\n\n<|im_end|>");
    }

    @Test
    void templateThatRefuses_isNamedWithTheLine() {
        ChatRenderer template =
                (messages, tools, prompt) -> {
                    throw new FormatException("chat_template.jinja:3:7: roles must alternate");
                };
        assertThatThrownBy(() -> load(template, 1000, TWO_TURNS))
                .isInstanceOf(FormatException.class)
                .hasMessageEndingWith(
                        "train.jsonl:1: the chat template refuses the first 4 messages: chat_template.jinja:3:7: roles must alternate");
    }

    @Test
    void limit_cutsOnTheRightAndIsReported() {
        // <|im_start|> u s e r \n a <|im_end|> \n <|im_start|> … : the second answer lies behind
        // the limit.
        TrainingSet whole = load(References.CHATML_TEMPLATE, 1000, TWO_TURNS);
        Example example = whole.examples().getFirst();
        int limit = example.labelled().nextClearBit(example.labelled().nextSetBit(0)) - 1;
        TrainingSet cut =
                load(
                        References.CHATML_TEMPLATE,
                        limit,
                        TWO_TURNS,
                        "",
                        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}");
        Example cutExample = cut.examples().getFirst();
        assertThat(cutExample.ids()).isEqualTo(Arrays.copyOf(example.ids(), limit));
        assertThat(cutExample.truncated()).isTrue();
        assertThat(cutExample.fullLength()).isEqualTo(example.length());
        assertThat(learnt(cutExample, chatml)).isEqualTo("one");
        assertThat(cut.stats())
                .isEqualTo(
                        new DataStats(
                                2,
                                1,
                                limit,
                                cutExample.labelTokens(),
                                example.length(),
                                1,
                                "line 1",
                                1,
                                1,
                                "line 3",
                                0,
                                0,
                                1,
                                0,
                                "",
                                List.of(
                                        "nothing is learnt from messages of user alone; data.roles_to_train has assistant (1 record, the first at line 3)"),
                                List.of()));
        assertThat(cut.stats().report(DataConfig.DEFAULT))
                .anyMatch(l -> l.startsWith("1 examples are left out, the first at line 3"));
    }

    @Test
    void trainOnSource_learnsEveryToken() {
        DataConfig config =
                References.settings(
                        "dataset", References.write(folder, TWO_TURNS), "train_on_source", true);
        Example example =
                TrainingSet.load(config, chatml, References.CHATML, References.CHATML_TEMPLATE)
                        .examples()
                        .getFirst();
        assertThat(example.labelled().cardinality()).isEqualTo(example.length());
        assertThat(chatml.decode(example.ids(), false)).endsWith("two<|im_end|>\n");
    }

    @Test
    void weightZero_leavesTheAnswerOut_andToolsReachTheTemplate() {
        List<Object> seen = new ArrayList<>();
        ChatRenderer template =
                (messages, tools, prompt) -> {
                    seen.add(tools);
                    return References.CHATML_TEMPLATE.render(messages, null, prompt);
                };
        String line =
                TWO_TURNS
                        .replace("\"one\"", "\"one\", \"weight\": 0")
                        .replace("}]}", "}], \"tools\": [{\"name\": \"f\"}]}");
        assertThat(learnt(load(template, 1000, line).examples().getFirst(), chatml))
                .isEqualTo("two<|im_end|>");
        assertThat(seen).contains(List.of(Map.of("name", "f")));
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"messages\": \"hi\"}                     | field messages must be a list of {role, content}, got text",
                "{\"text\": \"hi\"}                         | field messages must be a list of {role, content}, got none; it has [text]",
                "{\"messages\": []}                         | field messages is an empty list",
                "{\"messages\": [\"hi\"]}                   | messages[0] must be an object {role, content}, got text",
                "{\"messages\": [{\"content\": \"hi\"}]}    | messages[0].role must be text such as \"user\", got none; it has [content]",
                "{\"messages\": [{\"role\": \"user\"}]}     | messages[0].content must be text, got none; it has [role]",
                "{\"messages\": [{\"role\": \"user\", \"content\": 4}]} | messages[0].content must be text, got the number 4",
                "{\"messages\": [{\"role\": \"narrator\", \"content\": \"hi\"}]} | messages[0].role must be human, gpt, system, tool, function_call or observation, got narrator",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"weight\": 0.5}]} | messages[0].weight must be 0 or 1, got the number 0.5",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"train\": \"maybe\"}]} | messages[0].train must be true or false, got",
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"tools\": \"f\"} | field tools must be a list, got text",
            })
    void malformedChat_namesLineAndMessage(String line, String expected) {
        assertThatThrownBy(() -> load(References.CHATML_TEMPLATE, 100, TWO_TURNS, line))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("train.jsonl:2: " + expected);
    }

    @Test
    void modelWithoutTemplate_isToldWhatToDo() {
        DataConfig config =
                References.config(References.write(folder, TWO_TURNS), DatasetFormat.AUTO, 9, 9);
        assertThatThrownBy(() -> TrainingSet.load(config, chatml, References.CHATML, null))
                .isInstanceOf(FormatException.class)
                .isNotInstanceOf(ConfigException.class)
                .hasMessageContaining(
                        "train.jsonl:1: records are chats, but the model has no chat template; name one with data.chat_template");
    }

    /** The part of DeepSeek-V3's template that writes a call: it joins texts. */
    private static final String JOINS_ARGUMENTS =
            """
            {%- for m in messages -%}
            {%- if m.role == 'user' -%}<|im_start|>{{ m.content }}<|im_end|>
            {%- elif m.tool_calls -%}
            {%- for tool in m.tool_calls -%}
            {{- tool['type'] + ' ' + tool['function']['name'] + '\n```json\n' + tool['function']['arguments'] + '\n```' -}}
            {%- endfor -%}<|im_end|>
            {%- else -%}{{ m.content }}<|im_end|>
            {%- endif -%}
            {%- endfor -%}\
            """;

    /** Expected texts: Jinja2 3.1.6 with the arguments given as text. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"city\": \"K\u00f6ln\", \"days\": [1, 2.5]}",
                "\"{\\\"city\\\": \\\"K\u00f6ln\\\", \\\"days\\\": [1, 2.5]}\""
            })
    void templateThatJoinsArguments_getsThemAsText(String arguments) {
        ChatTemplate template = ChatTemplate.of(JOINS_ARGUMENTS, "deepseek");
        String call =
                "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": %s}}";
        TrainingSet set =
                load(
                        (messages, tools, prompt) ->
                                template.render(messages, tools, prompt, Map.of()),
                        1000,
                        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [%s]}]}"
                                .formatted(call.formatted(arguments)));
        assertThat(learnt(set.examples().getFirst(), chatml))
                .isEqualTo(
                        "function f\n```json\n{\"city\": \"K\u00f6ln\", \"days\": [1, 2.5]}\n```<|im_end|>");
    }

    @Test
    void templateThatTakesNeitherFormOfArguments_isTheOneError() {
        ChatTemplate template =
                ChatTemplate.of(
                        "{% if messages[1].tool_calls %}{{ raise_exception('no tools') }}{% endif %}",
                        "none");
        assertThatThrownBy(() ->
                        load(
                                (messages, tools, prompt) ->
                                        template.render(messages, tools, prompt, Map.of()),
                                1000,
                                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {}}}]}]}"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("train.jsonl:1")
                .hasMessageContaining("the template refuses this chat: no tools");
    }
}
