package org.qlora4j.grammar;

/** Holds back what may be a call of a tool while an answer comes, and lets the rest through. */
public final class ToolStream {
    private final ToolForm form;
    private final StringBuilder held = new StringBuilder();
    private boolean begun; // something was let through
    private boolean calling;

    public ToolStream(ToolForm form) {
        this.form = form;
    }

    /**
     * Takes a piece.
     *
     * @param token its token as it is written, with special ones
     * @param text that is sure with it
     * @return text that is no call
     */
    public String push(String token, String text) {
        calling |= token.equals(form.open());
        held.append(text);
        String all = held.toString();
        if (calling || (!begun && (all.isBlank() || form.beginsCall(all)))) {
            return "";
        }
        int open = all.indexOf(form.open());
        calling = open >= 0;
        int sure = calling ? open : all.length() - beginning(all);
        held.delete(0, sure);
        begun |= sure > 0;
        return all.substring(0, sure);
    }

    /** Characters at the end that may be the beginning of the opening words. */
    private int beginning(String all) {
        int most = Math.min(all.length(), form.open().length() - 1);
        for (int size = most; size > 0; size--) {
            if (form.open().startsWith(all.substring(all.length() - size))) {
                return size;
            }
        }
        return 0;
    }

    /** What was held back. */
    public String finish() {
        String rest = held.toString();
        held.setLength(0);
        return rest;
    }
}
