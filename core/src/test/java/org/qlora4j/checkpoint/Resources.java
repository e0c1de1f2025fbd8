package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.assertj.core.api.Assertions;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.qlora4j.error.FormatException;

/**
 * Files made by {@code src/test/python/make_checkpoint_resources.py}, and how to compare with them.
 */
final class Resources {
    private Resources() {}

    static Path file(String name) {
        try {
            return Path.of(
                    Objects.requireNonNull(Resources.class.getResource("/checkpoint/" + name), name)
                            .toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    static List<String> lines(String name) throws IOException {
        return Files.readAllLines(file(name));
    }

    /** Lines {@code DIGEST NAME SHAPE}, sorted by name; digests are of the values in bf16. */
    static List<String> digests(Checkpoint checkpoint) {
        var lines = new ArrayList<String>();
        for (String name : checkpoint.names().stream().sorted().toList()) {
            try (var arena = Arena.ofConfined()) {
                StoredTensor tensor = checkpoint.read(name, arena);
                lines.add(
                        sha256(tensor).substring(0, 16) + " " + name + " " + shape(tensor.shape()));
            }
        }
        return lines;
    }

    static String shape(long[] shape) {
        return LongStream.of(shape).mapToObj(Long::toString).collect(Collectors.joining("x"));
    }

    private static String sha256(StoredTensor tensor) {
        try {
            var digest = MessageDigest.getInstance("SHA-256");
            digest.update(inBf16(tensor));
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] inBf16(StoredTensor tensor) {
        if (tensor.type() == StoredType.BF16) {
            return tensor.data().toArray(ValueLayout.JAVA_BYTE);
        }
        float[] values = Floats.of(tensor);
        ByteBuffer out = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            out.putShort(GgufRow.bf16(value));
        }
        return out.array();
    }

    /** The values of an F32 or F16 tensor. */
    private static final class Floats {
        private static final ValueLayout.OfFloat FLOAT =
                ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfShort SHORT =
                ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

        private Floats() {}

        static float[] of(StoredTensor tensor) {
            if (tensor.type() == StoredType.F32) {
                return tensor.data().toArray(FLOAT);
            }
            assertThat(tensor.type()).isEqualTo(StoredType.F16);
            short[] halves = tensor.data().toArray(SHORT);
            float[] out = new float[halves.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = Float.float16ToFloat(halves[i]);
            }
            return out;
        }
    }

    /** Expects a one-line FormatException that names the file and has these parts. */
    static void assertRejected(ThrowingCallable call, Path file, String... parts) {
        Assertions.assertThatExceptionOfType(FormatException.class)
                .isThrownBy(call)
                .satisfies(e -> {
                    assertThat(e.getMessage()).contains(file.getFileName().toString());
                    assertThat(e.getMessage()).doesNotContain("\n").hasSizeLessThan(600);
                    assertThat(parts).allSatisfy(part -> assertThat(e.getMessage()).contains(part));
                });
    }
}
