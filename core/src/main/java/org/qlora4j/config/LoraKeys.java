package org.qlora4j.config;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.lora.TargetModules;

/**
 * Sets keys of the section {@code lora}. What each means stands at the component of {@link
 * LoraConfig} that has its name.
 */
public final class LoraKeys {
    private final SectionValues values;

    LoraKeys(SectionValues values) {
        this.values = values;
    }

    private LoraKeys set(String key, @Nullable Object value) {
        values.put(key, value);
        return this;
    }

    public LoraKeys r(int r) {
        return set("r", r);
    }

    public LoraKeys loraAlpha(double loraAlpha) {
        return set("lora_alpha", loraAlpha);
    }

    public LoraKeys loraDropout(double loraDropout) {
        return set("lora_dropout", loraDropout);
    }

    public LoraKeys targetModules(TargetModules modules) {
        return set("target_modules", modules);
    }

    public LoraKeys targetModules(String... names) {
        return set("target_modules", List.of(names));
    }

    public LoraKeys excludeModules(@Nullable TargetModules modules) {
        return set("exclude_modules", modules);
    }

    public LoraKeys excludeModules(String... names) {
        return set("exclude_modules", List.of(names));
    }

    public LoraKeys useRslora(boolean useRslora) {
        return set("use_rslora", useRslora);
    }

    public LoraKeys rankPattern(Map<String, Integer> rankPattern) {
        return set("rank_pattern", rankPattern);
    }

    public LoraKeys alphaPattern(Map<String, Double> alphaPattern) {
        return set("alpha_pattern", alphaPattern);
    }

    public LoraKeys layersToTransform(@Nullable List<Integer> layersToTransform) {
        return set("layers_to_transform", layersToTransform);
    }

    public LoraKeys initLoraWeights(LoraInit initLoraWeights) {
        return set("init_lora_weights", initLoraWeights);
    }

    public LoraKeys useDora(boolean useDora) {
        return set("use_dora", useDora);
    }

    public LoraKeys modulesToSave(@Nullable List<String> modulesToSave) {
        return set("modules_to_save", modulesToSave);
    }
}
