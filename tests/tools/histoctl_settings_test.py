# SPDX-License-Identifier: Apache-2.0
"""Command line, help, completion, and where server and token come from."""
import os
import shutil
import subprocess
import unittest

from harness import HISTOCTL, HistoctlTest

COMMANDS = ("equalize", "histogram", "status", "cluster", "jobs", "dataset", "stream", "completion")


class UsageTest(HistoctlTest):
    def test_wrong_usage_is_one_line_and_code_2(self):
        cases = [
            ([], "no command"),
            (["explode"], "explode: there is no such command"),
            (["equalize"], "no input"),
            (["equalize", "a", "--colour", "lab"], "--colour: there is no such option"),
            (["equalize", "a", "-x"], "-x: there is no such option"),
            (["equalize", "a", "--rule"], "--rule: needs a value"),
            (["equalize", "a", "--rule", "best"], "--rule: best is not one of opencv|exact|reference|pillow|vips"),
            (["equalize", "a", "--rule", "exact", "-r", "vips"], "--rule: given twice"),
            (["equalize", "a", "--overwrite=yes"], "--overwrite: takes no value"),
            (["equalize", "a", "--bins", "16"], "--bins: there is no such option"),
            (["--bins", "16", "equalize", "a"], "--bins: not an option of equalize"),
            (["equalize", "a", "--clip", "3"], "--clip: only with --method clahe"),
            (["histogram", "a", "--method", "global", "--tiles", "4"], "--tiles: only with --method clahe"),
            (["equalize", "a", "--format", "png", "--quality", "80"], "--quality: only with --format jpeg"),
            (["equalize", "a", "--format", "tiff", "--png", "small"], "--png: only with --format png"),
            (["histogram"], "no input"),
            (["status", "more"], "takes no operands"),
            (["cluster", "more"], "takes no operands"),
            (["status", "--watch"], "--watch: there is no such option"),
            (["jobs"], "say list, show, get or cancel"),
            (["jobs", "show"], "name one job"),
            (["jobs", "list", "x"], "takes no operands"),
            (["jobs", "cancel"], "name a job"),
            (["completion", "tcsh"], "tcsh is not one of"),
            (["completion"], "name one shell"),
            (["status", "--server", "ftp://host"], "ftp://host: not an http:// or https:// URL"),
        ]
        for words, part in cases:
            with self.subTest(words=words):
                self.assert_one_line(self.run_ctl(*words, expect=2), part)
        self.assertEqual(self.server.log, [])

    def test_bounds(self):
        bad = {"--quality": ["0", "101", "x", "7.5", "", "-1"], "--png": ["9", ""], "--clip": ["-0.1", "1000.1", "nan", "two"],
               "--tiles": ["0", "257", "8x", "x8", "8x0", "8x8x8", "8*8"], "--range": ["1", "65537", "half"],
               "--nodata": ["nothing", "inf", "1e999", ""], "--parallel": ["0", "65"], "--timeout": ["0"],
               "--retries": ["101"], "--pages": ["all"], "--format": ["gif", "PNG"], "--method": [""]}
        good = {"--quality": ["1", "100"], "--png": ["fast", "small"], "--clip": ["0", "1000", "2.5", "1e2"], "--tiles": ["1", "256", "1x256"],
                "--range": ["2", "65536", "auto", "full"], "--nodata": ["none", "-3", "1e-3", "0"]}
        self.image("in.pgm")
        for name, values in bad.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    self.assert_one_line(self.run_ctl("equalize", "in.pgm", f"{name}={value}", expect=2), name)
        self.assertEqual(self.server.log, [], "wrong options are known without asking the server")
        for name, values in good.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    method = [] if name not in ("--clip", "--tiles") else ["--method", "clahe"]
                    self.run_ctl("equalize", "in.pgm", f"{name}={value}", *method, "-o", "out.pgm", "-f")
                    self.assertEqual(self.server.log[-1].query[name[2:]], value)

    def test_operands_that_look_like_options(self):
        self.image("-strange")
        self.run_ctl("equalize", "-o", "out", "--", "-strange")
        self.assertEqual(self.names(), ["-strange", "out"])

    def test_token_is_no_option(self):
        self.run_ctl("status", "--token", "secret", expect=2)


class HelpTest(HistoctlTest):
    def test_help(self):
        text = self.run_ctl("--help").stdout.decode()
        for part in (*COMMANDS, "Exit codes:", "HISTOCTL_TOKEN_FILE", "histoctl.toml", "interrupted"):
            self.assertIn(part, text)
        for command in COMMANDS:
            text = self.run_ctl(command, "--help").stdout.decode()
            self.assertTrue(text.startswith(f"Usage: histoctl {command}"))
            self.assertIn("Examples:", text)
            self.assertLessEqual(max(map(len, text.splitlines())), 120)
            self.assertEqual(self.run_ctl("-h", command).stdout.decode(), text)

    def test_version(self):
        self.assertRegex(self.run_ctl("--version").stdout.decode(), r"^histoctl \d+\.\d+\.\d+\n$")


class CompletionTest(HistoctlTest):
    def complete(self, *words):
        """What bash offers when the cursor is at the end of the last word."""
        script = ('source <("$0" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _histoctl; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, HISTOCTL, *words], capture_output=True, check=True, cwd=self.work,
                              env=self.environment(), timeout=60)
        self.assertEqual(done.stderr, b"")
        return done.stdout.decode().split()

    def test_scripts_parse(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.run_ctl("completion", shell).stdout
            self.assertIn(b"equalize", script)
            program = shutil.which(shell)
            if program is None:
                print(f"completion {shell}: not parsed, {shell} is not installed")
                continue
            done = subprocess.run([program, "-n", "/dev/stdin"], input=script, capture_output=True, check=False, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, b""), shell)

    def test_bash_completes(self):
        self.image("photo.pgm")
        self.assertEqual(self.complete("histoctl", "eq"), ["equalize"])
        self.assertEqual(self.complete("histoctl", "equalize", "--ru"), ["--rule"])
        self.assertEqual(self.complete("histoctl", "equalize", "--rule", ""),
                         ["opencv", "exact", "reference", "pillow", "vips"])
        self.assertEqual(self.complete("histoctl", "equalize", "ph"), ["photo.pgm"])
        self.assertEqual(self.complete("histoctl", "jobs", "ca"), ["cancel"])
        self.assertEqual(self.complete("histoctl", "cluster", "--wa"), ["--watch"])
        self.assertEqual(self.complete("histoctl", "stream", "se"), ["set", "send"])
        self.assertEqual(self.complete("histoctl", "stream", "send", "ph"), ["photo.pgm"])
        self.assertEqual(self.complete("histoctl", "stream", "send", "--sampling", "R"), ["RGB", "RGBA"])
        self.assertEqual(self.complete("histoctl", "jobs", "list", "--state", "d"), ["done"])
        self.assertNotIn("--rule", self.complete("histoctl", "status", "--"))
        self.assertEqual(self.complete("histoctl", "dataset", "fin"), ["finalize"])
        self.assertEqual(self.complete("histoctl", "dataset", "add", "ID", "ph"), ["photo.pgm"])
        self.assertEqual(self.complete("histoctl", "dataset", "get", "--resum"), ["--resume"])
        self.assertEqual(self.complete("histoctl", "dataset", "add", "ID", "-r", "ph"), ["photo.pgm"])
        self.assertEqual(self.complete("histoctl", "equalize", "-r", "pi"), ["pillow"])
        self.assertEqual(self.complete("histoctl", "equalize", "--token-file", "ph"), ["photo.pgm"])


class SettingsTest(HistoctlTest):
    def token_sent(self, *words, **environment):
        self.run_ctl("status", *words, env=self.environment(**environment))
        return self.server.log[-1].fields["Authorization"]

    def test_strongest_role_of_a_token_file(self):
        cases = {"submit-token-2\n": "submit-token-2", "  admin-token-3  \r\n": "admin-token-3",
                 "# c\n\nread read-token-1\nadmin admin-token-3 root # x\nsubmit submit-token-2\n": "admin-token-3",
                 "read read-token-1": "read-token-1", "peer peer-token-9 n2\nread read-token-1\n": "read-token-1"}
        for text, token in cases.items():
            with self.subTest(text=text):
                self.token_file.write_text(text)
                self.assertEqual(self.token_sent(), "Bearer " + token)

    def test_bad_token_files(self):
        for text, part in {"": "no token", "# only\n": "no token", "peer some-token\n": "no token", "chief some-token\n": "ROLE TOKEN",
                           "tok\x01en\n": "control"}.items():
            with self.subTest(text=text):
                self.token_file.write_text(text)
                self.assert_one_line(self.run_ctl("status", expect=2), str(self.token_file), part)
        self.token_file.unlink()
        self.assert_one_line(self.run_ctl("status", expect=2), "cannot read the token")

    def test_order_of_tokens(self):
        flag, config, default = (self.folder / name for name in ("flag", "config", "default"))
        flag.write_text("admin-token-3")
        config.write_text("read-token-1")
        settings = self.folder / "settings"
        settings.mkdir()
        (settings / "histoctl.toml").write_text(f'token_file = "{config}"\n')
        state = self.folder / "state/histod"
        state.mkdir(parents=True)
        (state / "token").write_text("submit submit-token-2")
        here = {"XDG_CONFIG_HOME": str(settings), "XDG_STATE_HOME": str(self.folder / "state")}
        self.assertEqual(self.token_sent("--token-file", flag, HISTOCTL_TOKEN="read-token-1", **here), "Bearer admin-token-3")
        self.assertEqual(self.token_sent(HISTOCTL_TOKEN="admin-token-3", **here), "Bearer admin-token-3")
        self.assertEqual(self.token_sent(**here), "Bearer submit-token-2")
        self.assertEqual(self.token_sent(HISTOCTL_TOKEN_FILE=None, **here), "Bearer read-token-1")
        (settings / "histoctl.toml").unlink()
        self.assertEqual(self.token_sent(HISTOCTL_TOKEN_FILE=None, **here), "Bearer submit-token-2")
        self.assertFalse(default.exists())

    def test_defaults_below_home(self):
        (self.home / ".config").mkdir()
        (self.home / ".config/histoctl.toml").write_text(f'server = "{self.server.url}/"\n')
        (self.home / ".local/state/histod").mkdir(parents=True)
        (self.home / ".local/state/histod/token").write_text("read read-token-1\n")
        self.assertEqual(self.token_sent(HISTOCTL_SERVER=None, HISTOCTL_TOKEN_FILE=None), "Bearer read-token-1")

    def test_flag_beats_environment(self):
        self.run_ctl("status", "--server", self.server.url, env=self.environment(HISTOCTL_SERVER="http://127.0.0.1:1"))

    def test_bad_configuration(self):
        path = self.home / ".config/histoctl.toml"
        path.parent.mkdir()
        for text, part in {"server = [1\n": "line ", "servre = 'x'\n": "servre: no such setting",
                           "server = 7\n": "server: not a string"}.items():
            path.write_text(text)
            self.assert_one_line(self.run_ctl("status", expect=2), str(path), part)

    def test_proxy_of_the_environment_is_not_asked_for_this_machine(self):
        self.run_ctl("status", env=self.environment(http_proxy=self.closed_port_url()))

    def test_token_is_not_in_the_arguments_of_the_process(self):
        self.image("in.pgm")
        self.server.plans.append("hold")
        running = self.start("equalize", "in.pgm", "-o", "out.pgm")
        self.assertTrue(self.server.held.wait(60))
        with open(f"/proc/{running.pid}/cmdline", "rb") as file:
            self.assertNotIn(b"token-2", file.read())
        self.server.release.set()
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0)
        self.assertTrue(os.path.exists(self.work / "out.pgm"))


if __name__ == "__main__":
    unittest.main()
