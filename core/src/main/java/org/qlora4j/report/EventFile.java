package org.qlora4j.report;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.zip.CRC32C;
import org.qlora4j.error.DeviceException;

/**
 * An event file of TensorBoard, written by hand: protobuf messages {@code Event} (TensorFlow's
 * event.proto), each in a TFRecord frame of length, checksum of the length, message, checksum of
 * the message. Every event is on its way to the disk when {@link #scalars} returns.
 */
final class EventFile implements AutoCloseable {
    /** Wire types of protobuf, in the low three bits of a field's key. */
    private static final int VARINT = 0;

    private static final int FIXED_64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED_32 = 5;

    private final Path file;
    private final OutputStream out;

    private EventFile(Path file, OutputStream out) {
        this.file = file;
        this.out = out;
    }

    /**
     * Makes the file in a folder, under a name that TensorBoard finds and no other process takes.
     *
     * @param seconds the time, since 1970
     */
    static EventFile create(Path folder, double seconds) {
        String name =
                "events.out.tfevents.%010d.qlora4j.%d.%d"
                        .formatted(
                                (long) seconds,
                                ProcessHandle.current().pid(),
                                System.nanoTime() & 0xffffff);
        Path file = folder.resolve(name);
        try {
            Files.createDirectories(folder);
            EventFile events =
                    new EventFile(file, Files.newOutputStream(file, StandardOpenOption.CREATE_NEW));
            Message first = new Message();
            first.fixed64(1, Double.doubleToRawLongBits(seconds));
            first.bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8));
            events.write(first);
            return events;
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be written: " + e.getMessage(), e);
        }
    }

    /**
     * Says that events begin anew at a step: those of later steps in older files of the folder
     * count no more.
     */
    void startAt(long step, double seconds) {
        Message log = new Message();
        log.varint(1, 1); // SessionLog.status = START
        Message event = event(step, seconds);
        event.bytes(7, log.toBytes());
        write(event);
    }

    /** One event with a value for each name, such as {@code train/loss}. */
    void scalars(long step, double seconds, Map<String, Double> values) {
        Message summary = new Message();
        values.forEach((tag, number) -> {
            Message value = new Message();
            value.bytes(1, tag.getBytes(StandardCharsets.UTF_8));
            value.fixed32(2, Float.floatToRawIntBits(number.floatValue()));
            summary.bytes(1, value.toBytes());
        });
        Message event = event(step, seconds);
        event.bytes(5, summary.toBytes());
        write(event);
    }

    private static Message event(long step, double seconds) {
        Message event = new Message();
        event.fixed64(1, Double.doubleToRawLongBits(seconds));
        event.varint(2, step);
        return event;
    }

    private void write(Message message) {
        byte[] bytes = message.toBytes();
        ByteBuffer frame =
                ByteBuffer.allocate(8 + 4 + bytes.length + 4).order(ByteOrder.LITTLE_ENDIAN);
        frame.putLong(bytes.length);
        frame.putInt(maskedChecksum(frame.array(), 0, 8));
        frame.put(bytes);
        frame.putInt(maskedChecksum(bytes, 0, bytes.length));
        try {
            out.write(frame.array());
            out.flush();
        } catch (IOException e) {
            throw new DeviceException(
                    file + " cannot be written: " + e.getMessage() + "; make room on the disk", e);
        }
    }

    /** TFRecord's: CRC-32C rotated and shifted, since a checksum of checksums is a weak one. */
    private static int maskedChecksum(byte[] bytes, int from, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, from, length);
        return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
    }

    @Override
    public void close() {
        try {
            out.close();
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be written: " + e.getMessage(), e);
        }
    }

    /** A protobuf message as it is put together. */
    private static final class Message {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        void varint(int field, long value) {
            raw((field << 3) | VARINT);
            raw(value);
        }

        void fixed64(int field, long value) {
            raw((field << 3) | FIXED_64);
            little(value, 8);
        }

        void fixed32(int field, int value) {
            raw((field << 3) | FIXED_32);
            little(value, 4);
        }

        void bytes(int field, byte[] value) {
            raw((field << 3) | BYTES);
            raw(value.length);
            bytes.writeBytes(value);
        }

        /** Seven bits a byte, the lowest first, with the top bit set on all but the last. */
        private void raw(long value) {
            long rest = value;
            while ((rest & ~0x7fL) != 0) {
                bytes.write((int) (rest & 0x7f) | 0x80);
                rest >>>= 7;
            }
            bytes.write((int) rest);
        }

        private void little(long value, int count) {
            for (int i = 0; i < count; i++) {
                bytes.write((int) (value >>> (8 * i)));
            }
        }

        byte[] toBytes() {
            return bytes.toByteArray();
        }
    }
}
