package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.qlora4j.checkpoint.Resources.assertRejected;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
    private static final String ONE = "model-00001-of-00002.safetensors";
    private static final String TWO = "model-00002-of-00002.safetensors";

    @TempDir Path folder;

    private void writeShard(String file, String... names) {
        var writer = new SafetensorsWriter(Map.of("format", "pt"));
        for (String name : names) {
            byte[] bytes = {(byte) name.charAt(0), 2};
            writer.add(name, StoredType.U8, new long[] {2}, MemorySegment.ofArray(bytes));
        }
        writer.write(folder.resolve(file));
    }

    private Path writeIndex(String weightMap) throws IOException {
        String text = "{\"metadata\": {\"total_size\": 6}, \"weight_map\": " + weightMap + "}";
        return Files.writeString(folder.resolve("model.safetensors.index.json"), text);
    }

    @Test
    void folderWithOneFile_isRead() {
        writeShard("model.safetensors", "a", "b");
        try (Checkpoint checkpoint = Checkpoint.open(folder);
                Arena arena = Arena.ofConfined()) {
            assertThat(checkpoint.names()).containsExactly("a", "b");
            assertThat(checkpoint.has("a")).isTrue();
            assertThat(checkpoint.has("c")).isFalse();
            assertThat(checkpoint.bytes()).isEqualTo(4);
            assertThat(checkpoint.folder()).isEqualTo(folder.toAbsolutePath());
            StoredTensor tensor = checkpoint.read("b", arena);
            assertThat(tensor.data().toArray(ValueLayout.JAVA_BYTE)).containsExactly('b', 2);
            assertThat(tensor.file()).isEqualTo(folder.resolve("model.safetensors"));
        }
    }

    @Test
    void singleFileOfAnyName_isRead() {
        writeShard("adapter_model.safetensors", "a");
        try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("adapter_model.safetensors"))) {
            assertThat(checkpoint.names()).containsExactly("a");
            assertThat(checkpoint.folder()).isEqualTo(folder.toAbsolutePath());
        }
    }

    @Test
    void shards_areReadAsOne() throws IOException {
        writeShard(ONE, "c", "b");
        writeShard(TWO, "a", "unlisted");
        writeIndex("{\"a\": \"%s\", \"b\": \"%s\", \"c\": \"%s\"}".formatted(TWO, ONE, ONE));
        try (Checkpoint checkpoint = Checkpoint.open(folder);
                Arena arena = Arena.ofConfined()) {
            assertThat(checkpoint.names()).containsExactlyInAnyOrder("b", "c", "a", "unlisted");
            assertThat(checkpoint.bytes()).isEqualTo(8);
            assertThat(checkpoint.info("a").shape()).containsExactly(2);
            for (String name : checkpoint.names()) {
                assertThat(checkpoint.read(name, arena).data().get(ValueLayout.JAVA_BYTE, 0))
                        .isEqualTo((byte) name.charAt(0));
            }
        }
    }

    /** transformers takes what any of the files holds; of two of a name the listed one counts. */
    @Test
    void tensorInAnotherShardThanListed_isFound() throws IOException {
        writeShard(ONE, "a", "b");
        writeShard(TWO, "a", "c");
        writeIndex("{\"a\": \"%s\", \"b\": \"%s\", \"c\": \"%s\"}".formatted(ONE, TWO, ONE));
        try (Checkpoint checkpoint = Checkpoint.open(folder);
                Arena arena = Arena.ofConfined()) {
            assertThat(checkpoint.names()).containsExactlyInAnyOrder("a", "b", "c");
            assertThat(checkpoint.read("b", arena).data().get(ValueLayout.JAVA_BYTE, 0))
                    .isEqualTo((byte) 'b');
        }
    }

    @Test
    void missingShard_isNamed() throws IOException {
        writeShard(ONE, "a");
        Path index = writeIndex("{\"a\": \"%s\", \"b\": \"%s\"}".formatted(ONE, TWO));
        assertRejected(() -> Checkpoint.open(folder), index, TWO, "is missing");
    }

    @Test
    void tensorAbsentFromItsShard_isNamed() throws IOException {
        writeShard(ONE, "a");
        writeShard(TWO, "b");
        writeIndex("{\"a\": \"%s\", \"b\": \"%s\"}".formatted(ONE, ONE));
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.names()).containsExactly("a"); // who needs b misses it
            assertRejected(() -> checkpoint.info("b"), folder, "has no tensor b");
        }
    }

    @Test
    void damagedShard_isNamed() throws IOException {
        writeShard(ONE, "a");
        Files.write(folder.resolve(TWO), new byte[3]);
        writeIndex("{\"a\": \"%s\", \"b\": \"%s\"}".formatted(ONE, TWO));
        assertRejected(() -> Checkpoint.open(folder), folder.resolve(TWO), "at least 8 bytes");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../x.safetensors",
                "/etc/passwd",
                "a/b.safetensors",
                "a\\\\b.safetensors",
                "..",
                ".",
                "",
                ".hidden",
                "C:x.safetensors",
                "a..b",
                "a\\u0000b",
                "a\\nb"
            })
    void shardOutsideTheFolder_isRejected(String name) throws IOException {
        Path index = writeIndex("{\"a\": \"" + name + "\"}");
        assertRejected(() -> Checkpoint.open(folder), index, "only plain names");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "[]",
                "3",
                "{\"a\": 1}",
                "{\"a\": null}",
                "{\"a\": \"f\", \"a\": \"f\"}",
                "{"
            })
    void malformedIndex_isRejected(String weightMap) throws IOException {
        Path index = writeIndex(weightMap);
        assertRejected(() -> Checkpoint.open(folder), index);
    }

    @Test
    void whatIsNoCheckpoint_saysWhatToDo() throws IOException {
        assertRejected(
                () -> Checkpoint.open(folder), folder, "has neither", "name a model's folder");
        assertRejected(
                () -> Checkpoint.open(folder.resolve("no")),
                folder.resolve("no"),
                "does not exist");
        Path text = Files.writeString(folder.resolve("a.txt"), "x");
        assertRejected(() -> Checkpoint.open(text), text, "is no checkpoint");
        Path pickle = Files.writeString(folder.resolve("pytorch_model.bin"), "x");
        assertRejected(() -> Checkpoint.open(folder), pickle, "safetensors form");
        Files.delete(pickle);
        writeShard("adapter_model.safetensors", "a");
        assertRejected(() -> Checkpoint.open(folder), folder, "holds an adapter");
    }

    @Test
    void folderWithOneGguf_isThatFile() throws IOException {
        Files.copy(Resources.file("gqa.gguf"), folder.resolve("model.Q4_1.gguf"));
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.folder()).isEqualTo(folder);
            assertThat(checkpoint.names()).isNotEmpty();
        }
        Files.writeString(folder.resolve("another.gguf"), "x");
        assertRejected(
                () -> Checkpoint.open(folder),
                folder,
                "holds 2 .gguf files; name one of them, such as",
                "another.gguf");
    }
}
