package org.qlora4j.data;

import static org.qlora4j.error.Require.given;

import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Records of a program in place of a file, in any layout that files may have. They are asked for
 * once, one after the other, so that memory need not hold them; messages name them as lines, from
 * 1.
 *
 * @param rows the records; a stream is given as {@code stream::iterator}
 */
public record Records(Iterable<? extends Map<String, ?>> rows) implements Source {
    /** What {@code data.dataset} says of a run on records; messages begin with it. */
    public static final String NAME = "(memory)";

    public Records {
        given(rows, "rows");
    }

    /** Chats, each a record with {@code messages}, and {@code tools} if it has them. */
    public static Records ofChats(Iterable<Chat> chats) {
        given(chats, "chats");
        return new Records(() -> {
            Iterator<Chat> each = chats.iterator();
            return new Iterator<>() {
                @Override
                public boolean hasNext() {
                    return each.hasNext();
                }

                @Override
                public Map<String, ?> next() {
                    return record(given(each.next(), "a chat"));
                }
            };
        });
    }

    private static Map<String, Object> record(Chat chat) {
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("messages", chat.messages());
        if (chat.tools() != null) {
            record.put("tools", chat.tools());
        }
        if (!chat.variables().isEmpty()) {
            record.put("chat_template_kwargs", chat.variables());
        }
        return record;
    }

    @Override
    public Path file() {
        return Path.of(NAME);
    }

    @Override
    public Rows open() {
        Iterator<? extends Map<String, ?>> each = rows.iterator();
        return new Rows() {
            private int line;

            @Override
            public @Nullable Row next() {
                if (!each.hasNext()) {
                    return null;
                }
                line++;
                Row row = new Row(NAME, line, Map.of());
                return row.with(object(row, given(each.next(), "a record")));
            }

            @Override
            public boolean goesOn() {
                return true;
            }

            @Override
            public void close() {
                // what the program gave is its own
            }
        };
    }

    /** An object with values as a file of JSON gives them. */
    @SuppressWarnings("NullAway") // a field may be null, as in JSON
    private static Map<String, Object> object(Row row, Map<?, ?> map) {
        Map<String, Object> fields = new LinkedHashMap<>();
        map.forEach((name, value) -> fields.put(String.valueOf(name), plain(row, name, value)));
        return fields;
    }

    private static @Nullable Object plain(Row row, @Nullable Object name, @Nullable Object value) {
        return switch (value) {
            case null -> null;
            case String text -> text;
            case Boolean flag -> flag;
            case BigInteger number -> number;
            case Float number -> number.doubleValue();
            case Double number -> number;
            case Long number -> number;
            case Integer number -> number.longValue();
            case Short number -> number.longValue();
            case Map<?, ?> map -> object(row, map);
            case List<?> list -> {
                List<@Nullable Object> items = new ArrayList<>(list.size());
                list.forEach(item -> items.add(plain(row, name, item)));
                yield items;
            }
            default ->
                    throw row.error(
                            "field %s holds a %s; give text, numbers, lists and maps",
                            name, value.getClass().getName());
        };
    }
}
