package org.qlora4j.tokenize;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.qlora4j.error.FormatException;

/**
 * A tokenizer as SentencePiece keeps it: {@code tokenizer.model}, {@code spiece.model}. The file is
 * a protocol buffer, {@code ModelProto} of sentencepiece_model.proto.
 *
 * @param pieces by id
 * @param kind 1 unigram, 2 BPE, 3 words, 4 letters
 * @param unknown id of the piece for what no other stands for
 * @param charsMap how letters are replaced before all else; empty for not at all
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record SentencePieceModel(List<Piece> pieces, int kind, int unknown, byte[] charsMap) {
    static final int UNIGRAM = 1;
    static final int BPE = 2;

    /** Types of pieces. */
    static final int UNKNOWN = 2;

    static final int CONTROL = 3;
    static final int USER_DEFINED = 4;

    /** A token with the logarithm of its probability, or the order of its merge. */
    record Piece(String text, float score, int type) {}

    /** Reads a file. */
    static SentencePieceModel read(Path file) {
        try {
            return parse(ByteBuffer.wrap(Files.readAllBytes(file)));
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read: " + e.getMessage(), e);
        } catch (BufferUnderflowException | IllegalArgumentException e) {
            throw new FormatException(
                    file + " is no SentencePiece model, or only a part of one; fetch it again", e);
        }
    }

    private static SentencePieceModel parse(ByteBuffer all) {
        List<Piece> pieces = new ArrayList<>();
        int[] trainer = {UNIGRAM, 0};
        byte[][] map = {new byte[0]};
        fields(
                all,
                (field, value, bytes) -> {
                    switch (field) {
                        case 1 -> pieces.add(piece(bytes));
                        case 2 ->
                                fields(
                                        bytes,
                                        (number, setting, text) -> {
                                            if (number == 3) {
                                                trainer[0] = (int) setting;
                                            } else if (number == 40) {
                                                trainer[1] = (int) setting;
                                            }
                                        });
                        case 3 ->
                                fields(
                                        bytes,
                                        (number, setting, text) -> {
                                            if (number == 2) {
                                                map[0] = new byte[text.remaining()];
                                                text.get(map[0]);
                                            }
                                        });
                        default -> {}
                    }
                });
        if (pieces.isEmpty()) {
            throw new IllegalArgumentException("no pieces");
        }
        return new SentencePieceModel(List.copyOf(pieces), trainer[0], trainer[1], map[0]);
    }

    private static Piece piece(ByteBuffer bytes) {
        String[] text = {""};
        float[] score = {0};
        int[] type = {1};
        fields(
                bytes,
                (field, value, part) -> {
                    switch (field) {
                        case 1 -> text[0] = StandardCharsets.UTF_8.decode(part).toString();
                        case 2 -> score[0] = Float.intBitsToFloat((int) value);
                        case 3 -> type[0] = (int) value;
                        default -> {}
                    }
                });
        return new Piece(text[0], score[0], type[0]);
    }

    /** Takes the fields of a message. */
    private interface Fields {
        /**
         * @param value of a number, its bits
         * @param bytes of a text or a message; empty for a number
         */
        void take(int field, long value, ByteBuffer bytes);
    }

    private static void fields(ByteBuffer message, Fields fields) {
        ByteBuffer in = message.slice().order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer none = ByteBuffer.allocate(0);
        while (in.hasRemaining()) {
            long tag = varint(in);
            int field = (int) (tag >>> 3);
            switch ((int) (tag & 7)) {
                case 0 -> fields.take(field, varint(in), none);
                case 1 -> fields.take(field, in.getLong(), none);
                case 5 -> fields.take(field, in.getInt(), none);
                case 2 -> {
                    long length = varint(in);
                    if (length < 0 || length > in.remaining()) {
                        throw new BufferUnderflowException();
                    }
                    fields.take(field, 0, in.slice(in.position(), (int) length));
                    in.position(in.position() + (int) length);
                }
                default -> throw new IllegalArgumentException("wire type " + (tag & 7));
            }
        }
    }

    private static long varint(ByteBuffer in) {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            byte next = in.get();
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw new IllegalArgumentException("a number of more than ten bytes");
    }
}
