package org.qlora4j.app;

import java.util.Random;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** Random numbers in place of what an adapter would learn. */
final class RandomFactors {
    private static final double SIZE = 0.01; // as of learnt ones: the text stays near the base's

    private RandomFactors() {}

    /** Gives each second factor, which begins as 0, values. On the engine thread. */
    static void fill(LoraAdapter adapter, long seed) {
        Random random = new Random(seed);
        for (Parameter p : adapter.parameters()) {
            if (!p.name().contains("lora_B")) {
                continue;
            }
            try (TensorScope scope = TensorScope.open()) {
                float[] noise = new float[Math.toIntExact(p.value().count())];
                for (int i = 0; i < noise.length; i++) {
                    noise[i] = (float) random.nextGaussian();
                }
                Tensor all = Tensors.of(noise, p.value().shape());
                p.value().addInPlace(all.to(p.value().dtype()), SIZE);
            }
        }
    }
}
