"""Makes src/test/resources/org/qlora4j/report/events.bin: an event file as TensorBoard itself writes it.

usage: make_event_reference.py OUT.bin
Made with tensorboard 2.21.0; nothing is random.
"""
import sys
import tensorboard
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

def scalars(**values):
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=t.replace("__", "/"), simple_value=v) for t, v in values.items()])

with open(sys.argv[1], "wb") as out:
    writer = RecordWriter(out)
    for event in (
            event_pb2.Event(wall_time=1790000000.25, file_version="brain.Event:2"),
            event_pb2.Event(wall_time=1790000001.5, step=301, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
            event_pb2.Event(wall_time=1790000002.0, step=301, summary=scalars(train__loss=1.25, train__learning_rate=2e-4)),
            event_pb2.Event(wall_time=1790000003.0, step=1000000, summary=scalars(eval__loss=float("nan"), eval__perplexity=-0.0))):
        writer.write(event.SerializeToString())
    writer.flush()
print(tensorboard.__version__)
