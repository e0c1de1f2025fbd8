package org.qlora4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.bytedeco.openblas.global.openblas_nolapack;
import org.junit.jupiter.api.Test;

class EngineThreadsTest {
    /** OpenBLAS has a pool of its own, which libtorch's setting does not reach. */
    @Test
    void threads_holdForTheBlasToo() {
        int before = Engine.threads();
        try {
            for (int threads : new int[] {2, 1}) {
                Engine.setThreads(threads);
                assertThat(Engine.threads()).isEqualTo(threads);
                assertThat(openblas_nolapack.blas_get_num_threads()).isEqualTo(threads);
            }
        } finally {
            Engine.setThreads(before);
        }
    }
}
