package org.qlora4j.export;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.lora.StoredAdapter;

/**
 * An adapter alone, without what a run keeps beside it to go on: PEFT's files, tokenizer and chat
 * template if it has its own, and a model card.
 */
public final class AdapterCopy {
    private static final String CARD = "README.md";

    private AdapterCopy() {}

    /**
     * Writes the folder.
     *
     * @param base the model that the adapter belongs to
     * @param adapter folder with PEFT's files
     * @param out a folder that does not exist yet; it appears whole or not at all
     * @return names of the files in it
     */
    public static List<String> write(ModelPlace base, Path adapter, Path out) {
        if (Files.exists(out)) {
            throw ConfigException.of("%s exists; name a new folder for the adapter", out);
        }
        List<String> names = new ArrayList<>();
        names.add(PeftAdapter.CONFIG_FILE);
        names.add(Checkpoint.ADAPTER_FILE);
        names.add(Checkpoint.TORCH_ADAPTER);
        names.add(ModelFolder.TEMPLATE);
        names.addAll(ModelFolder.TOKENIZER);
        names.add(CARD);
        try (StoredAdapter stored = StoredAdapter.open(adapter);
                AtomicFolder folder = AtomicFolder.begin(out.toAbsolutePath())) {
            ModelFolder.copyCompanions(adapter, folder.path(), names);
            if (!Files.exists(folder.path().resolve(CARD))) {
                AtomicFiles.writeText(
                        folder.path().resolve(CARD),
                        ModelCard.ofAdapter(base, stored.config(), Map.of()));
            }
            names.removeIf(name -> !Files.exists(folder.path().resolve(name)));
            folder.commit();
        }
        return List.copyOf(names);
    }
}
