package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.data.Batch;
import org.qlora4j.family.Models;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.OptimConfig;
import org.qlora4j.optim.ParameterGroup;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Golden;
import tools.jackson.databind.JsonNode;

/** Ten steps of QLoRA on a real chat model, against PEFT on bitsandbytes' dequantized weights. */
class SmolLm2GoldenTest {
    @TempDir Path temporary;

    private static Path golden() {
        return Golden.folder().resolve("smollm2");
    }

    @BeforeAll
    static void files() {
        Golden.folder();
        Golden.smollm2();
    }

    /** What one step of a run showed. */
    private record Step(double loss, double gradNorm) {}

    @Test
    void runInF32_givesLossesNormsAndAdapterOfPeft() {
        JsonNode expected = Golden.json(golden().resolve("expected.json")).get("run");
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(Golden.smollm2(), QuantConfig.DEFAULT, DType.F32);
                LoraAdapter adapter =
                        PeftAdapter.load(
                                golden().resolve("adapter_init"),
                                model.linears(),
                                model.parameters(),
                                DType.F32,
                                true)) {
            List<Step> steps = run(model, adapter, true, expected.size());
            for (int i = 0; i < steps.size(); i++) {
                assertThat(steps.get(i).loss())
                        .as("loss of step %d", i)
                        .isCloseTo(expected.get(i).get("loss").asDouble(), Offset.offset(1e-3));
                assertThat(steps.get(i).gradNorm())
                        .as("gradient norm of step %d", i)
                        .isCloseTo(
                                expected.get(i).get("grad_norm").asDouble(),
                                Percentage.withPercentage(0.5));
            }
            Golden start = Golden.open(golden().resolve("adapter_init/adapter_model.safetensors"));
            Golden end = Golden.open(golden().resolve("adapter_final/adapter_model.safetensors"));
            double difference = 0;
            double change = 0;
            for (Parameter p : adapter.parameters()) {
                Tensor last = end.tensor("base_model.model." + p.name());
                difference += squared(p.master().minus(last));
                change += squared(last.minus(start.tensor("base_model.model." + p.name())));
            }
            assertThat(Math.sqrt(difference / change)).isLessThan(0.02);
        }
    }

    @Test
    void runInBf16_givesLossesWithinOnePercent() {
        JsonNode expected = Golden.json(golden().resolve("expected.json")).get("run");
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(Golden.smollm2(), QuantConfig.DEFAULT, DType.BF16);
                LoraAdapter adapter =
                        PeftAdapter.load(
                                golden().resolve("adapter_init"),
                                model.linears(),
                                model.parameters(),
                                DType.BF16,
                                true)) {
            // without instructions for bf16, where nobody trains in it, a step takes 25 seconds
            int count = Kernels.current().hasBf16() ? expected.size() : 1;
            List<Step> steps = run(model, adapter, false, count);
            assertThat(steps).hasSize(count);
            for (int i = 0; i < steps.size(); i++) {
                assertThat(steps.get(i).loss())
                        .as("loss of step %d", i)
                        .isCloseTo(
                                expected.get(i).get("loss").asDouble(),
                                Percentage.withPercentage(1));
            }
        }
    }

    private List<Step> run(
            CausalModel model, LoraAdapter adapter, boolean checkpointing, int count) {
        Golden batches = Golden.open(golden().resolve("expected.safetensors"));
        JsonNode log = Golden.json(golden().resolve("expected.json")).get("run");
        List<Step> steps = new ArrayList<>();
        long freed = NativeMemory.freedBySafetyNet();
        try (TrainableParameters parameters =
                        new TrainableParameters(
                                adapter.parameters(), p -> ParameterGroup.of(p, null));
                AdamW optimizer = new AdamW(parameters, OptimConfig.DEFAULT, temporary)) {
            for (int i = 0; i < count; i++) {
                Batch batch = batch(batches, i);
                double loss = MicroBatch.backward(model, batch, checkpointing, i);
                double norm = parameters.divideAndClip(batch.labelTokens(), 0.3);
                optimizer.step(log.get(i).get("lr").asDouble());
                parameters.refresh();
                parameters.zeroGradients();
                steps.add(new Step(loss / batch.labelTokens(), norm));
            }
        }
        assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(freed);
        return steps;
    }

    private static Batch batch(Golden golden, int step) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor ids = golden.tensor("step" + step + ".input_ids");
            long[] labels = golden.tensor("step" + step + ".labels").toLongs();
            long[] seen = golden.tensor("step" + step + ".attention_mask").toLongs();
            boolean[] mask = new boolean[seen.length];
            for (int i = 0; i < mask.length; i++) {
                mask[i] = seen[i] != 0;
            }
            return new Batch(
                    (int) ids.size(0),
                    (int) ids.size(1),
                    narrow(ids.toLongs()),
                    narrow(labels),
                    mask);
        }
    }

    private static int[] narrow(long[] values) {
        int[] out = new int[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (int) values[i];
        }
        return out;
    }

    private static double squared(Tensor t) {
        Tensor flat = t.reshape(t.count());
        return flat.dot(flat);
    }
}
