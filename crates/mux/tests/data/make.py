"""Makes the *.frames files beside it with ffmpeg and ffprobe: real frames in the form `media::Frame` carries.

A file is the rate (u32), the size of the decoder record (u32) and the record, then per frame its dts and pts (i64),
duration (u32), whether it is a keyframe (u8), its size (u32) and its bytes; all big endian.
"""

import json
import struct
import subprocess
import tempfile

VIDEO = "testsrc2=size=160x90:rate={rate}:duration={seconds}"
AUDIO = "sine=frequency=440:sample_rate={rate}:duration={seconds}"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout


def record(data, kind):
    """The body of the first box of this kind, found by its name."""
    at = data.index(kind) - 4
    (size,) = struct.unpack(">I", data[at : at + 4])
    body = data[at + 8 : at + size]
    if kind == b"esds":
        # The AudioSpecificConfig: tag 5, then a size in seven-bit digits.
        at = body.index(b"\x05\x80\x80\x80")
        return body[at + 5 : at + 5 + body[at + 4]]
    return body


def write(name, rate, config, frames):
    with open(f"{name}.frames", "wb") as out:
        out.write(struct.pack(">II", rate, len(config)) + config)
        for dts, pts, duration, key, data in frames:
            out.write(struct.pack(">qqIBI", dts, pts, duration, key, len(data)) + data)


def make(name, source, box, *options, timescale=None):
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        track = ["-video_track_timescale", str(timescale)] if timescale else []
        run("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", source, *options, *track, file.name)
        data = open(file.name, "rb").read()
        entries = "packet=pts,dts,duration,flags,size,pos:stream=time_base"
        packets = json.loads(run("ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", file.name))
        rate = int(packets["streams"][0]["time_base"].split("/")[1])
        first = min(packet["dts"] for packet in packets["packets"])
        frames = [
            (
                packet["dts"] - first,
                packet["pts"] - first,
                packet.get("duration", 0),
                "K" in packet["flags"],
                data[int(packet["pos"]) : int(packet["pos"]) + int(packet["size"])],
            )
            for packet in packets["packets"]
        ]
        write(name, rate, record(data, box) if box else b"", frames)


def make_vp8(name, source, *options):
    with tempfile.NamedTemporaryFile(suffix=".ivf") as file:
        run("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", source, *options, file.name)
        data = open(file.name, "rb").read()
    frames, at = [], 32
    while at < len(data):
        size, pts = struct.unpack("<IQ", data[at : at + 12])
        frame = data[at + 12 : at + 12 + size]
        frames.append((pts * 3000, pts * 3000, 3000, not frame[0] & 1, frame))
        at += 12 + size
    # Version 1, profile 0, level 1, 8 bit 4:2:0, BT.709.
    write(name, 90000, bytes([1, 0, 0, 0, 0, 10, 0x82, 1, 1, 1, 0, 0]), frames)


x264 = ["-c:v", "libx264", "-preset", "slow", "-crf", "40", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p"]
make("h264", VIDEO.format(rate=25, seconds=3), b"avcC", *x264, timescale=90000)
x265 = ["-c:v", "libx265", "-crf", "40", "-x265-params", "keyint=25:min-keyint=25:bframes=2:open-gop=0:info=0:log-level=none", "-tag:v", "hvc1"]
make("h265", VIDEO.format(rate=25, seconds=2), b"hvcC", *x265, timescale=90000)
make("vp9", VIDEO.format(rate=30, seconds=2), b"vpcC", "-c:v", "libvpx-vp9", "-crf", "55", "-b:v", "0", "-g", "30", "-auto-alt-ref", "0", timescale=90000)
make("av1", VIDEO.format(rate=30, seconds=2), b"av1C", "-c:v", "libaom-av1", "-crf", "60", "-b:v", "0", "-g", "30", "-cpu-used", "8", "-lag-in-frames", "0", timescale=90000)
make_vp8("vp8", VIDEO.format(rate=30, seconds=2), "-c:v", "libvpx", "-crf", "60", "-b:v", "100k", "-g", "30", "-deadline", "realtime")
make("aac", AUDIO.format(rate=44100, seconds=3), b"esds", "-c:a", "aac", "-b:a", "24k", "-ac", "2")
make("opus", AUDIO.format(rate=48000, seconds=2), b"dOps", "-c:a", "libopus", "-b:a", "16k", "-ac", "2")
make("mp3", AUDIO.format(rate=44100, seconds=1), None, "-c:a", "libmp3lame", "-b:a", "32k")
