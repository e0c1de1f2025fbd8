package org.qlora4j.family;

import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.GgufNames;
import org.qlora4j.checkpoint.GgufOrder;
import org.qlora4j.model.ModelShape;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * Where a model's tensors go in a GGUF file, and what is done to their values.
 *
 * @param names of the family
 * @param shape of the model
 */
public record GgufLayout(GgufNames names, ModelShape shape) {
    /** The layout of a model's family. */
    public static GgufLayout of(ModelShape shape) {
        return new GgufLayout(GgufNames.ofModelType(shape.facts().type()), shape);
    }

    /**
     * GGUF's name of a tensor; null if it has none. A checkpoint may leave out the first part of
     * all names, or put one before those of the text model.
     */
    public @Nullable String name(String name) {
        String plain = name.replaceFirst("^(model\\.)?language_model\\.(model\\.)?", "model.");
        if (name.startsWith("language_model.lm_head")) {
            plain = name.substring("language_model.".length());
        }
        String gguf = names.toGguf(plain);
        String first = names.layers().substring(0, names.layers().indexOf('.') + 1);
        return gguf != null ? gguf : names.toGguf(first + plain);
    }

    /** Whether a tensor reads pictures, which the text model does without. */
    public static boolean isOfPictures(String name) {
        return name.matches("(model\\.)?(vision_tower|multi_modal_projector)\\..*");
    }

    private GgufOrder order(String name) {
        return names.order(name, shape.facts().heads(), shape.facts().kvHeads());
    }

    /**
     * The sizes of a tensor in the file, slowest first.
     *
     * @param size Hugging Face's
     */
    public long[] size(String name, long[] size) {
        return order(name) instanceof GgufOrder.Transposed ? new long[] {size[1], size[0]} : size;
    }

    /**
     * The values of a tensor as the file has them.
     *
     * @param values F32, as Hugging Face has them
     */
    public Tensor toFile(String name, Tensor values) {
        GgufOrder order = order(name);
        Tensor out =
                switch (order) {
                    case GgufOrder.Same _ -> values;
                    case GgufOrder.Transposed _ -> values.t().contiguous();
                    case GgufOrder.PlusOne _ -> values.plus(1);
                    case GgufOrder.Halves _, GgufOrder.Grouped _ -> rowsToFile(name, values);
                };
        return scaled(name, out);
    }

    /** Factor B of an adapter, whose rows lie as those of its weight. */
    public Tensor factorToFile(String name, Tensor b) {
        return scaled(name, order(name).movesRows() ? rowsToFile(name, b) : b);
    }

    private Tensor rowsToFile(String name, Tensor values) {
        GgufOrder order = order(name);
        long rows = values.size(0);
        long[] from = new long[Math.toIntExact(rows)];
        for (int row = 0; row < from.length; row++) {
            from[row] = order.huggingFaceRow(row, rows);
        }
        return values.indexSelect(0, Tensors.of(from, from.length));
    }

    /** Queries times what the file's architecture cannot say of the scale of the scores. */
    private Tensor scaled(String name, Tensor values) {
        boolean queries =
                shape.architecture() instanceof Gemma3Config
                        ? name.endsWith(".q_norm.weight")
                        : name.contains(".q_proj.");
        double factor = queries ? queryFactor() : 1;
        return Math.abs(factor - 1) < 1e-6 ? values : values.times(factor);
    }

    /**
     * What queries are multiplied by, so that scores are right: llama.cpp divides Gemma's by the
     * root of a head's width, or of hidden size over heads in the model with 27 billion weights
     * (known there by its layers), whatever {@code query_pre_attn_scalar} is.
     */
    private double queryFactor() {
        return switch (shape.architecture()) {
            case Gemma2Config gemma ->
                    gemma.attention().scale() * Math.sqrt(divisor(shape, Gemma2Config.LARGEST));
            case Gemma3Config gemma ->
                    gemma.scale() * Math.sqrt(divisor(shape, Gemma3Config.LARGEST));
            default -> 1;
        };
    }

    private static int divisor(ModelShape shape, int largest) {
        return shape.layers() == largest
                ? shape.hiddenSize() / shape.facts().heads()
                : shape.facts().headDim();
    }
}
