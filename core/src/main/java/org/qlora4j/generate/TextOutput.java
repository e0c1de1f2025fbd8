package org.qlora4j.generate;

import java.util.List;
import org.qlora4j.tokenize.TokenStream;

/**
 * The text of ids that come one by one, up to the first stop string: what could be the beginning of
 * one is held back until that is known.
 */
public final class TextOutput {
    private final TokenStream stream;
    private final List<String> stops;
    private final StringBuilder held = new StringBuilder();
    private boolean stopped;

    public TextOutput(TokenStream stream, List<String> stops) {
        this.stream = stream;
        this.stops = List.copyOf(stops);
    }

    /** Takes an id; the text that is sure now, often empty. */
    public String push(int id) {
        return stopped ? "" : give(stream.push(id), false);
    }

    /** Ends the text: what was held back. */
    public String finish() {
        return stopped ? "" : give(stream.finish(), true);
    }

    /** Whether a stop string has come; neither it nor what follows is given. */
    public boolean isStopped() {
        return stopped;
    }

    private String give(String piece, boolean all) {
        held.append(piece);
        int stop = -1;
        for (String each : stops) {
            int at = held.indexOf(each);
            stop = at >= 0 && (stop < 0 || at < stop) ? at : stop;
        }
        stopped = stop >= 0;
        int sure = stopped ? stop : all ? held.length() : held.length() - begunStop();
        String out = held.substring(0, sure);
        held.delete(0, sure);
        return out;
    }

    /** Length of the longest end of the text that begins a stop string. */
    private int begunStop() {
        int longest = 0;
        for (String stop : stops) {
            for (int n = Math.min(stop.length() - 1, held.length()); n > longest; n--) {
                if (stop.startsWith(held.substring(held.length() - n))) {
                    longest = n;
                }
            }
        }
        return longest;
    }
}
