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

/** The README.md of a merged model, with the header that the Hugging Face hub reads. */
public final class ModelCard {
    private static final Pattern LICENCE = Pattern.compile("(?m)^license:\\s*(\\S.*)$");

    private ModelCard() {}

    /**
     * The card's text.
     *
     * @param base the base model as it was named
     * @param adapter folder with PEFT's files
     * @param into what the adapter was added to
     * @param facts more lines of the table, such as the data; by name, in order
     */
    public static String text(
            ModelPlace base, Path adapter, MergeTarget into, Map<String, String> facts) {
        StringBuilder card = new StringBuilder("---\nlibrary_name: transformers\n");
        card.append("base_model: ").append(name(base.name())).append('\n');
        licence(base.folder()).ifPresent(l -> card.append("license: ").append(l).append('\n'));
        card.append("tags: [qlora4j, lora]\n---\n# ")
                .append(name(base.name()))
                .append(", finetuned\n");
        card.append("An adapter worked into its base model, without the adapter from now on.\n\n");
        card.append("| | |\n|---|---|\n");
        row(card, "base model", name(base.name()));
        try (StoredAdapter stored = StoredAdapter.open(adapter)) {
            LoraConfig lora = stored.config();
            row(
                    card,
                    "adapter",
                    "%s, rank %d, alpha %s, on %s"
                            .formatted(
                                    lora.useDora() ? "DoRA" : lora.useRslora() ? "rsLoRA" : "LoRA",
                                    lora.r(),
                                    lora.loraAlpha(),
                                    lora.targetModules().json()));
        }
        row(card, "added to", into.what());
        facts.forEach((name, value) -> row(card, name, value));
        return card.toString();
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
