"""Reads an event file of TensorBoard as its readers do, apart from this project's code: records with their two
checksums, then the messages through Google's protobuf library with tensorflow's field numbers (event.proto,
summary.proto). Prints a line for each value: step, tag, value or the size of the picture. Pictures are written
into FOLDER, where one is given, as STEP.png.

usage: read_tfevents.py FILE [FOLDER]"""
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto
DOUBLE, FLOAT, INT64, INT32, STRING, MESSAGE, BYTES = 1, 2, 3, 5, 9, 11, 12


def crc32c(data):
    """CRC-32C, bit by bit: polynomial 0x1EDC6F41, reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def event_class():
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="tensorflow", syntax="proto3")

    def message(name, *fields):
        m = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            f = m.field.add(name=field, number=number, type=kind, label=label)
            if of:
                f.type_name = ".tensorflow." + of

    one, many = F.LABEL_OPTIONAL, F.LABEL_REPEATED
    message("SessionLog", ("status", 1, INT32, one, ""))
    message("Image", ("height", 1, INT32, one, ""), ("width", 2, INT32, one, ""),
            ("colorspace", 3, INT32, one, ""), ("encoded_image_string", 4, BYTES, one, ""))
    message("Value", ("tag", 1, STRING, one, ""), ("simple_value", 2, FLOAT, one, ""),
            ("image", 4, MESSAGE, one, "Image"))
    message("Summary", ("value", 1, MESSAGE, many, "Value"))
    message("Event", ("wall_time", 1, DOUBLE, one, ""), ("step", 2, INT64, one, ""),
            ("file_version", 3, STRING, one, ""), ("summary", 5, MESSAGE, one, "Summary"),
            ("session_log", 7, MESSAGE, one, "SessionLog"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("tensorflow.Event")
    get = getattr(message_factory, "GetMessageClass", None)
    return get(found) if get else message_factory.MessageFactory(pool).GetPrototype(found)


def records(path):
    with open(path, "rb") as f:
        while head := f.read(12):
            length, crc = struct.unpack("<QI", head)
            if masked(head[:8]) != crc:
                sys.exit("wrong checksum of a length")
            data = f.read(length)
            if len(data) != length or masked(data) != struct.unpack("<I", f.read(4))[0]:
                sys.exit("wrong checksum of a record, or not all of it")
            yield data


def main():
    make = event_class()
    for i, data in enumerate(records(sys.argv[1])):
        event = make()
        event.ParseFromString(data)
        if i == 0:
            print("version", event.file_version)
        if event.HasField("session_log"):
            print(event.step, "session", event.session_log.status)
        for value in event.summary.value:
            if value.HasField("image"):
                png = value.image.encoded_image_string
                print(event.step, value.tag, f"{value.image.width}x{value.image.height}", png[1:4].decode(), len(png))
                if len(sys.argv) > 2:
                    with open(f"{sys.argv[2]}/{event.step}.png", "wb") as f:
                        f.write(png)
            else:
                print(event.step, value.tag, f"{value.simple_value:.6g}")


main()
