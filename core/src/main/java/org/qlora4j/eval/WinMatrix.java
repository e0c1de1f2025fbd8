package org.qlora4j.eval;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Wins, ties and losses of each system against each other, both orders of showing together.
 *
 * @param systems their names, sorted
 * @param cells by system, by opponent
 */
public record WinMatrix(List<String> systems, Map<String, Map<String, Cell>> cells) {
    /** Results of one system against another. */
    public record Cell(int wins, int ties, int losses) {
        private static final Cell EMPTY = new Cell(0, 0, 0);

        private Cell plus(double points) {
            return new Cell(
                    wins + (points == 1 ? 1 : 0),
                    ties + (points == 0.5 ? 1 : 0),
                    losses + (points == 0 ? 1 : 0));
        }

        /** Points for each match, 1 a win and a half a tie. */
        public double rate() {
            return (wins + ties / 2.0) / (wins + ties + losses);
        }
    }

    /** Counts judgments. */
    public static WinMatrix of(List<Judgment> judgments) {
        Map<String, Map<String, Cell>> cells = new TreeMap<>();
        for (Judgment j : judgments) {
            add(cells, j.first(), j.second(), j.verdict().score());
            add(cells, j.second(), j.first(), 1 - j.verdict().score());
        }
        return new WinMatrix(List.copyOf(cells.keySet()), cells);
    }

    private static void add(
            Map<String, Map<String, Cell>> cells, String system, String other, double points) {
        cells.computeIfAbsent(system, s -> new TreeMap<>())
                .merge(other, Cell.EMPTY.plus(points), (held, one) -> held.plus(points));
    }
}
