package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.qlora4j.error.ConfigException;

class QloraDatasetTest {
    @Test
    void vicuna_isRefusedAsByQloraPy() {
        assertThatThrownBy(() -> QloraDataset.of("vicuna"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("was never released");
        assertThatThrownBy(() -> DatasetFormat.parse("vicuna"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("was never released");
    }

    @Test
    void namesOfQloraPy_areTheirRepositories() {
        assertThat(QloraDataset.ALL)
                .extracting(QloraDataset::name)
                .containsExactly(
                        "alpaca",
                        "alpaca-clean",
                        "chip2",
                        "self-instruct",
                        "hh-rlhf",
                        "longform",
                        "oasst1");
        assertThat(QloraDataset.of("oasst1"))
                .isEqualTo(
                        new QloraDataset(
                                "oasst1",
                                "timdettmers/openassistant-guanaco",
                                "",
                                DatasetFormat.OASST1));
        assertThat(QloraDataset.of("mine.jsonl")).isNull();
        QloraDataset.ALL.forEach(
                set -> assertThat(DatasetFormat.parse(set.name())).isEqualTo(set.format()));
    }
}
