package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.RunListener;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class HeldOutAnswersTest {
    private static final String CHATS =
            """
            {"messages": [{"role": "user", "content": "in the on"}, {"role": "assistant", "content": "on"}]}
            {"messages": [{"role": "user", "content": "the in the"}, {"role": "assistant", "content": "in the"}]}
            """;

    @TempDir Path folder;

    /**
     * The base model's answers are the library's, the finetuned model has learnt the rows by heart.
     */
    @Test
    void heldOutRows_areAnsweredBeforeAndAfter() throws IOException {
        Path data = Files.writeString(folder.resolve("chats.jsonl"), CHATS);
        RunConfig config =
                TinyRun.config(
                        folder.resolve("run"),
                        data,
                        "quantization.load_in_4bit=false",
                        "quantization.bnb_4bit_compute_dtype=float32",
                        "data.eval_dataset=" + data,
                        "eval.predict_with_generate=true",
                        "train.max_steps=60",
                        "train.learning_rate=2e-2");
        List<ExactMatch> all = new ArrayList<>();
        new TrainingRun(
                        config,
                        false,
                        new RunListener() {
                            @Override
                            public void compared(ExactMatch answers) {
                                all.add(answers);
                            }
                        })
                .run();
        assertThat(all).hasSize(1);
        ExactMatch answers = all.getFirst();
        assertThat(answers.predictions())
                .extracting(ExactMatch.Prediction::prompt)
                .containsExactly("in the on", "the in the");
        assertThat(answers.predictions())
                .extracting(ExactMatch.Prediction::expected)
                .containsExactly("on", "in the");
        assertThat(answers.predictions())
                .allSatisfy(one -> assertThat(answerOfBase(one.prompt())).startsWith(one.base()));
        assertThat(answers.baseRight()).isZero();
        assertThat(answers.right()).isEqualTo(2);
        List<JsonNode> lines =
                Files.readAllLines(folder.resolve("run/predictions.jsonl")).stream()
                        .map(line -> JsonMapper.shared().readTree(line))
                        .toList();
        assertThat(lines)
                .extracting(line -> line.path("exact_match").asBoolean())
                .containsExactly(true, true);
        assertThat(lines)
                .extracting(line -> line.path("base_exact_match").asBoolean(true))
                .containsExactly(false, false);
    }

    private static String answerOfBase(String prompt) {
        QuantConfig plain =
                new QuantConfig(false, QuantConfig.DEFAULT.type(), false, 64, ComputeDtype.FLOAT32);
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), plain)) {
            return model.generate(
                            List.of(Map.of("role", "user", "content", prompt)),
                            GenerationConfig.DEFAULT.withMaxNewTokens(40),
                            text -> {})
                    .text()
                    .strip();
        }
    }
}
