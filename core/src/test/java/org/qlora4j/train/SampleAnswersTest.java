package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;

class SampleAnswersTest {
    private static final String PROMPT = "in the on";
    private static final int TOKENS = 12;

    @TempDir Path folder;

    /** PiSSA and full finetuning leave no base model behind, and a resumed run never had it. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "lora.init_lora_weights=true",
                "lora.init_lora_weights=pissa",
                "train.full_finetune=true"
            })
    void baseAnswers_areThoseOfTheModelBeforeTheRun(String learner) {
        Path data = TinyRun.data(folder);
        String expected = answerOfBase();
        long live = NativeMemory.liveBytes();
        List<SampleAnswer> answers = new ArrayList<>();
        new TrainingRun(config("whole", data, learner), false, recorder(answers)).run();
        TinyRun.runAndStopAfter(config("stopped", data, learner), 2);
        new TrainingRun(config("stopped", data, learner), true, recorder(answers)).run();
        assertThat(answers).extracting(SampleAnswer::base).containsExactly(expected, expected);
        assertThat(answers.get(0).finetuned())
                .isNotEqualTo(expected)
                .isEqualTo(answers.get(1).finetuned());
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
    }

    private RunConfig config(String run, Path data, String learner) {
        return TinyRun.config(
                folder.resolve(run),
                data,
                "quantization.load_in_4bit=false",
                "train.max_steps=4",
                "train.learning_rate=5e-2",
                "train.sample_prompt=[" + PROMPT + "]",
                "train.sample_max_new_tokens=" + TOKENS,
                learner);
    }

    private static RunListener recorder(List<SampleAnswer> answers) {
        return new RunListener() {
            @Override
            public void sampleAnswered(SampleAnswer answer) {
                answers.add(answer);
            }
        };
    }

    private static String answerOfBase() {
        QuantConfig plain =
                new QuantConfig(false, QuantConfig.DEFAULT.type(), false, 64, ComputeDtype.FLOAT32);
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), plain)) {
            return model.generate(
                            PROMPT, // as the prompts of the data stand there
                            GenerationConfig.DEFAULT.withMaxNewTokens(TOKENS),
                            text -> {})
                    .text()
                    .strip();
        }
    }
}
