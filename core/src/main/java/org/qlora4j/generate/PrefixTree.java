package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.generate.TextScorer.Text;

/**
 * Sorted texts as a tree: a node is a run of tokens that the same texts have, under the runs before
 * it. All nodes that are computed stand behind each other in one row, parents first.
 */
final class PrefixTree {
    /**
     * A run of tokens.
     *
     * @param parent the run before it; null at the beginning of texts
     * @param from position of its first token in its texts
     * @param to one past its last
     * @param computed position of its first token that this pass computes; those before it are held
     * @param start place of that token in the row
     * @param inner whether other runs follow
     * @param last whether it belongs to the last of the texts
     */
    record Node(
            @Nullable Node parent,
            int from,
            int to,
            int computed,
            int start,
            boolean inner,
            boolean last) {
        /** Tokens that this pass computes. */
        int tokens() {
            return to - computed;
        }

        /** Place in the row of a position of this run. */
        int place(int position) {
            return start + position - computed;
        }
    }

    private final List<Text> texts;
    private final int held;
    private final List<Node> nodes = new ArrayList<>();
    private final Node[] ends;
    private final int[] sharedWithNext;
    private int tokens;

    /**
     * @param texts sorted by their ids
     * @param held positions of the first text that need not be computed
     */
    static PrefixTree of(List<Text> texts, int held) {
        PrefixTree tree = new PrefixTree(texts, held);
        tree.roots();
        return tree;
    }

    private PrefixTree(List<Text> texts, int held) {
        this.texts = texts;
        this.held = held;
        this.ends = new Node[texts.size()];
        this.sharedWithNext = new int[texts.size()];
        for (int i = 0; i + 1 < texts.size(); i++) {
            sharedWithNext[i] = shared(texts.get(i), texts.get(i + 1));
        }
    }

    /** Tokens that two texts begin with alike, of those that the model reads. */
    static int shared(Text a, Text b) {
        int most = Math.min(a.inputs(), b.inputs());
        int same = 0;
        while (same < most && a.ids()[same] == b.ids()[same]) {
            same++;
        }
        return same;
    }

    private void roots() {
        children(null, 0, texts.size(), 0);
    }

    /** Makes the runs under a node for texts [low, high), which are alike up to a position. */
    private void children(@Nullable Node parent, int low, int high, int position) {
        int from = low;
        while (from < high) {
            int to = from + 1;
            while (to < high && sharedWithNext[to - 1] > position) {
                to++;
            }
            node(parent, from, to, position);
            from = to;
        }
    }

    private void node(@Nullable Node parent, int low, int high, int position) {
        int end = texts.get(low).inputs();
        for (int i = low; i + 1 < high; i++) {
            end = Math.min(end, sharedWithNext[i]);
        }
        // texts that end here come first, being sorted
        int first = low;
        while (first < high && texts.get(first).inputs() == end) {
            first++;
        }
        int computed = low == 0 ? Math.clamp(held, position, end) : position;
        boolean last = high == texts.size();
        Node node = new Node(parent, position, end, computed, tokens, first < high, last);
        nodes.add(node);
        tokens += node.tokens();
        for (int i = low; i < first; i++) {
            ends[i] = node;
        }
        children(node, first, high, end);
    }

    /** All runs, parents before the runs that follow them. */
    List<Node> nodes() {
        return nodes;
    }

    /** The run that a text ends in. */
    Node end(int text) {
        return ends[text];
    }

    /** Tokens that are computed. */
    int tokens() {
        return tokens;
    }

    /** Ids of the row. */
    long[] ids() {
        long[] ids = new long[tokens];
        for (int i = 0; i < ends.length; i++) {
            for (Node node = ends[i]; node != null; node = node.parent()) {
                for (int position = node.computed(); position < node.to(); position++) {
                    ids[node.place(position)] = texts.get(i).ids()[position];
                }
            }
        }
        return ids;
    }

    /** Place of each token of the row in its text. */
    int[] positions() {
        int[] positions = new int[tokens];
        for (Node node : nodes) {
            for (int position = node.computed(); position < node.to(); position++) {
                positions[node.place(position)] = position;
            }
        }
        return positions;
    }
}
