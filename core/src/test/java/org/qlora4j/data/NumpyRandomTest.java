package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Against NumPy and Hugging Face's datasets, number by number. */
class NumpyRandomTest {
    private static final JsonNode CASES = References.json("sources/numpy.json.gz");

    @Test
    void doubles_areThoseOfNumpy() {
        for (JsonNode c : CASES.get("random")) {
            NumpyRandom random = new NumpyRandom(c.get("seed").asLong());
            assertThat(c.get("values")).hasSize(5);
            for (JsonNode value : c.get("values")) {
                assertThat(random.nextDouble()).isEqualTo(value.asDouble());
            }
        }
    }

    @Test
    void permutations_areThoseOfNumpy() throws Exception {
        for (JsonNode c : CASES.get("permutation")) {
            int[] order = new NumpyRandom(c.get("seed").asLong()).permutation(c.get("n").asInt());
            if (c.has("order")) {
                assertThat(order).isEqualTo(References.ints(c.get("order")));
            } else {
                ByteBuffer bytes =
                        ByteBuffer.allocate(4 * order.length).order(ByteOrder.LITTLE_ENDIAN);
                bytes.asIntBuffer().put(order);
                byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes.array());
                assertThat(HexFormat.of().formatHex(hash)).isEqualTo(c.get("sha256").asString());
            }
        }
    }

    @Test
    void mixtures_areThoseOfInterleaveDatasets() {
        for (JsonNode c : CASES.get("interleave")) {
            double[] weights =
                    c.get("weights").valueStream().mapToDouble(JsonNode::asDouble).toArray();
            int[] order =
                    Interleaving.order(
                            References.ints(c.get("sizes")),
                            weights,
                            c.get("seed").asLong(),
                            StoppingStrategy.valueOf(
                                    c.get("stop").asString().toUpperCase(Locale.ROOT)));
            assertThat(order).isEqualTo(References.ints(c.get("order")));
        }
    }
}
