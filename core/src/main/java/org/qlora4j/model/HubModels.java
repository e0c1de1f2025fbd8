package org.qlora4j.model;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.qlora4j.error.FormatException;
import org.qlora4j.hub.Hub;
import org.qlora4j.hub.HubListing;
import org.qlora4j.hub.HubRepo;

/**
 * Models of the Hugging Face hub by name, {@code org/name} or {@code org/name@revision}: settings,
 * tokenizer and safetensors are downloaded, programs and other weights are not.
 */
public final class HubModels {
    private static final Pattern WANTED =
            Pattern.compile("[^/]*\\.safetensors(\\.index\\.json)?|[^/]*\\.json|[^/]*\\.jinja");

    /** Weights of older models, where there are no others. */
    private static final Pattern TORCH = Pattern.compile("pytorch_model[^/]*\\.bin");

    private HubModels() {}

    /** The path itself if it exists, or is no name; else the folder of a snapshot. */
    public static Path locate(Path model) {
        if (Files.exists(model)) {
            return model;
        }
        Optional<HubRepo> repo =
                HubRepo.of(HubRepo.Kind.MODEL, model.toString().replace('\\', '/'));
        return repo.map(r -> snapshot(Hub.ofEnvironment(), r)).orElse(model);
    }

    /** Downloads what the cache lacks. */
    static Path snapshot(Hub hub, HubRepo repo) {
        HubListing listing = hub.list(repo);
        boolean safetensors = listing.files().stream().anyMatch(f -> f.endsWith(".safetensors"));
        List<String> wanted =
                listing.files().stream()
                        .filter(f ->
                                WANTED.matcher(f).matches()
                                        || (!safetensors && TORCH.matcher(f).matches()))
                        .toList();
        if (!wanted.contains("config.json")
                || wanted.stream().noneMatch(f -> f.matches(".*\\.(safetensors|bin)"))) {
            throw FormatException.of(
                    "%s is no model that can be read: it needs config.json and *.safetensors or pytorch_model*.bin, and has %s",
                    repo, listing.files().stream().limit(12).toList());
        }
        return hub.fetch(listing, wanted);
    }
}
