package org.qlora4j.kernel;

import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.tensor.Engine;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The kernels of this process, chosen once: the fastest set that the machine and the JVM's flags
 * allow, or the one named by the system property {@code qlora.kernels} (reference, vector).
 *
 * @param name the set: reference or vector
 * @param reason why it was chosen, for {@code qlora doctor}
 * @param fourBit 4-bit blocks
 * @param fourBitProduct few rows times a 4-bit weight
 * @param attentionSoftmax softmax of attention scores
 * @param crossEntropy loss of rows of logits
 * @param norm RMSNorm
 * @param rotary rotary position embedding
 */
public record Kernels(
        String name,
        String reason,
        FourBit fourBit,
        FourBitProduct fourBitProduct,
        AttentionSoftmax attentionSoftmax,
        CrossEntropyRows crossEntropy,
        NormRows norm,
        RotaryRows rotary) {
    private static final Logger LOG = LoggerFactory.getLogger(Kernels.class);

    /** The flag a JVM needs for the vector kernels. */
    public static final String VECTOR_FLAG = "--add-modules=jdk.incubator.vector";

    private static final class Holder {
        static final Kernels CURRENT = choose(System.getProperty("qlora.kernels", "auto"));
    }

    /** The kernels chosen for this process. */
    public static Kernels current() {
        return Holder.CURRENT;
    }

    /** The plain kernels, made of libtorch operations. */
    public static Kernels reference(String reason) {
        return new Kernels(
                "reference",
                reason,
                new ReferenceFourBit(),
                new ReferenceFourBitProduct(),
                new ReferenceAttentionSoftmax(),
                new ReferenceCrossEntropyRows(),
                new ReferenceNormRows(),
                new ReferenceRotaryRows());
    }

    static Kernels choose(String wanted) {
        boolean module = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        return switch (wanted) {
            case "reference" -> reference("asked for by qlora.kernels");
            case "vector" -> {
                if (!module) {
                    throw new DeviceException(
                            "qlora.kernels=vector: start the JVM with " + VECTOR_FLAG);
                }
                if (VectorWidth.floats() < 16) {
                    throw DeviceException.of(
                            "qlora.kernels=vector: this CPU offers vectors of %d floats, 16 (AVX-512) are needed; use"
                                    + " qlora.kernels=reference",
                            VectorWidth.floats());
                }
                yield vector("asked for by qlora.kernels");
            }
            case "auto" -> {
                if (!module) {
                    LOG.warn(
                            "the Vector API is off, kernels will be slow; start the JVM with {}",
                            VECTOR_FLAG);
                    yield reference("the JVM runs without " + VECTOR_FLAG);
                }
                int floats = VectorWidth.floats();
                yield floats >= 16
                        ? vector("vectors of " + floats + " floats")
                        : reference(
                                "vectors of "
                                        + floats
                                        + " floats; the vector kernels need 16 (AVX-512)");
            }
            default ->
                    throw ConfigException.of(
                            "qlora.kernels must be auto, reference or vector, got %s", wanted);
        };
    }

    private static Kernels vector(String reason) {
        Workers workers = new Workers(Engine.threads());
        Kernels plain = reference(reason);
        return new Kernels(
                "vector",
                reason,
                new VectorFourBit(workers),
                new VectorFourBitProduct(workers),
                new VectorAttentionSoftmax(workers, plain.attentionSoftmax()),
                new VectorCrossEntropyRows(workers, plain.crossEntropy()),
                new VectorNormRows(workers, plain.norm()),
                new VectorRotaryRows(workers, plain.rotary()));
    }
}
