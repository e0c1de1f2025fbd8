package org.qlora4j.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.kernel.KernelMemory;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Context;
import org.qlora4j.model.CrossContext;
import org.qlora4j.model.LoadedModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Stage;
import org.qlora4j.model.Task;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Bytes that the forward and backward pass of one micro-batch hold, over weights and adapters. The
 * model's own code runs on tensors that have sizes and no memory, and the tensor layer counts what
 * they would hold: nothing here knows a family or an operation.
 *
 * @param activations kept for the backward pass, when the forward pass has ended
 * @param loss logits and gradients of one chunk of the loss
 * @param working the rest of the worst moment: values and gradients of the layer at work
 * @param workspace what stays from step to step: the buffer into which 4-bit weights are decoded,
 *     rotary tables, DoRA's norms
 */
record StepMemory(long activations, long loss, long working, long workspace) {
    /** Rows that are run through at most; more take as much for each as the last of these. */
    private static final int MOST_ROWS = 16;

    /** Layers that are run through where all are alike; each further one takes the same. */
    private static final int FEW_LAYERS = 4;

    /**
     * Sizes of a run.
     *
     * @param stage the part of the model that is there
     * @param full whether all weights learn
     * @param compute dtype of values between layers
     * @param kernels what the device's kernels hold
     */
    record Sizes(
            Stage stage,
            QuantConfig quantization,
            LoraConfig lora,
            boolean full,
            DType compute,
            KernelMemory kernels) {
        private Sizes withLayers(int number) {
            return new Sizes(stage.withLayers(number), quantization, lora, full, compute, kernels);
        }

        /** Whether the layers are alike, and what is put on them. */
        private boolean layersAreAlike() {
            Map<Integer, List<Integer>> ranks = new HashMap<>();
            for (ModelShape.LinearShape linear : stage.held().linears()) {
                String path = linear.path();
                int rank = LoraAdapter.chooses(lora, path) ? lora.rankOf(path) : 0;
                int layer = Stage.layer(path);
                ranks.computeIfAbsent(layer, l -> new ArrayList<>()).add(rank);
            }
            return stage.shape().architecture().layersAreAlike()
                    && new HashSet<>(ranks.values()).size() == 1;
        }
    }

    /**
     * A micro-batch.
     *
     * @param source tokens of each row that an encoder reads for the others; 0 where none does
     * @param time tokens of each beside them, padding included
     */
    record Rows(int count, int source, int time) {
        private Rows of(int rows) {
            return new Rows(rows, source, time);
        }
    }

    private record Question(Sizes sizes, Rows rows, boolean checkpointing) {}

    /** The last answers: a search for what fits asks the same again and again. */
    private static final Map<Question, StepMemory> KNOWN =
            Collections.synchronizedMap(
                    new LinkedHashMap<>() {
                        @Override
                        protected boolean removeEldestEntry(Map.Entry<Question, StepMemory> e) {
                            return size() > 64;
                        }
                    });

    /** What a step of some micro-batch holds. */
    static StepMemory of(Sizes sizes, Rows rows, boolean checkpointing) {
        if (rows.count <= MOST_ROWS) {
            Question question = new Question(sizes, rows, checkpointing);
            return KNOWN.computeIfAbsent(
                    question,
                    q -> sizes.kernels.onMeta(() -> byLayers(sizes, rows, checkpointing)));
        }
        StepMemory half = of(sizes, rows.of(MOST_ROWS / 2), checkpointing);
        StepMemory most = of(sizes, rows.of(MOST_ROWS), checkpointing);
        return most.plus(most.minus(half), (rows.count - MOST_ROWS) / (MOST_ROWS / 2.0));
    }

    long total() {
        return activations + loss + working;
    }

    private StepMemory minus(StepMemory other) {
        return new StepMemory(
                activations - other.activations,
                loss - other.loss,
                working - other.working,
                workspace - other.workspace);
    }

    private StepMemory plus(StepMemory other, double times) {
        return new StepMemory(
                activations + (long) (times * other.activations),
                loss + (long) (times * other.loss),
                working + (long) (times * other.working),
                workspace + (long) (times * other.workspace));
    }

    /** Runs a few layers through where many are alike: each takes as much as the others. */
    private static StepMemory byLayers(Sizes sizes, Rows rows, boolean checkpointing) {
        int layers = sizes.stage.to() - sizes.stage.from();
        if (layers <= FEW_LAYERS + 2 || !sizes.layersAreAlike()) {
            return measure(sizes, rows, checkpointing);
        }
        StepMemory few = measure(sizes.withLayers(FEW_LAYERS), rows, checkpointing);
        StepMemory more = measure(sizes.withLayers(FEW_LAYERS + 1), rows, checkpointing);
        return more.plus(more.minus(few), layers - FEW_LAYERS - 1);
    }

    private static StepMemory measure(Sizes sizes, Rows rows, boolean checkpointing) {
        QuantConfig held = sizes.full ? sizes.quantization.withLoad4bit(false) : sizes.quantization;
        try (CausalModel model =
                LoadedModel.ofSizes(sizes.stage, held, sizes.compute, sizes.full)) {
            if (sizes.full) {
                return step(model, rows, checkpointing);
            }
            try (LoraAdapter adapter =
                    LoraAdapter.ofSizes(
                            sizes.lora, model.linears(), model.parameters(), sizes.compute)) {
                return step(model, rows, checkpointing);
            }
        }
    }

    private static StepMemory step(CausalModel model, Rows rows, boolean checkpointing) {
        long before = NativeMemory.liveBytes();
        StepMemory all = run(model, rows, checkpointing);
        // made first of all, in the forward pass
        long stays = NativeMemory.liveBytes() - before;
        long kept = all.activations - stays;
        return new StepMemory(kept * model.stage().inFlight(), all.loss, all.working, stays);
    }

    /** A forward and a backward pass; what stays behind them is counted among activations. */
    private static StepMemory run(CausalModel model, Rows rows, boolean checkpointing) {
        int batch = rows.count;
        int time = rows.time;
        long before = NativeMemory.liveBytes();
        NativeMemory.resetPeak();
        Task task = model.shape().architecture().task();
        boolean classifies = task instanceof Task.Classify;
        int[] labels = new int[classifies ? batch : batch * time]; // each position is trained on
        Arrays.fill(labels, classifies ? 0 : 1);
        try (TensorScope scope = TensorScope.open();
                BatchContext seen =
                        classifies
                                ? BatchContext.whole(batch, time, visible(batch, time))
                                : BatchContext.of(batch, time);
                Source source = new Source(batch, rows.source);
                Tape tape = Tape.recording(1)) {
            Tensor ids = Tensors.empty(DType.I64, batch, time);
            Context both = source.before(seen, tape, model, checkpointing);
            Stage stage = model.stage();
            long[] shape = {batch, time, stage.shape().hiddenSize()};
            Var received =
                    stage.isFirst()
                            ? null
                            : tape.leaf(tape.keep(Tensors.empty(model.compute(), shape)));
            Var hidden = model.hidden(tape, ids, received, both, checkpointing);
            long kept = NativeMemory.liveBytes() - before;
            long forward = NativeMemory.peakBytes() - before;
            long loss = 0;
            NativeMemory.resetPeak();
            if (!stage.isLast()) {
                tape.backward(hidden, Tensors.empty(model.compute(), shape));
            } else {
                Var sum = CrossEntropy.sum(tape, hidden, model.head(), labels);
                loss = NativeMemory.peakBytes() - before - kept;
                tape.backward(sum);
            }
            if (received != null) {
                received.closeGrad();
            }
            long peak = Math.max(forward, NativeMemory.peakBytes() - before);
            return new StepMemory(kept, loss, peak - kept - loss, 0);
        }
    }

    private static byte[] visible(int batch, int time) {
        byte[] all = new byte[batch * time];
        Arrays.fill(all, (byte) 1);
        return all;
    }

    /** A source of its own before the text, for models that read one. */
    private static final class Source implements AutoCloseable {
        private final @Nullable BatchContext read;
        private final int batch;
        private final int time;
        private final byte[] visible;
        private @Nullable CrossContext cross;

        Source(int batch, int time) {
            this.batch = batch;
            this.time = time;
            this.visible = visible(batch, time);
            this.read = time == 0 ? null : BatchContext.whole(batch, time, visible);
        }

        /** What the text sees: itself, and the source if there is one. */
        Context before(Context seen, Tape tape, CausalModel model, boolean checkpointing) {
            if (read == null) {
                return seen;
            }
            Tensor ids = Tensors.empty(DType.I64, batch, time);
            Var encoded = model.encode(tape, ids, read, checkpointing);
            CrossContext made = new CrossContext(seen, encoded, visible);
            cross = made;
            return made;
        }

        @Override
        public void close() {
            if (cross != null) {
                cross.close();
            }
            if (read != null) {
                read.close();
            }
        }
    }
}
