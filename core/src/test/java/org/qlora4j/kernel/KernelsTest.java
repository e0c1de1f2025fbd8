package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.tensor.Device;

class KernelsTest {
    @Test
    void reference_canAlwaysBeForced() {
        Kernels kernels = Kernels.choose(Device.CPU, "reference");
        assertThat(kernels.name()).isEqualTo("reference");
        assertThat(kernels.fourBit()).isInstanceOf(ReferenceFourBit.class);
        assertThat(kernels.reason()).contains("qlora.kernels");
    }

    @Test
    void vector_isForcedAtTheMachinesWidth() {
        Kernels kernels = Kernels.choose(Device.CPU, "vector");
        assertThat(kernels.name()).isEqualTo("vector");
        assertThat(kernels.fourBit())
                .isInstanceOf(VectorWidth.floats() >= 16 ? VectorFourBit.class : PairFourBit.class);
    }

    @Test
    void auto_takesTheFastestThatRun() {
        Kernels kernels = Kernels.choose(Device.CPU, "auto");
        String machine =
                VectorWidth.machineHas(512)
                        ? "avx512"
                        : VectorWidth.machineHas(256)
                                ? "avx2"
                                : VectorWidth.machineHas(128) ? "sse" : "vector";
        assertThat(kernels.name()).isEqualTo(MachineCode.fitsSystem() ? machine : "vector");
        assertThat(kernels.reason()).contains("vectors of " + VectorWidth.floats() + " floats");
    }

    @Test
    void avx512_isForcedOrAnErrorThatSaysWhatIsNeeded() {
        if (VectorWidth.machineHas(512) && MachineCode.fitsSystem()) {
            Kernels kernels = Kernels.choose(Device.CPU, "avx512");
            assertThat(kernels.fourBitProduct()).isInstanceOf(Avx512FourBitProduct.class);
            assertThat(kernels.eightBitProduct()).isInstanceOf(Avx512EightBitProduct.class);
        } else {
            assertThatThrownBy(() -> Kernels.choose(Device.CPU, "avx512"))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining("use");
        }
    }

    @Test
    void avx2_isForcedOrAnErrorThatSaysWhatIsNeeded() {
        if (VectorWidth.machineHas(256) && MachineCode.fitsSystem()) {
            Kernels kernels = Kernels.choose(Device.CPU, "avx2");
            assertThat(kernels.name()).isEqualTo("avx2");
            assertThat(kernels.fourBit()).isInstanceOf(Avx2FourBit.class);
            assertThat(kernels.fourBitProduct()).isInstanceOf(Avx2FourBitProduct.class);
            assertThat(kernels.eightBitProduct()).isInstanceOf(Avx2EightBitProduct.class);
        } else {
            assertThatThrownBy(() -> Kernels.choose(Device.CPU, "avx2"))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining("use");
        }
    }

    @Test
    void sse_isForcedOrAnErrorThatSaysWhatIsNeeded() {
        if (VectorWidth.machineHas(128) && MachineCode.fitsSystem()) {
            Kernels kernels = Kernels.choose(Device.CPU, "sse");
            assertThat(kernels.name()).isEqualTo("sse");
            assertThat(kernels.fourBit()).isInstanceOf(PairFourBit.class);
            assertThat(kernels.fourBitProduct()).isInstanceOf(SseFourBitProduct.class);
            assertThat(kernels.eightBitProduct()).isInstanceOf(SseEightBitProduct.class);
        } else {
            assertThatThrownBy(() -> Kernels.choose(Device.CPU, "sse"))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining("use");
        }
    }

    @Test
    void unknownName_isAUserError() {
        assertThatThrownBy(() -> Kernels.choose(Device.CPU, "cuda9"))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "qlora.kernels must be auto, reference, vector, sse, avx2, avx512 or cuda, got cuda9");
    }

    @Test
    void kernelsOfTheOtherDevice_areAUserError() {
        assertThatThrownBy(() -> Kernels.choose(Device.CPU, "cuda"))
                .isInstanceOf(ConfigException.class)
                .hasMessage("qlora.kernels=cuda runs on device cuda:0, not cpu; leave it out");
        assertThatThrownBy(() -> Kernels.choose(Device.cuda(0), "vector"))
                .isInstanceOf(ConfigException.class)
                .hasMessage("qlora.kernels=vector runs on device cpu, not cuda:0; leave it out");
    }

    @Test
    void ofThisProcess_areChosenOnce() {
        Kernels chosen = Kernels.current();
        assertThat(Kernels.current()).isSameAs(chosen);
        assertThat(Kernels.select(DeviceChoice.AUTO)).isSameAs(chosen);
        DeviceChoice other = chosen.device().cuda() ? DeviceChoice.CPU : DeviceChoice.CUDA_0;
        assertThatThrownBy(() -> Kernels.select(other))
                .isInstanceOf(DeviceException.class)
                .hasMessage(
                        "device %s: this process already computes on %s; start another one",
                        other.key(), chosen.device());
    }

    @Test
    void poolOfTheVectorKernels_isAsLargeAsLibtorchs() {
        var vector = (VectorElementRows) Kernels.choose(Device.CPU, "vector").elements();
        assertThat(vector.workers().threads()).isEqualTo(org.qlora4j.tensor.Engine.threads());
    }

    @ParameterizedTest
    @CsvSource({
        "Linux, amd64, true",
        "Linux, aarch64, false",
        "Mac OS X, aarch64, false",
        "Mac OS X, x86_64, false",
        "Windows 11, amd64, false",
    })
    void machineCode_isForLinuxOnX86Alone(String system, String processor, boolean fits) {
        assertThat(MachineCode.fits(system, processor)).isEqualTo(fits);
    }
}
