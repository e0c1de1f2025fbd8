package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Chats for a model that reads a source and says a target: each answer is an example of its own,
 * and all before it, with an end token, its source.
 */
record AnswerPairs(ExampleEncoder chats, int eos) implements ExampleEncoder {
    @Override
    public List<Encoded> encode(Row row) {
        List<Encoded> pairs = new ArrayList<>();
        for (Encoded chat : chats.encode(row)) {
            List<Example> answers = answers(chat.example());
            if (answers.isEmpty()) { // to be counted
                pairs.add(new Encoded(chat.example(), "", 0, chat.told()));
            }
            for (Example answer : answers) {
                boolean first = answer == answers.getFirst();
                pairs.add(new Encoded(answer, "", 0, first ? chat.told() : List.of()));
            }
        }
        return pairs;
    }

    private List<Example> answers(Example chat) {
        List<Example> out = new ArrayList<>();
        BitSet labelled = chat.labelled();
        int from = labelled.nextSetBit(0);
        while (from >= 0) {
            int to = labelled.nextClearBit(from);
            int[] source = Affix.concat(Arrays.copyOf(chat.ids(), from), new int[] {eos});
            int[] answer = Arrays.copyOfRange(chat.ids(), from, to);
            BitSet learnt = new BitSet();
            learnt.set(source.length, source.length + answer.length);
            boolean last = to == labelled.length();
            int cutOff = last ? chat.fullLength() - chat.length() : 0;
            out.add(
                    new Example(
                            Affix.concat(source, answer),
                            learnt,
                            chat.file(),
                            chat.line(),
                            source.length + answer.length + cutOff,
                            last && chat.endCut()));
            from = labelled.nextSetBit(to);
        }
        return out;
    }
}
