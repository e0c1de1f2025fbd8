package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.FuzzChild;

/** Damaged Parquet files are read or refused. */
class ParquetFuzzTest {
    private static final int INPUTS = Integer.getInteger("qlora.fuzz", 300);

    /** More than the watchdog waits on a machine that is full: 4 s where a core is idle. */
    private static final int STALL_SECONDS = 30;

    @Test
    void mutatedInputs_giveAResultOrOneLine() throws Exception {
        assertThat(
                        FuzzChild.faults(
                                ParquetFuzz.class, List.of("-Xmx256m"), 0, INPUTS, STALL_SECONDS))
                .as("seeds from 0 to " + INPUTS)
                .isEmpty();
    }
}
