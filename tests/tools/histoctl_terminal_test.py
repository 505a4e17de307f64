# SPDX-License-Identifier: Apache-2.0
"""What a person sees: progress bar on a terminal only, Ctrl-C, pictures of histograms."""
import os
import pty
import signal
import unittest

import stub_datasets
from harness import HistoctlTest, pgm


def read_all(descriptor):
    """Until the other end of a pseudo-terminal is closed."""
    data = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:
            return data
        if not chunk:
            return data
        data += chunk


class TerminalTest(HistoctlTest):
    def on_terminal(self, *words, stdout_too=False):
        """(exit code, what the terminal got, standard output) of a run whose standard error is a terminal."""
        main, side = pty.openpty()
        pipes = {"stderr": side, "stdout": side} if stdout_too else {"stderr": side}
        running = self.start(*words, **pipes)
        os.close(side)
        if self.server.plans:
            self.assertTrue(self.server.held.wait(60))
            seen = b""
            while b"]" not in seen and running.poll() is None:  # a bar is drawn while the server keeps us waiting
                seen += os.read(main, 65536)
            self.server.release.set()
        else:
            seen = b""
        seen += read_all(main)
        output = b"" if stdout_too else running.stdout.read()
        code = running.wait(60)
        if not stdout_too:
            running.stdout.close()
        os.close(main)
        return code, seen.decode(), output

    def test_bar_on_a_terminal(self):
        names = [self.image(f"in{i}.pgm").name for i in range(3)]
        self.server.plans.append("hold")
        code, seen, _ = self.on_terminal("equalize", *names, "-o", "out")
        self.assertEqual(code, 0)
        self.assertRegex(seen, r"\r\x1b\[K\[=* *\] \d/3 ")
        self.assertIn("3 done, 0 failed", seen)
        self.assertRegex(seen, r"\r\x1b\[K3 done[^\[]*$", "the bar is gone at the end")

    def test_no_bar_with_json_or_quiet(self):
        self.image("in.pgm")
        for option, shown in (("--json", True), ("--quiet", False)):
            code, seen, _ = self.on_terminal("equalize", "in.pgm", "-o", "out.pgm", "-f", option)
            self.assertEqual(code, 0)
            self.assertNotIn("[=", seen)
            self.assertEqual("1 done" in seen, shown)

    def test_no_bar_in_a_pipe(self):
        self.image("in.pgm")
        done = self.run_ctl("equalize", "in.pgm", "-o", "out.pgm")
        self.assertEqual((done.stdout, done.stderr), (b"", b""))

    def test_failures_stand_on_lines_of_their_own(self):
        self.image("in.pgm")
        code, seen, _ = self.on_terminal("equalize", "in.pgm", "missing.pgm", "-o", "out")
        self.assertEqual(code, 1)
        self.assertRegex(seen, r"(?m)^(\r\x1b\[K)?histoctl: missing.pgm: no such file\r?$")

    def test_histogram_has_pictures_on_a_terminal_only(self):
        self.image("in.pgm")
        code, seen, _ = self.on_terminal("histogram", "in.pgm", stdout_too=True)
        self.assertEqual(code, 0)
        self.assertRegex(seen, "before \\|[ ▁▂▃▄▅▆▇█]{64}\\|")
        self.assertRegex(seen, "after  \\|[ ▁▂▃▄▅▆▇█]{64}\\|")
        self.assertNotIn("|", self.run_ctl("histogram", "in.pgm").stdout.decode())

    def test_no_image_on_a_terminal(self):
        self.image("in.pgm")
        code, seen, _ = self.on_terminal("equalize", "in.pgm", "-o", "-", stdout_too=True)
        self.assertEqual(code, 2)
        self.assertIn("not written to a terminal", seen)


class DatasetBarTest(HistoctlTest):
    server_class = stub_datasets.DatasetServer
    on_terminal = TerminalTest.on_terminal

    def setUp(self):
        super().setUp()
        self.id = self.server.add_dataset({})
        for seed in range(5):
            self.image(f"photos/in{seed}.pgm", pgm(seed=seed))

    def test_add_says_how_many_were_there(self):
        self.run_ctl("dataset", "add", self.id, "photos/in1.pgm", "photos/in2.pgm")
        code, seen, _ = self.on_terminal("dataset", "add", self.id, "photos", "missing.pgm")
        self.assertEqual(code, 1)
        self.assertIn("3 added, 2 there already, 1 failed", seen)

    def test_waiting_has_a_bar_of_the_servers_progress(self):
        self.run_ctl("dataset", "add", self.id, "photos")
        code, seen, output = self.on_terminal("dataset", "finalize", self.id, "--wait")
        self.assertEqual((code, output[:8]), (0, b"sha-256="))
        self.assertRegex(seen, r"\r\x1b\[K\[=* *\] [24]/5 ")
        code, seen, _ = self.on_terminal("dataset", "apply", self.id, "--wait")
        self.assertEqual(code, 0)
        self.assertRegex(seen, r"\r\x1b\[K5 of 5 images are done[^\[]*$")
        code, seen, _ = self.on_terminal("dataset", "get", self.id, "-o", "out")
        self.assertIn("5 fetched, 0 there already, 0 failed", seen)


class InterruptTest(HistoctlTest):
    def interrupt(self, number, *words):
        self.server.plans.extend(["hold"] * 4)
        running = self.start(*words)
        self.assertTrue(self.server.held.wait(60))
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130, errors)
        return errors

    def leaves_no_file(self, number):
        names = [self.image(f"in{i}.pgm").name for i in range(6)]
        (self.work / "out").mkdir()
        self.assertEqual(self.interrupt(number, "equalize", *names, "-o", "out"), b"")
        self.assertEqual(self.names(self.work / "out"), [])

    def test_interrupt_leaves_no_file(self):
        self.leaves_no_file(signal.SIGINT)

    def test_termination_leaves_no_file(self):
        self.leaves_no_file(signal.SIGTERM)

    def test_interrupt_while_waiting_to_try_again(self):
        self.image("in.pgm")
        self.server.plans.extend([{"status": 503, "fields": {"Retry-After": "50"}}])
        running = self.start("equalize", "in.pgm", "-o", "out.pgm")
        while not self.server.log:
            self.assertIsNone(running.poll())
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
        self.assertEqual(running.returncode, 130)
        self.assertEqual(self.names(), ["in.pgm"])

    def test_interrupt_while_reading_standard_input(self):
        """The signal may come before the read or in it: a byte in the pipe shows that histoctl has begun to read."""
        read_end, write_end = os.pipe()
        running = self.start("equalize", "-", "-o", "out.pgm", stdin=read_end)
        os.close(read_end)
        for _ in range(32):  # more than a pipe holds, so that the last write returns only when some of it was read
            os.write(write_end, bytes(8192))
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
        os.close(write_end)
        self.assertEqual(running.returncode, 130)
        self.assertEqual(self.names(), [])


if __name__ == "__main__":
    unittest.main()
