package org.qlora4j;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.generate.BeamConfig;
import org.qlora4j.generate.BeamGenerator;
import org.qlora4j.generate.BeamSearch;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.StopReason;
import org.qlora4j.model.CausalModel;

/** A prompt to its likeliest answers through a {@link BeamGenerator}. */
final class BeamAnswers {
    private BeamAnswers() {}

    /** Answers, the best first; the times of each are those of the whole search. */
    static List<Answer> of(
            CausalModel model,
            InferenceHead head,
            Voice voice,
            Prompt prompt,
            GenerationConfig config,
            BeamConfig beams) {
        int[] ids = voice.ids("the prompt", prompt);
        long start = System.nanoTime();
        List<BeamSearch.Finished> found =
                new BeamGenerator(model, head).generate(ids, config, beams);
        double seconds = (System.nanoTime() - start) / 1e9;
        List<Answer> answers = new ArrayList<>();
        for (BeamSearch.Finished text : found) {
            int[] tokens = text.tokens().stream().mapToInt(Integer::intValue).toArray();
            int last = tokens[tokens.length - 1];
            boolean ended = model.eosIds().contains(last) || config.stopTokenIds().contains(last);
            boolean whole = tokens.length >= config.maxNewTokens();
            answers.add(
                    new Answer(
                            voice.tokenizer().decode(tokens, true),
                            ended
                                    ? StopReason.END_OF_TEXT
                                    : whole ? StopReason.MAX_NEW_TOKENS : StopReason.CONTEXT_FULL,
                            ids.length,
                            tokens.length,
                            0,
                            seconds));
        }
        return answers;
    }
}
