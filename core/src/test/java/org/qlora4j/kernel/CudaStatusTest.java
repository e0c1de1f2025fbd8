package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.qlora4j.tensor.Cuda;

class CudaStatusTest {
    @Test
    void everyFact_isOneLine() {
        CudaStatus status = CudaStatus.take();
        Stream.concat(
                        Stream.of(status.build(), status.driver(), status.compiler()),
                        status.devices().stream())
                .forEach(line -> assertThat(line).isNotBlank().doesNotContain("\n"));
    }

    @Test
    void libtorchForTheCpu_isWhatIsMissingFirst() {
        assumeFalse(Cuda.builtIn(), "this is libtorch's CUDA build");
        assertThat(CudaStatus.take().build()).isEqualTo("none; libtorch is built for the CPU");
        assertThat(CudaStatus.take().missing())
                .isEqualTo(
                        "libtorch is built for the CPU; use the archive qlora4j-...-cuda, or build with mvn -Pcuda");
    }

    @Test
    void libtorchWithCudaButNoDevice_saysWhatToDo() {
        assumeTrue(Cuda.builtIn(), "this is libtorch's CPU build");
        assumeTrue(Cuda.deviceCount() == 0, "there is a CUDA device");
        assertThat(CudaStatus.take().build()).startsWith("CUDA 13");
        assertThat(CudaStatus.take().missing()).contains("driver");
    }
}
