# SPDX-License-Identifier: Apache-2.0
"""How Debian's ZooKeeper servers are configured, started and asked: for tools/fleet and the tests. They keep nothing over a power
loss (forceSync=no), so that they are quick: for trying out and testing only."""
import pathlib
import shutil
import socket

JAR = pathlib.Path("/usr/share/java/zookeeper.jar")
TICK_MS = 200  # sessions of 400 ms and more


def missing():
    """What has to be installed, as a sentence; empty when nothing has."""
    if JAR.exists() and shutil.which("java"):
        return ""
    return "no ZooKeeper server: install the packages zookeeper and default-jre-headless"


def configure(home, index, addresses, peers):
    """Makes the folder of server `index` with its zoo.cfg. `addresses`: (host, port) for clients; `peers`: "host:port:port" of each."""
    data = home / "data"
    data.mkdir(parents=True)
    host, port = addresses[index]
    lines = [f"tickTime={TICK_MS}", "initLimit=50", "syncLimit=25", f"dataDir={data}", f"clientPort={port}", f"clientPortAddress={host}",
             "admin.enableServer=false", "4lw.commands.whitelist=srvr", "maxClientCnxns=0", f"minSessionTimeout={2 * TICK_MS}",
             "maxSessionTimeout=60000", "standaloneEnabled=true"]
    if len(addresses) > 1:
        lines += [f"server.{number}={peer}" for number, peer in enumerate(peers, 1)]
        (data / "myid").write_text(f"{index + 1}\n")
    (home / "zoo.cfg").write_text("\n".join(lines) + "\n")


def command(home):
    return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dzookeeper.forceSync=no",
            "-Djava.net.preferIPv4Stack=true", "-cp", str(JAR), "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(home / "zoo.cfg")]


def mode(address):
    """standalone, leader or follower; empty while it does not serve."""
    try:
        with socket.create_connection(address, timeout=2) as connection:
            connection.sendall(b"srvr")
            answer = connection.makefile().read()
    except OSError:
        return ""
    return next((line.split(": ")[1] for line in answer.splitlines() if line.startswith("Mode: ")), "")
