package org.qlora4j.quant;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Golden;

/** Codes, scales and dequantized values against those of bitsandbytes, byte for byte. */
class QuantGoldenTest {
    static Stream<String> cases() {
        return Golden.json(Golden.folder().resolve("quant.json"))
                .valueStream()
                .map(n -> n.asString());
    }

    @ParameterizedTest
    @MethodSource("cases")
    void weight_quantizesAndDequantizesAsBitsandbytes(String key) {
        String[] part = key.split("\\.");
        QuantConfig config =
                new QuantConfig(
                        true,
                        QuantType.valueOf(part[2].toUpperCase(java.util.Locale.ROOT)),
                        part[4].equals("dq"),
                        Integer.parseInt(part[3]));
        Golden golden = Golden.open(Golden.folder().resolve("quant.safetensors"));
        try (TensorScope scope = TensorScope.open();
                QuantizedMatrix q =
                        QuantizedMatrix.quantize(
                                golden.tensor(part[0] + "." + part[1] + ".input"), config)) {
            BlockScales scales = q.scales();
            assertSameBytes(q.codes(), golden, key + ".codes");
            assertSameBytes(scales.absmax(), golden, key + ".absmax");
            if (config.doubleQuant()) {
                assertThat(scales.offset()).isEqualTo(golden.tensor(key + ".offset").toFloats()[0]);
                assertSameBytes(
                        Objects.requireNonNull(scales.nestedAbsmax()),
                        golden,
                        key + ".nested_absmax");
            }
            if (golden.names().contains(key + ".dequantized")) {
                Tensor expected = golden.tensor(key + ".dequantized");
                // the golden value was rounded to the weight's own type
                assertThat(
                                q.dequantize(org.qlora4j.tensor.DType.F32)
                                        .to(expected.dtype())
                                        .toFloats())
                        .isEqualTo(expected.toFloats());
            }
        }
    }

    private static void assertSameBytes(Tensor actual, Golden golden, String name) {
        assertThat(actual.toFloats()).as(name).isEqualTo(golden.tensor(name).toFloats());
    }

    @Test
    void dynamicMaps_equalBitsandbytes() {
        Golden golden = Golden.open(Golden.folder().resolve("quant.safetensors"));
        try (TensorScope scope = TensorScope.open()) {
            assertThat(DynamicMap.SIGNED.values())
                    .isEqualTo(golden.tensor("code.signed_8bit").toFloats());
            assertThat(DynamicMap.UNSIGNED.values())
                    .isEqualTo(golden.tensor("code.unsigned_8bit").toFloats());
        }
    }
}
