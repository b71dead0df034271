"""Holds the files of the corpus to its schema, and the schema to that of schemas: `check_schema.py CORPUS`."""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator

folder = pathlib.Path(sys.argv[1])
schema = json.loads((folder / "schema.json").read_text())
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)

cases = 0
for path in sorted((folder / "cases").iterdir()):
    file = json.loads(path.read_text())
    for error in validator.iter_errors(file):
        sys.exit(f"{path}: {error.json_path}: {error.message[:500]}")
    if file["subject"] != path.stem:
        sys.exit(f"{path}: the subject is {file['subject']}")
    cases += sum(len(group["cases"]) for group in file["groups"])
print(f"corpus: {cases} cases fit the schema")
