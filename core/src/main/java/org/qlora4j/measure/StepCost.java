package org.qlora4j.measure;

import org.qlora4j.model.ModelShape;
import org.qlora4j.model.ModelShape.LinearShape;

/**
 * The arithmetic of one training step with LoRA on all linears of a frozen model, nothing computed
 * twice: what is left to do for a program that wastes nothing.
 *
 * @param linearFlops base weights: forward, and the gradient of the input
 * @param loraFlops factors: forward, gradient of the input, gradient of both factors
 * @param headFlops head: forward, and the gradient of the input
 * @param attentionFlops two products forward and four backward, of which causality leaves half
 */
public record StepCost(
        double linearFlops, double loraFlops, double headFlops, double attentionFlops) {
    public static StepCost of(ModelShape model, int batch, int time, int rank) {
        double tokens = (double) batch * time;
        double linear = 0;
        double lora = 0;
        for (LinearShape shape : model.linears()) {
            linear += 4.0 * shape.in() * shape.out();
            lora += 6.0 * rank * (shape.in() + shape.out());
        }
        double head = 4.0 * model.vocabularySize() * model.hiddenSize();
        double attention =
                6.0
                        * 2
                        * time
                        * model.facts().heads()
                        * model.facts().headDim()
                        / 2
                        * model.layers();
        return new StepCost(tokens * linear, tokens * lora, tokens * head, tokens * attention);
    }

    /** All of it. */
    public double flops() {
        return linearFlops + loraFlops + headFlops + attentionFlops;
    }
}
