package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

class TorchRandomTest {
    static Stream<Arguments> permutations() {
        return References.json("randperm.json.gz")
                .valueStream()
                .map(c -> Arguments.of(c.get("n").asInt(), c.get("seed").asLong(), c));
    }

    @ParameterizedTest(name = "n {0}, seed {1}")
    @MethodSource("permutations")
    void permutation_equalsTorchRandperm(int n, long seed, JsonNode expected) throws Exception {
        int[] order = new TorchRandom(seed).permutation(n);
        if (expected.has("order")) {
            assertThat(order).isEqualTo(References.ints(expected.get("order")));
        } else {
            ByteBuffer bytes = ByteBuffer.allocate(4 * n).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asIntBuffer().put(order);
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes.array());
            assertThat(HexFormat.of().formatHex(hash)).isEqualTo(expected.get("sha256").asString());
        }
    }

    @Test
    void mersenneTwister_givesItsPublishedTenThousandthNumber() {
        // The C++ standard, [rand.predef]: the 10000th output of mt19937 seeded with 5489 is
        // 4123659995.
        TorchRandom random = new TorchRandom(5489);
        for (int i = 0; i < 9999; i++) {
            random.nextUnsignedInt();
        }
        assertThat(random.nextUnsignedInt()).isEqualTo(4123659995L);
    }

    @Test
    void lengthThatTorchShufflesOtherwise_isRefused() {
        assertThatThrownBy(() -> new TorchRandom(0).permutation(1 << 28))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
