package org.qlora4j.model;

import org.qlora4j.error.ConfigException;

/**
 * The part of a model that one of several processes holds: some of its layers one after the other.
 * The first stage has the embeddings too, the last one norm and head.
 *
 * @param number of the stage, from 0
 * @param count number of stages; 1 for a model that is whole
 * @param from its first layer
 * @param to the layer behind its last one
 * @param shape of the whole model
 */
public record Stage(int number, int count, int from, int to, ModelShape shape) {
    /** All of a model. */
    public static Stage whole(ModelShape shape) {
        return new Stage(0, 1, 0, shape.layers(), shape);
    }

    /**
     * One of the stages into which a model is divided. Each has as many weights to multiply by as
     * the others, as near as whole layers allow; the head counts with the last.
     *
     * @throws ConfigException if there are more stages than layers, or layers that do not stand in
     *     a row
     */
    public static Stage of(ModelShape shape, int number, int count) {
        if (count == 1) {
            return whole(shape);
        }
        if (!(shape.architecture().task() instanceof Task.NextToken)) {
            throw ConfigException.of(
                    "train.pipeline_parallel_size must be 1 for models of type %s, which are not decoders alone",
                    shape.facts().type());
        }
        if (count > shape.layers()) {
            throw ConfigException.of(
                    "train.pipeline_parallel_size must be at most %d, the layers of the model, got %d",
                    shape.layers(), count);
        }
        return new Stage(
                number, count, end(shape, number - 1, count), end(shape, number, count), shape);
    }

    private static int end(ModelShape shape, int number, int count) {
        int layers = shape.layers();
        if (number < 0 || number == count - 1) {
            return number < 0 ? 0 : layers;
        }
        double head = (double) shape.vocabularySize() * shape.hiddenSize();
        double inLayers = layers + head * layers / shape.linearCount();
        long end = Math.round((number + 1) * inLayers / count);
        return (int) Math.clamp(end, number + 1, layers - (count - 1 - number));
    }

    public boolean isFirst() {
        return number == 0;
    }

    public boolean isLast() {
        return number == count - 1;
    }

    /**
     * Whether it has a weight: those of its layers, of the embeddings only the first stage, of the
     * head only the last, and of what stands beside them all.
     *
     * @param name of a weight or a module
     */
    public boolean holds(String name) {
        if (count == 1 && to == shape.layers()) {
            return true;
        }
        int layer = layer(name);
        if (layer >= 0) {
            return layer >= from && layer < to;
        }
        if (!shape.tables().contains(name)) {
            return true;
        }
        boolean isHead = name.equals(shape.headTable());
        boolean isEmbeddings = !isHead || !shape.hasOwnHead();
        return isHead && isLast() || isEmbeddings && isFirst();
    }

    /** The weights that are here. */
    public ModelShape held() {
        return new ModelShape(
                shape.architecture(),
                shape.facts(),
                shape.linears().stream().filter(l -> holds(l.path())).toList(),
                shape.others().stream().filter(w -> holds(w.name())).toList(),
                shape.tables(),
                shape.headTable());
    }

    /** As this one, with its first layers alone: a smaller model of the same kind. */
    public Stage withLayers(int number) {
        return new Stage(this.number, count, from, from + number, shape);
    }

    /** Number of the layer that a weight or a module is of; negative if of none. */
    public static int layer(String name) {
        String layer = ModelShape.layer(name);
        return layer == null ? -1 : Integer.parseInt(layer.substring(layer.lastIndexOf('.') + 1));
    }

    /** Micro-batches of which it keeps activations at once, in the order 1F1B. */
    public int inFlight() {
        return count - number;
    }
}
