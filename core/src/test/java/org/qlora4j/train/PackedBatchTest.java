package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.data.Batch;
import org.qlora4j.data.Example;
import org.qlora4j.family.Models;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.SmallLlama;

/** Examples packed into rows train as they do one by one: nothing leaks between them. */
class PackedBatchTest {
    @TempDir Path folder;

    /** Of these lengths; the first row crosses a block of attention and its end is padded. */
    private static final int[][] ROWS = {{140, 1, 55, 30}, {97, 90, 63}, {5}};

    private static List<List<Example>> rows() {
        Random random = new Random(4);
        List<List<Example>> rows = new ArrayList<>();
        for (int[] lengths : ROWS) {
            List<Example> row = new ArrayList<>();
            for (int length : lengths) {
                int[] ids = random.ints(length, 3, 160).toArray();
                BitSet labelled = new BitSet();
                labelled.set(length / 3, length);
                row.add(new Example(ids, labelled, "a.jsonl", 1, length, false));
            }
            rows.add(row);
        }
        return rows;
    }

    private record Sums(double loss, long labelTokens, List<Tensor> gradients) {}

    private static Sums sums(
            CausalModel model, LoraAdapter adapter, List<Batch> batches, boolean checkpointing) {
        double loss = 0;
        long labelTokens = 0;
        for (Batch batch : batches) {
            loss += MicroBatch.backward(model, batch, checkpointing, 1);
            labelTokens += batch.labelTokens();
        }
        List<Tensor> gradients = new ArrayList<>();
        for (Parameter p : adapter.parameters()) {
            gradients.add(p.grad().copy());
            p.grad().zero();
        }
        return new Sums(loss, labelTokens, gradients);
    }

    @ParameterizedTest(name = "checkpointing {0}")
    @ValueSource(booleans = {false, true})
    void lossAndGradients_equalThoseOfTheExamplesOneByOne(boolean checkpointing) {
        Path path = SmallLlama.write(folder);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(path, QuantConfig.DEFAULT, DType.F32);
                LoraAdapter adapter = trained(model)) {
            List<Batch> oneByOne =
                    rows().stream()
                            .flatMap(List::stream)
                            .map(e -> Batch.of(List.of(e), 2, 1))
                            .toList();
            Sums expected = sums(model, adapter, oneByOne, checkpointing);
            Sums packed = sums(model, adapter, List.of(Batch.packed(rows(), 2, 1)), checkpointing);
            List<Example> all = rows().stream().flatMap(List::stream).toList();
            Sums padded = sums(model, adapter, List.of(Batch.of(all, 2, 8)), checkpointing);
            for (Sums actual : List.of(packed, padded)) {
                assertThat(actual.labelTokens).isEqualTo(expected.labelTokens);
                assertThat(actual.loss).isCloseTo(expected.loss, Percentage.withPercentage(1e-3));
                for (int i = 0; i < expected.gradients.size(); i++) {
                    Tensor gradient = expected.gradients.get(i);
                    assertThat(gradient.abs().sum().item()).isPositive();
                    Close.assertClose(
                            adapter.parameters().get(i).name(),
                            actual.gradients.get(i),
                            gradient,
                            1e-5,
                            1e-9);
                }
            }
        }
    }

    /** An adapter whose B are not zero, so that A has gradients. */
    private static LoraAdapter trained(CausalModel model) {
        LoraAdapter adapter =
                LoraAdapter.create(
                        LoraConfig.DEFAULT.withRank(4, 8),
                        model.linears(),
                        List.of(),
                        DType.F32,
                        0);
        int seed = 0;
        try (TensorScope scope = TensorScope.open()) {
            for (Parameter p : adapter.parameters()) {
                p.value().copyFrom(Tensors.normal(++seed, 0.1, p.value().shape()));
            }
        }
        return adapter;
    }

    /** What stands beside a sample in its row has no say in it. */
    @Test
    void otherSamplesOfTheRow_changeNoBitOfTheLoss() {
        Path path = SmallLlama.write(folder);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(path, QuantConfig.DEFAULT, DType.F32)) {
            Example trained = rows().get(1).get(1);
            List<Double> losses = new ArrayList<>();
            for (int other = 0; other < 3; other++) {
                int[] ids = new int[97];
                java.util.Arrays.fill(ids, 7 + other);
                Example before = new Example(ids, new BitSet(), "a.jsonl", 1, 97, false);
                Batch batch = Batch.packed(List.of(List.of(before, trained, before)), 2, 1);
                losses.add(MicroBatch.evaluate(model, batch));
            }
            assertThat(losses).containsOnly(losses.getFirst());
        }
    }
}
