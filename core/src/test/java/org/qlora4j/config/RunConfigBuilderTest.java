package org.qlora4j.config;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.qlora4j.data.Truncation;
import org.qlora4j.error.ConfigException;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.quant.QuantType;

/** Settings made by methods are those that the same words make. */
class RunConfigBuilderTest {
    private static final Map<String, Class<?>> SETTERS =
            Map.of(
                    "model", ModelKeys.class,
                    "quantization", QuantizationKeys.class,
                    "lora", LoraKeys.class,
                    "data", DataKeys.class,
                    "distill", DistillKeys.class,
                    "train", TrainKeys.class,
                    "eval", EvalKeys.class);

    @Test
    void everyKey_hasItsMethod() {
        assertThat(SETTERS.keySet()).isEqualTo(ConfigKeys.sections().keySet());
        ConfigKeys.sections()
                .forEach((section, record) -> {
                    Set<String> methods =
                            Arrays.stream(requireNonNull(SETTERS.get(section)).getDeclaredMethods())
                                    .filter(method -> Modifier.isPublic(method.getModifiers()))
                                    .map(Method::getName)
                                    .collect(Collectors.toSet());
                    assertThat(methods)
                            .isEqualTo(
                                    Arrays.stream(record.getRecordComponents())
                                            .map(RecordComponent::getName)
                                            .collect(Collectors.toSet()));
                });
    }

    @Test
    void methods_setWhatWordsSet() {
        RunConfig built =
                RunConfig.builder()
                        .model(model -> model.modelNameOrPath("embedded").newTokens("<a>", "<b>"))
                        .quantization(quant -> quant.load4bit(true).type(QuantType.FP4))
                        .lora(lora ->
                                lora.r(8)
                                        .targetModules("q_proj", "v_proj")
                                        .initLoraWeights(LoraInit.GAUSSIAN)
                                        .rankPattern(Map.of("q_proj", 4)))
                        .data(data ->
                                data.dataset(Path.of("a.jsonl"))
                                        .truncation(Truncation.DROP_LAST_TURNS)
                                        .columns(Map.of("user", "q")))
                        .distill(distill -> distill.teacher("org/teacher").temperature(2))
                        .train(train ->
                                train.outputDir(Path.of("runs/a"))
                                        .maxSteps(5)
                                        .samplePrompt("Who?", "What?"))
                        .eval(eval -> eval.evalSteps(3))
                        .build();
        assertThat(built)
                .isEqualTo(
                        RunConfig.of(
                                "model.model_name_or_path=embedded",
                                "model.new_tokens=[<a>, <b>]",
                                "quantization.bnb_4bit_quant_type=fp4",
                                "lora.r=8",
                                "lora.target_modules=[q_proj, v_proj]",
                                "lora.init_lora_weights=gaussian",
                                "lora.rank_pattern={q_proj: 4}",
                                "data.dataset=a.jsonl",
                                "data.truncation=drop_last_turns",
                                "data.columns={user: q}",
                                "distill.teacher=org/teacher",
                                "distill.temperature=2",
                                "train.output_dir=runs/a",
                                "train.max_steps=5",
                                "train.sample_prompt=[Who?, What?]",
                                "eval.eval_steps=3"));
    }

    @Test
    void settings_beginWithThoseThatAreThere() {
        RunConfig first =
                RunConfig.of(
                        "model.model_name_or_path=m",
                        "data.dataset=[a.jsonl, b.jsonl]",
                        "train.max_steps=5",
                        "lora.r=8");
        assertThat(first.toBuilder().build()).isEqualTo(first);
        RunConfig other = first.toBuilder().train(train -> train.numTrainEpochs(2.0)).build();
        assertThat(other.train().maxSteps()).isNull();
        assertThat(other.train().numTrainEpochs()).isEqualTo(2);
        assertThat(other.lora()).isEqualTo(first.lora());
        assertThat(first.toBuilder().preset(Preset.PAPER).build()).isEqualTo(first);
    }

    @Test
    void mistakes_areAllSaid() {
        RunConfigBuilder builder =
                RunConfig.builder()
                        .model(model -> model.modelNameOrPath("m"))
                        .lora(lora -> lora.r(0))
                        .train(train -> train.threads(-1));
        assertThatThrownBy(builder::build)
                .isInstanceOf(ConfigException.class)
                .satisfies(e ->
                        assertThat(requireNonNull(e.getMessage()).lines().toList())
                                .hasSize(3)
                                .contains(
                                        "RunConfig.builder(): lora.r must be at least 1, got 0",
                                        "RunConfig.builder(): train.threads must be at least 0, got -1")
                                .anyMatch(line -> line.contains("data.dataset is missing")));
        assertThatThrownBy(() -> new SectionValues("lora", List.of()).put("r", null))
                .isInstanceOf(NullPointerException.class)
                .hasMessage("lora.r must be a whole number");
    }
}
