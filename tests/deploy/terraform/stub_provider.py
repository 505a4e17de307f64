# SPDX-License-Identifier: Apache-2.0
"""A provider that makes nothing: Terraform starts it, shakes hands with it and talks to it as with a real one.

Usage: stub_provider.py ADDRESS FOLDER, by Terraform only. FOLDER has key.pem and cert.pem, and settings.json:
    {"fail": {NODE: REASON}, "hold": [NODE, FIFO], "deaf": true}
A node that cannot be made; one whose making lasts until Terraform stops it, and says so in FIFO; and not even then.
What is made is a function of its name, so that every run gives the same. Schemas are in schema.json, as Terraform prints them.
"""
import base64
import json
import os
import pathlib
import re
import ssl
import sys
import tempfile
import threading
import zlib
from concurrent import futures

import grpc
import plugin_messages as messages

MAGIC_COOKIE = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"
NODES = ("latitudesh_server", "maas_instance")


def name_of(state):
    """What a thing is called, in its own words."""
    for key in ("hostname", "name", "description"):
        if isinstance(state.get(key), str):
            return state[key]
    if blocks := state.get("allocate_params"):
        return blocks[0]["hostname"]
    return "-".join(state[key] for key in ("firewall_id", "virtual_network_id", "server_id") if isinstance(state.get(key), str))


def number_of(name):
    digits = re.search(r"(\d+)$", name)
    return int(digits.group(1)) if digits else zlib.crc32(name.encode()) % 200 + 50


def made(type_name, attribute, name):
    """The value that the provider finds for a computed attribute."""
    number = number_of(name)
    known = {"id": f"{type_name.split('_', 1)[1]}_{name}", "vid": 2042, "primary_ipv4": f"203.0.113.{number}", "ip_addresses":
             [f"198.51.100.{number}", f"10.66.0.{number}"], "status": "on", "hostname": name, "interfaces": [], "tags": []}
    if attribute["name"] in known:
        return known[attribute["name"]]
    return {'"number"': 1, '"bool"': False}.get(attribute["type"], f"stub-{attribute['name']}")


class Provider:
    def __init__(self, address, folder):
        schemas = json.loads((pathlib.Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))["provider_schemas"][address]
        self.provider = messages.schema(schemas["provider"])
        self.resources = {name: messages.schema(described) for name, described in schemas["resource_schemas"].items()}
        self.settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        self.stopped = threading.Event()

    def computed(self, type_name):
        return [{"name": attribute.name, "type": attribute.type.decode()} for attribute in self.resources[type_name].block.attributes
                if attribute.computed]

    def get_provider_schema(self, _):
        pairs = [messages.make("SchemaPair", key=name, value=schema) for name, schema in self.resources.items()]
        return messages.make("GetProviderSchemaResponse", provider=self.provider, resource_schemas=pairs)

    def validate_resource(self, request):
        config = messages.decode(request.config)
        hostname = config.get("hostname")
        if request.type_name == "latitudesh_server" and isinstance(hostname, str) and (len(hostname) > 32 or "_" in hostname):
            return messages.make("ValidateResourceConfigResponse", diagnostics=[messages.error("Invalid hostname", hostname)])
        return messages.make("ValidateResourceConfigResponse")

    def upgrade(self, request):
        return messages.make("UpgradeResourceStateResponse", upgraded_state=messages.encode(json.loads(request.raw_state.json)))

    def plan(self, request):
        prior, new = messages.decode(request.prior_state), messages.decode(request.proposed_new_state)
        if prior is None and new is not None:
            for attribute in self.computed(request.type_name):
                if new.get(attribute["name"]) is None:
                    new[attribute["name"]] = messages.UNKNOWN
        return messages.make("PlanResourceChangeResponse", planned_state=messages.encode(new))

    def trouble(self, name):
        """Why this node cannot be made, or None."""
        held, fifo = self.settings.get("hold", [None, None])
        if name == held:
            pathlib.Path(fifo).write_text("held\n", encoding="utf-8")
            (threading.Event() if self.settings.get("deaf") else self.stopped).wait()
            return "context canceled"
        return self.settings.get("fail", {}).get(name)

    def apply(self, request):
        new = messages.decode(request.planned_state)
        if new is None:
            return messages.make("ApplyResourceChangeResponse", new_state=messages.encode(None))
        name = name_of(new)
        if request.type_name in NODES and (reason := self.trouble(name)):
            return messages.make("ApplyResourceChangeResponse", new_state=request.prior_state,
                                 diagnostics=[messages.error("Client Error", f"Unable to create server, got error: {reason}")])
        for attribute in self.computed(request.type_name):
            if new[attribute["name"]] == messages.UNKNOWN:
                new[attribute["name"]] = made(request.type_name, attribute, name)
        return messages.make("ApplyResourceChangeResponse", new_state=messages.encode(new))

    def stop(self, _):
        self.stopped.set()
        return messages.make("Empty")


class Handlers(grpc.GenericRpcHandler):
    """Every method: the message that it takes, and who answers."""

    def __init__(self, provider, ended):
        make, plain = messages.make, "Empty"
        self.methods = {f"/tfplugin6.Provider/{name}": entry for name, entry in {
            "GetProviderSchema": (plain, provider.get_provider_schema),
            "ValidateProviderConfig": (plain, lambda _: make("ValidateProviderConfigResponse")),
            "ConfigureProvider": (plain, lambda _: make("ConfigureProviderResponse")),
            "ValidateResourceConfig": ("ValidateResourceConfigRequest", provider.validate_resource),
            "UpgradeResourceState": ("UpgradeResourceStateRequest", provider.upgrade),
            "ReadResource": ("ReadResourceRequest", lambda request: make("ReadResourceResponse", new_state=request.current_state)),
            "PlanResourceChange": ("PlanResourceChangeRequest", provider.plan),
            "ApplyResourceChange": ("ApplyResourceChangeRequest", provider.apply),
            "StopProvider": (plain, provider.stop),
        }.items()}
        self.methods["/plugin.GRPCController/Shutdown"] = (plain, lambda _: ended.set() or make("Empty"))

    def service(self, handler_call_details):
        if handler_call_details.method not in self.methods:
            return None
        taken, answer = self.methods[handler_call_details.method]
        return grpc.unary_unary_rpc_method_handler(
            lambda request, _: answer(request), request_deserializer=messages.CLASSES[taken].FromString,
            response_serializer=lambda response: response.SerializeToString())


def main():
    address, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if os.environ.get("TF_PLUGIN_MAGIC_COOKIE") != MAGIC_COOKIE:
        sys.exit("stub_provider: this is a provider's plugin; Terraform starts it")
    certificate = (folder / "cert.pem").read_text(encoding="ascii")
    ended = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[Handlers(Provider(address, folder), ended)])
    with tempfile.TemporaryDirectory(prefix="stub-provider-") as place:
        socket = f"{place}/socket"
        # Terraform's own certificate is on a curve that gRPC's TLS does not take; only this side shows one.
        server.add_secure_port(f"unix:{socket}", grpc.ssl_server_credentials([((folder / "key.pem").read_bytes(), certificate.encode())]))
        server.start()
        encoded = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate)).decode().rstrip("=")
        print(f"1|6|unix|{socket}|grpc|{encoded}", flush=True)
        # A Terraform that was killed says no goodbye.
        parent = os.getppid()
        while not ended.wait(0.5) and os.getppid() == parent:
            pass
        server.stop(None)
    sys.stdout.flush()
    os._exit(0)  # a node that is held would hold this, too


if __name__ == "__main__":
    main()
