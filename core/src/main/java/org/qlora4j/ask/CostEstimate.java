package org.qlora4j.ask;

import java.util.List;
import java.util.Locale;
import org.qlora4j.error.ConfigException;

/**
 * What calls will take, before the first of them.
 *
 * @param calls how many
 * @param promptTokens of all prompts
 * @param newTokens of all replies, at most
 */
public record CostEstimate(int calls, long promptTokens, long newTokens) {
    private static final double TOKENS_OF_A_PRICE = 1e6;

    /** Estimates calls that will be made. */
    public static CostEstimate of(ChatModel model, List<ChatCall> calls) {
        long prompt = 0;
        long fresh = 0;
        for (ChatCall call : calls) {
            prompt += model.promptTokens(call);
            fresh += call.labels().isEmpty() ? call.settings().maxTokens() : 0;
        }
        return new CostEstimate(calls.size(), prompt, fresh);
    }

    /** Both together. */
    public CostEstimate plus(CostEstimate other) {
        return new CostEstimate(
                calls + other.calls,
                promptTokens + other.promptTokens,
                newTokens + other.newTokens);
    }

    /**
     * Prices of a million tokens.
     *
     * @param in of prompts
     * @param out of replies
     */
    public record Prices(double in, double out) {}

    /** Most that it costs. */
    public double money(Prices prices) {
        return (promptTokens * prices.in() + newTokens * prices.out()) / TOKENS_OF_A_PRICE;
    }

    /**
     * Throws if it may cost more than allowed.
     *
     * @param most in the prices' money
     */
    public void requireAtMost(double most, Prices prices) {
        if (money(prices) > most) {
            throw ConfigException.of(
                    "%d calls may cost %.4f, above --max-cost %s; ask fewer questions (--limit) or shorten replies (--max-new-tokens)",
                    calls, money(prices), most);
        }
    }

    /** In one line; of money only where there are prices. */
    public String line(Prices prices) {
        String tokens =
                String.format(
                        Locale.ROOT,
                        "%d calls, about %d tokens of prompts, at most %d of replies",
                        calls,
                        promptTokens,
                        newTokens);
        return prices.in() == 0 && prices.out() == 0
                ? tokens
                : tokens + String.format(Locale.ROOT, ", at most %.4f to pay", money(prices));
    }
}
