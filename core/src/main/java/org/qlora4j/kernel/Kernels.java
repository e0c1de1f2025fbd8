package org.qlora4j.kernel;

import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.Notice;
import org.qlora4j.tensor.CpuFeatures;
import org.qlora4j.tensor.CudaDriver;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Device and kernels of this process, chosen once at start: where all tensors lie, and the fastest
 * set of kernels that the device, the machine and the JVM's flags allow, or the one named by the
 * system property {@code qlora.kernels} (reference, vector, sse, avx2, avx512, cuda).
 *
 * @param device where all tensors are made
 * @param name the set: reference, vector, sse, avx2 or avx512 (vector, with machine code where the
 *     Vector API falls short) or cuda
 * @param reason why it was chosen, for {@code qlora doctor}
 * @param fourBit 4-bit blocks
 * @param fourBitProduct few rows times a 4-bit weight
 * @param attentionSoftmax softmax of attention scores
 * @param tiledAttention attention of whole sequences, forward and backward
 * @param streamAttention attention of a step that continues many texts
 * @param crossEntropy loss of rows of logits
 * @param norm RMSNorm
 * @param layerNorm LayerNorm
 * @param rotary rotary position embedding
 * @param elements elementwise operations
 * @param activations functions of a plain MLP
 * @param denseProduct few rows times a weight in 16 or 32 bits
 * @param eightBitProduct few rows times a weight in 8 bits
 * @param rowInt8 weights and activations in 8 bits by rows
 * @param blockWeights weights in the blocks of a GGUF file
 * @param eightBitAdam AdamW with moments in 8 bits
 */
public record Kernels(
        Device device,
        String name,
        String reason,
        FourBit fourBit,
        FourBitProduct fourBitProduct,
        AttentionSoftmax attentionSoftmax,
        TiledAttention tiledAttention,
        StreamAttention streamAttention,
        CrossEntropyRows crossEntropy,
        NormRows norm,
        LayerNormRows layerNorm,
        RotaryRows rotary,
        ElementRows elements,
        ActivationRows activations,
        DenseProduct denseProduct,
        EightBitProduct eightBitProduct,
        RowInt8 rowInt8,
        BlockWeights blockWeights,
        EightBitAdam eightBitAdam) {
    private static final Logger LOG = LoggerFactory.getLogger(Kernels.class);

    /** The flag a JVM needs for the vector kernels. */
    public static final String VECTOR_FLAG = "--add-modules=jdk.incubator.vector";

    /** First compute capability with bf16 matrix instructions (Ampere), times ten. */
    private static final int BF16_CAPABILITY = 80;

    private static final String SLOW_WITHOUT_SSE41 =
            "this CPU has no SSE4.1, products of 4-bit and 8-bit weights will be slow";

    /** Floats of the narrowest vectors that kernels are written for. */
    private static final int NARROWEST = 4;

    private static volatile @Nullable Kernels selected;

    /**
     * Chooses the device of this process, before the first tensor is made. A later call must allow
     * the same device.
     *
     * @throws DeviceException if the device cannot be used: what is missing, and the remedy
     */
    public static synchronized Kernels select(DeviceChoice wanted) {
        Kernels before = selected;
        if (before != null) {
            if (wanted != DeviceChoice.AUTO && !wanted.key().equals(before.device.toString())) {
                throw DeviceException.of(
                        "device %s: this process already computes on %s; start another one",
                        wanted.key(), before.device);
            }
            return before;
        }
        Device device = deviceFor(wanted);
        Kernels chosen = choose(device, System.getProperty("qlora.kernels", "auto"));
        Tensors.setDevice(device);
        selected = chosen;
        return chosen;
    }

    /** Device and kernels chosen for this process; where nobody has chosen, the CPU. */
    public static Kernels current() {
        Kernels planned = MetaKernels.ofThisThread();
        if (planned != null) {
            return planned;
        }
        Kernels chosen = selected;
        return chosen == null ? select(DeviceChoice.CPU) : chosen;
    }

    /** The device as settings name it: {@code cpu} or {@code cuda:0}. */
    public String deviceName() {
        return device.toString();
    }

    /**
     * Bytes of the GPU's memory that are taken, by this process and others: what libtorch's
     * allocator has ever held at once, since it gives nothing back, the CUDA context, and whatever
     * else runs there. Empty on the CPU.
     */
    public OptionalLong deviceBytesTaken() {
        if (!device.cuda()) {
            return OptionalLong.empty();
        }
        CudaDriver driver = CudaDriver.open();
        return OptionalLong.of(driver.memory(device.index()) - driver.freeMemory(device.index()));
    }

    private static Device deviceFor(DeviceChoice wanted) {
        if (wanted == DeviceChoice.CPU) {
            return Device.CPU;
        }
        String missing = CudaStatus.whatIsMissing().orElse(null);
        if (missing == null) {
            return Device.cuda(0);
        }
        if (wanted == DeviceChoice.AUTO) {
            LOG.info("device cpu: {}", missing);
            return Device.CPU;
        }
        throw new DeviceException("device " + wanted.key() + ": " + missing);
    }

    /** Whether the device multiplies bf16 matrices with instructions made for it. */
    public boolean hasBf16() {
        if (device.cuda()) {
            return CudaDriver.open().computeCapability(device.index()) >= BF16_CAPABILITY;
        }
        return CpuFeatures.known() ? CpuFeatures.current().bf16() : Bf16Speed.paysOff();
    }

    /** The compute dtype where none is asked for: BF16 if the device has it, else F32. */
    public DType defaultCompute() {
        return hasBf16() ? DType.BF16 : DType.F32;
    }

    /** The plain kernels, made of libtorch operations. */
    static Kernels reference(Device device, String reason) {
        return withFourBit(device, "reference", reason, new ReferenceFourBit());
    }

    /**
     * The set of that name, to be compared or timed beside another; what this process computes with
     * stays {@link #current}.
     *
     * @param wanted auto, reference, vector, sse, avx2, avx512 or cuda
     * @throws ConfigException if there is no such set, or not for this device
     * @throws DeviceException if it cannot run here: what is missing
     */
    public static Kernels choose(Device device, String wanted) {
        return switch (wanted) {
            case "auto" -> device.cuda() ? fastestOnCuda(device) : fastestOnCpu();
            case "reference" -> reference(device, "asked for by qlora.kernels");
            case "vector" -> {
                requireVectors(device, wanted);
                yield vector("asked for by qlora.kernels");
            }
            case "avx512" -> {
                requireVectors(device, wanted);
                yield avx512("asked for by qlora.kernels");
            }
            case "avx2" -> {
                requireVectors(device, wanted);
                yield avx2("asked for by qlora.kernels");
            }
            case "sse" -> {
                requireVectors(device, wanted);
                yield sse("asked for by qlora.kernels");
            }
            case "cuda" -> {
                if (!device.cuda()) {
                    throw new ConfigException(
                            "qlora.kernels=cuda runs on device cuda:0, not cpu; leave it out");
                }
                yield cuda(device, "asked for by qlora.kernels");
            }
            default ->
                    throw ConfigException.of(
                            "qlora.kernels must be auto, reference, vector, sse, avx2, avx512 or cuda, got %s",
                            wanted);
        };
    }

    private static Kernels fastestOnCuda(Device device) {
        try {
            return cuda(device, "compiled for compute capability " + capability(device));
        } catch (DeviceException e) {
            Notice.say("kernels will be slow: " + e.getMessage());
            return reference(device, String.valueOf(e.getMessage()));
        }
    }

    private static Kernels fastestOnCpu() {
        if (!hasVectorApi()) {
            Notice.say(
                    "the Vector API is off, kernels will be slow; start the JVM with "
                            + VECTOR_FLAG);
            return reference(Device.CPU, "the JVM runs without " + VECTOR_FLAG);
        }
        int floats = VectorWidth.floats();
        String reason = "vectors of " + floats + " floats";
        if (floats < NARROWEST) {
            Notice.say(
                    "%s, kernels will be slow: they need %d; use a JDK that compiles for this CPU (Temurin on x86-64 or ARM64)"
                            .formatted(reason, NARROWEST));
            return reference(Device.CPU, reason + "; the vector kernels need " + NARROWEST);
        }
        try {
            if (VectorWidth.machineHas(512)) {
                return avx512(reason + ", x86-64 Linux");
            }
            if (VectorWidth.machineHas(256)) {
                return avx2(reason + ", x86-64 Linux");
            }
            if (VectorWidth.machineHas(128)) {
                return sse(reason + ", x86-64 Linux");
            }
            if (MachineCode.fitsSystem() && CpuFeatures.known() && !CpuFeatures.whole().sse41()) {
                Notice.say(SLOW_WITHOUT_SSE41);
            }
            return vector(reason);
        } catch (DeviceException e) {
            LOG.info("kernels vector: {}", e.getMessage());
            return vector(reason + "; " + e.getMessage());
        }
    }

    /** Whether classes of the Vector API are there, since the JVM's start or loaded later. */
    public static boolean hasVectorApi() {
        try {
            Class.forName("jdk.incubator.vector.Vector", false, Kernels.class.getClassLoader());
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    private static void requireVectors(Device device, String wanted) {
        if (device.cuda()) {
            throw ConfigException.of(
                    "qlora.kernels=%s runs on device cpu, not %s; leave it out", wanted, device);
        }
        if (!hasVectorApi()) {
            throw DeviceException.of(
                    "qlora.kernels=%s: start the JVM with %s", wanted, VECTOR_FLAG);
        }
        if (!wanted.equals("vector")) {
            MachineCode.probe();
        }
        int needed =
                switch (wanted) {
                    case "avx512" -> 16;
                    case "avx2" -> 8;
                    default -> NARROWEST;
                };
        int floats = VectorWidth.floats();
        boolean fit =
                wanted.equals("vector")
                        ? floats >= needed
                        : VectorWidth.machineHas(needed * Float.SIZE);
        if (!fit) {
            throw DeviceException.of(
                    "qlora.kernels=%s: needs vectors of %d floats and the instructions of its name, this"
                            + " CPU and JVM offer %d floats; use qlora.kernels=%s",
                    wanted, needed, floats, floats < NARROWEST ? "reference" : "vector");
        }
    }

    /** {@link FourBit} with vectors of the machine's width. */
    static FourBit vectorFourBit(Workers workers) {
        return VectorWidth.floats() >= 16 ? new VectorFourBit(workers) : new PairFourBit(workers);
    }

    private static FourBit fourBit(Workers workers, boolean avx2) {
        return avx2 ? new Avx2FourBit(workers, new PairFourBit(workers)) : vectorFourBit(workers);
    }

    /** {@link FourBitProduct} with vectors of the machine's width. */
    static FourBitProduct vectorFourBitProduct(Workers workers) {
        return VectorWidth.floats() >= 16
                ? new VectorFourBitProduct(workers)
                : new PairFourBitProduct(workers);
    }

    private static String capability(Device device) {
        return Nvrtc.capability(CudaDriver.open().computeCapability(device.index()));
    }

    private static Kernels vector(String reason) {
        Workers workers = new Workers(Engine.threads());
        return vector(
                "vector",
                reason,
                workers,
                vectorFourBitProduct(workers),
                new VectorEightBitProduct(workers));
    }

    private static Kernels avx512(String reason) {
        MachineCode.probe();
        Workers workers = new Workers(Engine.threads());
        return vector(
                "avx512",
                reason,
                workers,
                new Avx512FourBitProduct(workers, CpuFeatures.current().vnni()),
                new Avx512EightBitProduct(workers));
    }

    private static Kernels avx2(String reason) {
        MachineCode.probe();
        Workers workers = new Workers(Engine.threads());
        return vector(
                "avx2",
                reason,
                workers,
                new Avx2FourBitProduct(workers),
                new Avx2EightBitProduct(workers));
    }

    private static Kernels sse(String reason) {
        MachineCode.probe();
        Workers workers = new Workers(Engine.threads());
        return vector(
                "sse",
                reason,
                workers,
                new SseFourBitProduct(workers),
                new SseEightBitProduct(workers));
    }

    private static Kernels vector(
            String name,
            String reason,
            Workers workers,
            FourBitProduct fourBitProduct,
            EightBitProduct eightBitProduct) {
        Kernels plain = reference(Device.CPU, reason);
        boolean avx2 = fourBitProduct instanceof Avx2FourBitProduct;
        return new Kernels(
                Device.CPU,
                name,
                reason,
                fourBit(workers, avx2),
                fourBitProduct,
                new VectorAttentionSoftmax(workers, plain.attentionSoftmax),
                new VectorTiledAttention(workers),
                new VectorStreamAttention(workers, plain.streamAttention, avx2),
                new VectorCrossEntropyRows(workers, plain.crossEntropy),
                new VectorNormRows(workers, plain.norm),
                new VectorLayerNormRows(workers, plain.layerNorm),
                new VectorRotaryRows(workers, plain.rotary),
                new VectorElementRows(workers, plain.elements),
                new VectorActivationRows(workers, plain.activations),
                new VectorDenseProduct(workers, avx2),
                eightBitProduct,
                new VectorRowInt8(workers, plain.rowInt8),
                new VectorBlockWeights(workers, plain.blockWeights),
                new VectorEightBitAdam(workers));
    }

    /** On a GPU only decoding is a kernel of our own; the rest is libtorch's. */
    private static Kernels cuda(Device device, String reason) {
        CudaFourBit fourBit = CudaFourBit.compile(CudaDriver.open(), Nvrtc.open(), device.index());
        return withFourBit(device, "cuda", reason, fourBit);
    }

    private static Kernels withFourBit(Device device, String name, String reason, FourBit fourBit) {
        return new Kernels(
                device,
                name,
                reason,
                fourBit,
                new ReferenceFourBitProduct(),
                new ReferenceAttentionSoftmax(),
                new ReferenceTiledAttention(),
                new ReferenceStreamAttention(),
                new ReferenceCrossEntropyRows(),
                new ReferenceNormRows(),
                new ReferenceLayerNormRows(),
                new ReferenceRotaryRows(),
                new ReferenceElementRows(),
                new ReferenceActivationRows(),
                new ReferenceDenseProduct(),
                new ReferenceEightBitProduct(),
                new ReferenceRowInt8(),
                new ReferenceBlockWeights(),
                new ReferenceEightBitAdam());
    }
}
