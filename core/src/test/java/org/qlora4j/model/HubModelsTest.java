package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.hub.Hub;
import org.qlora4j.hub.HubRepo;

/** On a cache as huggingface_hub leaves it, without a network. */
class HubModelsTest {
    private static final String COMMIT = "a".repeat(40);

    @TempDir Path home;

    private Path snapshot(String... files) throws IOException {
        Path folder = home.resolve("hub/models--org--name/snapshots").resolve(COMMIT);
        Files.createDirectories(folder);
        for (String file : files) {
            Files.writeString(folder.resolve(file), "{}");
        }
        Path ref = home.resolve("hub/models--org--name/refs/main");
        Files.createDirectories(ref.getParent());
        Files.writeString(ref, COMMIT);
        Hub hub = Hub.of(Map.of("HF_HOME", home.toString(), "HF_HUB_OFFLINE", "1"), home, n -> {});
        return HubModels.snapshot(hub, HubRepo.of(HubRepo.Kind.MODEL, "org/name").orElseThrow());
    }

    @Test
    void modelInTheCache_isItsSnapshot() throws IOException {
        assertThat(snapshot("config.json", "model.safetensors", "tokenizer.json"))
                .isEqualTo(home.resolve("hub/models--org--name/snapshots").resolve(COMMIT));
    }

    @Test
    void repositoryWithoutWeights_isRefused() {
        assertThatThrownBy(() -> snapshot("config.json", "flax_model.msgpack"))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        "org/name is no model that can be read: it needs config.json and *.safetensors or pytorch_model*.bin, and has [config.json,"
                                + " flax_model.msgpack]");
    }

    @Test
    void olderWeights_areTakenWhereThereAreNoOthers() throws IOException {
        assertThat(snapshot("config.json", "pytorch_model.bin")).isDirectory();
    }

    @Test
    void pathsThatAreThere_areTakenAsTheyAre() {
        assertThat(ModelPlace.of(home).weights()).isEqualTo(home);
        assertThat(ModelPlace.find(Path.of("/no/such/path"))).isEmpty();
    }
}
