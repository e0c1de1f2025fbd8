package org.qlora4j.plan;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.data.DataConfig;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.family.NamedShapes;
import org.qlora4j.kernel.KernelMemory;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Stage;
import org.qlora4j.model.Task;
import org.qlora4j.optim.OptimType;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;

/**
 * Bytes that the tensors of a training run take at its worst moment. They follow from the shape of
 * the model and the settings; nothing is loaded. The process takes more: the Java heap, libtorch's
 * code and workspaces, on a GPU the CUDA context. Of a model that is divided over processes it is
 * what the one takes that takes most.
 *
 * @param weights codes of the linears, or the linears themselves where they are not quantized; of
 *     layers that are read from disk as they are used those of two; with {@code full_finetune}
 *     32-bit masters and gradients of all weights too
 * @param scales of the blocks of 4-bit weights
 * @param others embeddings, norms, biases and head
 * @param adapters what learns beside the model's weights, in 32 bits and in the compute dtype, and
 *     its gradients; with PiSSA what factors began with too
 * @param optimizer state of AdamW but for what is paged, which can leave memory
 * @param activations what the backward pass needs of the forward pass
 * @param loss logits and gradients of one chunk of positions
 * @param working the rest of the worst moment of a step
 * @param workspace the buffer into which 4-bit weights are decoded, rotary tables, DoRA's norms
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
     * What computes: where a CPU has no bfloat16, values are twice as wide as was set, and plain
     * kernels hold more than those made for a CPU.
     *
     * @param bf16 whether it computes in bfloat16 where that is set
     * @param kernels what its kernels hold while they run
     */
    public record Machine(boolean bf16, KernelMemory kernels) {
        /** A GPU with bfloat16. */
        public static final Machine GPU = new Machine(true, KernelMemory.GPU);

        /** The device of this process. */
        public static Machine here() {
            Kernels kernels = Kernels.current();
            return new Machine(kernels.defaultCompute() == DType.BF16, KernelMemory.of(kernels));
        }

        /** Bytes of a value between layers. */
        int width(QuantConfig quantization) {
            return bf16 && quantization.computeDtype() != ComputeDtype.FLOAT32 ? 2 : F32;
        }
    }

    /**
     * The plan of a run on this machine, with examples of the longest length that its settings
     * allow.
     *
     * @throws org.qlora4j.error.FormatException if the model's config.json cannot be read
     */
    public static MemoryPlan of(RunConfig config) {
        return of(config, shape(config), Machine.here());
    }

    /**
     * The plan of a run whose micro-batches are known.
     *
     * @param source tokens of each row that an encoder reads for the others; 0 where none does
     * @param stage the part of the model that this process holds
     */
    public static MemoryPlan of(
            RunConfig config, Machine machine, int batch, int source, int time, Stage stage) {
        Load load = Load.of(config, batch, source, time);
        return of(stage, config.quantization(), config.lora(), load, machine, keptBytes(config));
    }

    /** The plan of a run on a model of another shape than its settings name. */
    public static MemoryPlan of(RunConfig config, ModelShape model, Machine machine) {
        return of(config, model, Load.of(config, model), machine, keptBytes(config));
    }

    /** The plan of a run under another load than its settings say, with its {@link #keptBytes}. */
    static MemoryPlan of(
            RunConfig config,
            ModelShape model,
            Load load,
            Machine machine,
            Map<String, Long> kept) {
        return of(model, config.quantization(), config.lora(), load, machine, kept);
    }

    /**
     * What a run asks of memory besides its weights.
     *
     * @param full whether all weights learn, instead of adapters
     * @param checkpointing whether activations are computed again in the backward pass
     * @param optim the optimizer; a paged one's state may leave memory
     * @param batch rows of a micro-batch
     * @param source tokens of each that an encoder reads for the others; 0 where none does
     * @param time tokens of each beside them, padding included
     * @param streamed whether layers are read from disk as they are used
     * @param stages processes that the layers are divided over
     */
    public record Load(
            boolean full,
            boolean checkpointing,
            OptimType optim,
            int batch,
            int source,
            int time,
            boolean streamed,
            int stages) {
        /** The load of a run whose rows are as long as its settings allow. */
        public static Load of(RunConfig config, ModelShape model) {
            DataConfig data = config.data();
            int batch = config.train().rowsAtOnce(1);
            int most = model.maxPositions();
            return switch (model.architecture().task()) {
                case Task.NextToken next -> {
                    int longest = data.sourceMaxLen() + data.targetMaxLen();
                    if (!data.packing()) { // rows of several examples may exceed the context
                        longest = Math.min(longest, most);
                    }
                    int multiple = Math.max(1, data.padToMultipleOf());
                    yield of(config, batch, 0, Math.ceilDiv(longest, multiple) * multiple);
                }
                case Task.SequenceToSequence pairs ->
                        of(config, batch, data.sourceMaxLen(), data.targetMaxLen());
                case Task.Classify classify ->
                        of(config, batch, 0, Math.min(data.sourceMaxLen(), most));
            };
        }

        static Load of(RunConfig config, int batch, int source, int time) {
            TrainConfig train = config.train();
            return new Load(
                    train.fullFinetune(),
                    train.gradientCheckpointing(),
                    train.optim(),
                    batch,
                    source,
                    time,
                    config.model().streamLayers(),
                    train.pipelineParallelSize());
        }

        Load withCheckpointing() {
            return new Load(full, true, optim, batch, source, time, streamed, stages);
        }

        /** With the optimizer's twin whose state may leave memory. */
        Load withPaging() {
            OptimType twin =
                    optim.eightBit() ? OptimType.PAGED_ADAMW_8BIT : OptimType.PAGED_ADAMW_32BIT;
            return new Load(full, checkpointing, twin, batch, source, time, streamed, stages);
        }

        Load withBatch(int rows) {
            return new Load(full, checkpointing, optim, rows, source, time, streamed, stages);
        }

        /** With layers that are read from disk as they are used. */
        Load withStreaming() {
            return new Load(full, checkpointing, optim, batch, source, time, true, stages);
        }
    }

    /**
     * The shape of the model that the settings name, with the classes that they give it: a
     * checkpoint, or one of the named shapes.
     */
    public static ModelShape shape(RunConfig config) {
        return config.model().labels().of(shapeOf(config));
    }

    private static ModelShape shapeOf(RunConfig config) {
        Path path = Path.of(config.model().modelNameOrPath());
        Optional<ModelShape> named =
                Files.exists(path)
                        ? Optional.empty()
                        : NamedShapes.named(path.toString().replace('\\', '/'));
        if (named.isPresent()) {
            return named.get();
        }
        ModelPlace place =
                ModelPlace.find(path)
                        .orElseThrow(() ->
                                FormatException.of(
                                        "%s does not exist, and is no shape known by name (%s); check the path",
                                        config.model().modelNameOrPath(), NamedShapes.names()));
        RunInputs.requireTrainable(place, config);
        return place.shape();
    }

    /** Bytes of the linears that stay in the blocks of a GGUF file, by their paths; else empty. */
    static Map<String, Long> keptBytes(RunConfig config) {
        if (!config.quantization().keepStored()) {
            return Map.of();
        }
        return Models.kept(ModelPlace.of(config.model())).bytes();
    }

    /** The plan of a model of some shape under some load. */
    public static MemoryPlan of(
            ModelShape model,
            QuantConfig quantization,
            LoraConfig lora,
            Load load,
            Machine machine) {
        return of(model, quantization, lora, load, machine, Map.of());
    }

    /** As the one above, with {@link #keptBytes} of the model. */
    private static MemoryPlan of(
            ModelShape model,
            QuantConfig quantization,
            LoraConfig lora,
            Load load,
            Machine machine,
            Map<String, Long> kept) {
        MemoryPlan most =
                of(Stage.of(model, 0, load.stages()), quantization, lora, load, machine, kept);
        for (int i = 1; i < load.stages(); i++) {
            Stage stage = Stage.of(model, i, load.stages());
            MemoryPlan plan = of(stage, quantization, lora, load, machine, kept);
            most = plan.total() > most.total() ? plan : most;
        }
        return most;
    }

    /** What learns is in each process, and all its layers. */
    private static MemoryPlan of(
            Stage stage,
            QuantConfig quantization,
            LoraConfig lora,
            Load load,
            Machine machine,
            Map<String, Long> kept) {
        ModelShape model = stage.held();
        boolean full = load.full();
        int width = machine.width(quantization);
        long linearCount = model.linearCount();
        LinearBytes.Form form = new LinearBytes.Form(quantization, kept, width);
        LinearBytes linears =
                load.streamed() ? LinearBytes.streamed(model, form) : LinearBytes.held(model, form);
        boolean pissa = !full && lora.initLoraWeights() instanceof LoraInit.Pissa;
        long otherCount = LearntWeights.of(model, lora, true).count() - linearCount;
        LearntWeights learnt = LearntWeights.of(stage.shape(), lora, full);
        long copies = 2 * F32 + (width == F32 ? 0 : width); // master, gradient, compute copy
        DType compute = width == F32 ? DType.F32 : DType.BF16;
        StepMemory step =
                StepMemory.of(
                        new StepMemory.Sizes(
                                stage, quantization, lora, full, compute, machine.kernels()),
                        new StepMemory.Rows(load.batch(), load.source(), load.time()),
                        load.checkpointing());
        long optimizerWork = learnt.stepBytes(load.optim(), OPTIMIZER_CHUNK, machine.kernels());
        long beyond = Math.max(0, optimizerWork - step.total());
        return new MemoryPlan(
                full ? linearCount * copies : linears.weights(),
                full ? 0 : linears.scales(),
                otherCount * (full ? copies : width),
                full ? 0 : learnt.bytes(width) + (pissa ? learnt.factorCount() * width : 0),
                learnt.optimizerBytes(load.optim()),
                step.activations(),
                step.loss(),
                step.working() + beyond,
                step.workspace());
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
