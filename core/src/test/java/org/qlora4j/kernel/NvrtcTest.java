package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.opentest4j.TestAbortedException;
import org.qlora4j.error.DeviceException;

/** The compiler needs no GPU; the tests are skipped where the CUDA toolkit is not installed. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class NvrtcTest {
    private Nvrtc compiler;

    @BeforeAll
    void find() {
        try {
            compiler = Nvrtc.open();
        } catch (DeviceException e) {
            throw new TestAbortedException(e.getMessage());
        }
    }

    /** Of the devices that libtorch has code for: Turing, Ampere, Ada, Hopper. */
    @ParameterizedTest
    @ValueSource(ints = {75, 80, 86, 89, 90})
    void kernelsOfFourBit_compileToMachineCode(int capability) {
        byte[] code = compiler.compile(CudaFourBit.source(), "four_bit.cu", capability);
        assertThat(code).startsWith(0x7F, 'E', 'L', 'F'); // a CUBIN is an ELF file
        assertThat(new String(code, StandardCharsets.ISO_8859_1))
                .contains("dequantize_f32", "dequantize_bf16", "dequantize_f16");
    }

    @Test
    void mistakeInTheSource_isOneLineThatNamesIt() {
        assertThatThrownBy(
                        () -> compiler.compile("__global__ void f() { int x = ; }", "bad.cu", 90))
                .isInstanceOf(DeviceException.class)
                .hasMessageContaining("bad.cu")
                .hasMessageContaining("compute capability 9.0")
                .hasMessageContaining("expected an expression")
                .hasMessageNotContaining("\n");
    }

    @Test
    void deviceThatTheCompilerDoesNotKnow_isAUserError() {
        assertThatThrownBy(() -> compiler.compile(CudaFourBit.source(), "four_bit.cu", 10))
                .isInstanceOf(DeviceException.class)
                .hasMessageContaining("compute capability 1.0");
    }
}
