package org.qlora4j.tokenize;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.lang.ref.Reference;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;

/**
 * Hugging Face's tokenizer in Rust, through DJL's library. A failure inside ends the process
 * instead of throwing, so what could fail is done here first: lone surrogates are replaced, and the
 * Java heap that an answer takes is asked for before. Closing waits for calls that run.
 */
final class NativeTokenizer implements AutoCloseable {
    static {
        // Where DJL sees a GPU it would fetch a CUDA build of its library; the one in the jar does
        // all we ask.
        setUnlessGiven("RUST_FLAVOR", "cpu");
        setUnlessGiven("ai.djl.offline", "true");
    }

    private static final TokenizersLibrary LIBRARY = TokenizersLibrary.LIB;

    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
    private long handle;

    private NativeTokenizer(long handle) {
        this.handle = handle;
    }

    private static void setUnlessGiven(String property, String value) {
        if (System.getenv(property) == null && System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }

    /**
     * Makes one of the text of a {@code tokenizer.json} that {@link TokenizerCheck} has passed.
     *
     * @param origin the file, for messages
     * @throws FormatException if Rust refuses it
     */
    static NativeTokenizer of(String json, String origin) {
        LibUtils.checkStatus();
        try {
            long handle = LIBRARY.createTokenizerFromString(json);
            LIBRARY.disableTruncation(handle);
            LIBRARY.disablePadding(handle);
            return new NativeTokenizer(handle);
        } catch (RuntimeException e) {
            throw new FormatException(origin + " cannot be read: " + reason(e), e);
        }
    }

    /**
     * Ids of a text.
     *
     * @param tokens most that it can have
     * @throws FormatException if the tokenizer has no token for a part of it
     * @throws DeviceException if the Java heap has no room for them
     */
    int[] encode(String text, boolean addSpecialTokens, long tokens) {
        String sound = sound(text);
        lock.readLock().lock();
        try {
            long encoding = LIBRARY.encode(open(), sound, addSpecialTokens);
            try {
                reserve(8 * tokens);
                long[] ids = LIBRARY.getTokenIds(encoding);
                int[] out = new int[ids.length];
                for (int i = 0; i < ids.length; i++) {
                    out[i] = Math.toIntExact(ids[i]);
                }
                return out;
            } finally {
                LIBRARY.deleteEncoding(encoding);
            }
        } catch (DeviceException | IllegalStateException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new FormatException("a text cannot be tokenized: " + reason(e), e);
        } finally {
            lock.readLock().unlock();
        }
    }

    /**
     * Text of ids; ids that no token has are left out.
     *
     * @param chars most UTF-16 units of it
     * @throws DeviceException if the Java heap has no room for it
     */
    String decode(int[] ids, boolean skipSpecialTokens, long chars) {
        long[] wide = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            wide[i] = ids[i];
        }
        lock.readLock().lock();
        try {
            long open = open();
            reserve(2 * chars);
            return LIBRARY.decode(open, wide, skipSpecialTokens);
        } finally {
            lock.readLock().unlock();
        }
    }

    private long open() {
        if (handle == 0) {
            throw new IllegalStateException("the tokenizer is closed");
        }
        return handle;
    }

    /** Lets the collector make room for so many bytes, or fails here, in Java. */
    private static void reserve(long bytes) {
        try {
            Reference.reachabilityFence(new byte[Math.toIntExact(bytes + 4096)]);
        } catch (OutOfMemoryError | ArithmeticException e) {
            throw new DeviceException(
                    "the Java heap has no room for the tokens of a text (%d MiB); set QLORA_HEAP (or -Xmx) higher, or split the text"
                            .formatted((bytes >> 20) + 1),
                    e);
        }
    }

    /** As Rust's texts are: a half of a surrogate pair becomes U+FFFD. */
    static String sound(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (!Character.isSurrogate(c)) {
                continue;
            }
            boolean pair =
                    Character.isHighSurrogate(c)
                            && i + 1 < text.length()
                            && Character.isLowSurrogate(text.charAt(i + 1));
            if (!pair) {
                return text.codePoints()
                        .map(p -> p >= 0xD800 && p <= 0xDFFF ? 0xFFFD : p)
                        .collect(
                                StringBuilder::new,
                                StringBuilder::appendCodePoint,
                                StringBuilder::append)
                        .toString();
            }
            i++;
        }
        return text;
    }

    private static String reason(RuntimeException e) {
        return String.valueOf(e.getMessage()).replaceAll("\\R", " ");
    }

    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (handle != 0) {
                LIBRARY.deleteTokenizer(handle);
                handle = 0;
            }
        } finally {
            lock.writeLock().unlock();
        }
    }
}
