package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;

class KernelsTest {
    @Test
    void reference_canAlwaysBeForced() {
        Kernels kernels = Kernels.choose("reference");
        assertThat(kernels.name()).isEqualTo("reference");
        assertThat(kernels.fourBit()).isInstanceOf(ReferenceFourBit.class);
        assertThat(kernels.reason()).contains("qlora.kernels");
    }

    @Test
    void vector_isForcedOrAnErrorThatSaysWhatIsNeeded() {
        if (VectorWidth.floats() >= 16) {
            assertThat(Kernels.choose("vector").fourBit()).isInstanceOf(VectorFourBit.class);
        } else {
            assertThatThrownBy(() -> Kernels.choose("vector"))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining("16 (AVX-512) are needed")
                    .hasMessageContaining("qlora.kernels=reference");
        }
    }

    @Test
    void auto_takesTheVectorKernelsWhereTheyRun() {
        Kernels kernels = Kernels.choose("auto");
        String expected = VectorWidth.floats() >= 16 ? "vector" : "reference";
        assertThat(kernels.name()).isEqualTo(expected);
        assertThat(kernels.reason()).contains("vectors of " + VectorWidth.floats() + " floats");
    }

    @Test
    void unknownName_isAUserError() {
        assertThatThrownBy(() -> Kernels.choose("cuda9"))
                .isInstanceOf(ConfigException.class)
                .hasMessage("qlora.kernels must be auto, reference or vector, got cuda9");
    }

    @Test
    void ofThisProcess_areChosenOnce() {
        assertThat(Kernels.current()).isSameAs(Kernels.current());
    }

    @Test
    void poolOfTheVectorKernels_isAsLargeAsLibtorchs() {
        Assumptions.assumeTrue(
                VectorWidth.floats() >= 16, "the vector kernels need vectors of 16 floats");
        VectorFourBit vector = (VectorFourBit) Kernels.choose("vector").fourBit();
        assertThat(vector.workers().threads()).isEqualTo(org.qlora4j.tensor.Engine.threads());
    }
}
