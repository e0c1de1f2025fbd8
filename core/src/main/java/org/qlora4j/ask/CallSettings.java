package org.qlora4j.ask;

import static org.qlora4j.error.Require.require;

import java.io.Serializable;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How a reply is drawn; names as in OpenAI's API.
 *
 * @param temperature logits are divided by it; 0 takes the likeliest token each time
 * @param topP tokens outside the smallest set of this probability are never drawn; in (0, 1]
 * @param maxTokens most tokens of the reply, at least 1
 * @param seed repeats a reply where the model can
 * @param stop texts before which a reply ends
 */
public record CallSettings(
        double temperature, double topP, int maxTokens, long seed, List<String> stop)
        implements Serializable {
    /** As the paper drew answers. */
    public static final CallSettings DEFAULT = new CallSettings(0.7, 0.9, 512, 0, List.of());

    public CallSettings {
        require(temperature >= 0, "--temperature must be at least 0, got %s", temperature);
        require(topP > 0 && topP <= 1, "--top-p must be in (0, 1], got %s", topP);
        require(maxTokens >= 1, "--max-new-tokens must be at least 1, got %d", maxTokens);
        stop = List.copyOf(stop);
    }

    /** The same with another seed. */
    public CallSettings withSeed(long other) {
        return new CallSettings(temperature, topP, maxTokens, other, stop);
    }

    /** Named as in a request. */
    public Map<String, Object> json() {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("temperature", temperature);
        out.put("top_p", topP);
        out.put("max_tokens", maxTokens);
        out.put("seed", seed);
        if (!stop.isEmpty()) {
            out.put("stop", stop);
        }
        return out;
    }
}
