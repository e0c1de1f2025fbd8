package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Data that cannot be trained on: one line each, and nothing is left behind. */
class BadDataTest {
    @TempDir Path folder;
    private TrainBed bed;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
    }

    private void refused(Object... parts) {
        bed.assertRefused(List.of(), parts);
    }

    @Test
    void missingFile() throws IOException {
        Files.delete(bed.data());
        refused(bed.data(), "does not exist", "give a file that ends in .jsonl");
    }

    @Test
    void emptyFile() {
        TrainBed.write(bed.data(), "");
        refused(bed.data(), "holds no records", "must have one at least");
    }

    @Test
    void malformedLine() {
        append("{\"input\": \"a\", \"output\": \"b\"\n");
        refused(bed.data() + ":9:", "not JSON", "each line must hold one whole object");
    }

    @Test
    void lineThatIsNoObject() {
        append("[1, 2]\n");
        refused(bed.data() + ":9", "must be a JSON object");
    }

    @Test
    void fieldOfAnotherKind() {
        append("{\"input\": \"a\", \"output\": 7}\n");
        refused(bed.data() + ":9", "output");
    }

    @Test
    void fieldThatIsMissing() {
        append("{\"input\": \"a\"}\n");
        refused(bed.data() + ":9", "output");
    }

    @Test
    void unknownFields() {
        TrainBed.write(bed.data(), "{\"left\": \"a\", \"right\": \"b\"}\n");
        refused(bed.data() + ":1", "left");
    }

    @Test
    void bytesThatAreNoUtf8() throws IOException {
        Files.write(
                bed.data(),
                "{\"input\": \"caf\u00e9\", \"output\": \"b\"}\n"
                        .getBytes(StandardCharsets.ISO_8859_1));
        refused(bed.data() + ":1", "not UTF-8");
    }

    @Test
    void everythingMasked() {
        TrainBed.write(
                bed.data(),
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n");
        bed.assertRefused(
                List.of("data.source_max_len=1", "data.target_max_len=1"),
                bed.data(),
                "none of the 1 records has a token to train on",
                "data.target_max_len");
    }

    @Test
    void exampleBeyondTheModel() {
        append("{\"input\": \"%s\", \"output\": \"b\"}\n".formatted("a b ".repeat(40)));
        refused(bed.data() + ":9", "the model takes 64", "lower data.source_max_len");
    }

    @Test
    void folderInsteadOfAFile() {
        bed.assertRefused(
                List.of("--data", bed.model().toString()),
                bed.model(),
                "is a folder of a model",
                "give a file or folder of data");
    }

    /** Counted and told, and the run goes on. */
    @Test
    void examplesBeyondTheLimit_areCutAndTold() {
        append("{\"input\": \"%s\", \"output\": \"b\"}\n".formatted("a b ".repeat(40)));
        int code = bed.train("data.source_max_len=20");
        assertThat(bed.err()).isEmpty();
        assertThat(code).isEqualTo(ExitCode.OK);
        assertThat(bed.out())
                .contains("9 examples from 9 records")
                .contains("1 examples are cut to source_max_len 20")
                .contains("the first at line 9");
        assertThat(bed.run().resolve("checkpoint-2")).isDirectory();
    }

    private void append(String line) {
        TrainBed.write(bed.data(), TrainBed.read(bed.data()) + line);
    }
}
