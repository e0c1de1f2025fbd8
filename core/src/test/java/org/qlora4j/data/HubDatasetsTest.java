package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.FormatException;
import org.qlora4j.hub.Hub;

/** On a cache as huggingface_hub leaves it, without a network. */
class HubDatasetsTest {
    private static final String COMMIT = "f".repeat(40);

    @TempDir Path home;

    private void cache(String repo, String... files) throws IOException {
        Path folder = home.resolve("hub/datasets--" + repo.replace("/", "--"));
        Files.createDirectories(folder.resolve("refs"));
        Files.writeString(folder.resolve("refs/main"), COMMIT);
        for (String file : files) {
            Path at = folder.resolve("snapshots").resolve(COMMIT).resolve(file);
            Files.createDirectories(at.getParent());
            Files.writeString(at, "{\"text\": \"a\"}\n");
        }
    }

    private List<String> files(String path, String name, String split) {
        Hub hub = Hub.of(Map.of("HF_HOME", home.toString(), "HF_HUB_OFFLINE", "1"), home, n -> {});
        DatasetPart part = new DatasetPart(path, name, "", null, 0, Map.of(), null);
        return HubDatasets.files(hub, HubDatasets.repo(path).orElseThrow(), part, split).stream()
                .map(file -> file.toString().replaceFirst(".*/" + COMMIT + "/", ""))
                .toList();
    }

    @Test
    void split_isToldFromTheNamesOfFiles() throws IOException {
        cache(
                "org/sharded",
                "README.md",
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "data/test-00000-of-00001.parquet");
        assertThat(files("org/sharded", "", "train"))
                .containsExactly(
                        "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet");
        assertThat(files("org/sharded:test", "", "train"))
                .containsExactly("data/test-00000-of-00001.parquet");
        assertThatThrownBy(() -> files("org/sharded", "", "validation"))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith("org/sharded has no split validation; it has test, train");
        cache("org/plain", "a.jsonl", "b.json");
        assertThat(files("org/plain", "", "train")).containsExactly("a.jsonl", "b.json");
    }

    @Test
    void configurations_areFoldersToChooseFrom() throws IOException {
        cache("openai/gsm8k", "main/train.parquet", "main/test.parquet", "socratic/train.parquet");
        assertThat(files("openai/gsm8k", "socratic", "train"))
                .containsExactly("socratic/train.parquet");
        assertThatThrownBy(() -> files("openai/gsm8k", "", "train"))
                .hasMessage(
                        "openai/gsm8k has several configurations: main, socratic; choose one with {path: openai/gsm8k, name: …}");
        assertThatThrownBy(() -> files("openai/gsm8k", "no", "train"))
                .hasMessageContaining("has no configuration no; its folders are [main, socratic]");
    }

    @Test
    void programs_areNeverRun() throws IOException {
        cache("yizhongw/self_instruct", "self_instruct.py", "README.md");
        assertThatThrownBy(() -> files("yizhongw/self_instruct", "", "train"))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        "yizhongw/self_instruct is made by a program (self_instruct.py), which is never run; try the copy in Parquet"
                                + " that the hub keeps: yizhongw/self_instruct@refs/convert/parquet");
    }

    @Test
    void names_areNoPaths() {
        for (String path : List.of("data.jsonl", "/a/b.csv", "./a/b", "a/b/c", "C:\\a")) {
            assertThat(HubDatasets.repo(path)).isEmpty();
        }
    }
}
