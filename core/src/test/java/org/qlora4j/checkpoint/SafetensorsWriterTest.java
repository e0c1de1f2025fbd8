package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.DeviceException;

class SafetensorsWriterTest {
    private static final long[] ONE = {1};

    @TempDir Path folder;

    @ParameterizedTest(name = "tensors shuffled with seed {0}")
    @ValueSource(longs = {1, 2, 3})
    void sameTensors_giveTheBytesOfThePythonPackage(long seed) throws IOException {
        Path python = Resources.file("python.safetensors");
        Path ours = folder.resolve("ours.safetensors");
        try (var file = SafetensorsFile.open(python)) {
            var names = new ArrayList<>(file.names());
            Collections.shuffle(names, new Random(seed));
            var writer = new SafetensorsWriter(file.metadata());
            names.forEach(name -> writer.add(file.tensor(name)));
            writer.write(ours);
        }
        assertThat(ours).hasSameBinaryContentAs(python);
        assertThat(folder).isDirectoryNotContaining("glob:**.tmp");
    }

    @Test
    void partsOfAnySizeAndKind_areJoined() throws IOException {
        int floats = 700_001; // more than the buffer of 1 MiB
        var values = new float[floats];
        for (int i = 0; i < floats; i++) {
            values[i] = i;
        }
        Path path = folder.resolve("m.safetensors");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nativeHalf = arena.allocate(4000);
            nativeHalf.copyFrom(MemorySegment.ofArray(values).asSlice(0, 4000));
            new SafetensorsWriter(Map.of())
                    .add(
                            "x",
                            StoredType.F32,
                            new long[] {floats},
                            sink -> {
                                sink.accept(nativeHalf);
                                sink.accept(MemorySegment.ofArray(values).asSlice(4000));
                            })
                    .write(path);
        }
        try (var file = SafetensorsFile.open(path)) {
            assertThat(file.tensor("x").data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
                    .isEqualTo(values);
        }
    }

    @Test
    void noTensors_giveAReadableFile() {
        Path path = folder.resolve("m.safetensors");
        new SafetensorsWriter(Map.of("b", "1", "a", "\n\"")).write(path);
        try (var file = SafetensorsFile.open(path)) {
            assertThat(file.names()).isEmpty();
            assertThat(file.metadata()).isEqualTo(Map.of("b", "1", "a", "\n\""));
        }
    }

    @Test
    void existingFile_isReplacedOnlyBySuccess() throws IOException {
        Path path = Files.writeString(folder.resolve("m.safetensors"), "old");
        var failing =
                new SafetensorsWriter(Map.of())
                        .add(
                                "x",
                                StoredType.U8,
                                ONE,
                                _ -> {
                                    throw new IOException("No space left on device");
                                });
        assertThatExceptionOfType(DeviceException.class)
                .isThrownBy(() -> failing.write(path))
                .withMessageContainingAll(
                        "m.safetensors",
                        "No space left on device",
                        "needs 65 bytes",
                        "bytes are free");
        assertThat(path).hasContent("old");
        assertThat(folder).isDirectoryNotContaining("glob:**.tmp");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    void sourceOfAnotherSize_leavesNoFile(int size) {
        var writer =
                new SafetensorsWriter(Map.of())
                        .add("x", StoredType.U8, ONE, MemorySegment.ofArray(new byte[size]));
        assertThatThrownBy(() -> writer.write(folder.resolve("m.safetensors")))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("takes 1 bytes, its source gave " + size);
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void moreThanTheDiskHolds_isRefusedBeforeAnythingIsWritten() {
        var writer =
                new SafetensorsWriter(Map.of())
                        .add(
                                "x",
                                StoredType.F32,
                                new long[] {1L << 50},
                                _ -> {
                                    throw new AssertionError("asked for bytes");
                                });
        assertThatExceptionOfType(DeviceException.class)
                .isThrownBy(() -> writer.write(folder.resolve("m.safetensors")))
                .withMessageContainingAll(
                        "the disk is too full", "needs 4503599627370592 bytes", "bytes are free");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void nameGivenTwiceOrReserved_isOurDefect() {
        var writer =
                new SafetensorsWriter(Map.of()).add("x", StoredType.U8, ONE, MemorySegment.NULL);
        for (String name : new String[] {"x", "__metadata__"}) {
            assertThatThrownBy(() -> writer.add(name, StoredType.U8, ONE, MemorySegment.NULL))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining(name);
        }
    }
}
