package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What {@code qlora train} prints for machines. */
class TrainOutputTest {
    @TempDir Path folder;

    @Test
    void json_isALineForEachEvent() {
        TrainBed bed = new TrainBed(folder);
        assertThat(bed.train("--json")).isEqualTo(ExitCode.OK);
        List<JsonNode> lines =
                bed.out().lines().map(line -> JsonMapper.shared().readTree(line)).toList();
        assertThat(lines)
                .extracting(line -> line.path("event").asString())
                .contains("notice")
                .endsWith("step", "step", "checkpoint", "finished");
        assertThat(lines)
                .filteredOn(line -> line.path("event").asString().equals("step"))
                .extracting(line -> line.path("step").asInt())
                .containsExactly(1, 2);
        JsonNode last = lines.getLast();
        assertThat(last.path("steps").asInt()).isEqualTo(2);
        assertThat(last.path("adapter").asString())
                .isEqualTo(bed.run().resolve("checkpoint-2").toString());
    }

    @Test
    void quiet_isTheFolderAlone() {
        TrainBed bed = new TrainBed(folder);
        assertThat(bed.train("--quiet")).isEqualTo(ExitCode.OK);
        assertThat(bed.out().lines()).containsExactly(bed.run().resolve("checkpoint-2").toString());
        assertThat(bed.train("--quiet", "--json")).isEqualTo(ExitCode.USER_ERROR);
        assertThat(bed.err().getFirst()).contains("--quiet", "--json");
    }
}
