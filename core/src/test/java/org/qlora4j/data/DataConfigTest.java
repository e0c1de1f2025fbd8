package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class DataConfigTest {
    private static final JsonMapper JSON = JsonMapper.shared();
    private static final String ALL =
            """
            {"dataset":"a.jsonl","dataset_format":"%s","source_max_len":16,"target_max_len":512,\
            "train_on_source":true,"group_by_length":false,"max_train_samples":%s}\
            """;

    /** The keys over the defaults, as a run reads them. */
    private static DataConfig read(String json) {
        ObjectNode tree = JSON.valueToTree(DataConfig.DEFAULT);
        tree.setAll((ObjectNode) JSON.readTree(json));
        return JSON.treeToValue(tree, DataConfig.class);
    }

    @ParameterizedTest
    @CsvSource({
        "auto, AUTO",
        "messages, MESSAGES",
        "alpaca, ALPACA",
        "alpaca-clean, ALPACA",
        "self-instruct, PROMPT_COMPLETION",
        "prompt-completion, PROMPT_COMPLETION",
        "input-output, INPUT_OUTPUT",
        "hh-rlhf, HH_RLHF",
        "oasst1, OASST1",
        "chip2, CHIP2"
    })
    void keysOfQloraPy_bindAndAreWrittenBack(String key, DatasetFormat format) {
        DataConfig config = read(ALL.formatted(key, 7));
        assertThat(config)
                .isEqualTo(
                        References.settings(
                                "dataset",
                                "a.jsonl",
                                "dataset_format",
                                format.key(),
                                "source_max_len",
                                16,
                                "target_max_len",
                                512,
                                "train_on_source",
                                true,
                                "group_by_length",
                                false,
                                "max_train_samples",
                                7));
        assertThat(JSON.readTree(JSON.writeValueAsString(config)).properties())
                .containsAll(JSON.readTree(ALL.formatted(format.key(), 7)).properties());
    }

    @Test
    void nulls_meanTheDefault() {
        String json =
                ALL.formatted("auto", "null")
                        .replace("\"auto\"", "null")
                        .replace("\"a.jsonl\"", "null");
        assertThat(read(json))
                .isEqualTo(
                        References.settings(
                                "source_max_len",
                                16,
                                "target_max_len",
                                512,
                                "train_on_source",
                                true,
                                "group_by_length",
                                false));
    }

    @Test
    void valuesOutOfRange_nameTheKey() {
        assertThatThrownBy(() -> References.settings("source_max_len", 0))
                .isInstanceOf(ConfigException.class)
                .hasMessage("data.source_max_len must be at least 1, got 0");
        assertThatThrownBy(() -> References.settings("target_max_len", -4))
                .hasMessage("data.target_max_len must be at least 1, got -4");
        assertThatThrownBy(() -> References.settings("max_train_samples", -1))
                .hasMessage("data.max_train_samples must be 0 (all) or more, got -1");
        assertThatThrownBy(() -> References.settings("source_max_len", Integer.MAX_VALUE))
                .isInstanceOf(ConfigException.class);
    }
}
