package org.qlora4j.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.StoredAdapter;

/**
 * The README.md of a merged model or an adapter, with the header that the Hugging Face hub reads.
 */
public final class ModelCard {
    private static final Pattern LICENCE = Pattern.compile("(?m)^license:\\s*(\\S.*)$");

    private ModelCard() {}

    /**
     * The card of a merged model.
     *
     * @param base the base model as it was named
     * @param adapters what was worked in
     * @param into what it was added to
     * @param facts more lines of the table, such as the data; by name, in order
     */
    public static String text(
            ModelPlace base, AdapterMix adapters, MergeTarget into, Map<String, String> facts) {
        StringBuilder card = header(base, "library_name: transformers\n");
        card.append("# ").append(name(base.name())).append(", finetuned\n");
        card.append("An adapter worked into its base model, without the adapter from now on.\n\n");
        table(card, base);
        for (int i = 0; i < adapters.folders().size(); i++) {
            try (StoredAdapter stored = StoredAdapter.open(adapters.folders().get(i))) {
                String share = adapters.isSingle() ? "" : ", times " + adapters.weights().get(i);
                row(card, "adapter", described(stored.config()) + share);
            }
        }
        if (adapters.folders().size() > 1) {
            row(card, "adapters combined by", adapters.how().key());
        }
        row(card, "added to", into.what());
        facts.forEach((name, value) -> row(card, name, value));
        return card.toString();
    }

    /**
     * The card of an adapter.
     *
     * @param base the base model as it was named
     * @param facts more lines of the table, such as data and evaluation; by name, in order
     */
    public static String ofAdapter(ModelPlace base, LoraConfig lora, Map<String, String> facts) {
        StringBuilder card = header(base, "library_name: peft\n");
        card.append("# ").append(name(base.name())).append(", an adapter\n");
        card.append("Loads with PEFT, or `qlora generate --model BASE --adapter THIS`.\n\n");
        table(card, base);
        row(card, "adapter", described(lora));
        facts.forEach((name, value) -> row(card, name, value));
        return card.toString();
    }

    private static StringBuilder header(ModelPlace base, String library) {
        StringBuilder card = new StringBuilder("---\n").append(library);
        card.append("base_model: ").append(name(base.name())).append('\n');
        licence(base.folder()).ifPresent(l -> card.append("license: ").append(l).append('\n'));
        return card.append("tags: [qlora4j, lora]\n---\n");
    }

    private static void table(StringBuilder card, ModelPlace base) {
        card.append("| | |\n|---|---|\n");
        row(card, "base model", name(base.name()));
        row(card, "licence of the base", licence(base.folder()).orElse("not named in its files"));
    }

    private static String described(LoraConfig lora) {
        return "%s, rank %d, alpha %s, on %s"
                .formatted(
                        lora.useDora() ? "DoRA" : lora.useRslora() ? "rsLoRA" : "LoRA",
                        lora.r(),
                        lora.loraAlpha(),
                        lora.targetModules().json());
    }

    private static void row(StringBuilder card, String name, String value) {
        String line = value.replace("|", "\\|").replaceAll("\\s+", " ");
        card.append("| ").append(name).append(" | ").append(line).append(" |\n");
    }

    /** The name on the hub where there is one, else the last part: no path of a machine. */
    private static String name(Path base) {
        boolean onHub = base.getNameCount() == 2 && !base.isAbsolute() && !Files.exists(base);
        return onHub ? base.toString().replace('\\', '/') : String.valueOf(base.getFileName());
    }

    /** What the base model's own card says. */
    private static Optional<String> licence(Path folder) {
        Path card = folder.resolve("README.md");
        if (!Files.isRegularFile(card)) {
            return Optional.empty();
        }
        try {
            Matcher found = LICENCE.matcher(Files.readString(card));
            return found.find() ? Optional.of(found.group(1).strip()) : Optional.empty();
        } catch (IOException e) { // a card in another encoding says nothing here
            return Optional.empty();
        }
    }
}
