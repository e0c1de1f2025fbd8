package org.qlora4j.template;

/**
 * A text that counts how often a regular expression looks at it. It gives up a search that looks
 * too often.
 */
public final class CountedText implements CharSequence {
    private final String text;
    private final long mostAtOnce;
    private final long mostInAll;
    private long atOnce = 0;
    private long inAll = 0;

    /**
     * A text with bounds.
     *
     * @param mostAtOnce characters that one attempt may look at
     * @param mostInAll characters that all attempts may look at
     */
    public CountedText(String text, long mostAtOnce, long mostInAll) {
        this.text = text;
        this.mostAtOnce = mostAtOnce;
        this.mostInAll = mostInAll;
    }

    /** The search is given up. */
    public static final class TooMuch extends RuntimeException {
        private static final long serialVersionUID = 1L;

        TooMuch() {
            super(null, null, false, false);
        }
    }

    /** Characters that were looked at so far. */
    public long looks() {
        return inAll;
    }

    /** Begins another attempt. */
    public void nextAttempt() {
        atOnce = 0;
    }

    /**
     * The character at an index.
     *
     * @throws TooMuch if a bound is passed
     */
    @Override
    public char charAt(int index) {
        if (++atOnce > mostAtOnce || ++inAll > mostInAll) {
            throw new TooMuch();
        }
        return text.charAt(index);
    }

    @Override
    public int length() {
        return text.length();
    }

    @Override
    public CharSequence subSequence(int start, int end) {
        return text.substring(start, end);
    }

    @Override
    public String toString() {
        return text;
    }
}
