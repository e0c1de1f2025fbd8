package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;

class FailureTest {
    @ParameterizedTest
    @MethodSource
    void mendable_isRecognizedThroughItsCauses(Throwable thrown, String expected) {
        assertThat(Failure.of(thrown))
                .hasValueSatisfying(failure ->
                        assertThat(failure.lines()).singleElement().asString().contains(expected));
        assertThat(Failure.of(new CompletionException(new IllegalStateException(thrown))))
                .isPresent();
    }

    /** The texts are those of the JDK, glibc and libtorch. */
    static Stream<Object[]> mendable_isRecognizedThroughItsCauses() {
        return Stream.of(
                new Object[] {
                    new ConfigException("lora.rank must be at least 1, got 0"), "lora.rank must be"
                },
                new Object[] {new FormatException("a.gguf: magic is 00000000"), "a.gguf: magic"},
                new Object[] {new DeviceException("no CUDA device found"), "no CUDA device"},
                new Object[] {new OutOfMemoryError("Java heap space"), "QLORA_HEAP="},
                new Object[] {
                    new OutOfMemoryError("unable to create native thread: possibly out of memory"),
                    "ulimit -u"
                },
                new Object[] {
                    new UncheckedIOException(new IOException("No space left on device")),
                    "the disk is full"
                },
                new Object[] {
                    new FileSystemException("runs/a.bin", null, "No space left on device"),
                    "runs/a.bin"
                },
                new Object[] {
                    new RuntimeException(
                            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate"
                                    + " memory: you tried to allocate 4000000000000 bytes. Error code 12"
                                    + " (Cannot allocate memory)"),
                    "you tried to allocate 4000000000000 bytes"
                },
                new Object[] {
                    new RuntimeException(
                            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 24 GiB"),
                    "use a smaller batch"
                });
    }

    @Test
    void defect_isNotMendable() {
        assertThat(Failure.of(new IllegalStateException("not a disk"))).isEmpty();
        assertThat(Failure.of(new NullPointerException())).isEmpty();
        assertThat(Failure.of(new IOException("connection reset"))).isEmpty();
    }

    @Test
    void severalProblems_areALineEach() {
        var problems = List.of("lora.r must be at least 1,\n got 0", "unknown key data.nothing");
        assertThat(Failure.of(ConfigException.all(problems)).orElseThrow().lines())
                .containsExactly("lora.r must be at least 1, got 0", "unknown key data.nothing");
    }

    @Test
    void causesInACircle_end() {
        var first = new IllegalStateException("first");
        first.initCause(new IllegalStateException("second", first));
        assertThat(Failure.of(first)).isEmpty();
    }

    @Test
    void severalLines_becomeOne() {
        assertThat(Failure.oneLine("first\n   second\r\nthird\n")).isEqualTo("first second third");
    }
}
