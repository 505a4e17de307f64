#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the captures in this folder again: streams of GStreamer and ffmpeg, which ../rtp_capture_test.cpp reads.

For each NAME: NAME.rtp, the packets, each behind its length in 16 bits (RFC 4571); NAME.raw, the frames that were sent, as the same run of
the same program wrote them beside; NAME.sdp, its own description of the stream. GStreamer's noise is other noise each time.

What was seen with GStreamer 1.22 and ffmpeg 5.1: both leave the extended sequence number 0. GStreamer numbers the lines of interlaced video by
frame and gives fields timestamps of their own; ffmpeg numbers them by field, with one timestamp. ffmpeg's YUV420P are no pgroups, but the
planes as they lie in memory (and so are its planar formats of 10 bits, which are not here): its UYVY alone is RFC 4175.

Debian: gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good ffmpeg
"""
import ctypes
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
FRAMES = 3
# Six packets before the sequence number wraps; timestamps wrap too.
GSTREAMER = {
    "gstreamer_uyvy": ("format=UYVY", 200), "gstreamer_uyvp": ("format=UYVP", 200), "gstreamer_i420": ("format=I420", 200),
    "gstreamer_rgb": ("format=RGB", 400), "gstreamer_rgba": ("format=RGBA", 300), "gstreamer_uyvy_interlaced": ("format=UYVY", 200),
}
FFMPEG = {
    "ffmpeg_uyvy": (["-pix_fmt", "uyvy422"], 200), "ffmpeg_i420": (["-pix_fmt", "yuv420p"], 300),
    "ffmpeg_uyvy_interlaced": (["-vf", "setfield=tff", "-field_order", "tt", "-pix_fmt", "uyvy422"], 200)}


def sdp_of(caps):
    """What GStreamer's own SDP library makes of a payloader's caps; the lines above m= are this script's."""
    gst, sdp = ctypes.CDLL("libgstreamer-1.0.so.0"), ctypes.CDLL("libgstsdp-1.0.so.0")
    for function in (gst.gst_caps_from_string, sdp.gst_sdp_media_as_text):
        function.restype = ctypes.c_void_p
    gst.gst_init(None, None)
    media = ctypes.c_void_p()
    sdp.gst_sdp_media_new(ctypes.byref(media))
    sdp.gst_sdp_media_set_media_from_caps(ctypes.c_void_p(gst.gst_caps_from_string(caps.encode())), media)
    sdp.gst_sdp_media_set_port_info(media, 5004, 1)
    sdp.gst_sdp_media_set_proto(media, b"RTP/AVP")
    text = ctypes.string_at(sdp.gst_sdp_media_as_text(media)).decode()
    return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=GStreamer\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" + text


def gstreamer(name, caps, mtu):
    interlaced = "capssetter caps=video/x-raw,interlace-mode=interleaved !" if name.endswith("interlaced") else ""
    done = subprocess.run(
        ["gst-launch-1.0", "-v", *(
            f"videotestsrc num-buffers={FRAMES} pattern=snow ! videoconvert ! video/x-raw,{caps},width=32,height=16,framerate=25/1 ! {interlaced} tee name=t "
            f"t. ! queue ! filesink location={HERE / name}.raw "
            f"t. ! queue ! rtpvrawpay name=pay mtu={mtu} ssrc=1193046 seqnum-offset=65530 timestamp-offset=4294967000 ! "
            f"rtpstreampay ! filesink location={HERE / name}.rtp").split()], check=True, capture_output=True, text=True)
    of_payloader = re.findall(r"GstRtpVRawPay:pay.GstPad:src: caps = (.*)", done.stdout)
    (HERE / f"{name}.sdp").write_bytes(sdp_of(of_payloader[-1]).encode())


def ffmpeg(name, options, packet_octets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        packets = []

        def receive():
            while packet := sink.recv(65536):
                packets.append(packet)
        thread = threading.Thread(target=receive)
        thread.start()
        source = ["-f", "lavfi", "-i", f"testsrc2=size=32x16:rate=25:duration={FRAMES / 25}"]
        with tempfile.TemporaryDirectory() as folder:
            # RTCP goes to the discard port.
            subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *source, *options, "-c:v", "rawvideo", "-seq", "65530", "-ssrc", "1193046", "-f", "rtp",
                            "-sdp_file", f"{folder}/sdp", f"rtp://127.0.0.1:{sink.getsockname()[1]}?pkt_size={packet_octets}&rtcpport=9",
                            *options, "-c:v", "rawvideo", "-f", "rawvideo", HERE / f"{name}.raw"], check=True)
            (HERE / f"{name}.sdp").write_bytes(pathlib.Path(f"{folder}/sdp").read_bytes())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", sink.getsockname())
        thread.join()
    (HERE / f"{name}.rtp").write_bytes(b"".join(struct.pack(">H", len(packet)) + packet for packet in packets))


def main():
    for name, (caps, mtu) in GSTREAMER.items():
        gstreamer(name, caps, mtu)
    for name, (options, packet_octets) in FFMPEG.items():
        ffmpeg(name, options, packet_octets)


if __name__ == "__main__":
    main()
