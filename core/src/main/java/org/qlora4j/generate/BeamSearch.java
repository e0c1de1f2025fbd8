package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * Beam search: of all continuations of some texts under way, the likeliest go on, until none of
 * them can beat the finished ones (transformers' {@code _beam_search}, without sampling). It knows
 * no model: {@link Texts} gives logits.
 */
public final class BeamSearch {
    /** Texts of one prompt that a model continues side by side. */
    public interface Texts {
        /** Logits [vocabulary] of what follows the prompt. */
        float[] first();

        /**
         * Logits [vocabulary] of what follows each text.
         *
         * @param parents for each new text the one of before that it continues
         * @param tokens its new ids
         */
        List<float[]> next(int[] parents, int[] tokens);
    }

    /**
     * A finished text.
     *
     * @param tokens the new ids, an end-of-text one among them
     * @param score its log-probability, by its length and the length penalty
     */
    public record Finished(List<Integer> tokens, double score) {}

    /** A text under way; its place among the others is its number. */
    private record Beam(List<Integer> tokens, double logProbability) {}

    private record Candidate(int parent, int token, double logProbability) {}

    private final BeamConfig config;
    private final Set<Integer> eosIds;
    private final int minNewTokens;
    private final int maxNewTokens;
    private final List<Finished> finished = new ArrayList<>(); // the best first
    private List<Beam> running = List.of(new Beam(List.of(), 0));

    /**
     * @param eosIds ids that end a text
     * @param minNewTokens tokens before which a text cannot end
     * @param maxNewTokens tokens at which it does
     */
    public BeamSearch(BeamConfig config, Set<Integer> eosIds, int minNewTokens, int maxNewTokens) {
        this.config = config;
        this.eosIds = eosIds;
        this.minNewTokens = minNewTokens;
        this.maxNewTokens = maxNewTokens;
    }

    /** Searches to the end; the finished texts, the best first, {@code numBeams} at most. */
    public List<Finished> run(Texts texts) {
        List<float[]> logits = List.of(texts.first());
        while (true) {
            List<Candidate> best = best(logits);
            boolean full = finished.size() == config.numBeams();
            if (!full || config.earlyStopping() != BeamConfig.EarlyStopping.TRUE) {
                finish(best);
            }
            List<Candidate> going = best.stream().filter(c -> !ends(c)).toList();
            List<Candidate> next = going.subList(0, Math.min(config.numBeams(), going.size()));
            if (next.isEmpty()) {
                return List.copyOf(finished);
            }
            running = next.stream().map(this::extended).toList();
            if (!canImprove()) {
                return List.copyOf(finished);
            }
            logits =
                    texts.next(
                            next.stream().mapToInt(Candidate::parent).toArray(),
                            next.stream().mapToInt(Candidate::token).toArray());
        }
    }

    private int length() {
        return running.getFirst().tokens.size();
    }

    private boolean ends(Candidate candidate) {
        return eosIds.contains(candidate.token) || length() + 1 >= maxNewTokens;
    }

    private Beam extended(Candidate candidate) {
        List<Integer> tokens = new ArrayList<>(running.get(candidate.parent).tokens);
        tokens.add(candidate.token);
        return new Beam(tokens, candidate.logProbability);
    }

    /**
     * The likeliest continuations of all texts, so many that enough go on whatever ends, the best
     * first.
     */
    private List<Candidate> best(List<float[]> logits) {
        int wanted = Math.max(2, 1 + eosIds.size()) * config.numBeams();
        Comparator<Candidate> byProbability = Comparator.comparingDouble(Candidate::logProbability);
        PriorityQueue<Candidate> queue = new PriorityQueue<>(wanted + 1, byProbability);
        for (int parent = 0; parent < logits.size(); parent++) {
            float[] row = logits.get(parent);
            double before = running.get(parent).logProbability - Logprobs.logSumExp(row);
            for (int token = 0; token < row.length; token++) {
                double logProbability = row[token] + before;
                boolean tooEarly = length() < minNewTokens && eosIds.contains(token);
                boolean beaten =
                        queue.size() == wanted && logProbability <= queue.element().logProbability;
                if (tooEarly || beaten) {
                    continue;
                }
                queue.add(new Candidate(parent, token, logProbability));
                if (queue.size() > wanted) {
                    queue.poll();
                }
            }
        }
        return queue.stream().sorted(byProbability.reversed()).toList();
    }

    /** Takes in those of the first candidates that end; the others are there to go on alone. */
    private void finish(List<Candidate> best) {
        for (Candidate candidate : best.subList(0, Math.min(config.numBeams(), best.size()))) {
            if (ends(candidate)) {
                Beam whole = extended(candidate);
                double score = config.score(whole.logProbability, whole.tokens.size());
                finished.add(new Finished(whole.tokens, score));
            }
        }
        finished.sort(Comparator.comparingDouble(Finished::score).reversed()); // stable
        while (finished.size() > config.numBeams()) {
            finished.removeLast();
        }
    }

    /** Whether a text under way might yet beat a finished one. */
    private boolean canImprove() {
        if (finished.size() < config.numBeams()) {
            return true;
        }
        if (config.earlyStopping() == BeamConfig.EarlyStopping.TRUE) {
            return false;
        }
        boolean anyLength =
                config.earlyStopping() == BeamConfig.EarlyStopping.NEVER
                        && config.lengthPenalty() > 0;
        double possible =
                config.score(
                        running.getFirst().logProbability, anyLength ? maxNewTokens : length());
        return possible > finished.getLast().score;
    }
}
