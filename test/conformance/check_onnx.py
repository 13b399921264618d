"""Runs onnx's own checker over files, shapes inferred and held against each other, and says what is in them.

Debian's interpreter and package: apt-get install python3-onnx, then /usr/bin/python3 check_onnx.py.
Reads one name of a file to a line and answers with a line of JSON: what it says, or the `error`.
"""

import json
import sys

import onnx



def dims(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def check(name):
    onnx.checker.check_model(name, full_check=True)
    model = onnx.load(name)
    return {
        "opset": [entry.version for entry in model.opset_import],
        "inputs": {value.name: dims(value) for value in model.graph.input},
        "outputs": {value.name: dims(value) for value in model.graph.output},
        "metadata": {entry.key: json.loads(entry.value) for entry in model.metadata_props},
        "operators": sorted({node.op_type for node in model.graph.node}),
    }


for line in sys.stdin:
    try:
        answer = check(line.rstrip("\n"))
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
