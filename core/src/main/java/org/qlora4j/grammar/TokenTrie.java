package org.qlora4j.grammar;

import java.util.Arrays;
import java.util.BitSet;

/** Tokens by their bytes, those with the same beginnings under one node. */
final class TokenTrie {
    /** Meanings tried for one token to come: of a usual schema a few at each node. */
    private static final long WORK_PER_NODE = 16;

    private static final long MOST_WORK = 1_000_000;

    private int[] firstChild = new int[1024];
    private int[] nextSibling = new int[1024];
    private int[] label = new int[1024];
    private int[] firstToken = new int[1024]; // that ends in the node, plus one
    private final int[] nextToken; // of the same bytes, plus one
    private int nodes = 1;

    TokenTrie(int tokens) {
        nextToken = new int[tokens];
    }

    /** Adds a token of at least one byte. */
    void add(int id, byte[] bytes) {
        int node = 0;
        for (byte b : bytes) {
            node = child(node, b & 0xff);
        }
        nextToken[id] = firstToken[node];
        firstToken[node] = id + 1;
    }

    private int child(int node, int b) {
        int child = firstChild[node];
        while (child != 0 && label[child] != b) {
            child = nextSibling[child];
        }
        if (child != 0) {
            return child;
        }
        if (nodes == label.length) {
            firstChild = Arrays.copyOf(firstChild, 2 * nodes);
            nextSibling = Arrays.copyOf(nextSibling, 2 * nodes);
            label = Arrays.copyOf(label, 2 * nodes);
            firstToken = Arrays.copyOf(firstToken, 2 * nodes);
        }
        int made = nodes++;
        label[made] = b;
        nextSibling[made] = firstChild[node];
        firstChild[node] = made;
        return made;
    }

    /** Adds the tokens whose bytes may all come. */
    void collect(GrammarState state, BitSet out) {
        collect(0, state, out, MOST_WORK + WORK_PER_NODE * nodes);
    }

    /** Returns what is left of the work; none ends the search, so that no schema takes minutes. */
    private long collect(int node, GrammarState state, BitSet out, long work) {
        long left = work;
        for (int child = firstChild[node]; child != 0 && left > 0; child = nextSibling[child]) {
            left -= state.width();
            GrammarState next = state.with(label[child]);
            if (!next.isDead()) {
                for (int token = firstToken[child]; token != 0; token = nextToken[token - 1]) {
                    out.set(token - 1);
                }
                left = collect(child, next, out, left);
            }
        }
        return left;
    }
}
