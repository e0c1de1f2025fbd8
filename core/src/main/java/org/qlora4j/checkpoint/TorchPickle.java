package org.qlora4j.checkpoint;

import java.math.BigInteger;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.error.FormatException;

/**
 * The pickle of a file of {@code torch.save}, understood as far as names and tensors need it.
 * Pickles are programs: of the functions that they may call, this reader knows those that build
 * dictionaries and tensors, and refuses any other by name. It runs nothing.
 *
 * <p>Format: Python's {@code pickletools}, protocols 2 to 5.
 */
final class TorchPickle {
    private static final Map<String, StoredType> STORAGES =
            Map.of(
                    "FloatStorage", StoredType.F32,
                    "HalfStorage", StoredType.F16,
                    "BFloat16Storage", StoredType.BF16,
                    "DoubleStorage", StoredType.F64,
                    "LongStorage", StoredType.I64,
                    "IntStorage", StoredType.I32,
                    "ShortStorage", StoredType.I16,
                    "CharStorage", StoredType.I8,
                    "ByteStorage", StoredType.U8,
                    "BoolStorage", StoredType.BOOL);

    private static final int MAX_RANK = 16;

    /**
     * A tensor as a window of a storage.
     *
     * @param key name of the storage in the file
     * @param elements of the storage
     * @param offset of the first element
     * @param strides elements from one index of a dimension to the next
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Window(
            String key,
            StoredType type,
            long elements,
            long offset,
            long[] shape,
            long[] strides) {}

    private record Global(String module, String name) {}

    private record Storage(String key, StoredType type, long elements) {}

    private record Tuple(List<Object> items) {}

    /** Python's None, and objects that say nothing about tensors. */
    private enum Nothing {
        NONE
    }

    private final Path file;
    private final ByteBuffer in;
    private final Map<Integer, Object> memo = new HashMap<>();
    private final Deque<List<Object>> marked = new ArrayDeque<>();
    private List<Object> stack = new ArrayList<>();

    private TorchPickle(Path file, byte[] bytes) {
        this.file = file;
        this.in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * The tensors of a dictionary of tensors; entries that are none are passed over.
     *
     * @throws FormatException if the pickle is damaged, calls anything else, or holds no dictionary
     */
    static Map<String, Window> tensors(Path file, byte[] bytes) {
        Object top;
        try {
            top = new TorchPickle(file, bytes).run();
        } catch (BufferUnderflowException
                | IndexOutOfBoundsException
                | ClassCastException
                | ArithmeticException
                | IllegalArgumentException
                | NullPointerException e) {
            throw new FormatException(file + ": its pickle is damaged; fetch the file again", e);
        }
        Map<String, Window> out = new LinkedHashMap<>();
        if (!(top instanceof Map<?, ?> map)) {
            throw FormatException.of(
                    "%s: holds no dictionary of tensors; use the safetensors form", file);
        }
        map.forEach((name, value) -> {
            if (name instanceof String text && value instanceof Window window) {
                if (text.length() > StrictJson.MAX_NAME
                        || text.chars().anyMatch(Character::isISOControl)) {
                    throw FormatException.of(
                            "%s: a tensor has the name '%s'; fetch the file again",
                            file, StrictJson.clip(text));
                }
                out.put(text, window);
            }
        });
        if (out.isEmpty()) {
            throw FormatException.of(
                    "%s: its dictionary holds no tensors, perhaps they lie one level deeper; use the safetensors form",
                    file);
        }
        return out;
    }

    private Object run() {
        while (true) {
            int op = in.get() & 0xFF;
            switch (op) {
                case 0x80 -> in.get(); // PROTO
                case 0x95 -> in.getLong(); // FRAME
                case '.' -> {
                    return pop();
                }
                case '(' -> {
                    marked.push(stack);
                    stack = new ArrayList<>();
                }
                case '0' -> pop();
                case '1' -> toMark();
                case '2' -> stack.add(peek());
                case 'N' -> stack.add(Nothing.NONE);
                case 0x88 -> stack.add(true);
                case 0x89 -> stack.add(false);
                case 'K' -> stack.add((long) (in.get() & 0xFF));
                case 'M' -> stack.add((long) (in.getShort() & 0xFFFF));
                case 'J' -> stack.add((long) in.getInt());
                case 0x8A -> stack.add(bigInteger(in.get() & 0xFF));
                case 'G' -> stack.add(in.order(ByteOrder.BIG_ENDIAN).getDouble());
                case 'X' -> stack.add(text(in.getInt()));
                case 0x8C -> stack.add(text(in.get() & 0xFF));
                case 'C' -> stack.add(text(in.get() & 0xFF));
                case '}' -> stack.add(new LinkedHashMap<>());
                case ']' -> stack.add(new ArrayList<>());
                case ')' -> stack.add(new Tuple(List.of()));
                case 't' -> {
                    List<Object> items = toMark();
                    stack.add(new Tuple(items));
                }
                case 0x85 -> tuple(1);
                case 0x86 -> tuple(2);
                case 0x87 -> tuple(3);
                case 'q' -> memo.put(in.get() & 0xFF, peek());
                case 'r' -> memo.put(in.getInt(), peek());
                case 0x94 -> memo.put(memo.size(), peek());
                case 'h' -> stack.add(remembered(in.get() & 0xFF));
                case 'j' -> stack.add(remembered(in.getInt()));
                case 'c' -> stack.add(global(line(), line()));
                case 0x93 -> {
                    String name = (String) pop();
                    stack.add(global((String) pop(), name));
                }
                case 'Q' -> stack.add(storage((Tuple) pop()));
                case 'R' -> reduce();
                case 'b' -> build();
                case 'a' -> {
                    Object item = pop();
                    list(peek()).add(item);
                }
                case 'e' -> {
                    List<Object> items = toMark();
                    list(peek()).addAll(items);
                }
                case 's' -> {
                    Object value = pop();
                    Object key = pop();
                    dictionary(peek()).put(key, value);
                }
                case 'u' -> {
                    List<Object> items = toMark();
                    Map<Object, Object> into = dictionary(peek());
                    for (int i = 0; i < items.size(); i += 2) {
                        into.put(items.get(i), items.get(i + 1));
                    }
                }
                default -> throw refused("does what code 0x%02x of pickles does".formatted(op));
            }
            in.order(ByteOrder.LITTLE_ENDIAN);
        }
    }

    private Object pop() {
        return stack.remove(stack.size() - 1);
    }

    private Object peek() {
        return stack.get(stack.size() - 1);
    }

    /** What was put on the stack since the last mark, which is taken off. */
    private List<Object> toMark() {
        List<Object> items = stack;
        if (marked.isEmpty()) {
            throw new IllegalArgumentException("no mark");
        }
        stack = marked.pop();
        return items;
    }

    private void tuple(int size) {
        List<Object> items = new ArrayList<>();
        for (int i = 0; i < size; i++) {
            items.add(0, pop());
        }
        stack.add(new Tuple(items));
    }

    private Object remembered(int number) {
        Object found = memo.get(number);
        if (found == null) {
            throw new IllegalArgumentException("nothing remembered as " + number);
        }
        return found;
    }

    private long bigInteger(int bytes) {
        byte[] little = new byte[bytes];
        in.get(little);
        byte[] big = new byte[Math.max(1, bytes)];
        for (int i = 0; i < bytes; i++) {
            big[big.length - 1 - i] = little[i];
        }
        return new BigInteger(big).longValueExact();
    }

    private String text(int bytes) {
        if (bytes < 0 || bytes > in.remaining()) {
            throw new IllegalArgumentException("a text of " + bytes);
        }
        byte[] out = new byte[bytes];
        in.get(out);
        return new String(out, StandardCharsets.UTF_8);
    }

    private String line() {
        int from = in.position();
        int to = from;
        while (in.get(to) != '\n') {
            to++;
        }
        String out = text(to - from);
        in.get();
        return out;
    }

    /** A function or a type that the pickle names; only those that build tensors are known. */
    private Global global(String module, String name) {
        Global global = new Global(module, name);
        boolean storage = module.equals("torch") && STORAGES.containsKey(name);
        boolean known =
                switch (module + "." + name) {
                    case "collections.OrderedDict",
                            "torch._utils._rebuild_tensor_v2",
                            "torch._utils._rebuild_parameter",
                            "torch.Size" ->
                            true;
                    default -> false;
                };
        if (!storage && !known) {
            throw refused("calls " + StrictJson.clip(module + "." + name));
        }
        return global;
    }

    private Storage storage(Tuple id) {
        List<Object> items = id.items;
        StoredType type = STORAGES.get(((Global) items.get(1)).name);
        if (!items.get(0).equals("storage") || type == null) {
            throw new IllegalArgumentException("no storage");
        }
        return new Storage((String) items.get(2), type, (Long) items.get(4));
    }

    private void reduce() {
        Tuple arguments = (Tuple) pop();
        Global function = (Global) pop();
        stack.add(
                switch (function.name) {
                    case "OrderedDict" -> ordered(arguments);
                    case "_rebuild_tensor_v2" -> window(arguments.items);
                    case "_rebuild_parameter" -> arguments.items.get(0);
                    case "Size" -> arguments.items.get(0);
                    default -> throw refused("calls " + function.module + "." + function.name);
                });
    }

    private static Map<Object, Object> ordered(Tuple arguments) {
        Map<Object, Object> out = new LinkedHashMap<>();
        if (!arguments.items.isEmpty()) { // a list of pairs
            for (Object pair : list(arguments.items.get(0))) {
                List<Object> items = pair instanceof Tuple t ? t.items : list(pair);
                out.put(items.get(0), items.get(1));
            }
        }
        return out;
    }

    private static Window window(List<Object> arguments) {
        Storage storage = (Storage) arguments.get(0);
        long[] shape = longs(arguments.get(2));
        long[] strides = longs(arguments.get(3));
        long offset = (Long) arguments.get(1);
        if (shape.length != strides.length || shape.length > MAX_RANK || offset < 0) {
            throw new IllegalArgumentException("no tensor");
        }
        long last = offset;
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] < 0 || strides[i] < 0) {
                throw new IllegalArgumentException("no shape");
            }
            last = Math.addExact(last, Math.multiplyExact(strides[i], Math.max(0, shape[i] - 1)));
        }
        long elements = StoredType.elements(shape);
        if (elements > storage.elements || (elements > 0 && last >= storage.elements)) {
            throw new IllegalArgumentException("a tensor beyond its storage");
        }
        return new Window(storage.key, storage.type, storage.elements, offset, shape, strides);
    }

    private static long[] longs(Object tuple) {
        return ((Tuple) tuple).items.stream().mapToLong(Long.class::cast).toArray();
    }

    /** State of an object, such as the versions that torch keeps beside a dictionary. */
    private void build() {
        pop();
        if (!(peek() instanceof Map)) {
            throw refused("gives an object a state");
        }
    }

    @SuppressWarnings("unchecked") // this class alone makes them
    private static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    @SuppressWarnings("unchecked") // this class alone makes them
    private static Map<Object, Object> dictionary(Object value) {
        return (Map<Object, Object>) value;
    }

    private FormatException refused(String what) {
        return FormatException.of(
                "%s: its pickle %s, which tensors do not need and is not run; use the safetensors form",
                file, what);
    }
}
