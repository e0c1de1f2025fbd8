package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The command on the tiny model's config.json, and on the shapes known by name. */
class PlanCommandTest {
    @TempDir Path folder;
    private TrainBed bed;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
    }

    /**
     * By hand for two layers of width 32, 4 heads and 2 key heads of 8, an MLP of 56 and 160 words:
     * 2 x 8448 weights in 4 bits and blocks of 64, with 2 bytes for each of the 2 x 160 x 32
     * numbers of embeddings and head and the 5 x 32 of norms, and 10 bytes for each of the 3904
     * numbers of adapters of rank 4.
     */
    @Test
    void json_givesThePartsOfTheTinyModel() {
        JsonNode line =
                json("--device", "24GB", "model.model_name_or_path=" + bed.model(), "lora.r=4");
        JsonNode parts = line.get("parts");
        assertThat(parts.get("weights").asLong()).isEqualTo(8448);
        assertThat(parts.get("scales").asLong()).isGreaterThanOrEqualTo(2 * 8448 / 64);
        assertThat(parts.get("embeddings, norms, head").asLong())
                .isEqualTo(2 * (2 * 160 * 32 + 5 * 32));
        assertThat(parts.get("adapters").asLong()).isEqualTo(10 * 3904);
        long sum = 0;
        for (JsonNode part : parts) {
            sum += part.asLong();
        }
        assertThat(line.get("total").asLong()).isEqualTo(sum);
        assertThat(line.get("fits").asBoolean()).isTrue();
        assertThat(line.get("advice")).isEmpty();
    }

    @Test
    void keptBlocksOfAModelWithoutAny_areRefused() {
        int code =
                bed.command(
                        "plan", "--keep-quantization", "model.model_name_or_path=" + bed.model());
        assertThat(code).isEqualTo(ExitCode.USER_ERROR);
        assertThat(String.join("", bed.err()))
                .contains(
                        "keep_quantization is true, but no weight of",
                        "(in F32) is in blocks of a GGUF file");
    }

    @Test
    void file_givesTheSamePlanAsItsWords() {
        Path file = folder.resolve("run.yaml");
        TrainBed.write(
                file,
                """
                version: 1
                model:
                  model_name_or_path: %s
                lora:
                  r: 4
                data:
                  dataset: %s
                train:
                  output_dir: %s
                """
                        .formatted(bed.model(), bed.data(), bed.run()));
        JsonNode words = json("model.model_name_or_path=" + bed.model(), "lora.r=4");
        assertThat(json(file.toString())).isEqualTo(words);
        assertThat(
                        json("--device", "24GB", file.toString(), "lora.r=8")
                                .get("parts")
                                .get("adapters")
                                .asLong())
                .isEqualTo(2 * 10 * 3904);
    }

    @Test
    void text_namesEveryPartAndTheirSum() {
        String model = "model.model_name_or_path=llama-7b";
        assertThat(bed.command("plan", "--device", "24GB", model)).isEqualTo(ExitCode.OK);
        List<String> names =
                new ArrayList<>(json("--device", "24GB", model).get("parts").propertyNames());
        assertThat(names).hasSize(9);
        bed.command("plan", "--device", "24GB", model);
        List<String> lines = bed.out().lines().toList();
        assertThat(lines.getFirst()).startsWith("llama-7b: 6.74B weights; ");
        for (int i = 0; i < names.size(); i++) {
            assertThat(lines.get(1 + i)).matches("  " + names.get(i) + " +[0-9.]+ [KMG]iB");
        }
        assertThat(bed.out())
                .containsPattern("(?m)^  tensors in all +[0-9.]+ GiB$")
                .containsPattern(
                        "(?m)^a GPU of 24 GiB: 24.0 GiB, of which 23.0 GiB are left for tensors: fits$");
    }

    /** The paper's settings (arXiv 2305.14314, section 1): 33B on 24 GB, 65B on 48 GB only. */
    @ParameterizedTest
    @CsvSource({
        "llama-33b, 24GB, true",
        "llama-65b, 24GB, false",
        "llama-65b, 48GB, true",
        "huggyllama/llama-30b, 24gib, true"
    })
    void paperSettings_fitAsThePaperSays(String model, String device, boolean fits) {
        JsonNode line =
                json(
                        "--device",
                        device,
                        "model.model_name_or_path=" + model,
                        "lora.r=64",
                        "train.per_device_train_batch_size=1",
                        "data.source_max_len=16",
                        "data.target_max_len=496");
        assertThat(line.get("fits").asBoolean()).as("%s", line).isEqualTo(fits);
    }

    /** What it proposes is taken by its word: with these settings the same run fits. */
    @ParameterizedTest
    @CsvSource({
        "llama-7b, 16, 12GB, per_device_train_batch_size",
        "llama-13b, 1, 16GB, gradient_checkpointing",
        "llama-7b, 1, 8GB, optim",
    })
    void advice_makesTheRunFit(String model, int batch, String device, String says) {
        List<String> words =
                new ArrayList<>(
                        List.of(
                                "--device",
                                device,
                                "model.model_name_or_path=" + model,
                                "train.gradient_checkpointing=false",
                                "train.optim=adamw_torch",
                                "train.gradient_accumulation_steps=1",
                                "train.per_device_train_batch_size=" + batch));
        JsonNode line = json(words.toArray(String[]::new));
        assertThat(line.get("fits").asBoolean()).isFalse();
        List<String> advice = new ArrayList<>();
        line.get("advice").forEach(setting -> advice.add(setting.asString()));
        assertThat(String.join(" ", advice)).contains(says);

        bed.command(with(words, List.of()));
        assertThat(bed.out())
                .contains("left for tensors: does not fit")
                .endsWith(", as: " + String.join(" ", advice) + System.lineSeparator());
        words.removeIf(word -> advice.stream().anyMatch(a -> key(a).equals(key(word))));
        bed.command(with(words, advice));
        assertThat(bed.out()).contains("left for tensors: fits");
    }

    private static String key(String word) {
        return word.substring(0, Math.max(0, word.indexOf('=')));
    }

    private static String[] with(List<String> words, List<String> more) {
        List<String> all = new ArrayList<>(List.of("plan"));
        all.addAll(words);
        all.addAll(more);
        return all.toArray(String[]::new);
    }

    @Test
    void largestBatch_fitsAndTheNextDoesNot() {
        String model = "model.model_name_or_path=llama-7b";
        bed.command("plan", "--device", "16GB", model);
        Matcher said =
                Pattern.compile("largest train.per_device_train_batch_size that fits: (\\d+)")
                        .matcher(bed.out());
        assertThat(said.find()).as(bed.out()).isTrue();
        int most = Integer.parseInt(said.group(1));
        for (int more = 0; more < 2; more++) {
            String batch = "train.per_device_train_batch_size=" + (most + more);
            assertThat(json("--device", "16GB", model, batch).get("fits").asBoolean())
                    .as(batch)
                    .isEqualTo(more == 0);
        }
    }

    @Test
    void nothingFits_saysTheLeastThereIsAndWhatToDo() {
        bed.command("plan", "--device", "8GB", "model.model_name_or_path=llama-65b");
        assertThat(bed.out())
                .containsPattern(
                        "the least it can be set to take is [0-9.]+ GiB; shorten data.source_max_len");
        assertThat(json("--device", "8GB", "model.model_name_or_path=llama-65b").get("advice"))
                .isEmpty();
    }

    /** The paper's 65B beside 24 GB, if its layers stay on disk. */
    @Test
    void layersOnDisk_areAdvisedAndTold() {
        String[] words = {"plan", "--device", "24GB", "model.model_name_or_path=llama-65b"};
        bed.command(words);
        assertThat(bed.out()).containsPattern("fits, with [0-9.]+ GiB, as: .*model.stream_layers=");
        String[] streamed = Arrays.copyOf(words, words.length + 1);
        streamed[words.length] = "model.stream_layers=true";
        bed.command(streamed);
        assertThat(bed.out())
                .contains("(layers stay on disk; two of them are in memory at a time)");
    }

    @Test
    void unknownShape_isOneLineWithTheKnownOnes() {
        bed.assertOneLine(
                bed.command("plan", "model.model_name_or_path=llama-9b"),
                "llama-9b",
                "llama-7b, llama-8b, llama-13b, llama-33b, llama-65b");
    }

    @ParameterizedTest
    @CsvSource({"24", "gpu", "0GB", "24TB", "-1GB"})
    void deviceThatIsNoSize_isOneLine(String device) {
        bed.assertOneLine(
                bed.command("plan", "--device=" + device, "model.model_name_or_path=llama-7b"),
                "--device must be cpu or the memory of a GPU such as 24GB, got " + device);
    }

    @Test
    void missingFile_isOneLine() {
        bed.assertOneLine(bed.command("plan", "none.yaml"), "none.yaml does not exist");
    }

    private JsonNode json(String... words) {
        List<String> all = new ArrayList<>(List.of("plan", "--json"));
        all.addAll(Arrays.asList(words));
        int code = bed.command(all.toArray(String[]::new));
        assertThat(code).as("%s", bed.err()).isEqualTo(ExitCode.OK);
        assertThat(bed.out().lines()).hasSize(1);
        return new JsonMapper().readTree(bed.out());
    }
}
