package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;

/** A model that nobody closed is freed once the collector has found it. */
class LostModelTest {
    @Test
    void lostModel_isFreed() throws InterruptedException {
        try (LanguageModel first = LanguageModel.load(TinyLlama.folder())) {
            first.chat("a b"); // what is made once for the process
        }
        long before = live();
        loadAndLose(before);
        for (int i = 0; i < 200 && live() > before; i++) {
            System.gc();
            Thread.sleep(25);
        }
        assertThat(live()).isEqualTo(before);
    }

    private static void loadAndLose(long before) {
        LanguageModel model = LanguageModel.load(TinyLlama.folder());
        assertThat(live()).isGreaterThan(before);
        assertThat(model.hasChatTemplate()).isTrue(); // it could be reached until now
    }

    private static long live() {
        return Engine.call(NativeMemory::liveBytes);
    }
}
