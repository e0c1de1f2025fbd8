package org.qlora4j.grammar;

import static org.qlora4j.grammar.JsonGrammar.literal;

import org.qlora4j.grammar.Goal.Rule;

/** The grammar of any JSON, RFC 8259. */
final class FreeJson {
    final Goal between;
    final Rule value = new Rule();
    final Rule object;

    /**
     * @param blanks that may stand at one place between parts
     */
    FreeJson(int blanks) {
        between = new Goal.Blanks(blanks);
        object = objectOf(value);
        value.or(object)
                .or(arrayOf(value, 0, Integer.MAX_VALUE))
                .or(literal("\""), string(0, Goal.Inside.ENDLESS))
                .or(number(false))
                .or(literal("true"))
                .or(literal("false"))
                .or(literal("null"));
    }

    /** Behind the opening quote. */
    static Goal string(int least, int most) {
        return new Goal.Inside(Goal.Inside.Part.BETWEEN, 0, least, most);
    }

    static Goal number(boolean integer) {
        return new Goal.Number(Goal.Number.Part.NOTHING, 0, integer);
    }

    /** An object of any names with values of one kind. */
    Rule objectOf(Goal value) {
        Rule pair =
                new Rule()
                        .or(
                                literal("\""),
                                string(0, Goal.Inside.ENDLESS),
                                literal(":"),
                                between,
                                value,
                                between);
        Rule more = new Rule();
        more.or(literal("}")).or(literal(","), between, pair, more);
        Rule begun = new Rule().or(literal("}")).or(pair, more);
        return new Rule().or(literal("{"), between, begun);
    }

    /** A list of so many values of one kind. */
    Rule arrayOf(Goal item, int least, int most) {
        Rule more = new Rule(); // behind as many as are counted
        int counted = most == Integer.MAX_VALUE ? Math.max(1, least) : most;
        more.or(literal("]"));
        if (most == Integer.MAX_VALUE) {
            more.or(literal(","), between, item, between, more);
        }
        Rule next = more;
        for (int have = counted - 1; have >= 0; have--) {
            Rule before = new Rule();
            if (have >= least) {
                before.or(literal("]"));
            }
            if (have == 0) {
                before.or(item, between, next);
            } else {
                before.or(literal(","), between, item, between, next);
            }
            next = before;
        }
        return new Rule().or(literal("["), between, next);
    }
}
