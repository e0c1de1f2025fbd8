package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParameterException;

/** How weights are held, as typed. */
class HeldOptionTest {
    @Command(name = "any")
    static final class Any {
        @Mixin HeldOption held = new HeldOption();
    }

    private static HeldOption typed(String... words) {
        return CommandLine.populateCommand(new Any(), words).held;
    }

    @Test
    void nothingTyped_isTheDefault() {
        assertThat(typed().config()).isEqualTo(QuantConfig.DEFAULT);
        assertThat(typed().settings()).containsExactly("quantization.load_in_4bit=true");
    }

    @Test
    void dtype_goesWithEachWay() {
        HeldOption held = typed("--no-quantize", "--dtype", "float32");
        assertThat(held.config())
                .isEqualTo(
                        QuantConfig.DEFAULT
                                .withLoad4bit(false)
                                .withComputeDtype(ComputeDtype.FLOAT32));
        assertThat(held.settings())
                .containsExactly(
                        "quantization.load_in_4bit=false",
                        "quantization.bnb_4bit_compute_dtype=float32");
        assertThat(typed("--keep-quantization", "--dtype=float32").config().computeDtype())
                .isEqualTo(ComputeDtype.FLOAT32);
    }

    @Test
    void otherDtype_isRefusedByName() {
        assertThatThrownBy(() -> typed("--dtype", "f16"))
                .isInstanceOf(ParameterException.class)
                .hasMessageContaining("'f16' is neither float32 nor bfloat16");
    }
}
