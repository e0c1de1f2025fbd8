package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

class ChatTest {
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(DeserializationFeature.USE_LONG_FOR_INTS).build();

    @SuppressWarnings("unchecked")
    private static Row row(String json) {
        return new Row("f.jsonl", 3, JSON.readValue(json.replace('\'', '"'), Map.class));
    }

    private static Chat chat(DatasetFormat format, String json) {
        return new ChatReader(Roles.BUILT_IN).all(row(json), format).getFirst();
    }

    @Test
    void shareGpt_becomesTheSameMessages() {
        Chat expected =
                chat(
                        DatasetFormat.MESSAGES,
                        "{'messages': [{'role': 'system', 'content': 's'}, {'role': 'user', 'content': 'a'}, {'role': 'assistant', 'content': 'b'}]}");
        assertThat(
                        chat(
                                DatasetFormat.SHAREGPT,
                                "{'conversations': [{'from': 'system', 'value': 's'}, {'from': 'human', 'value': 'a'}, {'from': 'gpt', 'value': 'b'}]}"))
                .isEqualTo(expected);
        assertThat(
                        chat(
                                DatasetFormat.SHAREGPT,
                                "{'system': 's', 'tools': '[]', 'conversations': [{'role': 'user', 'content': 'a'}, {'from': 'GPT', 'value': 'b'}]}"))
                .isEqualTo(expected);
    }

    @Test
    void toolCalls_haveArgumentsAsObjectsHoweverTheyAreWritten() {
        Map<String, Object> call =
                Map.of(
                        "type",
                        "function",
                        "function",
                        Map.of("name", "f", "arguments", Map.of("n", 5L)));
        String arguments = "'{\\\"n\\\": 5}'";
        String user = "{'role': 'user', 'content': 'a'}, ";
        Chat openAi =
                chat(
                        DatasetFormat.MESSAGES,
                        "{'messages': [%s{'role': 'assistant', 'content': null, 'tool_calls': [{'type': 'function', 'function': {'name': 'f', 'arguments': %s}}]}]}"
                                .formatted(user, arguments));
        Chat older =
                chat(
                        DatasetFormat.MESSAGES,
                        "{'functions': [{'name': 'f'}], 'messages': [%s{'role': 'assistant', 'content': null, 'function_call': {'name': 'f', 'arguments': %s}}]}"
                                .formatted(user, arguments));
        Chat shareGpt =
                chat(
                        DatasetFormat.SHAREGPT,
                        "{'conversations': [{'from': 'human', 'value': 'a'}, {'from': 'function_call', 'value': '{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {\\\"n\\\": 5}}'}]}");
        for (Chat one : List.of(openAi, older, shareGpt)) {
            assertThat(one.messages().getLast()).containsEntry("tool_calls", List.of(call));
        }
        assertThat(older.tools())
                .isEqualTo(List.of(Map.of("type", "function", "function", Map.of("name", "f"))));
    }

    @Test
    void dialoguesInOneText_areTakenApart() {
        assertThat(
                        chat(
                                        DatasetFormat.OASST1,
                                        "{'text': '### Human: a### Assistant: b\\n### Human: c### Assistant: d'}")
                                .messages())
                .extracting(m -> m.get("role") + "=" + m.get("content"))
                .containsExactly("user=a", "assistant=b", "user=c", "assistant=d");
        assertThat(
                        chat(
                                        DatasetFormat.HH_RLHF,
                                        "{'chosen': '\\n\\nHuman: a\\n\\nAssistant: b\\n\\nmore'}")
                                .messages())
                .extracting(m -> m.get("role") + "=" + m.get("content"))
                .containsExactly("user=a", "assistant=b\n\nmore");
        assertThatThrownBy(() -> chat(DatasetFormat.OASST1, "{'text': 'no turns'}"))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith("f.jsonl:3: field text does not begin with \"### Human:\"");
    }

    @Test
    void withoutFirstExchange_keepsTheSystemMessage() {
        Chat chat =
                chat(
                        DatasetFormat.SHAREGPT,
                        "{'conversations': [{'from': 'system', 'value': 's'}, {'from': 'human', 'value': 'a'}, {'from': 'gpt', 'value': 'b'}, {'from': 'human', 'value': 'c'}, {'from': 'gpt', 'value': 'd'}]}");
        Chat less = Objects.requireNonNull(chat.withoutFirstExchange());
        assertThat(less.messages())
                .extracting(m -> m.get("content"))
                .containsExactly("s", "c", "d");
        assertThat(less.withoutFirstExchange()).isNull();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "SHAREGPT | {'conversations': 'hi'} | field conversations must be a list of {from, value}, got text",
                "SHAREGPT | {'conversations': [{'from': 'human', 'value': 4}]} | conversations[0].value must be text, got the number 4",
                "SHAREGPT | {'conversations': [{'from': 'alien', 'value': 'a'}]} | conversations[0].from must be human, gpt, system, tool, function_call or observation, got alien",
                "SHAREGPT | {'conversations': [{'from': 'human', 'value': 'a'}, {'from': 'function_call', 'value': 'f(5)'}]} | conversations[1] is a function_call, so its value must be a JSON object",
                "MESSAGES | {'messages': [{'role': 'user', 'content': 'a', 'tool_calls': 'f'}]} | messages[0].tool_calls must be a list, got text",
                "TEXT     | {'text': 'a'} | records are plain text, which has no turns for data.chat_template",
            })
    void malformed_namesLineAndPlace(DatasetFormat format, String json, String expected) {
        assertThatThrownBy(() -> chat(format, json))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith("f.jsonl:3: " + expected);
    }
}
