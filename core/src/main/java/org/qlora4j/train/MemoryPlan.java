package org.qlora4j.train;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.model.LlamaConfig;
import org.qlora4j.model.LlamaConfig.LinearShape;
import org.qlora4j.model.LlamaShapes;
import org.qlora4j.model.Models;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;

/**
 * Bytes that tensors of a training run take at its worst moment, from the shape of the model and
 * the settings alone: nothing is loaded. The process takes more: the Java heap, libtorch's code and
 * workspaces, on a GPU the CUDA context.
 *
 * @param weights codes of the linears, or the linears themselves where they are not quantized; with
 *     {@code full_finetune} 32-bit masters and gradients of all weights too
 * @param scales of the blocks of 4-bit weights
 * @param others embeddings, norms, biases and head
 * @param adapters factors in 32 bits and in the compute dtype, and their gradients; with PiSSA what
 *     they began with too
 * @param optimizer state of AdamW; 0 where it is paged, for it can leave memory
 * @param activations what the backward pass needs of the forward pass
 * @param loss logits and gradients of one chunk of positions
 * @param working the rest of the worst moment of a step
 * @param workspace the buffer into which 4-bit weights are decoded, and rotary tables
 */
public record MemoryPlan(
        long weights,
        long scales,
        long others,
        long adapters,
        long optimizer,
        long activations,
        long loss,
        long working,
        long workspace) {
    private static final int F32 = Float.BYTES;

    /** Elements that the optimizer works on at once. */
    private static final long OPTIMIZER_CHUNK = 1 << 22;

    /**
     * The plan of a run with examples of the longest length that its settings allow.
     *
     * @throws org.qlora4j.error.FormatException if the model's config.json cannot be read
     */
    public static MemoryPlan of(RunConfig config) {
        return of(config, shape(config));
    }

    /** The plan of a run on a model of another shape than its settings name. */
    public static MemoryPlan of(RunConfig config, LlamaConfig model) {
        return of(model, config.quantization(), config.lora(), Load.of(config, model));
    }

    /**
     * What a run asks of memory besides its weights.
     *
     * @param full whether all weights learn, instead of adapters
     * @param checkpointing whether activations are computed again in the backward pass
     * @param paged whether the optimizer's state may leave memory
     * @param batch rows of a micro-batch
     * @param time tokens of each, padding included
     */
    public record Load(boolean full, boolean checkpointing, boolean paged, int batch, int time) {
        /** That of a run, with examples as long as its settings allow. */
        public static Load of(RunConfig config, LlamaConfig model) {
            TrainConfig train = config.train();
            return new Load(
                    train.fullFinetune(),
                    train.gradientCheckpointing(),
                    train.optim().paged(),
                    train.perDeviceTrainBatchSize(),
                    Math.min(longest(config), model.maxPositions()));
        }
    }

    /** Most tokens of an example. */
    static int longest(RunConfig config) {
        return config.data().sourceMaxLen() + config.data().targetMaxLen();
    }

    /** The shape of the model that the settings name: a checkpoint, or one of the named shapes. */
    public static LlamaConfig shape(RunConfig config) {
        Path path = Path.of(config.model().modelNameOrPath());
        Optional<LlamaConfig> named =
                Files.exists(path)
                        ? Optional.empty()
                        : LlamaShapes.named(path.toString().replace('\\', '/'));
        if (named.isPresent()) {
            return named.get();
        }
        if (!Files.exists(Models.locate(path))) {
            throw FormatException.of(
                    "%s does not exist, and is no shape known by name (%s); check the path",
                    config.model().modelNameOrPath(), LlamaShapes.names());
        }
        return LlamaConfig.read(Models.folder(path));
    }

    /** The plan of a model of some shape under some load. */
    public static MemoryPlan of(
            LlamaConfig model, QuantConfig quantization, LoraConfig lora, Load load) {
        boolean full = load.full();
        int time = load.time();
        int width = quantization.computeDtype() == ComputeDtype.FLOAT32 ? F32 : 2;
        boolean quantized = quantization.load4bit() && !full;
        long linears = 0;
        long scales = 0;
        long largest = 0;
        long biases = 0;
        long factors = 0;
        for (LinearShape linear : model.linears()) {
            long n = linear.out() * linear.in();
            linears += quantized ? (n + 1) / 2 : n * width;
            scales += quantized ? scales(n, quantization) : 0;
            largest = Math.max(largest, n);
            boolean mlp = linear.path().contains(".mlp.");
            biases += (mlp ? model.mlpBias() : model.attentionBias()) ? linear.out() : 0;
            if (!full && LoraAdapter.chooses(lora, linear.path())) {
                factors += lora.rankOf(linear.path()) * (linear.out() + linear.in());
                factors += lora.useDora() ? linear.out() : 0; // magnitudes
            }
        }
        long linearCount = model.linears().stream().mapToLong(l -> l.out() * l.in()).sum();
        long otherCount = model.parameterCount() - linearCount + biases;
        boolean pissa = !full && lora.initLoraWeights() instanceof LoraInit.Pissa;
        long learning = full ? model.parameterCount() + biases : factors;
        long copies = 2 * F32 + (width == F32 ? 0 : width); // master, gradient, compute copy
        StepMemory.Parts step =
                StepMemory.of(model, lora, full, width, load.batch(), time, load.checkpointing());
        long optimizerWork = Math.min(learning, OPTIMIZER_CHUNK) * F32;
        long beyond = Math.max(0, optimizerWork - step.total());
        return new MemoryPlan(
                full ? linearCount * copies : linears,
                scales,
                otherCount * (full ? copies : width),
                factors * copies + (pissa ? factors * width : 0),
                load.paged() ? 0 : 2 * F32 * learning,
                step.activations(),
                step.loss(),
                step.working() + beyond,
                (quantized ? largest * width : 0) + rotary(model, time));
    }

    private static long scales(long n, QuantConfig quantization) {
        long blocks = (n + quantization.blockSize() - 1) / quantization.blockSize();
        if (!quantization.doubleQuant()) {
            return blocks * F32;
        }
        int nested = BlockScales.NESTED_BLOCK;
        return blocks + (blocks + nested - 1) / nested * F32;
    }

    private static long rotary(LlamaConfig model, int time) {
        int positions = Math.max(256, Integer.highestOneBit(Math.max(1, time - 1)) * 2);
        return (long) positions * model.headDim() * F32; // cosines and sines of half a head
    }

    /** Bytes of all parts. */
    public long total() {
        return parts().values().stream().mapToLong(Long::longValue).sum();
    }

    /** What is there whatever the batch. */
    public long fixed() {
        return weights + scales + others + adapters + optimizer + workspace;
    }

    /** The parts by name, in the order of this record. */
    public Map<String, Long> parts() {
        Map<String, Long> out = new LinkedHashMap<>();
        out.put("weights", weights);
        out.put("scales", scales);
        out.put("embeddings, norms, head", others);
        out.put("adapters", adapters);
        out.put("optimizer", optimizer);
        out.put("activations", activations);
        out.put("logits and loss", loss);
        out.put("layer at work", working);
        out.put("workspace", workspace);
        return out;
    }
}
