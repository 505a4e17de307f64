# SPDX-License-Identifier: Apache-2.0
"""The messages of Terraform's plugin protocol 6 that the stub provider needs, by field numbers, and its values (msgpack).

A field is `name=number[*]:type`, * for a repeated one; a map is a repeated pair of key and value, which is the same on the wire.
"""
import json

import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELDS = """
DynamicValue msgpack=1:bytes json=2:bytes
Diagnostic severity=1:int32 summary=2:string detail=3:string
Attribute name=1:string type=2:bytes required=4:bool optional=5:bool computed=6:bool sensitive=7:bool nested_type=10:Object
Object attributes=1*:Attribute nesting=3:int32
NestedBlock type_name=1:string block=2:Block nesting=3:int32 min_items=4:int64 max_items=5:int64
Block version=1:int64 attributes=2*:Attribute block_types=3*:NestedBlock
Schema version=1:int64 block=2:Block
SchemaPair key=1:string value=2:Schema
RawState json=1:bytes
Empty
GetProviderSchemaResponse provider=1:Schema resource_schemas=2*:SchemaPair diagnostics=4*:Diagnostic
ValidateProviderConfigResponse diagnostics=2*:Diagnostic
ConfigureProviderResponse diagnostics=1*:Diagnostic
ValidateResourceConfigRequest type_name=1:string config=2:DynamicValue
ValidateResourceConfigResponse diagnostics=1*:Diagnostic
UpgradeResourceStateRequest type_name=1:string version=2:int64 raw_state=3:RawState
UpgradeResourceStateResponse upgraded_state=1:DynamicValue diagnostics=2*:Diagnostic
ReadResourceRequest type_name=1:string current_state=2:DynamicValue
ReadResourceResponse new_state=1:DynamicValue diagnostics=2*:Diagnostic
PlanResourceChangeRequest type_name=1:string prior_state=2:DynamicValue proposed_new_state=3:DynamicValue
PlanResourceChangeResponse planned_state=1:DynamicValue diagnostics=4*:Diagnostic
ApplyResourceChangeRequest type_name=1:string prior_state=2:DynamicValue planned_state=3:DynamicValue
ApplyResourceChangeResponse new_state=1:DynamicValue diagnostics=3*:Diagnostic
"""
SCALARS = {"int32": 5, "int64": 3, "bool": 8, "string": 9, "bytes": 12}
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}
ERROR = 1
UNKNOWN = msgpack.ExtType(0, b"\0")


def _message_classes():
    file = descriptor_pb2.FileDescriptorProto(name="stub_tfplugin6.proto", package="stub", syntax="proto3")
    for line in FIELDS.split("\n"):
        words = line.split()
        if not words:
            continue
        message = file.message_type.add(name=words[0])
        for word in words[1:]:
            name, rest = word.split("=")
            number, kind = rest.split(":")
            field = message.field.add(name=name, number=int(number.rstrip("*")), label=3 if number.endswith("*") else 1)
            if kind in SCALARS:
                field.type = SCALARS[kind]
            else:
                field.type, field.type_name = 11, f".stub.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {message.name: message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(f"stub.{message.name}"))
            for message in file.message_type}


CLASSES = _message_classes()


def make(kind, **fields):
    return CLASSES[kind](**fields)


def decode(value):
    """A DynamicValue as Python has it; what is not known yet is UNKNOWN."""
    return msgpack.unpackb(value.msgpack, raw=False) if value.msgpack else json.loads(value.json or b"null")


def encode(value):
    return make("DynamicValue", msgpack=msgpack.packb(value))


def error(summary, detail):
    return make("Diagnostic", severity=ERROR, summary=summary, detail=detail)


def _attribute(name, attribute):
    flags = {flag: attribute.get(flag, False) for flag in ("required", "optional", "computed", "sensitive")}
    if nested := attribute.get("nested_type"):
        return make("Attribute", name=name, **flags, nested_type=make(
            "Object", attributes=[_attribute(*item) for item in nested["attributes"].items()], nesting=NESTING[nested["nesting_mode"]]))
    return make("Attribute", name=name, **flags, type=json.dumps(attribute["type"]).encode())


def _block(block):
    return make("Block", attributes=[_attribute(*item) for item in block.get("attributes", {}).items()], block_types=[
        make("NestedBlock", type_name=name, block=_block(nested["block"]), nesting=NESTING[nested["nesting_mode"]],
             min_items=nested.get("min_items", 0), max_items=nested.get("max_items", 0))
        for name, nested in block.get("block_types", {}).items()])


def schema(described):
    """A schema, as `terraform providers schema -json` prints it, as the protocol has it."""
    return make("Schema", version=described["version"], block=_block(described["block"]))
