package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;

/** The turn of the user in templates of the kinds that model makers publish. */
class UserTurnTest {
    private static final String HEAD = "<|im_start|>system\nYou are helpful.<|im_end|>\n";

    /** ChatML that puts a system message of its own before a chat without one, as SmolLM2's. */
    private static final String CHATML =
            "{% for m in messages %}{% if loop.first and m.role != 'system' %}"
                    + "{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}"
                    + "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
                    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    /** Llama 2's: no generation prompt, white space around messages trimmed. */
    private static final String LLAMA2 =
            "{% for m in messages %}{% if m.role == 'user' %}"
                    + "{{ bos_token + '[INST] ' + m.content | trim + ' [/INST]' }}"
                    + "{% else %}{{ ' ' + m.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}";

    private static final List<Map<String, String>> ONE_TURN =
            List.of(UserTurn.message("user", "Hi."), UserTurn.message("assistant", "Hello."));

    private static UserTurn of(String template, boolean withoutSystem) {
        Map<String, String> tokens = Map.of("bos_token", "<s>", "eos_token", "</s>");
        return new UserTurn(
                ChatTemplate.of(template, "test").withTokens(tokens), "<s>", withoutSystem);
    }

    @Test
    void opening_isTheTemplateUpToTheMessage() {
        UserTurn turn = of(CHATML, false);
        assertThat(turn.opening(List.of())).isEqualTo(HEAD + "<|im_start|>user\n");
        assertThat(turn.opening(ONE_TURN))
                .isEqualTo(
                        HEAD
                                + "<|im_start|>user\nHi.<|im_end|>\n"
                                + "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\n");
        assertThat(of(LLAMA2, false).opening(List.of())).isEqualTo("<s>[INST] ");
        assertThat(of(LLAMA2, false).opening(ONE_TURN))
                .isEqualTo("<s>[INST] Hi. [/INST] Hello. </s><s>[INST] ");
    }

    @Test
    void closing_isWhatStandsBetweenMessageAndAnswer() {
        assertThat(of(CHATML, false).closing(List.of()))
                .isEqualTo("<|im_end|>\n<|im_start|>assistant");
        assertThat(of(LLAMA2, false).closing(List.of())).isEqualTo("[/INST]");
    }

    /** What the template adds of its own accord goes; a system message of the chat stays. */
    @Test
    void withoutSystem_leavesOutTheTemplatesOwn() {
        UserTurn turn = of(CHATML, true);
        assertThat(turn.opening(List.of())).isEqualTo("<|im_start|>user\n");
        assertThat(turn.opening(ONE_TURN))
                .isEqualTo(
                        "<|im_start|>user\nHi.<|im_end|>\n"
                                + "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\n");
        assertThat(turn.opening(List.of(UserTurn.message("system", "Be brief."))))
                .isEqualTo("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n");
        assertThat(of("{{ bos_token }}" + CHATML, true).opening(List.of()))
                .isEqualTo("<s><|im_start|>user\n");
        assertThat(of(LLAMA2, true).opening(List.of())).isEqualTo("<s>[INST] ");
    }

    /** The answer is asked for as training will see it, with the template's system message. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void answerPrompt_isTheTemplates(boolean withoutSystem) {
        assertThat(of(CHATML, withoutSystem).answerPrompt(ONE_TURN.subList(0, 1)))
                .isEqualTo(HEAD + "<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n");
    }

    @Test
    void templateThatChangesMessages_isRefused() {
        String upper = "{% for m in messages %}[{{ m.content | lower }}]{% endfor %}";
        assertThatThrownBy(() -> of(upper, false))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("does not print a message as it is");
    }

    @Test
    void firstTurnOpenedInItsOwnWay_needsItsSystemMessage() {
        String odd =
                "{% for m in messages %}{{ '# ' if loop.first else '- ' }}{{ m.content }}\n"
                        + "{% endfor %}";
        assertThat(of(odd, false).opening(List.of())).isEqualTo("# ");
        assertThatThrownBy(() -> of(odd, true))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("keep its system message");
    }
}
