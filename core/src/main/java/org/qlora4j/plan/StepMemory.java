package org.qlora4j.plan;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.autograd.AttentionMemory;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Dropout;
import org.qlora4j.kernel.KernelMemory;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.ModelShape;

/**
 * Bytes that the forward and backward pass of one micro-batch hold at their worst, over what lives
 * the whole run. It walks the last decoder layer as {@link org.qlora4j.model.PreNormLayer} does,
 * forward and back, and says of every operation what it makes, saves and frees: the last layer
 * because its backward pass begins while the activations of all others are still there. Who changes
 * what an operation saves changes it here, and MemoryPlanTest tells.
 */
final class StepMemory {
    private static final int F32 = Float.BYTES;

    /** What lives now, by name, and the most that ever did. */
    private static final class Ledger {
        private final Map<String, Long> live = new LinkedHashMap<>();
        private long bytes;
        private long peak;

        void hold(String name, long size) {
            if (live.put(name, size) != null) {
                throw new IllegalStateException(name + " is held already");
            }
            bytes += size;
            peak = Math.max(peak, bytes);
        }

        /** Frees what is there of the names. */
        void free(String... names) {
            for (String name : names) {
                Long size = live.remove(name);
                bytes -= size == null ? 0 : size;
            }
        }

        /** Counts what an operation holds beside its result while it runs. */
        void passing(long size) {
            peak = Math.max(peak, bytes + size);
        }
    }

    private final ModelShape model;
    private final boolean full; // all weights learn, no adapters
    private final Map<String, Integer> ranks = new LinkedHashMap<>(); // of the last layer's linears
    private final boolean drops;
    private final boolean dora;
    private final boolean trainsHead;
    private final int width; // bytes of a value
    private final KernelMemory kernels;
    private final int blockSize; // of 4-bit weights; 0 if there are none
    private final long rows;
    private final long time;
    private final Ledger ledger = new Ledger();
    private long lossChunk;
    private long kept;

    private StepMemory(
            ModelShape model,
            LoraConfig lora,
            boolean full,
            int width,
            KernelMemory kernels,
            int blockSize,
            int batch,
            int time) {
        this.model = model;
        this.kernels = kernels;
        this.blockSize = blockSize;
        this.full = full;
        this.width = width;
        this.rows = (long) batch * time;
        this.time = time;
        this.drops = lora.loraDropout() > 0;
        this.dora = lora.useDora();
        LearntWeights learnt = LearntWeights.of(model, lora, full);
        this.trainsHead = learnt.has(model.headTable());
        for (ModelShape.LinearShape linear : model.lastLayer()) {
            if (!full && LoraAdapter.chooses(lora, linear.path())) {
                ranks.put(linear.name(), lora.rankOf(linear.path()));
            }
        }
    }

    /**
     * What one micro-batch holds.
     *
     * @param activations kept for the backward pass, when the forward pass has ended
     * @param loss logits and gradients of one chunk of the loss
     * @param working the rest of the worst moment: values and gradients of the layer at work
     */
    record Parts(long activations, long loss, long working) {
        long total() {
            return activations + loss + working;
        }
    }

    /**
     * @param width bytes of a value between layers, 2 or 4
     * @param full whether all weights learn
     * @param kernels what kernels hold while they run
     * @param blockSize weights that share a scale in 4 bits; 0 if none are in 4 bits
     * @param batch rows
     * @param time tokens of each, padding included
     */
    static Parts of(
            ModelShape model,
            LoraConfig lora,
            boolean full,
            int width,
            KernelMemory kernels,
            int blockSize,
            int batch,
            int time,
            boolean checkpointing) {
        StepMemory step = new StepMemory(model, lora, full, width, kernels, blockSize, batch, time);
        return step.walk(checkpointing);
    }

    private Parts walk(boolean checkpointing) {
        long others = model.layers() - 1L;
        ledger.hold("ids", rows * Long.BYTES);
        ledger.hold("embedding", hidden());
        if (checkpointing) {
            ledger.hold("inputs", others * hidden()); // of each later layer: the output before it
            forward();
            leaveOnly("ids", "embedding", "inputs", "out");
        } else {
            ledger.hold("before", others * saved());
            forward();
            ledger.free("q", "k", "o", "down"); // values of the layer that nothing saved
        }
        ledger.hold("normed", hidden());
        ledger.hold("normed.inverse", rows * F32);
        ledger.passing(norm());
        kept = ledger.bytes;
        loss();
        ledger.hold("g.normed", hidden());
        ledger.free("g.loss", "loss");
        ledger.hold("g.out", hidden()); // the norm's
        ledger.passing(normBackward());
        ledger.free("normed", "normed.inverse", "g.normed");
        if (checkpointing) {
            ledger.free("out");
            ledger.hold("out of the first run", hidden());
            forward();
        }
        backward(checkpointing);
        long peak = ledger.peak;
        long chunk = Math.min(lossChunk, peak - kept);
        return new Parts(kept, chunk, peak - kept - chunk);
    }

    private void leaveOnly(String... names) {
        for (String name : ledger.live.keySet().toArray(String[]::new)) {
            if (!List.of(names).contains(name)) {
                ledger.free(name);
            }
        }
    }

    /** A value [rows, size]. */
    private long values(long size) {
        return rows * size * width;
    }

    private long hidden() {
        return values(model.hiddenSize());
    }

    private long inner() {
        return values(model.facts().intermediateSize());
    }

    private long queries() {
        return values((long) model.facts().heads() * model.facts().headDim());
    }

    private long keys() {
        return values((long) model.facts().kvHeads() * model.facts().headDim());
    }

    private long downProjected(String linear) {
        return values(ranks.getOrDefault(linear, 0));
    }

    /** What a layer keeps for its backward pass. */
    private long saved() {
        long adapters = ranks.keySet().stream().mapToLong(this::downProjected).sum();
        if (dora) {
            for (ModelShape.LinearShape linear : model.lastLayer()) {
                boolean has = ranks.containsKey(linear.name());
                adapters += has ? values(linear.out()) + linear.out() * width : 0;
            }
        }
        return 2 * rows * F32 // inverse norms
                + 2 * hidden() // both normed inputs
                + 2 * queries() // queries and what attention gives
                + 2 * keys()
                + attention().saved()
                + hidden() // between attention and MLP
                + 3 * inner()
                + hidden() // the output
                + adapters;
    }

    private void forward() {
        ledger.hold("y1", hidden());
        ledger.hold("inverse1", rows * F32);
        ledger.passing(norm());
        linear("q", "q_proj", queries(), model.hiddenSize());
        ledger.hold("q.turned", queries());
        ledger.passing(kernels.rotary(queries() / width, width));
        linear("k", "k_proj", keys(), model.hiddenSize());
        ledger.hold("k.turned", keys());
        ledger.passing(kernels.rotary(keys() / width, width));
        linear("v", "v_proj", keys(), model.hiddenSize());
        ledger.hold("attended", queries());
        ledger.hold("sums", attention().saved());
        ledger.passing(attention().forward());
        linear("o", "o_proj", hidden(), (long) model.facts().heads() * model.facts().headDim());
        ledger.hold("h", hidden());
        ledger.passing(kernels.elements(hidden() / width, width));
        ledger.hold("y2", hidden());
        ledger.hold("inverse2", rows * F32);
        ledger.passing(norm());
        linear("gate", "gate_proj", inner(), model.hiddenSize());
        linear("up", "up_proj", inner(), model.hiddenSize());
        ledger.hold("product", inner());
        ledger.passing(kernels.elements(inner() / width, width));
        linear("down", "down_proj", hidden(), model.facts().intermediateSize());
        ledger.hold("out", hidden());
        ledger.passing(kernels.elements(hidden() / width, width));
    }

    private long norm() {
        return kernels.norm(hidden() / width, width);
    }

    private long normBackward() {
        return kernels.normBackward(hidden() / width, width);
    }

    private long decoding(long out, long in) {
        return blockSize == 0 ? 0 : kernels.decoding(out * in, blockSize);
    }

    private void linear(String name, String module, long size, long in) {
        ledger.hold(name, size);
        ledger.passing(decoding(size / width / rows, in));
        ledger.hold(name + ".a", downProjected(module));
        if (dora && ranks.containsKey(module)) { // the layer's product, and how rows are stretched
            ledger.hold(name + ".dora", size + size / rows);
        }
        if (drops && ranks.containsKey(module)) {
            ledger.passing(dropping(in));
        }
    }

    /** Dropout of the input of a factor: the mask, and then the input under it. */
    private long dropping(long in) {
        return Math.max(Dropout.bytes(rows * in, width), 2 * values(in));
    }

    private AttentionMemory attention() {
        return new AttentionMemory(
                rows / time,
                time,
                model.facts().heads(),
                model.facts().kvHeads(),
                model.facts().headDim(),
                width,
                kernels);
    }

    private void loss() {
        long row = (long) model.vocabularySize() * width;
        long chunk = Math.min(Math.max(1, CrossEntropy.CHUNK_BYTES / row), rows);
        ledger.hold("g.loss", hidden());
        long perRow = row + 2L * model.hiddenSize() * width; // logits, inputs, their gradients
        long plain = kernels.loss(chunk, model.hiddenSize(), model.vocabularySize(), width);
        ledger.passing(chunk * perRow + Math.max(plain, headGradient()));
        lossChunk = hidden() + chunk * perRow + Math.max(plain, headGradient());
    }

    /** The product that is added to a trained head's gradient. */
    private long headGradient() {
        return trainsHead ? product(model.vocabularySize(), model.hiddenSize()) : 0;
    }

    /** A gradient of a weight before it is added to the f32 sum. */
    private long product(long out, long in) {
        return width == F32 ? 0 : out * in * width;
    }

    /**
     * @param values whether the layer's own values are still there, as in one that runs again: each
     *     goes with the operation that made it, not with the last that saved it
     */
    private void backward(boolean values) {
        linearBackward("down", "down_proj", "g.out", "g.product", inner());
        ledger.free("out", "down", values ? "" : "product");
        ledger.hold("g.up", inner());
        ledger.hold("g.product.up", inner());
        ledger.hold("g.gate", inner());
        ledger.free("g.product.up", "g.product", "gate", "up", "product");
        linearBackward("up", "up_proj", "g.up", "g.y2", hidden());
        ledger.free("g.up");
        linearBackward("gate", "gate_proj", "g.gate", "g.y2.more", hidden());
        ledger.free("g.gate", "g.y2.more", "y2");
        ledger.hold("g.norm2", hidden());
        ledger.passing(normBackward());
        ledger.hold("g.h", hidden());
        ledger.free("g.norm2", "g.out", "g.y2", "h", "inverse2");
        linearBackward("o", "o_proj", "g.h", "g.attended", queries());
        ledger.free("o", values || attention().saved() > 0 ? "" : "attended");
        ledger.hold("g.q.turned", queries());
        ledger.hold("g.k.turned", keys());
        ledger.hold("g.v", keys());
        ledger.passing(attention().backward());
        ledger.free("g.attended", "q.turned", "k.turned", "attended", "sums");
        linearBackward("v", "v_proj", "g.v", "g.y1", hidden());
        ledger.free("g.v", "v");
        ledger.hold("g.k", keys());
        ledger.passing(kernels.rotary(keys() / width, width));
        ledger.free("g.k.turned");
        linearBackward("k", "k_proj", "g.k", "g.y1.k", hidden());
        ledger.free("g.k", "g.y1.k", "k");
        ledger.hold("g.q", queries());
        ledger.passing(kernels.rotary(queries() / width, width));
        ledger.free("g.q.turned");
        linearBackward("q", "q_proj", "g.q", "g.y1.q", hidden());
        ledger.free("g.q", "g.y1.q", "q", "y1");
        ledger.hold("g.norm1", hidden());
        ledger.passing(normBackward());
        ledger.hold("g.in", hidden());
    }

    /** What DoRA adds: two gradients of the product, in 32 bits too for that of the magnitudes. */
    private long stretching(int rank, long in, long out) {
        if (!dora || rank == 0) {
            return 0;
        }
        long wide = rows * out * F32 * (width == F32 ? 1 : 2);
        return 2 * values(out) + wide + (drops ? values(in) : 0);
    }

    /** The gradient of the input, and in passing the products added to those of the factors. */
    private void linearBackward(
            String name, String module, String gradient, String result, long size) {
        if (!ledger.live.containsKey(gradient)) {
            throw new IllegalStateException("no gradient " + gradient);
        }
        ledger.hold(result, size);
        long in = size / width / rows;
        long out = ledger.live.get(gradient) / width / rows;
        ledger.passing(decoding(out, in));
        int rank = ranks.getOrDefault(module, 0);
        long factors = rank == 0 ? 0 : values(rank) + out * rank * width + product(rank, in);
        long dropped = drops && rank > 0 ? dropping(in) : 0;
        ledger.passing(
                factors + dropped + (full ? product(out, in) : 0) + stretching(rank, in, out));
        ledger.free(name + ".a", name + ".dora");
    }
}
