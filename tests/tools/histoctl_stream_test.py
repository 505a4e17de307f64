# SPDX-License-Identifier: Apache-2.0
"""histoctl stream: what it asks of a daemon, and what it shows."""
import json
import unittest

import stub_streams
from harness import HistoctlTest

FORMAT = ("--listen", "0.0.0.0:5004", "--sampling", "YCbCr-4:2:2", "--depth", "10", "--size", "1920x1080")
FORMAT_MEMBERS = {"listen": "0.0.0.0:5004", "sampling": "YCbCr-4:2:2", "depth": 10, "width": 1920, "height": 1080}


class StreamTest(HistoctlTest):
    server_class = stub_streams.StreamServer

    def setUp(self):
        super().setUp()
        self.token_file.write_text("admin admin-token-3\n")

    def add(self, name="studio", **members):
        config = {**stub_streams.DEFAULTS, **FORMAT_MEMBERS, **members}
        self.server.streams[name] = stub_streams.state_of(name, config)
        return self.server.streams[name]

    def asked(self):
        """(method, path, JSON of the body) of the only request."""
        [exchange] = self.server.log
        return exchange.method, exchange.path, json.loads(exchange.body)


class ShowTest(StreamTest):
    def test_list(self):
        self.assertEqual(self.run_ctl("stream", "list").stdout, b"")
        self.add("b-cam", interlaced=True)
        failed = self.add("a-cam")
        self.server.streams["a-cam"] = {**{key: failed[key] for key in ("name", "config", "since")}, "state": "failed",
                                        "error": "the port is taken\x1b[2J"}
        lines = self.run_ctl("stream", "list").stdout.decode().splitlines()
        self.assertEqual([line.split() for line in lines], [
            "stream state listens on format frames/s Mbit/s lost delay p99 core".split(),
            "a-cam failed 0.0.0.0:5004 1920x1080 YCbCr-4:2:2 10 bit - - - - - the port is taken?[2J".split(),
            "b-cam running 127.0.0.1:5004 1920x1080i YCbCr-4:2:2 10 bit 25.00 1037.5 3 45.6 us 42 %".split()])

    def test_list_without_measurements(self):
        state = self.add()
        state["delay_seconds"] = {"p50": None, "p99": None, "p999": None}
        self.assertEqual(self.run_ctl("stream", "list").stdout.decode().splitlines()[1].split()[-4:], ["3", "-", "42", "%"])
        state["delay_seconds"]["p99"] = 0.0123
        self.assertIn("12.30 ms", self.run_ctl("stream", "list").stdout.decode())

    def test_list_and_show_as_json_are_the_servers_answer(self):
        state = self.add()
        self.assertEqual(self.json_lines("stream", "show", "studio"), [state])
        [listed] = self.json_lines("stream", "list")
        self.assertEqual(listed["streams"][0]["packets"], state["packets"])

    def test_show(self):
        self.add()
        text = self.run_ctl("stream", "show", "studio").stdout.decode()
        for part in ("name: studio\n", "state: running\n", "config:\n  backend: io_uring\n", "  lost: 3\n", "lut_digest: sha-256=0",
                     "delay_seconds:\n"):
            self.assertIn(part, text)
        self.assertNotIn("counts", text)
        self.assertNotIn("\nlut:", text)

    def test_one_that_is_not_there(self):
        for words in (("show", "no"), ("change", "no", "--rule", "exact"), ("preview", "no", "-o", "x.jpg"), ("sdp", "no")):
            self.assert_one_line(self.run_ctl("stream", *words, expect=1), "no: there is no stream no")
        self.assertEqual(self.names(), [])

    def test_names_that_are_no_names_go_nowhere_else(self):
        self.run_ctl("stream", "show", "../jobs", expect=1)
        self.assertEqual([exchange.path for exchange in self.server.log], ["/v1/streams/..%2Fjobs"])

    def test_answers_that_are_none(self):
        self.server.plans.append({"status": 503, "fields": {"Retry-After": "0"}})
        self.run_ctl("stream", "list")
        self.token_file.write_text("nobody-knows-this\n")
        self.assert_one_line(self.run_ctl("stream", "list", expect=4), "token")
        done = self.run_ctl("stream", "list", "--retries", "0", env=self.environment(HISTOCTL_SERVER=self.closed_port_url()), expect=3)
        self.assert_one_line(done)


class SetTest(StreamTest):
    def test_a_new_one(self):
        text = self.run_ctl("stream", "set", "studio", *FORMAT).stdout.decode()
        self.assertEqual(text, "studio running 127.0.0.1:5004\n")
        self.assertEqual(self.asked(), ("PUT", "/v1/streams/studio", FORMAT_MEMBERS))

    def test_every_option(self):
        words = {"listen": "239.1.1.1:5004", "interface": "10.0.0.5", "backend": "dpdk", "dpdk-port": "net_af_packet0,iface=eth1",
                 "sampling": "RGB", "depth": "12", "size": "64x32", "line-numbering": "field", "payload-type": "112",
                 "colorimetry": "BT709-2", "rule": "vips", "window": "8", "clip-limit": "2.5", "scene-cut": "0.25",
                 "targets": "10.0.0.9:5006,[::1]:7", "next-hop": "02:00:00:00:00:01", "cpu": "3", "preview-rate": "0.5", "preview-height": "180"}
        [state] = self.json_lines("stream", "set", "studio", "--interlaced",
                                  *(part for name, value in words.items() for part in (f"--{name}", value)))
        self.assertEqual(self.asked()[2], {
            "listen": "239.1.1.1:5004", "interface": "10.0.0.5", "backend": "dpdk", "dpdk_port": "net_af_packet0,iface=eth1",
            "sampling": "RGB", "depth": 12, "width": 64, "height": 32, "interlaced": True, "line_numbering": "field",
            "payload_type": 112, "colorimetry": "BT709-2", "rule": "vips", "window": {"frames": 8}, "clip_limit": 2.5,
            "scene_cut": 0.25, "targets": ["10.0.0.9:5006", "[::1]:7"], "next_hop": "02:00:00:00:00:01", "cpu": 3,
            "preview": {"per_second": 0.5, "height_max": 180}})
        self.assertEqual(state, self.server.streams["studio"])

    def test_a_configuration_from_another_stream(self):
        state = self.add("old", targets=["10.0.0.9:5006"])
        shown = self.json_lines("stream", "show", "old")[0]["config"]
        self.server.log.clear()
        (self.work / "config.json").write_text(json.dumps(shown))
        self.run_ctl("stream", "set", "new", "--config", "config.json", "--listen", "0.0.0.0:6000", "--average", "16",
                     "--preview-rate", "1", "--targets", "none")
        wanted = {**state["config"], "listen": "0.0.0.0:6000", "window": {"average_frames": 16}, "targets": [],
                  "preview": {"per_second": 1, "height_max": 360}}
        self.assertEqual(self.asked(), ("PUT", "/v1/streams/new", wanted))
        self.run_ctl("stream", "set", "third", "--config", "-", stdin=json.dumps(shown).encode())
        self.assertEqual(self.server.streams["third"]["config"], state["config"])

    def test_a_format_from_a_description(self):
        description = "v=0\r\nm=video 5004 RTP/AVP 96\r\n"
        (self.work / "in.sdp").write_bytes(description.encode())
        self.run_ctl("stream", "set", "studio", "--sdp", "in.sdp", "--rule", "exact")
        self.assertEqual(self.asked()[2], {"sdp": description, "rule": "exact"})

    def test_files_that_do_not_serve(self):
        (self.work / "list.json").write_text("[1]")
        (self.work / "torn.json").write_text('{"listen": ')
        for words, part in ((("--config", "missing.json"), "missing.json: cannot be read"), (("--config", "list.json"), "list.json: "),
                            (("--config", "torn.json"), "torn.json: "), (("--sdp", "missing.sdp"), "missing.sdp: ")):
            self.assert_one_line(self.run_ctl("stream", "set", "studio", *words, expect=1), part)
        self.assertEqual(self.server.log, [])

    def test_refusals_say_value_and_limit(self):
        done = self.run_ctl("stream", "set", "studio", *FORMAT, "--rule", "pillow", expect=1)
        self.assert_one_line(done, "studio: rule pillow is for a depth of 8 (value 10, limit 8)")
        for index in range(16):
            self.add(f"s{index}")
        self.assert_one_line(self.run_ctl("stream", "set", "studio", *FORMAT, expect=1), "(value 17, limit 16)")
        self.token_file.write_text("read read-token-1\n")
        self.assert_one_line(self.run_ctl("stream", "set", "s1", *FORMAT, expect=4), "role")


class ChangeTest(StreamTest):
    def test_only_what_is_named_is_sent(self):
        self.add()
        self.run_ctl("stream", "change", "studio", "--window", "8")
        self.assertEqual(self.asked(), ("PATCH", "/v1/streams/studio", {"window": {"frames": 8}}))
        self.server.log.clear()
        self.run_ctl("stream", "change", "studio", "--preview-height", "90", "--clip-limit", "0", "--scene-cut", "1")
        self.assertEqual(self.asked()[2], {"preview": {"height_max": 90}, "clip_limit": 0, "scene_cut": 1})
        self.server.log.clear()
        [state] = self.json_lines("stream", "change", "studio", "--targets", "10.0.0.1:1", "--rule", "exact", "--average", "4")
        self.assertEqual(self.asked()[2], {"targets": ["10.0.0.1:1"], "rule": "exact", "window": {"average_frames": 4}})
        self.assertEqual(state["config"]["rule"], "exact")

    def test_remove(self):
        for name in ("a", "b", "c"):
            self.add(name)
        self.assertEqual(self.run_ctl("stream", "remove", "a", "b").stdout, b"")
        self.assertEqual(list(self.server.streams), ["c"])
        records = self.json_lines("stream", "remove", "gone", "c", expect=1)
        self.assertEqual([record["stream"] for record in records], ["gone", "c"])
        self.assertEqual(self.server.streams, {})


class DownloadTest(StreamTest):
    def setUp(self):
        super().setUp()
        self.add()

    def test_preview(self):
        self.assertEqual(self.run_ctl("stream", "preview", "studio").stdout, stub_streams.JPEG["out"])
        self.run_ctl("stream", "preview", "studio", "--side", "in", "-o", "now.jpg")
        self.assertEqual((self.work / "now.jpg").read_bytes(), stub_streams.JPEG["in"])
        self.assert_one_line(self.run_ctl("stream", "preview", "studio", "-o", "now.jpg", expect=1), "now.jpg exists already")
        self.run_ctl("stream", "preview", "studio", "-o", "now.jpg", "-f")
        self.assertEqual((self.work / "now.jpg").read_bytes(), stub_streams.JPEG["out"])

    def test_no_frame_leaves_no_file(self):
        self.server.no_frame = True
        done = self.run_ctl("stream", "preview", "studio", "-o", "now.jpg", expect=1)
        self.assert_one_line(done, "studio: no whole frame came in yet")
        self.assertEqual(self.names(), [])

    def test_sdp(self):
        self.assertEqual(self.run_ctl("stream", "sdp", "studio").stdout, b"v=0\r\ns=studio\r\n")
        self.run_ctl("stream", "sdp", "studio", "-o", "out.sdp")
        self.assertEqual((self.work / "out.sdp").read_bytes(), b"v=0\r\ns=studio\r\n")


class UsageTest(StreamTest):
    def test_wrong_usage(self):
        for words, part in (([], "say list, show, set"), (["watch"], "say list, show, set"), (["list", "x"], "takes no operands"),
                            (["show"], "name one stream"), (["set", "a", "b"], "name one stream"), (["remove"], "name a stream"),
                            (["list", "--rule", "exact"], "--rule: not an option of stream list"),
                            (["change", "a", "--cpu", "1"], "--cpu: not an option of stream change"),
                            (["change", "a"], "say what"), (["change", "a", "--window", "4", "--average", "4"], "not with --window"),
                            (["set", "a", "--to", "h:1"], "--to: not an option of stream set")):
            with self.subTest(words=words):
                self.assert_one_line(self.run_ctl("stream", *words, expect=2), part)
        self.assertEqual(self.server.log, [])

    def test_bounds(self):
        bad = {"--listen": ["5004", "a:b", "::1:5"], "--backend": ["uring"], "--payload-type": ["128", "-1"],
               "--window": ["0", "1025"], "--average": ["0", "1025"], "--clip-limit": ["-1", "1001", "nan", "x"],
               "--scene-cut": ["-0.1", "1.1", "inf"], "--targets": ["", "a", "a:1,", "a:1,,b:2", "a:0"], "--cpu": ["4096"],
               "--preview-rate": ["5.1"], "--preview-height": ["15", "721"], "--line-numbering": ["both"], "--rule": ["best"]}
        for name, values in bad.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    self.assert_one_line(self.run_ctl("stream", "set", "studio", f"{name}={value}", expect=2), name)
        self.assertEqual(self.server.log, [])

    def test_listening_on_any_free_port(self):
        self.run_ctl("stream", "set", "studio", *FORMAT[2:], "--listen", "[::1]:0")
        self.assertEqual(self.asked()[2]["listen"], "[::1]:0")


if __name__ == "__main__":
    unittest.main()
